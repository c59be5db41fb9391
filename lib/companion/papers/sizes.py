"""What the settings of all papers share: sizes that a notebook may change, what a laptop leaves out, refusals."""

from dataclasses import replace
from typing import TypeVar

from flipbook.core.validation import check_choice

Size = TypeVar("Size")


def resized(size: Size, whose: str = "the profile's own", **asked) -> Size:
    """Return a size, a dataclass, with what is not 0 or empty in its place; the names are those of its fields.

    Raises
    ------
    ValueError
        For a negative number.
    """
    for name, value in asked.items():
        if not isinstance(value, str) and value < 0:
            raise ValueError(f"{name} is {value}: give a positive number, or 0 for {whose}")
    return replace(size, **{name: value for name, value in asked.items() if value})


def on_a_laptop_only(what: str, profile: str, why: str) -> None:
    """Refuse a profile that is unknown, and the paper profile, for which something is missing."""
    check_choice("profile", profile, ("laptop", "paper"))
    if profile == "paper":
        raise ValueError(f"{what} has no paper profile yet: {why}; run it with profile 'laptop'")


def less(*parts: tuple[int, int, str]) -> list[str]:
    """Say what is smaller than in the paper: "16 of 200 images" for each (ours, theirs, of what) that is."""
    return [f"{ours} of {full} {what}" for ours, full, what in parts if ours < full]
