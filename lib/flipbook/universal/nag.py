"""NAG: a generator conditioned on the labels to turn off (after Mopuri et al., CVPR 2018)."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field

import torch
from torch import Tensor

from flipbook.core import per_image_random
from flipbook.core.validation import check_counts, check_positive
from flipbook.generative.generator import Generator, fresh
from flipbook.universal import loss, projections
from flipbook.universal.basis import Universal
from flipbook.universal.descent import objective
from flipbook.universal.pool import Pool, TargetSet, identity, named, target_sets
from flipbook.universal.training import COINS, SCORES, Meter, Training, Visits


@dataclass(frozen=True, eq=False)
class Generated(Universal):
    """A trained generator; a target set's perturbation comes from its multi-hot code and one draw of noise.

    Attributes
    ----------
    generator : Generator
        In eval mode.
    labels : tuple of K int
        C', the code's places.
    noise : int
        Length of the noise.
    seed : int
        Of the noise, which is a function of it and the target set.
    epsilon, names, method, record
        As in `Basis`.
    """

    generator: Generator
    labels: tuple[int, ...]
    noise: int
    seed: int
    epsilon: float
    names: tuple[str, ...]
    method: str = "NAG"
    record: dict = field(default_factory=dict)

    def compose_all(self, omegas: Iterable) -> Tensor:
        """Perturbations ε g / |g|_inf of n target sets: one pass of the generator each.

        Parameters
        ----------
        omegas : iterable of target sets
            Subsets of C'.

        Returns
        -------
        Tensor (n, channels, H, W)
            |v| <= ε in units of [0, 1] images, on the generator's device. A set's own draw of noise does not depend on
            the other sets.

        Raises
        ------
        ValueError
            For target sets that `pool.target_sets` refuses, and labels that have no place in the code.

        Notes
        -----
        Source: CMLU, section 4.1: the multi-hot code of Ω, where training saw one-hot codes. One draw a set as in the
        released evaluator.
        """
        omegas = target_sets(omegas, self.names)
        unknown = sorted({label for omega in omegas for label in omega} - set(self.labels))
        if unknown:
            raise ValueError(
                f"NAG has no code for {{{named(unknown, self.names)}}}: it has {named(self.labels, self.names)}"
            )
        return torch.cat([self._made(omega) for omega in omegas])

    def _made(self, omega: TargetSet) -> Tensor:
        # A pass of its own: in a batch, the products round in another way for another number of sets.
        weight = self.generator.linear.weight
        code = weight.new_zeros(1, len(self.labels))
        code[0, [self.labels.index(label) for label in omega]] = 1
        keys = torch.tensor([identity(omega)], device=weight.device)
        keys = keys ^ per_image_random.keys(torch.zeros(1, 1, device=weight.device), self.seed)
        with torch.no_grad():
            return projections.full_budget(self.generator(_input(keys, 0, self.noise, code)), self.epsilon)


def nag(
    pool: Pool,
    labels: Iterable,
    training: Training | None = None,
    *,
    noise: int = 100,
    width: int = 768,
    rate: float = 1e-3,
) -> Generated:
    """Train a generator so that v = ε g / |g|_inf hides label k, for g from k's one-hot code and each image's noise.

    Parameters
    ----------
    pool : Pool
        Victim and training images.
    labels : iterable of K labels
        C', by number or name.
    training : Training, optional
        `batch` is the batch of an Adam step, 55 in the released code, with images of all labels mixed. `step` is not
        used; `decay` divides the rate.
    noise : int
        Numbers of noise, uniform in [-1, 1].
    width : int
        Channels of the generator's first map.
    rate : float
        Of Adam.

    Returns
    -------
    Generated
        In eval mode: the released evaluator leaves batch norm in training mode, where a perturbation depends on the
        other sets that are evaluated. The cost is one forward and one backward pass through the victim, and one each
        through the generator, for each image: `K * epochs * images`.

    Raises
    ------
    ValueError
        For labels that are unknown, given twice or predicted on no image.

    Notes
    -----
    Neither discriminator nor diversity loss, as in the released code, which has κ = 200 fixed for this method; here
    it is `training`'s. It steps once a label; one step for a mixed batch makes as many steps for as many images.
    """
    check_counts(noise=noise, width=width)
    check_positive(rate=rate)
    omegas, training = target_sets(([label] for label in labels), pool.names), training or Training(batch=55)
    meter, visits, target = Meter(pool), Visits(pool, omegas, training), pool.mask(omegas)
    net = fresh(noise + len(omegas), pool.shape, width, training.seed, pool.images[:0].to(pool.device)).train()
    optimiser = torch.optim.Adam(net.parameters(), lr=rate)
    codes = torch.eye(len(omegas)).to(pool.device, pool.images.dtype)
    made = 0
    for epoch, step in visits.every("NAG"):
        rows = visits.rows(epoch, step)
        mixed = rows.draw(1, COINS)[:, 0].argsort(stable=True)
        optimiser.param_groups[0]["lr"] = rate * training.factor(epoch)
        for part in _batches(mixed, training.batch):
            on = target[rows.group[part]]
            weights = loss.weights(~on, torch.zeros_like(part), 1, training.kappa)
            g = net(_input(rows.keys[part], rows.stream[part], noise, codes[rows.group[part]]))
            total = objective(pool, rows.index[part], g.flatten(1), on, ~on, weights, training, projections.full_budget)
            optimiser.zero_grad()
            total.backward()
            optimiser.step()
            made += len(part)
    cost = meter.reading(visits) | {"generator_forwards": made, "generator_backwards": made, "rate": rate}
    record = asdict(training) | cost | {"width": width}
    chosen = tuple(label for (label,) in omegas)
    net.eval().requires_grad_(False)
    return Generated(net, chosen, noise, training.seed, training.epsilon, pool.names, record=record)


def _batches(order: Tensor, size: int) -> list[Tensor]:
    """Split into parts as equal as can be, of about `size`: no batch norm over a single image at the end."""
    return list(order.tensor_split(max(1, round(len(order) / size))))


def _input(keys: Tensor, stream: Tensor | int, noise: int, code: Tensor) -> Tensor:
    drawn = 2 * per_image_random.uniform(keys, noise, stream * 4 + SCORES) - 1
    return torch.cat([drawn.to(code), code], dim=1)
