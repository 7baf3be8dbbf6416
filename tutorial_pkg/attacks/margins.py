"""How far a point is inside its target class: the margin, its smooth version, and when a success counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

Classifier = Callable[[Tensor], Tensor]

# A success must hold by this share of the largest logit: the logits of one image change in their last digits with
# the size of the batch it is evaluated in and with the dtype, and a tie would change sides with them.
TIE_MARGIN = 64 * torch.finfo(torch.float32).eps


class Evaluation(NamedTuple):
    """What one forward and backward pass says about a batch of points."""

    logits: Float[Tensor, "batch classes"]
    soft_margin: Float[Tensor, " batch"]
    gradient: Float[Tensor, "batch pixels"]


def hard_margin(
    logits: Float[Tensor, "batch classes"], targets: Int[Tensor, " batch"]
) -> Float[Tensor, " batch"]:
    """Return z_l − max_{j≠l} z_j: positive where the target l is the predicted class."""
    return logits.gather(1, targets[:, None])[:, 0] - _without(logits, targets).amax(dim=1)


def soft_margin(
    logits: Float[Tensor, "batch classes"],
    targets: Int[Tensor, " batch"],
    temperature: Float[Tensor, " batch"],
) -> Float[Tensor, " batch"]:
    """Return z_l − τ·log Σ_{j≠l} exp(z_j / τ), a smooth lower bound of the hard margin, within τ·log(K − 1).

    At τ = 1 the cross-entropy is softplus(−m_τ): the paper's loss is a soft margin seen through one more bend.
    """
    others = _without(logits, targets) / temperature[:, None]
    return logits.gather(1, targets[:, None])[:, 0] - temperature * others.logsumexp(dim=1)


def succeeds(
    logits: Float[Tensor, "batch classes"], targets: Int[Tensor, " batch"]
) -> Bool[Tensor, " batch"]:
    """Return whether the target wins by more than rounding could undo."""
    return hard_margin(logits, targets) > tie_margin(logits)


def tie_margin(logits: Float[Tensor, "batch classes"]) -> Float[Tensor, " batch"]:
    """Return the smallest margin that counts as a success, in the logits' own scale."""
    return TIE_MARGIN * logits.abs().amax(dim=1)


def evaluate(
    model: Classifier,
    points: Float[Tensor, "batch pixels"],
    shape: torch.Size,
    targets: Int[Tensor, " batch"],
    temperature: Float[Tensor, " batch"],
) -> Evaluation:
    """Return logits, soft margin and its gradient in the input, leaving the parameters' gradients alone."""
    with torch.enable_grad():
        leaf = points.detach().requires_grad_(True)
        logits = model(leaf.reshape(-1, *shape))
        margin = soft_margin(logits, targets, temperature)
        (gradient,) = torch.autograd.grad(margin.sum(), leaf)
    return Evaluation(logits.detach(), margin.detach(), gradient)


@contextmanager
def evaluation_mode(model: Classifier) -> Iterator[None]:
    """Put every submodule in eval mode and back as it was, so that dropout and batch norm are fixed maps."""
    modules = list(model.modules()) if isinstance(model, nn.Module) else []
    modes = [module.training for module in modules]
    for module in modules:
        module.training = False
    try:
        yield
    finally:
        for module, mode in zip(modules, modes, strict=True):
            module.training = mode


def _without(logits: Tensor, targets: Tensor) -> Tensor:
    return logits.scatter(1, targets[:, None], -torch.inf)
