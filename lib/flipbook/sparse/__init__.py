"""Where a sparse perturbation lies, and where it shows: superpixels, supports, visibility."""

from flipbook.sparse.visibility import visibility_weights

__all__ = ["visibility_weights"]
