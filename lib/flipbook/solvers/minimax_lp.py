"""The flattest step that meets linear constraints, for every image of a batch: the programmes of MLA-LP on the host."""

import torch
from torch import Tensor

from flipbook.solvers.minimax_step import FEW, minimax_step
from flipbook.solvers.processes import call_each


def solve_minimax_lp(G: Tensor, β: Tensor, workers: int | None = None) -> tuple[Tensor, Tensor]:
    """Minimise s over r and s with G r <= β and |r_i| <= s <= 1, one programme an image; see `minimax_step`.

    Parameters
    ----------
    G : Tensor (N, n, m)
        Gradients of the n constrained quantities.
    β : Tensor (N, n)
        How much each of them may grow; negative where it must fall. +inf takes a constraint out.
    workers : int, optional
        Processes to solve on; by default as many as torch has threads, for programmes of photographs only. The result
        does not depend on it.

    Returns
    -------
    r : Tensor (N, m)
        The step, 0 where s is 0 or the programme is infeasible.
    s : Tensor (N,) of float64
        Its largest entry, in [0, 1]; inf where no step with entries in [-1, 1] meets the constraints, or G or β is NaN.
    """
    if workers is None:
        workers = torch.get_num_threads() if G.shape[2] > FEW else 1
    r, s = torch.zeros(len(G), G.shape[2], dtype=torch.float64), torch.zeros(len(G), dtype=torch.float64)
    programmes = zip(*(t.detach().cpu().double().numpy() for t in (G, β)), strict=True)
    for i, (step, size) in enumerate(call_each(minimax_step, programmes, workers)):
        r[i], s[i] = torch.from_numpy(step), size
    return r.to(G), s.to(G.device)
