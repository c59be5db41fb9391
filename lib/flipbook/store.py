"""Results kept on disk, one row per attacked image, found again by content.

A run's file is named after everything that its rows share (attack, hyper-parameters, code, model); a row is named
after its image and goal. Attacks treat images independently, so that a row holds whatever batch it was computed in:
asking for more images, or starting again after a kill, computes only what is missing.
"""

import io
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from flipbook import paths
from flipbook.files import write_whole
from flipbook.fingerprint import digest


@dataclass(frozen=True)
class Store:
    """The rows of one run, the traces that its attack recorded, and on request the images.

    Attributes
    ----------
    name : str
        "<attack>/<digest of the key>", also the rows' `run` column.
    key : dict
        What the rows share, as text; kept beside them for a reader.
    """

    name: str
    key: dict

    @classmethod
    def of(cls, attack: str, key: dict) -> "Store":
        """Return the store for what `key` describes."""
        return cls(f"{attack}/{digest(key)[:20]}", key)

    def rows(self) -> pd.DataFrame:
        """Return all rows stored so far, indexed by image key; empty when there is none."""
        path = self._path(".csv")
        if not path.is_file():
            return pd.DataFrame()
        try:
            return pd.read_csv(path, index_col="key")
        except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError) as error:
            raise ValueError(f"{path} is not a table of results ({error}); delete it to compute them again") from None

    def pictures(self) -> dict[str, Tensor]:
        """Return the images kept so far, (channels, H, W) by image key."""
        return self._arrays(".npz")

    def traces(self) -> dict[str, Tensor]:
        """Return what the attack recorded of its runs, (steps,) by "<image key>/<quantity>"."""
        return self._arrays(".traces.npz")

    def add(self, rows: pd.DataFrame, pictures: dict[str, Tensor], traces: dict[str, Tensor] | None = None) -> None:
        """Add rows (indexed by image key), pictures and traces to what is there, all or nothing."""
        known = self.rows()  # read again: another process may have added rows meanwhile
        merged = pd.concat([known[~known.index.isin(rows.index)], rows]) if len(known) else rows
        contents = {self._path(".json"): json.dumps(self.key, indent=1, default=str)}
        for suffix, arrays in ((".npz", pictures), (".traces.npz", traces or {})):
            if arrays:
                buffer, merged_arrays = io.BytesIO(), self._arrays(suffix) | arrays
                np.savez_compressed(buffer, **{key: a.detach().cpu().numpy() for key, a in merged_arrays.items()})
                contents[self._path(suffix)] = buffer.getvalue()
        write_whole(contents | {self._path(".csv"): merged.to_csv(index_label="key")})

    def _arrays(self, suffix: str) -> dict[str, Tensor]:
        path = self._path(suffix)
        if not path.is_file():
            return {}
        with np.load(path) as kept:
            return {key: torch.from_numpy(kept[key]) for key in kept.files}

    def _path(self, suffix: str) -> Path:
        return paths.store() / f"{self.name}{suffix}"
