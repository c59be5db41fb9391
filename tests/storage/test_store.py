"""Parts of a run on disk: many writers, constant cost, damage, kills."""

import errno
import os
import signal
import subprocess
import sys
import textwrap
import warnings
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from flipbook.storage.store import Store

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("FLIPBOOK_STORE", str(tmp_path))
    return Store.of("toy", {"step": 1})


@pytest.fixture
def folder(store, tmp_path):
    return tmp_path / store.name


def rows(*keys, **columns):
    return pd.DataFrame({"mse": [0.1] * len(keys), "reached": True, "name": "ä"} | columns, index=list(keys))


def test_rows_pictures_and_traces_come_back_as_they_were(store, folder):
    halves = {key: torch.rand(3, 2, 2).bfloat16() for key in ("a", "c")}
    steps = {"a/loss": torch.tensor([1.0, float("nan")]), "b/loss": torch.rand(4), "b/z": torch.rand(2, 3).double()}
    store.add(rows("a", "b", "c", mse=[0.1, 0.2, float("inf")]), halves, steps)
    store.add(rows("d"))
    assert store.rows().loc[["a", "b", "c", "d"], "mse"].tolist() == [0.1, 0.2, float("inf"), 0.1]
    assert store.rows().dtypes.astype(str).to_dict() == {"mse": "float64", "reached": "bool", "name": "str"}
    for before, after in ((halves, store.pictures()), (steps, store.traces())):
        assert before.keys() == after.keys()
        for key, tensor in before.items():
            assert after[key].dtype == tensor.dtype
            torch.testing.assert_close(after[key], tensor, rtol=0, atol=0, equal_nan=True)
    read = pd.read_parquet(folder)  # public tools see one table
    assert sorted(read["key"]) == ["a", "b", "c", "d"]
    part = next(path for path in folder.glob("*.parquet") if "trace z shape" in pq.read_schema(path).names)
    assert pd.read_parquet(part).set_index("key").loc["b", "trace z shape"].tolist() == [2, 3]


def test_many_writers_lose_nothing(store, folder):
    program = textwrap.dedent(
        """
        import sys, pandas as pd, torch
        from flipbook.storage.store import Store
        store, writer = Store.of("toy", {"step": 1}), int(sys.argv[1])
        for part in range(10):
            keys = [f"{writer}-{part}", f"shared-{part}"]
            rows = pd.DataFrame({"mse": [1.0 * writer, 0.0], "seconds": 1.0 * writer}, index=keys)
            store.add(rows, {keys[0]: torch.full((1, 2, 2), 1.0 * part)}, {f"{keys[0]}/loss": torch.ones(3)})
            assert keys[0] in store.rows().index
        """
    )
    writers = [subprocess.Popen([sys.executable, "-c", program, str(i)], cwd=PROJECT) for i in range(4)]
    assert [writer.wait(timeout=600) for writer in writers] == [0] * 4
    found = store.rows()
    assert sorted(found.index) == sorted(
        [f"{i}-{j}" for i in range(4) for j in range(10)] + [f"shared-{j}" for j in range(10)]
    )
    assert len(store.pictures()) == len(store.traces()) == 40
    pd.testing.assert_frame_equal(found, store.rows())
    assert all(path.suffix == ".parquet" for path in folder.iterdir())


def test_an_image_of_two_writers_counts_once_whoever_was_first(store, tmp_path, monkeypatch):
    found = []
    for place, order in enumerate([(1.0, 2.0), (2.0, 1.0)]):
        monkeypatch.setenv("FLIPBOOK_STORE", str(tmp_path / str(place)))
        for seconds in order:
            store.add(rows("a", seconds=seconds))
        found.append(store.rows().loc["a", "seconds"])
        store.add(rows("a", seconds=3.0), {"a": torch.ones(1, 1, 1)})
        assert store.rows()["seconds"].tolist() == [3.0]  # the row that belongs to the picture
        assert store.pictures().keys() == {"a"}
    assert found[0] == found[1]


def test_the_cost_of_a_part_does_not_grow(store, folder, monkeypatch):
    store.add(rows("first"), {"first": torch.rand(3, 8, 8)})
    known = {path: path.stat().st_mtime_ns for path in folder.iterdir()}

    def refuse(*_):
        raise AssertionError("a part was read in order to add another one")

    with monkeypatch.context() as patched:
        for owner, name in ((Path, "read_bytes"), (Path, "glob"), (Path, "iterdir"), (pq, "read_table")):
            patched.setattr(owner, name, refuse)
        for i in range(30):
            store.add(rows(f"{i:05d}"), {f"{i:05d}": torch.rand(3, 8, 8)})
    assert len(list(folder.iterdir())) == 31  # one file each, the others as they were
    assert all(path.stat().st_mtime_ns == time for path, time in known.items())
    sizes = [path.stat().st_size for path in folder.iterdir()]
    assert max(sizes) < 1.1 * min(sizes)


def foreign(content):
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"key": ["b"], "mse": ["much"]}), sink)
    return sink.getvalue().to_pybytes()


DAMAGE = {
    "cut in half": lambda content: content[: len(content) // 2],
    "zeros": lambda content: bytes(len(content)),
    "empty": lambda _: b"",
    "doubled": lambda content: content * 2,
    "one bit in the middle": lambda c: c[: len(c) // 3] + bytes([c[len(c) // 3] ^ 1]) + c[len(c) // 3 + 1 :],
    "other schema": foreign,
}


@pytest.mark.parametrize("how", DAMAGE)
def test_a_damaged_part_is_set_aside_and_named_in_one_line(store, folder, how):
    store.add(rows("a"), {"a": torch.rand(1, 2, 2)}, {"a/loss": torch.ones(2)})
    (intact,) = folder.iterdir()
    store.add(rows("b"), {"b": torch.rand(1, 2, 2)}, {"b/loss": torch.ones(2)})
    (part,) = set(folder.iterdir()) - {intact}
    part.write_bytes(DAMAGE[how](part.read_bytes()))
    with pytest.warns(UserWarning, match=f"{part.name} is damaged") as caught:
        assert store.rows().index.tolist() == ["a"]
    assert len(caught) == 1
    assert "\n" not in str(caught[0].message)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert store.pictures().keys() == {"a"}
        assert store.traces().keys() == {"a/loss"}
    assert part.with_suffix(".damaged").is_file()


def test_a_part_of_another_run_and_one_with_other_columns_do_not_count(store, folder):
    other = Store.of("toy", {"step": 2})
    other.add(rows("b"))
    (part,) = (folder.parent / Path(other.name).name).iterdir()
    store.add(rows("a"))
    store.add(rows("c"))
    (folder / part.name).write_bytes(part.read_bytes())
    with pytest.warns(UserWarning, match=f"{part.name} is no part of the run toy/"):
        assert sorted(store.rows().index) == ["a", "c"]
    store.add(rows("d", psnr=1.0))
    with pytest.warns(UserWarning, match=r"has other columns than the run's other parts \(psnr\)"):
        assert sorted(store.rows().index) == ["a", "c"]


def test_a_killed_writer_leaves_what_is_ignored(store, folder):
    store.add(rows("a"))
    program = textwrap.dedent(
        """
        import os, pathlib, signal, pandas as pd
        from flipbook.storage.store import Store

        def half(path, content):
            with path.open("wb") as file:
                file.write(content[: len(content) // 2])
                file.flush()
                os.kill(os.getpid(), signal.SIGKILL)

        pathlib.Path.write_bytes = half
        Store.of("toy", {"step": 1}).add(pd.DataFrame({"mse": [0.2], "reached": True, "name": "b"}, index=["b"]))
        """
    )
    killed = subprocess.run([sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert len(list(folder.iterdir())) == 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert store.rows().index.tolist() == ["a"]
        store.add(rows("b"))
        assert sorted(store.rows().index) == ["a", "b"]


def test_a_full_disk_names_the_file_and_loses_nothing(store, folder, monkeypatch):
    store.add(rows("a"))

    def full(path, content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", full)
        with pytest.raises(OSError, match=r"/toy/.*\.parquet was not written \(No space left") as caught:
            store.add(rows("b"))
    assert caught.value.errno == errno.ENOSPC
    assert store.rows().index.tolist() == ["a"]
    assert len(list(folder.iterdir())) == 1


def test_wrong_parts_are_refused(store):
    with pytest.raises(ValueError, match="must have different keys"):
        store.add(rows("a", "a"))
    with pytest.raises(ValueError, match="picture of b, which is none of the rows"):
        store.add(rows("a"), {"b": torch.ones(1)})
    with pytest.raises(ValueError, match=r"trace loss: tensors of types .* in one part"):
        store.add(rows("a", "b"), traces={"a/loss": torch.ones(1), "b/loss": torch.ones(1).double()})
    assert store.rows().empty
