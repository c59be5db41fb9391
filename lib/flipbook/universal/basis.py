"""What training leaves behind: vectors, and how the perturbation of a target set is made from them.

Every kind has `compose(omega) -> (channels, H, W)`, `compose_all(omegas) -> (n, channels, H, W)`, its ε, its method and
a `record` of what it was trained with and what that cost.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field

import torch
from torch import Tensor

from flipbook.core.batch import batch_view
from flipbook.core.validation import check_choice
from flipbook.universal import orthogonality, projections
from flipbook.universal.pool import Pool, TargetSet, named, target_sets
from flipbook.universal.training import Training

PROJECTIONS = {"radial": projections.radial, "clip": projections.columns}


class Universal:
    """Base of all kinds: one perturbation is a batch of one."""

    names: tuple[str, ...]  # of all C labels of the victim

    def compose(self, omega, **options) -> Tensor:
        """Perturbation (channels, H, W) of one target set: numbers, names or a mask; see `pool.target_set`.

        Options and errors are those of `compose_all`.
        """
        return self.compose_all([omega], **options)[0]


@dataclass(frozen=True, eq=False)
class Basis(Universal):
    """One vector a label; the perturbation of a target set is their sum, brought into the ball.

    Composition costs |Ω| additions: no image, no pass and no training.

    Attributes
    ----------
    labels : tuple of K int
        C', the labels that may be attacked.
    vectors : Tensor (K, channels, H, W)
        |u| <= ε.
    epsilon : float
        ε.
    names : tuple of C str
        Of all labels of the victim.
    method : str
        How it was learnt.
    record : dict
        Settings, `forwards`, `backwards`, `seconds`, `images_per_vector`.
    """

    labels: tuple[int, ...]
    vectors: Tensor
    epsilon: float
    names: tuple[str, ...]
    method: str
    record: dict = field(default_factory=dict)

    @classmethod
    def of(cls, pool: Pool, labels: Sequence[int], vectors: Tensor, training: Training, method: str, cost: dict):
        """Put together what was learnt on a pool."""
        return cls(tuple(labels), vectors, training.epsilon, pool.names, method, asdict(training) | cost)

    def compose_all(self, omegas: Iterable, projection: str = "radial") -> Tensor:
        """Perturbations (n, channels, H, W) of n target sets.

        Parameters
        ----------
        omegas : iterable of target sets
            Subsets of C'.
        projection : str
            "radial": scale the sum down where it leaves the ball. "clip": cut its values to [-ε, ε]. Either leaves a
            single label's vector as it is.

        Returns
        -------
        Tensor (n, channels, H, W)
            |v| <= ε in units of [0, 1] images, on the vectors' device.

        Raises
        ------
        ValueError
            For another projection, target sets that `pool.target_sets` refuses and labels without a vector.

        Notes
        -----
        Source: CMLU Eq. 4. "radial" is the released evaluator's projection, "clip" an ablation of ours.
        """
        check_choice("projection", projection, tuple(PROJECTIONS))
        omegas = target_sets(omegas, self.names)
        return PROJECTIONS[projection](self.sums(omegas), self.epsilon)

    def columns(self, omega: TargetSet) -> list[int]:
        """Places of a target set's labels among the vectors.

        Parameters
        ----------
        omega : TargetSet
            Label numbers, as `pool.target_set` reads them.

        Returns
        -------
        list of |Ω| int
            In the order of `omega`.

        Raises
        ------
        ValueError
            For labels without a vector; names them and those that have one.
        """
        unknown = [label for label in omega if label not in self.labels]
        if unknown:
            raise ValueError(
                f"no vector was learnt for {{{named(unknown, self.names)}}}: "
                f"{self.method} has {named(self.labels, self.names)}"
            )
        return [self.labels.index(label) for label in omega]

    def cosines(self, other: "Basis | None" = None) -> Tensor:
        """Cosines (K, K') between these vectors and those of another basis, or among themselves."""
        return orthogonality.cosines(self.vectors, None if other is None else other.vectors.to(self.vectors))

    def sums(self, omegas: tuple[TargetSet, ...], weights: Tensor | None = None) -> Tensor:
        """Sums (n, channels, H, W) of the vectors of n target sets, times weights (n, K), before any projection."""
        # One addition after the other instead of a product with the mask: the order is fixed on every device, no set
        # depends on the others, and a single label's vector comes out bitwise.
        columns = [self.columns(omega) for omega in omegas]
        total = self.vectors.new_zeros(len(omegas), *self.vectors.shape[1:])
        for place in range(max(map(len, columns))):
            longer = [row for row, own in enumerate(columns) if len(own) > place]
            these = [columns[row][place] for row in longer]
            part = self.vectors[these]
            total[longer] += part if weights is None else part * batch_view(weights[longer, these], part)
        return total


@dataclass(frozen=True, eq=False)
class PerSet(Universal):
    """One vector for each of n target sets, and for no other.

    Attributes
    ----------
    omegas : tuple of n target sets
    vectors : Tensor (n, channels, H, W)
        |u| <= ε.
    epsilon, names, method, record
        As in `Basis`.
    """

    omegas: tuple[TargetSet, ...]
    vectors: Tensor
    epsilon: float
    names: tuple[str, ...]
    method: str
    record: dict = field(default_factory=dict)

    @classmethod
    def of(cls, pool: Pool, omegas, vectors: Tensor, training: Training, method: str, cost: dict):
        """Put together what was learnt on a pool."""
        return cls(omegas, vectors, training.epsilon, pool.names, method, asdict(training) | cost)

    def compose_all(self, omegas: Iterable) -> Tensor:
        """Look up the vectors of n target sets.

        Parameters
        ----------
        omegas : iterable of target sets
            Among those that the vectors were learnt for.

        Returns
        -------
        Tensor (n, channels, H, W)
            |u| <= ε in units of [0, 1] images, on the vectors' device.

        Raises
        ------
        ValueError
            For target sets that `pool.target_sets` refuses, and for one that has no vector of its own.
        """
        omegas = target_sets(omegas, self.names)
        return self.vectors[_places(omegas, self.omegas, self)]

    def basis(self, method: str = "Or-S") -> Basis:
        """Or-S: a basis of the vectors that were learnt for single labels.

        Parameters
        ----------
        method : str
            What the basis is called.

        Returns
        -------
        Basis
            Of the same vectors, bitwise; its `record` is that of all sets, larger ones too.

        Raises
        ------
        ValueError
            When no set has a single label.

        Notes
        -----
        Source: CMLU, section 4.1, "Oracle Sum".
        """
        rows = [row for row, omega in enumerate(self.omegas) if len(omega) == 1]
        if not rows:
            raise ValueError(f"{self.method} has no vector of a single label: train it on single labels too")
        labels = tuple(self.omegas[row][0] for row in rows)
        return Basis(labels, self.vectors[rows], self.epsilon, self.names, method, self.record)


@dataclass(frozen=True, eq=False)
class Mixture(Universal):
    """Weighted sums of a basis, with weights of its own for each of n target sets.

    Attributes
    ----------
    basis : Basis
    omegas : tuple of n target sets
    coefficients : Tensor (n, K)
        Of the basis' vectors; 0 outside the set.
    method, record
        As in `Basis`.
    """

    basis: Basis
    omegas: tuple[TargetSet, ...]
    coefficients: Tensor
    method: str
    record: dict = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """Of all labels of the victim."""
        return self.basis.names

    @property
    def epsilon(self) -> float:
        """ε."""
        return self.basis.epsilon

    def compose_all(self, omegas: Iterable) -> Tensor:
        """Weighted sums of n target sets, scaled radially into the ball.

        Parameters
        ----------
        omegas : iterable of target sets
            Among those that coefficients were learnt for.

        Returns
        -------
        Tensor (n, channels, H, W)
            |v| <= ε in units of [0, 1] images, on the vectors' device.

        Raises
        ------
        ValueError
            For target sets that `pool.target_sets` refuses, and for one that has no coefficients of its own.

        Notes
        -----
        Source: CMLU, section 4.1, u_Ω = Σ a_i u_i.
        """
        omegas = target_sets(omegas, self.names)
        weights = self.coefficients[_places(omegas, self.omegas, self)]
        return projections.radial(self.basis.sums(omegas, weights), self.epsilon)


def _places(asked: tuple[TargetSet, ...], known: tuple[TargetSet, ...], of: Universal) -> Tensor:
    unknown = next((omega for omega in asked if omega not in known), None)
    if unknown is not None:
        raise ValueError(
            f"{of.method} was not trained for {{{named(unknown, of.names)}}}: it serves the {len(known)} sets that it "
            "was trained for; train it for this one, or use a method with a basis"
        )
    return torch.tensor([known.index(omega) for omega in asked])
