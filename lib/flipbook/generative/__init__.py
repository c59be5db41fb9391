"""Generators that turn an image into an attacked one: trained once, then one pass an image, for every k alike.

    generator = train_gama(model, images, labels, Training(epochs=4))
    result = gama(model, test_images, goal, generator=generator)

Stand-ins for GAMA (Aich et al., NeurIPS 2022) and LPD (Aich et al., WACV 2023), called "GAMA-like" and "LPD-like" where
their results are shown: the first without CLIP's weights, the second from the description of its loss alone.
"""

from flipbook.generative.gama_like import train_gama
from flipbook.generative.lpd_like import train_lpd
from flipbook.generative.network import Trained
from flipbook.generative.storing import load, save
from flipbook.generative.training import Training

__all__ = ["Trained", "Training", "load", "save", "train_gama", "train_lpd"]
