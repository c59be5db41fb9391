"""SparseFool, targeted: as few entries as a linearised boundary needs (Modas, Moosavi-Dezfooli, Frossard 2019)."""

from dataclasses import dataclass
from itertools import count

import torch
from torch import Tensor

from flipbook.attacks.engines.entry import attack
from flipbook.core.attack_result import AttackResult
from flipbook.core.batch import batch_view
from flipbook.core.best_so_far import BestSoFar, PerImage
from flipbook.core.gradients import loss_gradient
from flipbook.core.pass_counter import PassCounter
from flipbook.core.validation import check_counts, check_inputs, check_positive, check_radius
from flipbook.goals import Goal
from flipbook.solvers.sparse_box import cross_plane

SHORTEST = 1e-4  # length of the shortest step of DeepFool, so that it does not creep up to the boundary
BEHIND = 1e-3  # how far behind the plane the linear solver goes, along the plane's unit normal


@attack
def sparsefool(
    model,
    images: Tensor,
    goal: Goal,
    *,
    bound: float = 12 / 255,
    bound_doublings: int = 0,
    lambda_: float = 3.0,
    overshoot: float = 1.02,
    max_iterations: int = 20,
    deepfool_steps: int = 50,
) -> AttackResult:
    """Linearise the boundary where DeepFool meets it, cross that plane with the fewest entries, repeat.

    A round starts from the image x_i of the last one: DeepFool walks from x_i up the smallest margin of the goal,
    chosen anew in every step, until the goal is reached, a distance r away. The plane through x_i + λ r, normal to the
    gradient there, is crossed by moving the entries of largest gradient to x ± Δ, as few as are needed. The round's
    result is x + overshoot · (change so far), clipped to the bounds.

    Parameters
    ----------
    model : callable
        Images (N, channels, H, W) to logits (N, C), in eval mode.
    images : Tensor (N, channels, H, W)
        In [0, 1].
    goal : Goal
        Any.
    bound : float
        Δ, largest change of an entry, in [0, 1] units.
    bound_doublings : int
        How often an image that fails is tried again with twice the bound, up to 1.
    lambda_ : float
        λ: by how much DeepFool's displacement is stretched. A larger one changes more entries in fewer rounds.
    overshoot : float
        >= 1, factor on the displacement where DeepFool looks for the goal, and on the result of a round.
    max_iterations : int
        Most rounds with one bound.
    deepfool_steps : int
        Most steps of DeepFool in a round.

    Returns
    -------
    AttackResult
        The first success. Where there is none, of the results of all rounds the one with the fewest margins missed and
        then the fewest changed entries. `iterations` is the number of rounds, with its bound, to the returned image.
        Passes: 1 forward to look at the clean images; for every round 1 forward and 1 backward where it starts and 1 of
        each a step of DeepFool, and 1 of each at the last result.

    Raises
    ------
    ValueError
        For inputs that `check_inputs` refuses and hyper-parameters out of range.

    Notes
    -----
    Entries are counted, not pixels. Deviations from the paper and its released program, which is untargeted: the margin
    replaces "new class above old class", and success is the goal. DeepFool takes its gradient, and the plane its
    normal, where the goal is looked for (overshoot included), and a round starts from the result that was tested: one
    pass serves both. An image leaves, or goes on to the next bound, as soon as no gradient is left or a round changes
    nothing. Δ = 12/255 is the largest change that SAPF's Table 1 prints for SparseFool on CIFAR-10.
    """
    check_inputs(model, images, goal)
    check_counts(max_iterations=max_iterations, deepfool_steps=deepfool_steps)
    check_counts(0, bound_doublings=bound_doublings)
    check_radius(bound=bound)
    check_positive(lambda_=lambda_)
    if not overshoot >= 1:
        raise ValueError(f"overshoot is {overshoot}: it must be 1 or above")
    net = PassCounter(model, images)
    best = BestSoFar(net, images, goal)
    goal, path = goal[best.rows], _Path.begin(images[best.rows].detach(), bound)
    for step in count():
        if not len(goal):
            break
        x, result = path.start + overshoot * path.r, path.steps == 0
        violations, margin, gradient = _ascent(net, x, goal)
        reached = violations == 0
        changed = (x != path.clean).flatten(1).sum(dim=1).to(x)
        # Every image at work has made all the passes so far: the first look, two a step, and this forward.
        best.update(x, violations, changed, path.round, 2 * step + 2, counts=result)

        length = gradient.flatten(1).norm(dim=1)
        blind, up = ~((length > 0) & (length < torch.inf)), gradient / batch_view(length, gradient)
        crosses = ~result & ~blind & (reached | (path.steps == deepfool_steps))
        # Asking who crosses and who leaves waits for the device, but saves sorting and passes.
        stuck = path.cross(crosses.nonzero().flatten(), up, lambda_, overshoot)
        path.walk(~crosses, up, (-margin / length).clamp(min=SHORTEST))
        over = blind | stuck | (result & (path.round == max_iterations))
        done = (result & reached) | (over & ~path.widen(over, bound_doublings))
        going = (~done).nonzero().flatten()
        if len(going) < len(goal):
            best.keep(going)
            goal, path = goal[going], path[going]
    return best.result()


def _ascent(net: PassCounter, x: Tensor, goal: Goal) -> tuple[Tensor, Tensor, Tensor]:
    """How many margins are missed, the smallest one (n,), and its gradient with respect to x."""
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        logits = net(x)
        margin = goal.margins(logits).amin(dim=1)
    gradient = loss_gradient(margin, x)
    return goal.violations(logits.detach()), margin.detach(), gradient


@dataclass
class _Path(PerImage):
    """Where each of n images stands."""

    clean: Tensor  # (n, channels, H, W)
    start: Tensor  # (n, channels, H, W) x_i, the result of the last round
    r: Tensor  # (n, channels, H, W) DeepFool's displacement from there
    steps: Tensor  # (n,) DeepFool's steps in this round
    round: Tensor  # (n,) rounds made with this bound
    bound: Tensor  # (n,) Δ
    doublings: Tensor  # (n,) of Δ so far

    @classmethod
    def begin(cls, images: Tensor, bound: float) -> "_Path":
        number = torch.zeros(len(images), dtype=torch.int64, device=images.device)
        Δ = images.new_full((len(images),), bound)
        return cls(images, images.clone(), torch.zeros_like(images), number, number, Δ, number)

    def walk(self, who: Tensor, up: Tensor, size: Tensor) -> None:
        """Take one step of DeepFool where `who` (n,) says so."""
        self.r = torch.where(batch_view(who, up), self.r + up * batch_view(size, up), self.r)
        self.steps = self.steps + who

    def cross(self, rows: Tensor, up: Tensor, λ: float, overshoot: float) -> Tensor:
        """End the round of some images behind the plane that DeepFool found; say which found no entry to move (n,)."""
        stuck = torch.zeros_like(self.steps, dtype=torch.bool)
        if len(rows):
            clean, start, r, w = self.clean[rows], self.start[rows], self.r[rows], up[rows]
            Δ = batch_view(self.bound[rows], clean)
            low, high = (clean - Δ).clamp(min=0), (clean + Δ).clamp(max=1)
            gain = (λ * w * r).flatten(1).sum(dim=1).clamp(min=BEHIND)
            flat = (each.flatten(1) for each in (start, w))
            moved = cross_plane(*flat, gain, low.flatten(1), high.flatten(1), BEHIND).view_as(start)
            stuck[rows] = (moved == start).flatten(1).all(dim=1)
            self.start[rows] = (clean + overshoot * (moved - clean)).clamp(low, high)
            self.r[rows], self.steps[rows] = 0, 0
            self.round = self.round.index_add(0, rows, torch.ones_like(rows))
        return stuck

    def widen(self, over: Tensor, doublings: int) -> Tensor:
        """Start again with twice the bound where `over` (n,) says so and there is room; return where it did, (n,)."""
        if not doublings:
            return torch.zeros_like(over)
        again = over & (self.doublings < doublings) & (self.bound < 1)
        self.start = torch.where(batch_view(again, self.start), self.clean, self.start)
        self.r = torch.where(batch_view(again, self.r), 0, self.r)
        self.steps, self.round = (torch.where(again, 0, each) for each in (self.steps, self.round))
        self.bound = torch.where(again, 2 * self.bound, self.bound)
        self.doublings = self.doublings + again
        return again
