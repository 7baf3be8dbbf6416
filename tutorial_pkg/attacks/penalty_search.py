"""The paper's way: minimise c‖r‖² + loss(x + r, l) in the box by L-BFGS, and search over c."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import softplus

from tutorial_pkg.attacks.lbfgs import box_lbfgs
from tutorial_pkg.attacks.margins import Classifier, soft_margin, succeeds

BRACKET_FACTOR = 4.0  # between two values of c while only one side of the search is known
TOLERANCE = 1e-3  # of a pixel; also what a bisection's neighbouring values of c differ by
SHARE = 1e-2  # at most, of the largest pixel of the r that a linear model would need
HISTORY_SIZE = 3


@dataclass(frozen=True)
class PenaltySolution:
    """The successful minimiser with the largest c of every problem; the clean input and nan where none succeeded."""

    points: Float[Tensor, "batch *shape"]
    c: Float[Tensor, " batch"]
    success: Bool[Tensor, " batch"]
    num_evals: Int[Tensor, " batch"]


def search_penalty(
    model: Classifier,
    inputs: Float[Tensor, "batch *shape"],
    targets: Int[Tensor, " batch"],
    *,
    box: tuple[float, float],
    temperature: Float[Tensor, " batch"],
    max_iter: int,
    num_search_steps: int,
) -> PenaltySolution:
    """Return the minimisers of c‖r‖² + loss for the largest c, among `num_search_steps` tries, that succeeds.

    The loss is τ·softplus(−m_τ / τ) of the soft margin m_τ: the cross-entropy at τ = 1, the hinge max(0, −m) at
    τ → 0. The paper asks for the *minimum* c; a larger c gives a smaller r, so the largest one that succeeds is
    meant. It is bracketed in steps of a factor 4 and then bisected, on log c, every image for itself, each try
    starting from the nearest success so far.
    """
    num_evals = torch.zeros_like(targets)

    def value_and_grad(
        x: Tensor, clean: Tensor, targets: Tensor, temperature: Tensor, c: Tensor, row: Tensor
    ) -> tuple[Tensor, Tensor]:
        num_evals[row] += 1
        margin, gradient = soft_margin(model, x.flatten(1), inputs.shape[1:], targets, temperature)
        loss = temperature * softplus(-margin / temperature)
        pull = torch.sigmoid(-margin / temperature) / (2 * c)
        perturbation = x.flatten(1) - clean
        # Divided by 2c, so that the distance's own Hessian is the identity, from which box_lbfgs starts.
        value = 0.5 * perturbation.square().sum(1) + loss / (2 * c)
        return value, (perturbation - pull[:, None] * gradient).reshape(x.shape)

    clean, row = inputs.flatten(1), torch.arange(len(inputs), device=inputs.device)
    points, best = inputs, inputs
    succeeding, failing = torch.zeros_like(temperature), torch.full_like(temperature, torch.inf)
    c, largest_change = _first_guess(model, inputs, targets, temperature)
    tolerance = (SHARE * largest_change).clamp(max=TOLERANCE)
    for _ in range(num_search_steps):
        points = box_lbfgs(
            value_and_grad,
            points,
            *box,
            per_problem=(clean, targets, temperature, c, row),
            max_iter=max_iter,
            tolerance=tolerance,
            curvature=1.0,
            history_size=HISTORY_SIZE,
        )
        success = succeeds(model, points, targets)
        best = torch.where(_column(success, inputs), points, best)
        succeeding, failing = torch.where(success, c, succeeding), torch.where(success, failing, c)
        points = torch.where(_column(succeeding > 0, inputs), best, points)
        c = (succeeding * failing).sqrt()
        c = torch.where(succeeding == 0, failing / BRACKET_FACTOR, c)
        c = torch.where(failing.isinf(), succeeding * BRACKET_FACTOR, c)
    found = succeeding > 0
    return PenaltySolution(best, torch.where(found, succeeding, torch.nan), found, num_evals)


def _first_guess(
    model: Classifier, inputs: Tensor, targets: Tensor, temperature: Tensor
) -> tuple[Float[Tensor, " batch"], Float[Tensor, " batch"]]:
    """Return the c whose minimiser r is on the boundary of the linearised model, and the largest |r| of its pixels.

    The loss has slope ½ there.
    """
    margin, gradient = soft_margin(model, inputs.flatten(1), inputs.shape[1:], targets, temperature)
    c = 0.25 * gradient.square().sum(1).clamp(min=1e-12) / (-margin).clamp(min=1e-6)
    return c, gradient.abs().amax(1) / (4 * c)


def _column(flags: Tensor, like: Tensor) -> Tensor:
    return flags.reshape(-1, *([1] * (like.ndim - 1)))
