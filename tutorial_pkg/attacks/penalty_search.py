"""The paper's way: minimise c‖r‖² + loss(x + r, l) in the box by L-BFGS, and search over c."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import softplus

from tutorial_pkg.attacks.box_lbfgs import box_lbfgs
from tutorial_pkg.attacks.margins import Classifier, evaluate, hard_margin, succeeds

BRACKET_FACTOR = 4.0  # between two values of c while only one side of the search is known
STEP_TOLERANCE = 1e-4  # of a pixel


@dataclass
class PenaltySolution:
    """The successful minimiser with the largest c of every problem."""

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
    """Return the minimisers of c‖r‖² + loss for the largest c, found in `num_search_steps` tries, that succeeds.

    The loss is τ·softplus(−m_τ / τ): the cross-entropy at τ = 1, the hinge max(0, −m) of the margin at τ → 0. The
    paper searches the *minimum* c; a larger c gives a smaller r, so the largest one that succeeds is meant. It is
    bracketed in steps of a factor 4 and then bisected, on log c, every image for itself.
    """
    clean = inputs.flatten(1)
    points, best = inputs, inputs.clone()
    low = torch.zeros_like(temperature)  # succeeds
    high = torch.full_like(temperature, torch.inf)  # fails
    c = _first_guess(model, inputs, targets, temperature)
    num_evals = torch.zeros_like(targets)

    def value_and_grad(
        x: Tensor, clean: Tensor, targets: Tensor, temperature: Tensor, c: Tensor, row: Tensor
    ) -> tuple[Tensor, Tensor]:
        num_evals[row] += 1
        logits_margin = evaluate(model, x.flatten(1), inputs.shape[1:], targets, temperature)
        _, margin, gradient = logits_margin
        loss = temperature * softplus(-margin / temperature)
        pull = torch.sigmoid(-margin / temperature)
        perturbation = x.flatten(1) - clean
        # Divided by 2c, so that the distance's own Hessian is the identity: box_lbfgs starts from that.
        value = 0.5 * perturbation.square().sum(1) + loss / (2 * c)
        grad = perturbation - (pull / (2 * c))[:, None] * gradient
        return value, grad.reshape(x.shape)

    row = torch.arange(len(inputs), device=inputs.device)
    for _ in range(num_search_steps):
        points = box_lbfgs(
            value_and_grad,
            points,
            *box,
            per_problem=(clean, targets, temperature, c, row),
            max_iter=max_iter,
            tolerance=STEP_TOLERANCE,
            curvature=1.0,
        )
        with torch.no_grad():
            success = succeeds(model(points), targets)
        spread = _rows(success, inputs)
        best = torch.where(spread, points, best)
        low, high = torch.where(success, c, low), torch.where(success, high, c)
        c = torch.where(low == 0, high / BRACKET_FACTOR, (low * high).sqrt())
        c = torch.where(high.isinf(), low * BRACKET_FACTOR, c)
        # The nearest success is the better start: from a collapsed r = 0 the way back is longer.
        points = torch.where(_rows(low > 0, inputs), best, points)
    return PenaltySolution(best, low, low > 0, num_evals)


def _first_guess(model: Classifier, inputs: Tensor, targets: Tensor, temperature: Tensor) -> Tensor:
    """Return the c at which the linearised problem ends on the boundary, where the loss's slope is ½."""
    first = evaluate(model, inputs.flatten(1), inputs.shape[1:], targets, temperature)
    gap = -hard_margin(first.logits, targets).clamp(max=-1e-6)
    return 0.25 * first.gradient.square().sum(1).clamp(min=1e-12) / gap


def _rows(flags: Tensor, like: Tensor) -> Tensor:
    return flags.reshape(-1, *([1] * (like.ndim - 1)))
