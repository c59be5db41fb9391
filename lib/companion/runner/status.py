"""Whether an artefact is made, stale, not made or pending, and why."""

import json
from dataclasses import dataclass
from pathlib import Path

from companion import published
from companion.refusal import Refusal
from companion.runner import inputs
from companion.target import Target, shown

MADE, STALE, NOT_MADE, PENDING = "made", "stale", "not made", "pending"


@dataclass(frozen=True)
class Status:
    """One of the four words, and the reason where there is one."""

    word: str
    reason: str = ""


def status(target: Target) -> Status:
    """Return how `target` stands, without changing anything."""
    if target.row.pending:
        return Status(PENDING, target.row.pending)
    if not target.row.path.is_file():
        return Status(NOT_MADE, f"{shown(target.row.path)} is missing")
    made = read_json(target.build(".made.json"))
    if made is None:
        return Status(NOT_MADE, _so_far(target))
    if changed := published.difference(target.figure(""), made.get("published")):
        return Status(STALE, changed)
    try:
        reason = inputs.difference(made["inputs"], inputs.current(target))
    except Refusal as damaged:
        reason = str(damaged)
    return Status(STALE, reason) if reason else Status(MADE)


def card(target: Target) -> dict | None:
    """Return the card that the notebook left behind, or None."""
    return read_json(target.figure(".json"))


def read_json(path: Path) -> dict | None:
    """Return a JSON file's content, or None when the file is missing or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def files(target: Target) -> list[Path]:
    """Files of figures/ that a made artefact has: its page, its card, and what the card lists."""
    card_path = target.figure(".json")
    listed = (card(target) or {}).get("files", [])
    cards = [card_path] if target.needs_card or card_path.is_file() else []
    return [target.figure(".ipynb"), *cards, *(card_path.parent / name for name in listed)]


def _so_far(target: Target) -> str:
    """What there is of an artefact that no run of this folder made: a failure, or files that came with the clone."""
    state = read_json(target.build(".state.json")) or {}
    if "error" in state:
        return f"last run failed: {state['error']}"
    recorded = published.read(target.figure(""))
    if recorded is None:
        return ""
    return published.difference(target.figure(""), recorded) or "published by a run elsewhere"
