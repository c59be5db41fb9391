import gzip
import shutil
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from zipfile import ZipFile

import pytest
import torch
from torchvision.datasets import CIFAR10, GTSRB, MNIST

from companion import datasets
from companion.datasets import __main__ as command
from companion.datasets import fetch
from tests.datasets import layouts


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("DATA_ROOT", str(tmp_path / "data"))
    return tmp_path / "data"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """Folder behind the server from which torchvision then fetches MNIST."""
    folder = layouts.mnist(tmp_path / "server", compressed=True)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
    Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(MNIST, "mirrors", [f"http://127.0.0.1:{server.server_port}/"])
    monkeypatch.setattr(MNIST, "resources", [(file, layouts.md5(folder / file)) for file, _ in MNIST.resources])
    yield folder
    server.shutdown()
    server.server_close()


def test_the_command_fetches_what_load_then_reads(root, mirror, capsys):
    assert command.main(["mnist"]) == 0
    assert "mnist: ready, 36 train, 4 validation, 12 test images" in capsys.readouterr().out
    assert datasets.load("mnist", "test").targets.tolist() == [*range(10), 0, 1]


def test_fetching_again_keeps_what_is_there(root, mirror):
    fetch.fetch("mnist")
    for file in mirror.iterdir():
        file.unlink()
    fetch.fetch("mnist")
    assert len(datasets.load("mnist", "test")) == 12


def test_a_download_with_another_md5_is_refused_in_one_line(root, mirror, capsys):
    path = mirror / "t10k-labels-idx1-ubyte.gz"
    path.write_bytes(path.read_bytes() + b"x")
    assert command.main(["mnist"]) == 1
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert line.startswith(f"MNIST could not be fetched into {root} (Error downloading t10k-labels-idx1-ubyte.gz")


def test_a_server_that_lacks_the_files_gives_one_line(root, mirror):
    for file in mirror.iterdir():
        file.unlink()
    with pytest.raises(OSError, match=r"MNIST could not be fetched into .*: check the connection") as refusal:
        fetch.fetch("mnist")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(("name", "official"), [("cifar10", CIFAR10), ("gtsrb", GTSRB)])
def test_each_set_uses_the_official_downloader(root, monkeypatch, name, official):
    def no_server(self):
        raise RuntimeError("File not found or corrupted.")

    monkeypatch.setattr(official, "download", no_server)
    with pytest.raises(OSError, match=r"could not be fetched into .*corrupted"):
        fetch.fetch(name)


def test_voc_comes_from_the_official_downloader(root, monkeypatch):
    def no_server(url, folder, filename=None, md5=None):
        raise RuntimeError(f"File not found or corrupted: {filename}, {md5}")

    monkeypatch.setattr("torchvision.datasets.voc.download_and_extract_archive", no_server)
    with pytest.raises(OSError, match=r"VOC 2012 could not be fetched .*VOCtrainval_11-May-2012.tar, 6cd6e144f989b92b"):
        fetch.fetch("voc2012")


def test_coco_is_fetched_with_its_sums_and_unpacked(root, tmp_path, monkeypatch, capsys):
    made = layouts.coco2014(tmp_path / "made")
    served = tmp_path / "served"
    for archive, parts in {"zips/train2014": ["train2014"], "zips/val2014": ["val2014"]}.items():
        pack(served / f"{archive}.zip", made, parts)
    pack(served / "annotations" / "annotations_trainval2014.zip", made, ["annotations"])
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=served))
    Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(fetch, "COCO_SERVER", f"http://127.0.0.1:{server.server_port}")
    assert command.main(["coco2014"]) == 1
    assert "MS-COCO 2014 could not be fetched" in capsys.readouterr().err  # the sums are the official archives'
    monkeypatch.setattr(fetch, "COCO", {path: layouts.md5(served / path) for path in fetch.COCO})
    assert command.main(["coco2014"]) == 0
    assert "coco2014: ready, 17 train, 2 validation, 5 test images" in capsys.readouterr().out
    server.shutdown()
    server.server_close()


def pack(archive, folder, parts):
    """Zip some folders."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    with ZipFile(archive, "w") as file:
        for part in parts:
            for path in sorted((folder / part).iterdir()):
                file.write(path, f"{part}/{path.name}")


def test_a_damaged_file_already_there_is_told_and_left_alone(root, mirror, capsys):
    fetch.fetch("mnist")
    path = root / "MNIST" / "raw" / "t10k-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:100])
    assert command.main(["mnist"]) == 1
    assert "incomplete or damaged" in capsys.readouterr().err
    assert path.stat().st_size == 100


@pytest.mark.parametrize("arguments", [[], ["pictograms20"], ["mnist", "voc"]])
def test_the_command_refuses_other_names(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        command.main(arguments)
    assert stop.value.code == 2
    assert "error:" in capsys.readouterr().err


if layouts.SHARED.is_dir():  # small real data that may lie beside the checkout

    def test_the_whole_of_mnist(root, capsys):
        folder = root / "MNIST" / "raw"
        shutil.copytree(layouts.SHARED / "MNIST" / "raw", folder)
        assert command.main(["mnist"]) == 0  # unpacks what has the official MD5 sums, downloads nothing
        assert "mnist: ready, 54000 train, 6000 validation, 10000 test images" in capsys.readouterr().out
        parts = {split: datasets.load("mnist", split) for split in datasets.SPLITS}
        assert parts["test"].targets.bincount().tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
        counts = sum(parts[split].targets.bincount() for split in ("train", "validation"))
        assert counts.tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
        raw = gzip.decompress((folder / "t10k-images-idx3-ubyte.gz").read_bytes())[16:]
        last = torch.frombuffer(bytearray(raw[-784:]), dtype=torch.uint8).view(28, 28)
        assert torch.equal(parts["test"].pixels(-1)[0, 2:-2, 2:-2], last)
