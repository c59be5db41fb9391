"""The companion to five papers on adversarial examples: data, victims, the papers' tables and figures, the runner.

It uses the attack library `flipbook`, which knows nothing of it.
"""

from pathlib import Path

from flipbook.storage import package_code

# What runs notebooks and draws tables cannot change a result.
package_code.count_in(__name__, Path(__file__).parent, without=("runner", "report", "__main__"))
