"""Whether a network is full of kinks around an image, before a walk is lost among them.

On a smooth network a gradient changes in proportion to the step: ten times the step, ten times the change. Where kink
follows upon kink the shortest of steps crosses some, and ten times the step crosses others that undo a part of it, so
that the changes add up like those of a random walk, or less. A network with few kinks shows none in so short a step,
and walks mostly arrive on it.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from tutorial_pkg.attacks.margins import Classifier, nearest_rivals

STEP, LONGER_STEP = 1e-3, 1e-2  # as shares of the way to the boundary of the linear model, within the box
ROUGH = 0.03  # the relative change of the gradient in the shorter step from which on the longer one is looked at
GROWTH = 5.0  # of the change with ten times the step; where it is less there are kinks
TINY = 1e-20


def among_kinks(
    model: Classifier,
    inputs: Float[Tensor, "batch *shape"],
    targets: Int[Tensor, " batch"],
    *,
    box: tuple[float, float],
) -> Bool[Tensor, " batch"]:
    """Return around which inputs the network is full of kinks, from gradients there and very near.

    Args:
        model, inputs, targets, box: as for `minimum_distortion`; no input may be in its target class already.
    """
    clean, shape = inputs.flatten(1), inputs.shape[1:]
    here = nearest_rivals(model, clean, shape, targets, num_rivals=1)
    gradient = here.gradients[:, 0]
    way = -(here.margins.amin(1) / gradient.square().sum(1).clamp(min=TINY))[:, None] * gradient
    # Where the boundary of the linear model is far beyond the box, two shares of the way would end in the same corner.
    step = (clean + way).clamp(*box) - clean
    # Another rival's gradient would differ for another reason: the nearest one is held.
    held = torch.zeros_like(here.margins).scatter(1, here.rivals, torch.inf)

    def change(share: float, rows: Tensor) -> Float[Tensor, " m"]:
        points = (clean[rows] + share * step[rows]).clamp(*box)
        there = nearest_rivals(model, points, shape, targets[rows], num_rivals=1, head_start=held[rows])
        return (there.gradients[:, 0] - gradient[rows]).norm(dim=1) / gradient[rows].norm(dim=1).clamp(min=TINY)

    kinks = torch.zeros_like(targets, dtype=torch.bool)
    shorter = change(STEP, torch.arange(len(inputs), device=inputs.device))
    rough = (shorter > ROUGH).nonzero()[:, 0]
    if len(rough):
        kinks[rough] = change(LONGER_STEP, rough) < GROWTH * shorter[rough]
    return kinks
