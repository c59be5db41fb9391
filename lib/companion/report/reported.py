"""The papers' printed numbers, as text: trailing zeros and empty cells mean something."""

import pandas as pd

from companion import paths


def reported(artefact_id: str) -> pd.DataFrame:
    """Return data/reported/<paper>/<artefact>.csv, every cell as printed and '' where nothing is.

    Raises
    ------
    FileNotFoundError
        When the paper prints no such table, or its numbers are not in the repository.
    """
    path = paths.REPORTED / f"{artefact_id}.csv"
    if not path.is_file():
        have = sorted(p.stem for p in path.parent.glob("*.csv"))
        raise FileNotFoundError(
            f"no printed numbers for {artefact_id!r}: data/reported/{artefact_id}.csv is missing"
            + (f"; there are {', '.join(have)}" if have else "; write paper/table-NN, for example jma/table-06")
        )
    return pd.read_csv(path, dtype=str, keep_default_na=False)
