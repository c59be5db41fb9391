"""Attacks: `attack(model, images, goal, **options) -> Perturbed`, one file each, tensors in and tensors out."""

from flipbook.attacks.cw_l2 import cw_l2
from flipbook.attacks.ecoc_attack import ecoc_attack
from flipbook.attacks.jma import jma
from flipbook.attacks.lots import lots
from flipbook.attacks.ml_cw import ml_cw
from flipbook.attacks.mla_lp import mla_lp

ALL = {attack.__name__: attack for attack in (cw_l2, ecoc_attack, jma, lots, ml_cw, mla_lp)}

__all__ = ["ALL", *ALL]
