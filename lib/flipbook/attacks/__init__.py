"""Attacks: `attack(model, images, goal, **options) -> AttackResult`, one file a family, tensors in and tensors out.

`ALL` maps names to functions: the attacks that search an image for its goal. `gama` and `lpd` are called alike, but
apply a generator that `flipbook.generative` trained before, whatever the goal.
"""

from flipbook.attacks.apgd import apgd
from flipbook.attacks.corner_search import corner_search
from flipbook.attacks.cw_l0 import cw_l0
from flipbook.attacks.cw_l2 import cw_l2
from flipbook.attacks.ecoc_attack import ecoc_attack
from flipbook.attacks.fgsm import fgsm
from flipbook.attacks.gama import gama
from flipbook.attacks.gmla import gmla, mla_c, mla_u
from flipbook.attacks.jma import jma
from flipbook.attacks.kfool import kfool
from flipbook.attacks.lots import lots
from flipbook.attacks.lpd import lpd
from flipbook.attacks.madw import madw
from flipbook.attacks.masw import masw
from flipbook.attacks.mi_fgsm import mi_fgsm
from flipbook.attacks.ml_cw import ml_cw
from flipbook.attacks.ml_cw_descent import ml_cw_descent
from flipbook.attacks.ml_deepfool import ml_deepfool
from flipbook.attacks.mla_lp import mla_lp
from flipbook.attacks.one_pixel import one_pixel
from flipbook.attacks.pgd import pgd
from flipbook.attacks.pgd_l0 import pgd_l0
from flipbook.attacks.rank_i import rank_i
from flipbook.attacks.sapf import sapf, sapf_gs, sapf_vi
from flipbook.attacks.sparsefool import sparsefool
from flipbook.attacks.strattack import strattack
from flipbook.attacks.tkalc import tkalc
from flipbook.attacks.tkmia import tkmia
from flipbook.attacks.tkml import tkml

ALL = {
    attack.__name__: attack
    for attack in (
        apgd,
        corner_search,
        cw_l0,
        cw_l2,
        ecoc_attack,
        fgsm,
        gmla,
        jma,
        kfool,
        lots,
        madw,
        masw,
        mi_fgsm,
        ml_cw,
        ml_cw_descent,
        ml_deepfool,
        mla_c,
        mla_lp,
        mla_u,
        one_pixel,
        pgd,
        pgd_l0,
        rank_i,
        sapf,
        sapf_gs,
        sapf_vi,
        sparsefool,
        strattack,
        tkalc,
        tkmia,
        tkml,
    )
}

__all__ = ["ALL", *ALL, "gama", "lpd"]
