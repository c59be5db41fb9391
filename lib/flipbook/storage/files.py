"""Files that are written whole or not at all."""

import uuid
from contextlib import suppress
from pathlib import Path


def write_whole(contents: dict[Path, bytes | str]) -> None:
    """Write a group of files so that none is ever seen half written.

    All contents go to temporary names in the files' own folders first; only when every one of them is on disk are
    they moved into place, in the given order. If anything fails before that, the files already there stay as they were.

    Parameters
    ----------
    contents : dict of Path to bytes or str
        Text is stored as UTF-8. Put the file that says "the others are complete" last.

    Raises
    ------
    OSError
        Names the file that could not be written, on a full disk for example.
    """
    temporary = {}
    path = None
    try:
        for path, content in contents.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            # No other process has this name, on whatever machine that shares the folder.
            temporary[path] = path.with_name(f".{path.name[:100]}.{uuid.uuid4().hex}.tmp")
            temporary[path].write_bytes(content.encode() if isinstance(content, str) else content)
        for path, written in temporary.items():
            written.replace(path)
    except OSError as error:
        line = f"{path} was not written ({error.strerror or error}): mend that and start again; what was there stays"
        raise (OSError(error.errno, line) if error.errno else OSError(line)) from error
    finally:
        for written in temporary.values():
            with suppress(OSError):
                written.unlink(missing_ok=True)
