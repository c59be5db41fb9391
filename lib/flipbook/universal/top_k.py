"""One perturbation that takes the true labels of many images out of their first k: kUV, TkML-Uv, MASW-Uv and others.

They share this loop and differ in the attack that it calls (`flipbook.universal.inner`) and in the rule that ends it.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor
from tqdm.auto import tqdm

from flipbook.core import per_image_random
from flipbook.core.attack_result import AttackResult
from flipbook.core.validation import check_counts, check_inputs, check_radius
from flipbook.goals import TopKExcludes
from flipbook.universal.stopping import FoolingRate, Patience


@dataclass(frozen=True, eq=False)
class TopKUniversal:
    """What `universal_top_k` found.

    Attributes
    ----------
    perturbation : Tensor (1, channels, H, W)
        z, of L2 norm at most `radius`. An attacked image is x + z, clipped to [0, 1]; see `apply`.
    radius : float
        τ.
    k : int
        That it was made for.
    method : str
        Name of the inner attack.
    trace : dict of str to list
        One entry an evaluation: `batches` (mini-batches so far), `asr`, `sasr` and `lfr` (means over the training
        images, in [0, 1]), `norm` (of z), `forwards` and `backwards` (images passed through the model so far).
    record : dict
        Settings, `stopped` (why: "patience", "fooling rate", "passes" or "nothing moves"), `passes` over the training
        images that were begun, `forwards` and `backwards` (images passed through the model, evaluations included),
        `evaluated` (the forwards of them that evaluations took) and `seconds`.
    history : Tensor (evaluations, channels, H, W), optional
        z of every evaluation, where asked for; `save` leaves it out.
    """

    perturbation: Tensor
    radius: float
    k: int
    method: str
    trace: dict[str, list] = field(default_factory=dict)
    record: dict = field(default_factory=dict)
    history: Tensor | None = None

    def apply(self, images: Tensor) -> Tensor:
        """Attack images: x + z, clipped to [0, 1].

        Parameters
        ----------
        images : Tensor (N, channels, H, W)
            In [0, 1]; any that have the perturbation's shape.

        Returns
        -------
        Tensor (N, channels, H, W)
            A new one, of the images' type and on their device.

        Raises
        ------
        ValueError
            For images of another shape.
        """
        if images.shape[1:] != self.perturbation.shape[1:]:
            raise ValueError(
                f"images have shape {tuple(images.shape[1:])}, the perturbation {tuple(self.perturbation.shape[1:])}: "
                "use images of that shape"
            )
        return moved(images, self.perturbation.to(images))


def universal_top_k(
    model,
    images: Tensor,
    present: Tensor,
    k: int,
    inner: Callable[..., AttackResult],
    *,
    radius: float = 50.0,
    hide: bool = False,
    from_clean: bool = False,
    batch_size: int = 50,
    max_passes: int = 10,
    eval_every: int = 5,
    patience: int = 40,
    fooling_rate: float | None = None,
    seed: int = 0,
    chunk: int = 256,
    history: bool = False,
    progress: bool = True,
) -> TopKUniversal:
    """Repeat over mini-batches: attack the images from where z takes them, and add the mean of what succeeded to z.

        z_i = inner attack of clip(x_i + z), for all images of the mini-batch in parallel
        z <- P_τ(z + mean of the z_i that reached the goal and are not 0)

    Parameters
    ----------
    model : callable
        Images (n, channels, H, W) to logits (n, C), in eval mode.
    images : Tensor (N, channels, H, W)
        Training images X_t, in [0, 1].
    present : Tensor (N, C) of 0 and 1
        Y, their true labels.
    k : int
        Labels of the ranking that are to be free of Y.
    inner : callable
        `inner(model, images, goal) -> AttackResult` on `TopKExcludes`, such as one of `flipbook.universal.inner`. An
        image that z fools already must come back as it was, as every attack of `flipbook.attacks` does.
    radius : float
        τ, largest L2 norm of z, in [0, 1] units. Published: 50 (100 on [-1, 1]) for images of 300 x 300; the same mean
        square for 64 x 64 is 10.7, with 50 hardly anything is left of such an image.
    hide : bool
        Whether the goal of the inner attack asks also that every label of Y is on the negative side, as MASW's does. An
        image then counts as fooled when it does that too.
    from_clean : bool
        Whether the inner attack starts from x_i, as in kUAP's program, where z does not fool the image. Costs a forward
        pass more an image that it attacks.
    batch_size : int
        Images attacked together; with 1 the loop is the published one, image by image. The z_i of a large mini-batch
        differ, and the more of them there are, the shorter is their mean: few images call for a small one.
    max_passes : int
        Times that the training images are gone through, at most.
    eval_every : int
        Mini-batches between two evaluations; one more comes after the last. An evaluation costs N forward passes, or
        nothing where z did not change since the one before.
    patience : int
        E, for MASW's rule: early stopping on SASR and LFR; see `stopping.Patience`.
    fooling_rate : float, optional
        ξ, for the rule of TkML-Uv and kUAP in its place; see `stopping.FoolingRate`.
    seed : int
        Of the order of the images.
    chunk : int
        Images a pass of an evaluation.
    history : bool
        Whether to keep z of every evaluation. With `stopping.chosen` one long search tells what less patience gives.
    progress : bool
        Whether to show a bar.

    Returns
    -------
    TopKUniversal
        The best z by the rule at work.

    Raises
    ------
    ValueError
        For inputs that `check_inputs` refuses, images whose labels leave no k others, and options out of range.

    Notes
    -----
    Source: MASW, Algorithm 2, and the loop of TkML and kUAP that it follows. Deviations, with their reasons:

    - The inner attack starts from clip(x_i + z) as TkML's does, not from x_i as Algorithm 2 has it: what z does already
      needs not be found again, and an image that is fooled costs one forward pass.
    - Mini-batches in parallel, and the mean of the z_i: where they agree, their sum would go that many times too far.
    - Evaluations within a pass, a cap on passes, the best z: 40 passes over 3000 images do not fit the reported time.
    - The search ends when a whole pass has left z as it was: nothing would ever change again.

    The result depends on which images are together in a mini-batch and on their order, by nature. The order is drawn
    for every pass from the content of the images and the seed, so that the order in which they are given does not
    matter.
    """
    check_radius(radius=radius)
    check_counts(batch_size=batch_size, max_passes=max_passes, eval_every=eval_every, chunk=chunk)
    goal = TopKExcludes(present, k, hide=hide)
    check_inputs(model, images, goal)
    if not len(images):
        raise ValueError("images hold no image: give at least one to learn from")
    rule = Patience(patience) if fooling_rate is None else FoolingRate(fooling_rate)
    search, start = _Search(model, images.detach(), goal, inner, radius, from_clean, chunk), time.perf_counter()
    per_pass = -(-len(images) // batch_size)
    best, stopped, total, seen = search.z, "passes", max_passes * per_pass, []
    batches = _mini_batches(images, batch_size, max_passes, seed)
    name = _name(inner)
    with tqdm(total=total, desc=f"{name}, k = {k}", unit="batch", disable=not progress, delay=0.5) as bar:
        for number, rows in enumerate(batches, 1):
            search.step(rows)
            bar.update()
            settled = bool(search.settled.all())
            if number % eval_every == 0 or settled or number == total:
                best = search.z if rule.better(search.evaluate(number)) else best
                seen += [search.z] if history else []
                if rule.done or settled:
                    stopped = rule.name if rule.done else "nothing moves"
                    break
    record = {
        "rule": rule.name,
        "patience": patience if fooling_rate is None else None,
        "fooling_rate": fooling_rate,
        "hide": hide,
        "from_clean": from_clean,
        "images": len(images),
        "batch_size": batch_size,
        "max_passes": max_passes,
        "eval_every": eval_every,
        "seed": seed,
        "stopped": stopped,
        "passes": -(-number // per_pass),
        "seconds": time.perf_counter() - start,
    }
    kept = torch.cat(seen) if history else None
    return TopKUniversal(best, radius, k, name, search.trace, record | search.cost(), kept)


class _Search:
    """z and what is known of it while the loop works on it."""

    def __init__(
        self, model, images: Tensor, goal: TopKExcludes, inner: Callable, radius: float, from_clean: bool, chunk: int
    ):
        self.model, self.images, self.goal, self.inner = model, images, goal, inner
        self.radius, self.from_clean, self.chunk = radius, from_clean, chunk
        self.z = torch.zeros_like(images[:1])
        self.settled = torch.zeros(len(images), dtype=torch.bool, device=images.device)  # tried at this z, in vain
        self.trace = {name: [] for name in ("batches", "asr", "sasr", "lfr", "norm", "forwards", "backwards")}
        self._forwards = self._backwards = self._evaluated = 0
        self._known = None, {}  # a perturbation and its measures

    def step(self, rows: Tensor) -> None:
        """Attack the images of these indices and move z."""
        found = self._found(rows)
        z = into_ball(self.z + found.mean(dim=0), self.radius) if len(found) else self.z
        if torch.equal(z, self.z):
            self.settled[rows] = True
        else:
            self.z, self.settled = z, torch.zeros_like(self.settled)

    def evaluate(self, number: int) -> dict[str, float]:
        """Measures of z on all training images, after so many mini-batches."""
        if self._known[0] is not self.z:
            self._known = self.z, self._measures()
        row = self._known[1] | {"batches": number, "forwards": self._forwards + self._evaluated}
        row |= {"backwards": self._backwards, "norm": self.z.double().norm().item()}
        for name, values in self.trace.items():
            values.append(row[name])
        return self._known[1]

    def cost(self) -> dict[str, int]:
        """Images passed through the model."""
        both = {"forwards": self._forwards + self._evaluated, "backwards": self._backwards}
        return both | {"evaluated": self._evaluated}

    def _found(self, rows: Tensor) -> Tensor:
        """Perturbations (n, channels, H, W) that the inner attack found for those of these images that need one."""
        start = moved(self.images[rows], self.z)
        if self.from_clean:
            self._forwards += len(rows)
            with torch.no_grad():
                rows = rows[~self.goal[rows].reached(self.model(start))]
            start = self.images[rows]
        result = self.inner(self.model, start, self.goal[rows])
        self._forwards += int(result.forwards.sum())
        self._backwards += int(result.backwards.sum())
        δ = (result.images - start)[result.reached]
        return δ[δ.flatten(1).any(dim=1)]  # those that z fools already came back as they were

    def _measures(self) -> dict[str, float]:
        self._evaluated += len(self.images)
        with torch.no_grad():
            logits = torch.cat([self.model(moved(part, self.z)) for part in self.images.split(self.chunk)])
        found = self.goal.measures(logits, logits)
        return {name: found[name].double().mean().item() for name in ("asr", "sasr", "lfr")}


def moved(images: Tensor, z: Tensor) -> Tensor:
    """Images x + z, clipped to [0, 1]."""
    return (images + z).clamp_(0, 1)


def into_ball(z: Tensor, radius: float) -> Tensor:
    """Scale z down to the radius where it is longer; never beyond it by rounding."""
    norm = z.double().norm()
    if norm <= radius:
        return z
    return z * (radius / norm * (1 - 16 * torch.finfo(z.dtype).eps)).to(z)


def _mini_batches(images: Tensor, size: int, passes: int, seed: int) -> Iterator[Tensor]:
    """Indices of the images, in an order of its own for every pass that their content and the seed decide."""
    keys = torch.cat([per_image_random.keys(part, seed) for part in images.split(256)])
    for number in range(passes):
        yield from per_image_random.uniform(keys, 1, number).flatten().argsort(stable=True).split(size)


def _name(inner: Callable) -> str:
    return getattr(getattr(inner, "func", inner), "__name__", type(inner).__name__)
