"""Runs an attack over a data set: batches, progress, and a store that computes nothing twice."""

import functools
import inspect
import re
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from flipbook.evaluation import measuring
from flipbook.goals import AllOf, Goal
from flipbook.storage import fingerprint
from flipbook.storage.store import Store


@dataclass(frozen=True)
class AttackConfig:
    """One row of a paper's table: an attack with its hyper-parameters.

    Attributes
    ----------
    method, parameters : str
        As the paper prints them, e.g. "JMA" and "(0.05, 200)"; they join our numbers to the paper's.
    attack : callable
        `attack(model, images, goal, **hyper) -> AttackResult`.
    hyper : dict
        Hyper-parameters that all images share.
    per_image : dict of str to Tensor (N, ...)
        Arguments with one entry an image (e.g. the mean logits that LOTS aims at); they follow the images into batches.
    goal : Goal, optional
        Where this one aims elsewhere than the others.
    """

    method: str
    parameters: str
    attack: Callable
    hyper: dict = field(default_factory=dict)
    per_image: dict[str, Tensor] = field(default_factory=dict)
    goal: Goal | None = None


def run(
    attack: Callable,
    model: Callable,
    images: Tensor,
    goal: Goal,
    *,
    hyper: dict | None = None,
    per_image: dict[str, Tensor] | None = None,
    ids: Sequence[int] | None = None,
    batch_size: int = 32,
    keep_images: int = 0,
    store: bool = True,
    progress: bool | tqdm = True,
) -> pd.DataFrame:
    """Attack images in batches and return one row per image, from the store where nothing changed.

    Parameters
    ----------
    attack : callable
        `attack(model, images, goal, **hyper) -> AttackResult`.
    model : nn.Module or callable
        In eval mode, on the device to run on; images and goal are moved there batch by batch. For a function from
        images to logits they stay where the images are.
    images : Tensor (N, channels, H, W)
        In [0, 1].
    goal : Goal
        For the same N images.
    hyper, per_image : dict, optional
        Arguments of the attack: shared by all images, and with one entry an image.
    ids : sequence of N int, optional
        What the `image` column says, e.g. indices in the data set; 0..N-1 by default.
    batch_size : int
        Images attacked together; halved when a GPU runs out of memory. It never changes a row, except `seconds`.
    keep_images : int
        Keep the perturbed images of the first so many rows, for `pictures`.
    store : bool
        False computes everything anew and keeps nothing.
    progress : bool or tqdm
        Whether to show a bar, or a bar to advance.

    Returns
    -------
    DataFrame with N rows, in the order of the images
        `image`, the columns of `measuring.rows`, `image_sha` (digest of the original), `run` and `key` (place in the
        store).

    Raises
    ------
    ValueError
        For lengths that do not fit together; whatever the attack raises. Batches finished before stay stored.
    """
    hyper, per_image = hyper or {}, per_image or {}
    ids = range(len(images)) if ids is None else ids
    _check_lengths(images, goal, per_image, ids, batch_size)
    if keep_images and not store:
        raise ValueError("keep_images needs the store, which store=False turns off; use one of them")
    keys = [
        fingerprint.digest(images[i], goal[i : i + 1], {k: v[i] for k, v in per_image.items()})
        for i in range(len(images))
    ]
    shelf = Store.of(_short_name(attack), _run_key(attack, model, images, goal, hyper, per_image)) if store else None
    done = shelf.rows() if shelf else pd.DataFrame()
    kept = shelf.pictures() if keep_images else {}
    missing = [i for i, key in enumerate(keys) if key not in done.index or (i < keep_images and key not in kept)]
    missing = list({keys[i]: i for i in reversed(missing)}.values())[::-1]  # the same image and goal twice: once
    bar = progress if isinstance(progress, tqdm) else _bar(len(images), _short_name(attack), progress)
    bar.update(len(images) - len(missing))
    fresh = []
    for batch, rows, result in _batches(attack, model, images, goal, hyper, per_image, missing, batch_size):
        rows.index = pd.Index([keys[i] for i in batch], name="key")
        if shelf:
            kept = {keys[i]: image for i, image in zip(batch, result.images, strict=True) if i < keep_images}
            traces = {
                f"{keys[i]}/{name}": steps[j] for name, steps in result.trace.items() for j, i in enumerate(batch)
            }
            shelf.add(rows, kept, traces)
        fresh.append(rows)
        bar.update(len(batch))
    if bar is not progress:
        bar.close()
    table = _joined(done, fresh, keys)
    _warn_of_disagreement(table, _short_name(attack))
    table.insert(0, "image", list(ids))
    return table.assign(image_sha=[fingerprint.digest(image)[:16] for image in images], run=shelf.name if shelf else "")


def grid(
    configs: Iterable[AttackConfig], model: Callable, images: Tensor, goal: Goal | None = None, **options
) -> pd.DataFrame:
    """Run every attack of a table on the same images and targets.

    Parameters
    ----------
    configs : iterable of AttackConfig
        The table's rows.
    model, images, goal, options
        As for `run`; an own goal goes before this one.

    Returns
    -------
    DataFrame with one row per attack and image
        The columns of `run` after `method` and `parameters`.
    """
    configs = list(configs)
    progress = options.pop("progress", True)
    tables = []
    with _bar(len(configs) * len(images), "", progress) as bar:
        for config in configs:
            label = f"{config.method} {config.parameters}"
            bar.set_description(label, refresh=False)
            aim = goal if config.goal is None else config.goal
            if aim is None:
                raise ValueError(f"{label}: no goal; give one to grid(...) or to this config")
            try:
                table = run(
                    config.attack, model, images, aim,
                    hyper=config.hyper, per_image=config.per_image, progress=bar, **options,
                )  # fmt: skip
            except Exception as error:
                error.add_note(f"This happened in {label}; what was finished before is stored.")
                raise
            table.insert(0, "method", config.method)
            table.insert(1, "parameters", config.parameters)
            tables.append(table)
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def pictures(rows: pd.DataFrame) -> Tensor:
    """Return the perturbed images behind these rows of `run` or `grid`, (len(rows), channels, H, W).

    Raises
    ------
    KeyError
        Where an image was not kept: run with `keep_images` at least as large as its place among the images.
    """
    images = []
    for name, part in rows.groupby("run", sort=False):
        kept = Store(name, {}).pictures()
        for row, key in part["key"].items():
            if key not in kept:
                raise KeyError(f"image {rows.at[row, 'image']} of {name} was not kept; run with a larger keep_images")
            images.append((row, kept[key]))
    places = {row: place for place, row in enumerate(rows.index)}
    return torch.stack([image for _, image in sorted(images, key=lambda pair: places[pair[0]])])


def traces(rows: pd.DataFrame, quantity: str) -> list[Tensor]:
    """Return what the attack recorded under this name (`AttackResult.trace`) for each row of `run` or `grid`, (steps,).

    Raises
    ------
    KeyError
        Where the attack records no such quantity.
    """
    kept = {name: Store(name, {}).traces() for name in rows["run"].unique()}
    try:
        return [kept[name][f"{key}/{quantity}"] for name, key in zip(rows["run"], rows["key"], strict=True)]
    except KeyError:
        known = sorted({key.partition("/")[2] for of_run in kept.values() for key in of_run})
        raise KeyError(f"no trace of {quantity!r}; these runs recorded {', '.join(known) or 'none'}") from None


def _joined(done: pd.DataFrame, fresh: list[pd.DataFrame], keys: list[str]) -> pd.DataFrame:
    """Rows in the order of the keys, computed now or before."""
    if not keys:
        return pd.DataFrame()
    new = pd.concat(fresh) if fresh else done[:0]
    before = done[done.index.isin(keys) & ~done.index.isin(new.index)]
    return (pd.concat([before, new]) if len(before) else new).loc[keys].reset_index()


def _batches(attack, model, images, goal, hyper, per_image, missing, batch_size):
    """Attack the missing images; yield the indices, rows and result of each batch that is finished."""
    device = _device_of(model, images)
    while missing:
        batch = missing[:batch_size]
        finished = _try_batch(attack, model, images, goal, hyper, per_image, torch.tensor(batch), device)
        if finished is None and len(batch) == 1:
            raise MemoryError(
                f"{_short_name(attack)}: one image alone does not fit on {device}; use a smaller chunk or model"
            )
        if finished is None:
            batch_size = len(batch) // 2
            torch.cuda.empty_cache()
            continue
        missing = missing[len(batch) :]
        yield batch, *finished


def _try_batch(attack, model, images, goal, hyper, per_image, index, device):
    """Return rows and result of one batch, or None when the GPU's memory was too small for it."""
    x, aim = images[index].to(device), goal[index.to(goal.device)].to(device)
    extra = {name: values[index].to(device) for name, values in per_image.items()}
    try:
        start = time.perf_counter()
        result = attack(model, x, aim, **hyper, **extra)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds = time.perf_counter() - start
        return measuring.rows(model, x, aim, result, seconds), result
    except torch.cuda.OutOfMemoryError:
        return None


def _device_of(model: Callable, images: Tensor) -> torch.device:
    parameters = model.parameters() if isinstance(model, torch.nn.Module) else ()
    return next((p.device for p in parameters), images.device)


def _run_key(attack, model, images, goal, hyper, per_image) -> dict:
    """All that a run's rows share and depend on."""
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(attack).parameters.items()
        if parameter.default is not inspect.Parameter.empty and name not in per_image
    }
    return {
        "attack": _short_name(attack),
        "hyper": fingerprint.canonical(defaults | hyper),
        "per_image": sorted(per_image),
        "goal": _kind(goal),
        "model": fingerprint.of_model(model),
        "code": [fingerprint.of_function(attack), fingerprint.of_code([measuring.__name__])],
        "device": _device_of(model, images).type,
        "torch": torch.__version__.partition("+")[0],
    }


def _kind(goal: Goal) -> list:
    """Name and code of a goal's class; of a combination, those of its parts: their measures are columns."""
    if isinstance(goal, AllOf):
        return [_kind(part) for part in goal.goals]
    return [type(goal).__name__, fingerprint.digest(type(goal))]


def _short_name(attack: Callable) -> str:
    """Name of an attack that a folder can have: of the function, of a partial's function, of an object's class."""
    while isinstance(attack, functools.partial):
        attack = attack.func
    return re.sub(r"[^\w-]", "", getattr(attack, "__name__", type(attack).__name__))


def _bar(total: int, label: str, shown: bool) -> tqdm:
    """Return a bar that stays away when the store has everything."""
    return tqdm(total=total, desc=label, unit="image", disable=not shown, delay=0.5, dynamic_ncols=True)


def _check_lengths(images, goal, per_image, ids, batch_size) -> None:
    for name, values in ({"goal": goal, "ids": ids} | per_image).items():
        if len(values) != len(images):
            raise ValueError(f"{name}: {len(values)} entries, must be one for each of the {len(images)} images")
    if batch_size < 1:
        raise ValueError(f"batch_size: {batch_size}, must be at least 1")


def _warn_of_disagreement(rows: pd.DataFrame, name: str) -> None:
    """Say where an attack reports another outcome than its image has; the image's outcome is what counts."""
    if len(rows) and (wrong := int((rows["reached"] != rows["claimed"]).sum())):
        warnings.warn(
            f"{name}: {wrong} of {len(rows)} images are not what the attack reports; re-evaluated ones count",
            stacklevel=3,
        )
    if len(rows) and (outside := int(rows["outside_box"].sum())):
        warnings.warn(f"{name}: {outside} of {len(rows)} images leave [0, 1]; see the column outside_box", stacklevel=3)
