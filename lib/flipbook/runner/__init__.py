"""What stands behind ./run_all.sh: which artefacts there are, which are stale, making them, saying how it went.

Nothing here is imported by a notebook or by the rest of the library, and nothing here changes a result.
"""
