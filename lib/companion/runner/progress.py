"""What a reader sees while jobs run: a line when one starts or ends, and on a terminal a bar with the jobs at work."""

import subprocess
import sys
import time

from tqdm import tqdm

from companion.runner import status
from companion.target import Target

LOOK = 0.3  # seconds between looks at the jobs' files
TAIL = 2000  # bytes of a job's stderr that hold its progress bar


def clear(targets: list[Target]) -> None:
    """Forget how the last run of these targets went."""
    for target in targets:
        target.build(".state.json").unlink(missing_ok=True)


def follow(process: subprocess.Popen, targets: list[Target], reasons: dict[str, str]) -> dict[str, dict]:
    """Report on the jobs until Snakemake ends; return the last state of each target by id.

    Parameters
    ----------
    process : Popen
        Snakemake.
    targets : list of Target
        What it was asked to make.
    reasons : dict
        Why each is made, by id; shown when it starts.
    """
    seen = {}
    with tqdm(
        total=len(targets), disable=not sys.stdout.isatty(), file=sys.stdout, leave=False, bar_format=_bar()
    ) as bar:
        while True:
            over = process.poll() is not None
            for target in targets:
                state = status.read_json(target.build(".state.json")) or {}
                if state.get("state") not in (None, seen.get(target.id, {}).get("state")):
                    seen[target.id] = state
                    _report(bar, target, state, seen, len(targets), reasons)
            running = [target for target in targets if seen.get(target.id, {}).get("state") == "running"]
            bar.set_description_str(" | ".join(f"{target.id} {_inner(target)}".strip() for target in running)[:100])
            if over:
                return seen
            time.sleep(LOOK)


def claims_in_words(claims: list[dict]) -> str:
    """Return "12 claims hold, 1 does not, 2 open" for the claims of a card; '' without any."""
    held = [claim["holds"] for claim in claims]
    yes, no, open_ = held.count(True), held.count(False), held.count(None)
    said = [f"{yes} claim{'' if yes == 1 else 's'} hold{'s' if yes == 1 else ''}"] if yes or no else []
    said += [f"{no} {'does' if no == 1 else 'do'} not"] if no else []
    said += [f"{open_} open"] if open_ else []
    return ", ".join(said)


def _report(bar: tqdm, target: Target, state: dict, seen: dict, total: int, reasons: dict[str, str]) -> None:
    name = f"{target.id}  {target.row.artefact}"
    if state["state"] == "running":
        reason = reasons.get(target.id)
        return _line(bar, f"{'':>{_width(total)}} {name}  started" + (f" ({reason})" if reason else ""))
    done = sum(one["state"] in ("made", "failed") for one in seen.values())
    bar.update()
    number = f"[{done}/{total}]"
    if state["state"] == "failed":
        return _line(
            bar, f"{number:>{_width(total)}} {name}  FAILED after {spoken(state['seconds'])}: {state['error']}"
        )
    words = claims_in_words((status.read_json(target.build(".made.json")) or {}).get("claims", []))
    return _line(
        bar, f"{number:>{_width(total)}} {name}  done in {spoken(state['seconds'])}" + (f" ({words})" if words else "")
    )


def spoken(seconds: float) -> str:
    """Return a duration as "41 s" or "2.1 min"."""
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.1f} min"


def _line(bar: tqdm, text: str) -> None:
    bar.write(text, file=sys.stdout)
    sys.stdout.flush()


def _width(total: int) -> int:
    return len(f"[{total}/{total}]")


def _bar() -> str:
    return "{n_fmt}/{total_fmt} {bar:20} {elapsed} {desc}"


def _inner(target: Target) -> str:
    """Return the last line of the notebook's own progress bar."""
    path = target.build(".stderr")
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL))
        lines = file.read().decode(errors="replace").replace("\r", "\n").splitlines()
    return next((line.strip() for line in reversed(lines) if "%|" in line or "it/s" in line), "")[:60]
