"""JMA: Jacobian-induced Mahalanobis-distance attack (Tondi, Guo, Pancino, Barni; arXiv 2401.01199)."""

import warnings

import torch
from torch import Tensor

from flipbook.attacks.engines.entry import attack
from flipbook.core.attack_result import AttackResult
from flipbook.core.batch import batch_view, l2_norm
from flipbook.core.gradients import differentiable_twice, directional, row_gradients
from flipbook.core.pass_counter import PassCounter
from flipbook.core.validation import check_at_least, check_counts, check_inputs, check_positive
from flipbook.goals import Constraints, Goal, equally_many
from flipbook.solvers.nonnegative_qp import gram, solve_nonnegative_qp

MARGIN = 1e-3  # κ by default, as a share of what the clean image misses its worst constraint by
MANY = 40  # constraints from which on an image starts with FEW of them and adds MORE at a time
FEW, MORE = 12, 16
AGREES = 1e-3  # how far J δ may be off, relative to its largest entry, where D δ says what it is


@attack
def jma(
    model,
    images: Tensor,
    goal: Goal,
    *,
    step: float = 0.5,
    max_iterations: int = 200,
    search_steps: int = 6,
    kappa: float | None = None,
    cap_step: bool = True,
    working_set: int | None = None,
    chunk: int | None = None,
) -> AttackResult:
    """Repeat the shortest image perturbation whose first-order effect on the logits reaches the goal.

    At the current image x, with Jacobian J and the goal's constraints A d + b >= 0 on the logits' change d,

        δ* = Dᵀ λ*,   D = A J,   λ* = argmin over λ >= 0 of ½ λᵀ D Dᵀ λ + (b - κ)ᵀ λ        (Eqs. 23, 24)

    is tried in full; where the model does not follow, x moves by the fixed length ε along δ* and starts again. The
    fraction of the last δ* that suffices is found by bisection (Algorithm 1).

    Parameters
    ----------
    model : callable
        Images (N, channels, H, W) to logits (N, C), in eval mode.
    images : Tensor (N, channels, H, W)
        In [0, 1].
    goal : Goal
        With linear constraints: `LabelVector` (the simplified multi-label form, section V-B), `ClassTarget` (one-hot,
        or ECOC and general codes through its codebook, section V-A), `HideLabels`.
    step : float
        ε, the L2 length of a move in [0, 1] pixel units.
    max_iterations : int
        n_it,max, the largest number of linearisations.
    search_steps : int
        n_bs, bisections of the last step; 0 keeps the full step.
    kappa : float, optional
        κ >= 0, margin in logits asked of every constraint. By default a thousandth of what the clean image misses its
        worst constraint by. At 0, the paper's setting, active constraints end in a tie of the linear model, rounding
        and curvature decide, and a move of length ε overshoots even on an affine model.
    cap_step : bool
        Never move further than δ* itself. The paper's move, False, has length ε even where δ* is shorter, which
        overshoots near the end: its perturbations are a third longer on pictograms20-resnet (5 flips, ε = 0.5).
    working_set : int, optional
        Start from this many most violated constraints and add violated ones until the solution fits all: exact, and a
        third of the passes for 80 labels. By default from 12 for an image with more than 40 constraints.
    chunk : int, optional
        Images whose D (k rows of the image's size) is held in memory at a time; all by default.

    Returns
    -------
    AttackResult
        `iterations` counts as the paper does: linearisations before the last, plus search steps, so 6 is the least of
        a success (0 where nothing was to do). A failure counts its linearisations.

    Raises
    ------
    ValueError
        For inputs that `check_inputs` refuses and hyper-parameters out of range.

    Warns
    -----
    UserWarning
        Where a working set needs J δ and the model's backward pass has no right gradient of its own, as hand-written
        ones may not: such images work with all rows.

    Notes
    -----
    Deviations: D Dᵀ replaces the misprinted inverse of Eqs. 22 and 23; every tested image is clipped to [0, 1], moves
    too; the search returns its last success. Where an output code's decision (through tanh) lags behind satisfied
    constraints (on logits), the image goes on with the constraints linearised through tanh. Passes: 1 forward to see
    what is already reached; k backward and 2 forward a linearisation, k = rows of A that exist (with a working set: its
    rows and 2 backward and 1 forward a round, and 1 forward); 1 forward a search step.
    """
    check_inputs(model, images, goal)
    check_positive(step=step)
    check_counts(max_iterations=max_iterations)
    check_counts(0, search_steps=search_steps)
    check_counts(**{name: n for name, n in (("working_set", working_set), ("chunk", chunk)) if n is not None})
    check_at_least(0, **({} if kappa is None else {"kappa": kappa}))
    if not len(images):
        return AttackResult.of_nothing(images)
    net = PassCounter(model, images)
    with torch.no_grad():
        logits = net(images)
    reached, fewest = goal.reached(logits), goal.violations(logits)
    first_success = torch.where(reached, 1, -1)
    iterations = torch.zeros_like(fewest)
    x, closest, δ = images.detach().clone(), images.detach().clone(), torch.zeros_like(images)
    clean = goal.constraints(logits)
    κ = _margin(clean) if kappa is None else torch.full_like(clean.offsets[:, 0], kappa)
    linear = _Linearisation(net, κ, working_set)

    active = (~reached).nonzero().flatten()
    for v in range(1, max_iterations + 1):
        going = []
        for part, existing in equally_many(clean.exist[active], chunk):
            rows = active[part]
            aims = goal[rows]
            δ[rows], feasible = linear.shortest_step(rows, x[rows], aims, existing)
            candidate = (x[rows] + δ[rows]).clamp(0, 1)
            with torch.no_grad():
                logits = net.focus(rows)(candidate)
            hit, violations = aims.reached(logits), aims.violations(logits)
            closest[rows] = torch.where(batch_view(violations < fewest[rows], candidate), candidate, closest[rows])
            fewest[rows] = torch.minimum(violations, fewest[rows])
            reached[rows] = hit
            iterations[rows] = torch.where(hit, v - 1 + search_steps, v)
            first_success[rows] = torch.where(hit, net.total[rows], -1)

            length = l2_norm(δ[rows])
            still = (length == 0) & ~hit
            stuck = still & linear.through_decision[rows]
            linear.through_decision[rows] |= still
            ε = length.clamp(max=step) if cap_step else torch.full_like(length, step)
            move = batch_view(torch.where(hit | still, 0, ε / length.clamp(min=1e-30)), candidate) * δ[rows]
            x[rows] = (x[rows] + move).clamp(0, 1)
            going.append(rows[~hit & feasible & ~stuck])
        active = torch.cat(going) if going else active
        if not len(active):
            break

    moved = (reached & (iterations > 0)).nonzero().flatten()
    if len(moved):
        closest[moved] = _shortest_fraction(net.focus(moved), x[moved], δ[moved], goal[moved], search_steps)
    return AttackResult(closest, reached, iterations, net.forwards, net.backwards, first_success)


def _margin(constraints: Constraints) -> Tensor:
    """κ (n,) by default, from the constraints at the clean images."""
    return MARGIN * (-constraints.offsets).amax(dim=1).clamp(min=0)


class _Linearisation:
    """Finds δ* of Eq. 24, and remembers of every image how it has to be linearised.

    Attributes
    ----------
    through_decision : Tensor (N,) of bool
        Whether an output code's constraints go through tanh.
    all_rows : Tensor (N,) of bool
        Whether an image works with all its rows, because J δ was found to be wrong.
    """

    def __init__(self, net: PassCounter, κ: Tensor, working_set: int | None):
        self.net, self.κ, self.working_set = net, κ, working_set
        self.through_decision = torch.zeros_like(κ, dtype=torch.bool)
        self.all_rows = torch.zeros_like(self.through_decision)

    def shortest_step(self, images: Tensor, x: Tensor, goal: Goal, existing: Tensor) -> tuple[Tensor, Tensor]:
        """δ* of the images, an index into the batch, at x; and whether there is one.

        `existing` (n, k) are the rows of A that exist.
        """
        k = existing.shape[1]
        start = self.working_set or (FEW if k > MANY else k)
        if start >= k:
            return self._from_all_rows(images, x, goal, existing)
        δ, feasible = torch.zeros_like(x), torch.ones_like(self.all_rows[images])
        few = (~self.all_rows[images]).nonzero().flatten()
        if len(few):
            δ[few], feasible[few] = self._from_working_set(images[few], x[few], goal[few], existing[few], start)
        rest = self.all_rows[images].nonzero().flatten()  # those too that have just joined
        if len(rest):
            δ[rest], feasible[rest] = self._from_all_rows(images[rest], x[rest], goal[rest], existing[rest])
        return δ, feasible

    def _constraints(self, images: Tensor, goal: Goal, logits: Tensor, existing: Tensor) -> Constraints:
        """The existing rows, with the margin κ asked for in their offsets."""
        linear = goal.constraints(logits).pick(existing)
        if (exact := self.through_decision[images]).any():
            linear = linear.where(~exact, goal.exact_constraints(logits).pick(existing))
        return linear.asking(self.κ[images])

    def _from_all_rows(self, images: Tensor, x: Tensor, goal: Goal, existing: Tensor) -> tuple[Tensor, Tensor]:
        logits, x = _with_graph(self.net.focus(images), x)
        constraints = self._constraints(images, goal, logits.detach(), existing)
        D = row_gradients(self.net, logits, x, constraints).flatten(2)
        λ, feasible = solve_nonnegative_qp(gram(D), constraints.offsets)  # Eq. 23
        return _combine(λ, D).view_as(x), feasible

    def _from_working_set(
        self, images: Tensor, x: Tensor, goal: Goal, existing: Tensor, start: int
    ) -> tuple[Tensor, Tensor]:
        """Constraint generation: solve for few constraints, predict all of them linearly, add the violated ones."""
        net = self.net
        δ, feasible = torch.zeros_like(x), torch.ones_like(self.all_rows[images])
        todo = torch.arange(len(x), device=x.device)
        with torch.no_grad():
            constraints = self._constraints(images, goal, net.focus(images)(x), existing)
        tolerance = 1e-6 * constraints.offsets.abs().amax(dim=1, keepdim=True)
        new = constraints.offsets.topk(start, largest=False).indices
        W, D = new[:, :0], x.new_empty(len(x), 0, x[0].numel())
        while len(todo):
            with differentiable_twice():
                logits, pixels = _with_graph(net.focus(images[todo]), x[todo])
                own = constraints[todo]
                D = torch.cat([D, row_gradients(net, logits, pixels, own.pick(new)).flatten(2)], dim=1)
                W = torch.cat([W, new], dim=1)
                λ, feasible[todo] = solve_nonnegative_qp(gram(D), own.offsets.gather(1, W))
                δ[todo] = _combine(λ, D).view_as(pixels)
                change = _change(net, logits, pixels, δ[todo])
            rise = own.times_change(change)
            right = _agree(rise.gather(1, W), (D @ δ[todo].flatten(1)[:, :, None]).squeeze(2))
            self.all_rows[images[todo]] = ~right
            slack = (own.offsets + rise).scatter(1, W, torch.inf)
            new = slack.topk(min(MORE, slack.shape[1] - W.shape[1]), largest=False).indices
            open_ = (slack < -tolerance[todo]).any(dim=1) & feasible[todo] & right
            todo, new, W, D = todo[open_], new[open_], W[open_], D[open_]
        if self.all_rows[images].any():
            warnings.warn(
                "jma: the model's backward pass cannot be differentiated (a hand-written one?): all constraints get a "
                "row, at a backward pass each",
                stacklevel=5,
            )
        return δ, feasible


def _change(net: PassCounter, logits: Tensor, x: Tensor, δ: Tensor) -> Tensor:
    """J δ (n, C), NaN where the model's backward pass refuses to be differentiated."""
    try:
        return directional(net, logits, x, δ)
    except torch.OutOfMemoryError:
        raise
    except RuntimeError:
        return torch.full_like(logits, torch.nan).detach()


def _agree(found: Tensor, known: Tensor) -> Tensor:
    """Whether J δ in the rows of the working set (n, w) is what their gradients say, (n,) of bool."""
    off = (found - known).abs().amax(dim=1)
    return off <= AGREES * known.abs().amax(dim=1)


def _shortest_fraction(net: PassCounter, x: Tensor, δ: Tensor, goal: Goal, steps: int) -> Tensor:
    """Bisect the segment from x to x + δ, whose end is known to reach the goal; return the last point that does."""
    low, high = torch.zeros(len(x)).to(x), torch.ones(len(x)).to(x)
    for _ in range(steps):
        middle = (low + high) / 2
        with torch.no_grad():
            hit = goal.reached(net((x + batch_view(middle, δ) * δ).clamp(0, 1)))
        low, high = torch.where(hit, low, middle), torch.where(hit, middle, high)
    return (x + batch_view(high, δ) * δ).clamp(0, 1)


def _with_graph(net: PassCounter, x: Tensor) -> tuple[Tensor, Tensor]:
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        return net(x), x


def _combine(λ: Tensor, D: Tensor) -> Tensor:
    """Dᵀ λ for every image, in the model's precision."""
    return (λ.to(D)[:, None, :] @ D).squeeze(1)  # Eq. 24
