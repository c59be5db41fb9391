"""JMA: Jacobian-induced Mahalanobis-distance attack (Tondi, Guo, Pancino, Barni; arXiv 2401.01199)."""

import torch
from torch import Tensor

from flipbook.attacks._batch import batch_view, l2_norm
from flipbook.checks import check_at_least, check_choice, check_counts, check_inputs, check_positive
from flipbook.goals import Goal
from flipbook.gradients import differentiable_twice, directional, row_gradients
from flipbook.passes import Counted
from flipbook.perturbed import Perturbed
from flipbook.solvers.nonnegative_qp import METHODS, gram, solve_nonnegative_qp


def jma(
    model,
    images: Tensor,
    goal: Goal,
    *,
    step: float = 0.5,
    max_iterations: int = 200,
    search_steps: int = 6,
    kappa: float = 0.0,
    cap_step: bool = False,
    solver: str = "pivoting",
    working_set: int | None = None,
    chunk: int | None = None,
) -> Perturbed:
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
    kappa : float
        κ >= 0, margin in logits asked of every constraint. At 0, the papers' setting, active constraints end in a tie
        of the linear model and the curvature decides; a small margin saves iterations.
    cap_step : bool
        Never move further than δ* itself. The paper's move has length ε even where δ* is shorter.
    solver : {"pivoting", "coordinate"}
        See `solve_nonnegative_qp`.
    working_set : int, optional
        Start from this many most violated constraints and add violated ones until the solution fits all: exact, and a
        third of the passes for 80 labels. By default from 12 when there are more than 40 constraints.
    chunk : int, optional
        Images whose D (k rows of the image's size) is held in memory at a time; all by default.

    Returns
    -------
    Perturbed
        `iterations` counts as the paper does: linearisations before the last, plus search steps, so 6 is the least of
        a success (0 where nothing was to do). A failure counts its linearisations.

    Raises
    ------
    ValueError
        For inputs that `check_inputs` refuses and hyper-parameters out of range.

    Notes
    -----
    Deviations: D Dᵀ replaces the misprinted inverse of Eqs. 22 and 23; every tested image is clipped to [0, 1], moves
    too; the search returns its last success. Where an output code's decision (through tanh) lags behind satisfied
    constraints (on logits), the image goes on with the constraints linearised through tanh. Passes: 1 forward to see
    what is already reached; k backward and 2 forward a linearisation, k = rows of A (with a working set: its rows and
    2 backward and 1 forward a round, and 1 forward); 1 forward a search step.
    """
    check_inputs(model, images, goal)
    check_positive(step=step)
    check_counts(max_iterations=max_iterations)
    check_counts(0, search_steps=search_steps)
    check_choice("solver", solver, METHODS)
    check_counts(**{name: n for name, n in (("working_set", working_set), ("chunk", chunk)) if n is not None})
    check_at_least(0, kappa=kappa)
    net = Counted(model, images)
    with torch.no_grad():
        logits = net(images)
    reached, fewest = goal.reached(logits), goal.distance(logits)
    first_success = torch.where(reached, 1, -1)
    iterations = torch.zeros_like(fewest)
    x, closest, δ = images.detach().clone(), images.detach().clone(), torch.zeros_like(images)
    through_decision = torch.zeros_like(reached)

    active = (~reached).nonzero().flatten()
    for v in range(1, max_iterations + 1):
        going = []
        for rows in active.split(chunk or len(images)):
            aims = goal[rows]
            δ[rows], feasible = _shortest_step(
                net, rows, x[rows], aims, through_decision[rows], kappa, solver, working_set
            )
            candidate = (x[rows] + δ[rows]).clamp(0, 1)
            with torch.no_grad():
                logits = net.focus(rows)(candidate)
            hit, distance = aims.reached(logits), aims.distance(logits)
            closest[rows] = torch.where(batch_view(distance < fewest[rows], candidate), candidate, closest[rows])
            fewest[rows] = torch.minimum(distance, fewest[rows])
            reached[rows] = hit
            iterations[rows] = torch.where(hit, v - 1 + search_steps, v)
            first_success[rows] = torch.where(hit, net.total[rows], -1)

            length = l2_norm(δ[rows])
            still = (length == 0) & ~hit
            stuck = still & through_decision[rows]
            through_decision[rows] |= still
            ε = length.clamp(max=step) if cap_step else torch.full_like(length, step)
            move = batch_view(torch.where(hit | still, 0, ε / length.clamp(min=1e-30)), candidate) * δ[rows]
            x[rows] = (x[rows] + move).clamp(0, 1)
            going.append(rows[~hit & feasible & ~stuck])
        active = torch.cat(going) if going else active
        if not len(active):
            break

    moved = (reached & (iterations > 0)).nonzero().flatten()
    closest[moved] = _shortest_fraction(net.focus(moved), x[moved], δ[moved], goal[moved], search_steps)
    return Perturbed(closest, reached, iterations, net.forwards, net.backwards, first_success)


def _shortest_step(
    net: Counted,
    rows: Tensor,
    x: Tensor,
    goal: Goal,
    through_decision: Tensor,
    kappa: float,
    solver: str,
    working_set: int | None,
) -> tuple[Tensor, Tensor]:
    """δ* of Eq. 24 for the images `rows`, and whether there is one."""
    logits, x = _with_graph(net.focus(rows), x)
    A, b = goal.constraints(logits.detach())
    if through_decision.any():
        A_exact, b_exact = goal.exact_constraints(logits.detach())
        A = torch.where(through_decision[:, None, None], A_exact, A)
        b = torch.where(through_decision[:, None], b_exact, b)
    b = b - kappa
    k = b.shape[1]
    start = working_set or (12 if k > 40 else k)
    if start < k:
        return _step_from_working_set(net, rows, x, A, b, solver, start)
    D = row_gradients(net, logits, x, A).flatten(2)
    λ, feasible = solve_nonnegative_qp(gram(D), b, solver)
    return _combine(λ, D).view_as(x), feasible


def _step_from_working_set(
    net: Counted, rows: Tensor, x: Tensor, A: Tensor, b: Tensor, solver: str, start: int, more: int = 16
) -> tuple[Tensor, Tensor]:
    """Constraint generation: solve for few constraints, predict all of them linearly, add the violated ones."""
    δ, feasible = torch.zeros_like(x), torch.ones(len(x), dtype=torch.bool, device=x.device)
    tolerance = 1e-6 * b.abs().amax(dim=1, keepdim=True)
    todo = torch.arange(len(x), device=x.device)
    new = b.topk(start, largest=False).indices
    W, D = new[:, :0], x.new_empty(len(x), 0, x[0].numel())
    while len(todo):
        with differentiable_twice():
            logits, pixels = _with_graph(net.focus(rows[todo]), x[todo])
            chosen = A[todo].gather(1, new[:, :, None].expand(-1, -1, A.shape[2]))
            D = torch.cat([D, row_gradients(net, logits, pixels, chosen).flatten(2)], dim=1)
            W = torch.cat([W, new], dim=1)
            λ, feasible[todo] = solve_nonnegative_qp(gram(D), b[todo].gather(1, W), solver)
            δ[todo] = _combine(λ, D).view_as(pixels)
            change = directional(net, logits, pixels, δ[todo])
        slack = (b[todo] + (A[todo] @ change[:, :, None]).squeeze(2)).scatter(1, W, torch.inf)
        new = slack.topk(min(more, slack.shape[1] - W.shape[1]), largest=False).indices
        open_ = (slack < -tolerance[todo]).any(dim=1) & feasible[todo]
        todo, new, W, D = todo[open_], new[open_], W[open_], D[open_]
    return δ, feasible


def _shortest_fraction(net: Counted, x: Tensor, δ: Tensor, goal: Goal, steps: int) -> Tensor:
    """Bisect the segment from x to x + δ, whose end is known to reach the goal; return the last point that does."""
    low, high = torch.zeros(len(x)).to(x), torch.ones(len(x)).to(x)
    for _ in range(steps):
        middle = (low + high) / 2
        with torch.no_grad():
            hit = goal.reached(net((x + batch_view(middle, δ) * δ).clamp(0, 1)))
        low, high = torch.where(hit, low, middle), torch.where(hit, middle, high)
    return (x + batch_view(high, δ) * δ).clamp(0, 1)


def _with_graph(net: Counted, x: Tensor) -> tuple[Tensor, Tensor]:
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        return net(x), x


def _combine(λ: Tensor, D: Tensor) -> Tensor:
    """Dᵀ λ for every image, in the model's precision."""
    return (λ.to(D)[:, None, :] @ D).squeeze(1)
