"""Tables with the paper's numbers beside ours, claims with verdicts, figures, and the page that lists them all."""

from flipbook.report.claims import Claim, Claims
from flipbook.report.reported import reported
from flipbook.report.saving import save
from flipbook.report.tables import Table, beside, plain

__all__ = ["Claim", "Claims", "Table", "beside", "plain", "reported", "save"]
