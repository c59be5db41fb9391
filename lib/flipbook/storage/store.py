"""Results kept on disk, one row per attacked image, found again by content.

A run's folder is named after everything that its rows share (attack, hyper-parameters, code, model); a row is named
after its image and goal. Attacks treat images independently, so that a row holds whatever batch it was computed in:
asking for more images, or starting again after a kill, computes only what is missing.

Every batch is one Parquet file of its own, a part: the rows with their kept pictures and recorded traces, written
whole under the digest of its bytes and never changed. Any number of processes and machines may add parts to a run at
once, without locks, and a part costs the same however many there are. pandas, pyarrow, DuckDB and their like read the
folder as one table.
"""

import hashlib
import json
import warnings
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from flipbook.storage import places
from flipbook.storage.files import write_whole
from flipbook.storage.fingerprint import digest

RUN, KEY, TYPE = b"flipbook run", b"flipbook key", b"torch type"  # in the metadata of a part, and of a column
PICTURE, TRACE, SHAPE = "picture", "trace ", " shape"  # columns of tensors: flat values, and beside them their shape


@dataclass(frozen=True)
class Store:
    """The rows of one run, the traces that its attack recorded, and on request the images.

    Attributes
    ----------
    name : str
        "<attack>/<digest of the key>", also the rows' `run` column and the folder.
    key : dict
        What the rows share, as text; kept in every part for a reader.
    """

    name: str
    key: dict

    @classmethod
    def of(cls, attack: str, key: dict) -> "Store":
        """Return the store for what `key` describes."""
        return cls(f"{attack}/{digest(key)[:20]}", key)

    def rows(self) -> pd.DataFrame:
        """Return all rows stored so far, indexed by image key; empty when there is none."""
        tables = [part.select(["key", *_columns(part)]).to_pandas().set_index("key") for part in self._parts()]
        return pd.concat(tables) if tables else pd.DataFrame()

    def pictures(self) -> dict[str, Tensor]:
        """Return the images kept so far, (channels, H, W) by image key."""
        return {key: tensor for part in self._parts() for key, tensor in _tensors(part, PICTURE).items()}

    def traces(self) -> dict[str, Tensor]:
        """Return what the attack recorded of its runs, (steps,) by "<image key>/<quantity>"."""
        return {
            f"{key}/{name.removeprefix(TRACE)}": tensor
            for part in self._parts()
            for name in part.column_names
            if name.startswith(TRACE) and not name.endswith(SHAPE)
            for key, tensor in _tensors(part, name).items()
        }

    def add(
        self,
        rows: pd.DataFrame,
        pictures: dict[str, Tensor] | None = None,
        traces: dict[str, Tensor] | None = None,
    ) -> None:
        """Add one part, all or nothing, at the same cost however many there are.

        Parameters
        ----------
        rows : DataFrame
            Indexed by image key, each of them once.
        pictures : dict of str to Tensor, optional
            By image key, for some of the rows.
        traces : dict of str to Tensor, optional
            By "<image key>/<quantity>".

        Raises
        ------
        OSError
            When the part cannot be written; what was stored before stays.
        """
        if not rows.index.is_unique:
            raise ValueError(f"{self.name}: a part's rows must have different keys; pass each image once")
        columns = {PICTURE: pictures or {}}
        for name, steps in (traces or {}).items():
            key, _, quantity = name.partition("/")
            columns.setdefault(TRACE + quantity, {})[key] = steps
        keys = [str(key) for key in rows.index]
        table = pa.Table.from_pandas(rows.reset_index(drop=True), preserve_index=False)
        table = table.add_column(0, "key", pa.array(keys, pa.string()))
        for name, tensors in columns.items():
            if unknown := tensors.keys() - set(keys):
                raise ValueError(
                    f"{self.name}: {name.strip()} of {min(unknown)}, which is none of the rows; pass its row"
                )
            if tensors:
                table = _with_tensors(table, name, [tensors.get(key) for key in keys])
        about = {RUN: self.name.encode(), KEY: json.dumps(self.key, default=str).encode()}
        sink = pa.BufferOutputStream()
        pq.write_table(table.replace_schema_metadata((table.schema.metadata or {}) | about), sink, compression="zstd")
        content = sink.getvalue().to_pybytes()
        write_whole({self._folder / f"{_digest(content)}.parquet": content})

    def _parts(self) -> list[pa.Table]:
        """Every intact part, cut to the rows that count: of several for one image the same whoever reads them.

        One with its picture is preferred, and of equal ones that in the part whose name comes first.
        """
        read = {path: self._read(path) for path in sorted(self._folder.glob("*.parquet"))}
        parts = list(_alike({path: part for path, part in read.items() if part is not None}).values())
        chosen: dict[str, tuple[bool, int]] = {}
        for number, part in enumerate(parts):
            for key, pictured in zip(part["key"].to_pylist(), _pictured(part), strict=True):
                chosen[key] = min(chosen.get(key, (True, number)), (not pictured, number))
        return [
            part.filter(pa.array([chosen[key][1] == number for key in part["key"].to_pylist()], pa.bool_()))
            for number, part in enumerate(parts)
        ]

    def _read(self, path: Path) -> pa.Table | None:
        """Return a part, or nothing where it is damaged: then say so and set it aside."""
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None  # another reader has just set it aside
        except OSError as error:
            return _warn(f"{path} cannot be read ({error.strerror}): its rows are computed again")
        if _digest(content) == path.stem:
            with suppress(pa.ArrowException, OSError):
                part = pq.read_table(pa.BufferReader(content))
                if (part.schema.metadata or {}).get(RUN) == self.name.encode() and "key" in part.column_names:
                    return part
            fault = f"is no part of the run {self.name}"
        else:
            fault = "is damaged (its content is not what its name says)"
        aside = path.with_suffix(".damaged")
        with suppress(OSError):  # a folder that cannot be written: then it is found again next time
            path.replace(aside)
        return _warn(f"{path} {fault}: set aside as {aside.name}, its rows are computed again")

    @property
    def _folder(self) -> Path:
        return places.in_store(self.name)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:40]


def _warn(line: str) -> None:
    warnings.warn(line, stacklevel=2)


def _columns(part: pa.Table) -> list[str]:
    """Names of the columns of plain rows."""
    tensors = {field.name for field in part.schema if TYPE in (field.metadata or {})}
    beside = {"key", *tensors, *(name + SHAPE for name in tensors)}
    return [name for name in part.column_names if name not in beside]


def _pictured(part: pa.Table) -> list[bool]:
    return part[PICTURE].is_valid().to_pylist() if PICTURE in part.column_names else [False] * len(part)


def _with_tensors(table: pa.Table, name: str, tensors: list[Tensor | None]) -> pa.Table:
    """Append a column of flat values and one of their shapes; None where a row has no tensor."""
    arrays = [None if t is None else t.detach().cpu().contiguous() for t in tensors]
    (dtype, *others) = {t.dtype for t in arrays if t is not None}
    if others:
        raise ValueError(f"{name}: tensors of types {dtype} and {others[0]} in one part; pass one type")
    # Parquet has no bfloat16; float32 holds its values.
    numbers = [None if t is None else (t.float() if dtype == torch.bfloat16 else t).numpy() for t in arrays]
    first = next(n for n in numbers if n is not None)
    values = pa.array([None if n is None else n.ravel() for n in numbers], pa.list_(pa.from_numpy_dtype(first.dtype)))
    shapes = pa.array([None if n is None else list(n.shape) for n in numbers], pa.list_(pa.int64()))
    field = pa.field(name, values.type, metadata={TYPE: str(dtype).removeprefix("torch.").encode()})
    return table.append_column(field, values).append_column(name + SHAPE, shapes)


def _tensors(part: pa.Table, name: str) -> dict[str, Tensor]:
    """Tensors of a column by the rows' keys."""
    if name not in part.column_names:
        return {}
    dtype = getattr(torch, part.schema.field(name).metadata[TYPE].decode())
    columns = (part[each].combine_chunks() for each in ("key", name, name + SHAPE))
    return {
        key.as_py(): torch.from_numpy(np.array(values.values).reshape(shape.as_py())).to(dtype)
        for key, values, shape in zip(*columns, strict=True)
        if values.is_valid
    }


def _alike(parts: dict[Path, pa.Table]) -> dict[Path, pa.Table]:
    """Leave out, and name, parts with other columns than most: their rows would have gaps beside the others."""
    columns = {path: tuple(sorted(_columns(part))) for path, part in parts.items()}
    usual = min(Counter(columns.values()).items(), key=lambda pair: (-pair[1], pair[0]), default=((),))[0]
    for path, names in columns.items():
        if names != usual:
            odd = ", ".join(sorted(set(names) ^ set(usual)))
            _warn(f"{path} has other columns than the run's other parts ({odd}): its rows are computed again")
    return {path: part for path, part in parts.items() if columns[path] == usual}
