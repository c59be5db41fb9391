"""The last lines of a run: what was made, which claims hold, where to look."""

from companion import paths
from companion.runner import status
from companion.runner.progress import claims_in_words, spoken
from companion.target import shown

LARGE = 1_000_000  # bytes; code hosts show larger notebooks slowly or not at all


def tell(outcome) -> None:
    """Print the summary of an outcome (see `make.Outcome`) and rebuild figures/index.html."""
    there = outcome.reused + outcome.made
    counts = {"made": outcome.made, "reused": outcome.reused, "failed": outcome.failed, "pending": outcome.pending}
    print(f"\nArtefacts: {', '.join(f'{len(of)} {name}' for name, of in counts.items())}  in {spoken(outcome.seconds)}")
    for target_id, error in outcome.failed.items():
        print(f"  failed  {target_id}: {error}")
    records = {target.id: status.read_json(target.build(".made.json")) or {} for target in there}
    _tell_claims(records)
    _tell_large(records)
    _tell_index(there)


def _tell_claims(records: dict) -> None:
    claims = [(name, claim) for name, record in records.items() for claim in record.get("claims", [])]
    if claims:
        print(f"Claims: {claims_in_words([claim for _, claim in claims])}")
    for name, claim in claims:
        if claim["holds"] is False:
            print(f"  does not hold  {name}: {claim['text']} ({claim['ours']})")


def _tell_large(records: dict) -> None:
    sizes = {name: size for record in records.values() for name, size in record.get("bytes", {}).items()}
    for name, size in sizes.items():
        if size > LARGE:
            print(f"Large notebook: {name} has {size / 1e6:.1f} MB; use smaller or fewer pictures in it")


def _tell_index(there: list) -> None:
    for folder in sorted({target.folder for target in there if target.tweaks}):
        print(f"Tweaked results: {shown(paths.figures() / folder)}/")
    try:
        from companion.report import index

        index.build()
    except Exception as error:  # the page is a convenience: the artefacts are made all the same
        print(f"figures/index.html could not be written: {type(error).__name__}: {error}")
    else:
        print(f"Look at {shown(paths.figures() / 'index.html')}")
