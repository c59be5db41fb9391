"""Random numbers that belong to one image of one split: no result depends on the order in which images are drawn."""

from hashlib import blake2b

import numpy as np


def generator(*key) -> np.random.Generator:
    """Random generator that depends on the key alone.

    Parameters
    ----------
    key
        Anything whose text tells one use from another, such as ("pictograms20", "train", "noise", 7).
    """
    seed = blake2b("/".join(map(str, key)).encode(), digest_size=16).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(seed, "little")))


def uniforms(n: int, columns: int, *key) -> np.ndarray:
    """Table (n, columns) of float32 numbers in [0, 1): row i serves image i and does not depend on n."""
    return generator(*key).random((n, columns), dtype=np.float32)
