"""Which classes to try first when the nearest of many is wanted.

A linear model of the network puts the boundary to class j at m_j / ‖∇m_j‖. A gradient costs a backward pass, a walk to
one class some hundred of them, so the gradients of up to `SHORTLIST` classes are computed. Where there are more, slopes
estimated by forward passes decide which these are. In the order of the margins alone, classes with steep boundaries
come too late.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from tutorial_pkg.attacks.margins import Classifier, margins

SHORTLIST = 100
NUM_PROBES = 64  # random directions along which slopes are estimated
PROBE_STEP = 1e-2  # their length, as a share of the inputs'
TINY = 1e-12


def by_expected_distance(
    model: Classifier, inputs: Tensor, labels: Tensor, over: Tensor, box: tuple[float, float]
) -> Int[Tensor, "n others"]:
    """Return all classes but the label, those first whose boundary a linear model expects to be nearest.

    Args:
        model, inputs, labels, box: as for `minimum_distortion`; the inputs are classified as labelled.
        over: m_j of every class j, infinite for the label.
    """
    num_others = over.shape[1] - 1
    if num_others <= SHORTLIST:
        others, rest = over.argsort(dim=1)[:, :-1], labels.new_empty(len(labels), 0)
    else:
        expected = over / _estimated_slopes(model, inputs, labels, over, box).clamp(min=TINY)
        others, rest = expected.argsort(dim=1)[:, :-1].split([SHORTLIST, num_others - SHORTLIST], dim=1)
    slopes = torch.empty_like(over[:, : others.shape[1]])
    with torch.enable_grad():
        leaf = inputs.clone().requires_grad_(True)
        each = margins(model(leaf), labels).gather(1, others).sum(dim=0)
        for j in range(len(each)):
            (gradient,) = torch.autograd.grad(each[j], leaf, retain_graph=True)
            slopes[:, j] = gradient.flatten(1).norm(dim=1)
    order = (over.gather(1, others) / slopes.nan_to_num().clamp(min=TINY)).argsort(dim=1)
    return torch.cat((others.gather(1, order), rest), dim=1)


def _estimated_slopes(
    model: Classifier, inputs: Tensor, labels: Tensor, over: Tensor, box: tuple[float, float]
) -> Float[Tensor, "n classes"]:
    """Return √(Σ (∇m_j·u)² / P) over P random directions u, whose expectation is about ‖∇m_j‖, from forward passes."""
    generator = torch.Generator().manual_seed(0)
    squared_slope = torch.zeros_like(over)
    size = inputs.flatten(1).norm(dim=1) / math.sqrt(inputs[0].numel())
    step = PROBE_STEP * torch.where(size > 0, size, 1.0)
    with torch.no_grad():
        for _ in range(NUM_PROBES):
            probe = torch.randn(inputs.shape[1:], generator=generator, device=generator.device).to(inputs)
            moved = (inputs + step.reshape(-1, *[1] * probe.ndim) * probe).clamp(*box)
            squared_slope += (margins(model(moved), labels) - over).nan_to_num().square()
    return squared_slope.sqrt()
