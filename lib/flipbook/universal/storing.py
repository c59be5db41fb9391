"""Learnt universals on disk: one file each, checked when it is read."""

from pathlib import Path

import torch
from torch import Tensor

from flipbook.generative.generator import Generator
from flipbook.storage import tensor_file
from flipbook.universal.basis import Basis, Mixture, PerSet, Universal
from flipbook.universal.nag import Generated
from flipbook.universal.pool import Pool, check_same_labels
from flipbook.universal.top_k import TopKUniversal

WHAT = "universal"


def save(universal: Universal | TopKUniversal, path: Path | str) -> None:
    """Write what a method returned; the file appears whole or not at all.

    Parameters
    ----------
    universal : Universal or TopKUniversal
        A `Basis`, `PerSet`, `Mixture`, what `nag` returned, or a top-k perturbation; its `history` is left out.
    path : Path or str
        Its folder is made if there is none; a file that is there already is replaced.

    Raises
    ------
    ValueError
        For anything else than what a method returned.
    TypeError
        For a record that holds what JSON cannot.
    OSError
        When the file cannot be written.
    """
    tensors, about = _taken_apart(universal)
    about |= {"kind": type(universal).__name__, "method": universal.method, "record": universal.record}
    if isinstance(universal, Universal):
        about |= {"epsilon": universal.epsilon, "names": universal.names}
    tensor_file.write(path, WHAT, tensors, about)


def load(path: Path | str, pool: Pool | None = None) -> Universal | TopKUniversal:
    """Read a file of `save`, onto the pool's device if one is given.

    Parameters
    ----------
    path : Path or str
    pool : Pool, optional
        Must have the same image shape and, but for top-k perturbations, which know of no names, label names.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        It is damaged or not one of ours, its vectors leave the ball, or it does not fit the pool.
    """
    tensors, about = tensor_file.read(path, WHAT)
    _check_ball(path, tensors, about)
    try:
        universal = _put_together(about, tensors, pool.device if pool else torch.device("cpu"))
    except (KeyError, TypeError, RuntimeError) as error:
        raise ValueError(f"{path} lacks what a {about.get('kind')} needs ({error}): train and save it again") from None
    if pool and isinstance(universal, Universal):
        check_same_labels(path, universal.names, pool.names)
    shape = _image_shape(universal)
    if pool and shape != pool.shape:
        raise ValueError(f"{path} is for images of shape {shape}, the pool has {pool.shape}: use images of that shape")
    return universal


def _check_ball(path: Path | str, tensors: dict[str, Tensor], about: dict) -> None:
    vectors, ε = tensors.get("vectors"), about.get("epsilon")
    if vectors is not None and not (vectors.abs() <= torch.tensor(ε, dtype=vectors.dtype)).all():
        raise ValueError(f"{path} has vectors beyond epsilon = {ε}: train the universal and save it again")
    z, radius = tensors.get("perturbation"), about.get("radius")
    if z is not None and not z.double().norm() <= radius:
        raise ValueError(f"{path} has a perturbation beyond radius = {radius}: train the universal and save it again")


def _taken_apart(universal: Universal) -> tuple[dict[str, Tensor], dict]:
    match universal:
        case Basis():
            return {"vectors": universal.vectors}, {"labels": universal.labels}
        case PerSet():
            return {"vectors": universal.vectors}, {"omegas": universal.omegas}
        case Mixture():
            tensors, about = _taken_apart(universal.basis)
            about |= {"omegas": universal.omegas, "basis": [universal.basis.method, universal.basis.record]}
            return tensors | {"coefficients": universal.coefficients}, about
        case Generated():
            net = universal.generator
            about = {"labels": universal.labels, "noise": universal.noise, "seed": universal.seed}
            return net.state_dict(), about | {"shape": _image_shape(universal), "width": net.start[0]}
        case TopKUniversal():
            about = {"radius": universal.radius, "k": universal.k, "trace": universal.trace}
            return {"perturbation": universal.perturbation}, about
    raise ValueError(f"universal is a {type(universal).__name__}: give what a method returned")


def _put_together(about: dict, tensors: dict[str, Tensor], device: torch.device) -> Universal | TopKUniversal:
    tensors = {name: tensor.to(device) for name, tensor in tensors.items()}
    method, record = about["method"], about["record"]
    if about["kind"] == "TopKUniversal":
        return TopKUniversal(tensors["perturbation"], about["radius"], about["k"], method, about["trace"], record)
    names, ε = tuple(about["names"]), about["epsilon"]
    labels = tuple(about.get("labels", ()))
    omegas = tuple(map(tuple, about.get("omegas", ())))
    _check_labels(labels, omegas, names)
    match about["kind"]:
        case "Basis":
            return Basis(labels, _rows(tensors, "vectors", labels), ε, names, method, record)
        case "PerSet":
            return PerSet(omegas, _rows(tensors, "vectors", omegas), ε, names, method, record)
        case "Mixture":
            basis = Basis(labels, _rows(tensors, "vectors", labels), ε, names, *about["basis"])
            return Mixture(basis, omegas, _rows(tensors, "coefficients", omegas), method, record)
        case "Generated":
            with torch.device("meta"):
                net = Generator(about["noise"] + len(labels), tuple(about["shape"]), about["width"])
            net.load_state_dict(tensors, assign=True)
            net.eval().requires_grad_(False)
            return Generated(net, labels, about["noise"], about["seed"], ε, names, method, record)
    raise KeyError(f"kind {about['kind']!r} is unknown")


def _check_labels(labels: tuple, omegas: tuple, names: tuple[str, ...]) -> None:
    for each in (names, labels, omegas, *omegas):
        if len(set(each)) < len(each):
            raise TypeError(f"{each} names something twice")
    beyond = [k for each in (labels, *omegas) for k in each if type(k) is not int or not 0 <= k < len(names)]
    if beyond:
        raise TypeError(f"label {beyond[0]!r} is none of its {len(names)} labels")


def _rows(tensors: dict[str, Tensor], name: str, rows: tuple) -> Tensor:
    if len(tensors[name]) != len(rows):
        raise TypeError(f"{len(tensors[name])} {name} for {len(rows)} labels or sets")
    return tensors[name]


def _image_shape(universal: Universal | TopKUniversal) -> tuple[int, ...]:
    if isinstance(universal, Generated):
        return (universal.generator.body[-2].out_channels, *universal.generator.sides)
    if isinstance(universal, TopKUniversal):
        return tuple(universal.perturbation.shape[1:])
    vectors = universal.basis.vectors if isinstance(universal, Mixture) else universal.vectors
    return tuple(vectors.shape[1:])
