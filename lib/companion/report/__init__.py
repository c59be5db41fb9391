"""Tables with the paper's numbers beside ours, claims with verdicts, figures, and the page that lists them all."""

from companion.report.claims import Claim, Claims
from companion.report.reported import reported
from companion.report.saving import save
from companion.report.tables import Table, beside, plain

__all__ = ["Claim", "Claims", "Table", "beside", "plain", "reported", "save"]
