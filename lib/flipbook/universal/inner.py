"""The attacks that `universal_top_k` may call for every mini-batch, by name, with the settings that suit that use."""

import difflib
import inspect
import math
from functools import partial

from flipbook import attacks

PGD = {"norm": "l2", "direction": "sign", "step": 0.005, "loss": "labels", "bound": math.inf}  # as MASW compares it
INNER = ("pgd", "kfool", "tkml", "tkalc", "tkmia", "masw", "madw")  # kfool makes kUV, the others <name>-Uv


def inner_attack(name: str, max_iterations: int = 50, **options) -> partial:
    """Return an attack as the inner one of a universal search: no ball and few iterations.

    Parameters
    ----------
    name : str
        One of `INNER`.
    max_iterations : int
        T. The paper's 300 are far too many where most images are fooled already.
    options
        Further options of the attack, such as `correlation` for tkalc; they go before what is set here.

    Raises
    ------
    ValueError
        For another name.

    Notes
    -----
    Source: MASW, section IV-A ("Algorithm 1 without using the projection"), for the radius.
    """
    if name not in INNER:
        near = difflib.get_close_matches(str(name), INNER, 1, 0)[0]
        raise ValueError(f"inner attack is {name!r}: did you mean {near!r}? There are {', '.join(INNER)}")
    attack = attacks.ALL[name]
    settings = {"max_iterations": max_iterations, "radius": math.inf} | (PGD if name == "pgd" else {})
    known = inspect.signature(attack).parameters
    return partial(attack, **{key: value for key, value in settings.items() if key in known} | options)
