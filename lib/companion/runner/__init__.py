"""What stands behind ./run_all.sh: which artefacts there are, which are stale, making them, saying how it went.

Nothing here is imported by a notebook or by the rest of the library, and nothing here changes a result.
"""

import sys

# nbformat brings a validator along that would read a grammar of international web addresses, which takes longer than
# all else that a job imports and serves no notebook. Where the grammar is missing it does without.
sys.modules.setdefault("rfc3987_syntax", None)
