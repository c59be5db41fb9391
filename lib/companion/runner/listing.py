"""The map with the status of every artefact."""

from companion.artefacts import Row
from companion.runner.status import status
from companion.target import Target


def tell(rows: list[Row], profile: str) -> None:
    """Print one line per artefact: id, number in the paper, status, and why or what it shows."""
    found = [(row, status(Target(row, profile))) for row in rows]
    widths = [
        max(len(text) for text in column) for column in zip(*((row.id, row.artefact) for row, _ in found), strict=True)
    ]
    for row, state in found:
        about = f"{row.title}  [{state.reason}]" if state.reason else row.title
        print(f"{row.id:<{widths[0]}}  {row.artefact:<{widths[1]}}  {state.word:<8}  {about}")
    counts = {word: sum(state.word == word for _, state in found) for word in dict.fromkeys(s.word for _, s in found)}
    print(f"\nProfile {profile}: " + ", ".join(f"{count} {word}" for word, count in counts.items()))
