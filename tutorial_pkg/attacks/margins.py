"""How far a point is inside its target class: margins, their gradients, and when a success counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

Classifier = Callable[[Tensor], Tensor]

# A success must hold by this share of what the margin is computed from: the last digits of an image's logits change
# with the size of the batch it is evaluated in and with the dtype, and a tie would change sides with them.
TIE_MARGIN = 64 * torch.finfo(torch.float32).eps


class SoftMargin(NamedTuple):
    """The soft margins of a batch of points and their gradients in the input."""

    margin: Float[Tensor, " n"]
    gradient: Float[Tensor, "n pixels"]


class Rivals(NamedTuple):
    """The margins of a batch of points over every class, with gradients for those that matter most."""

    margins: Float[Tensor, "n classes"]
    tie: Float[Tensor, " n"]
    rivals: Int[Tensor, "n rivals"]
    gradients: Float[Tensor, "n rivals pixels"]


def margins(logits: Float[Tensor, "n classes"], targets: Int[Tensor, " n"]) -> Float[Tensor, "n classes"]:
    """Return m_j = z_l − z_j for every class j, and infinity for the target l itself.

    Example:
        >>> margins(torch.tensor([[3.0, 1.0, 5.0]]), torch.tensor([0]))
        tensor([[inf, 2., -2.]])
    """
    return (logits.gather(1, targets[:, None]) - logits).scatter(1, targets[:, None], torch.inf)


def tie_margin(
    target: Float[Tensor, " n"],
    margin: Float[Tensor, " n"],
    gradient: Float[Tensor, "n pixels"],
    points: Float[Tensor, "n pixels"],
) -> Float[Tensor, " n"]:
    """Return the smallest margin m = z_l − z_j that counts as a success.

    It is a share of max(|z_l|, |z_j|), or of √Σᵢ (∂m/∂xᵢ · xᵢ)² where that is more. The second is what rounding every
    pixel changes m by. It decides where the logits are zero on the boundary, as those of two opposite classes are.
    """
    size = torch.maximum(target.abs(), (target - margin).abs())
    return TIE_MARGIN * torch.maximum(size, (gradient * points).norm(dim=1))


def succeeds(model: Classifier, inputs: Float[Tensor, "n *shape"], targets: Int[Tensor, " n"]) -> Bool[Tensor, " n"]:
    """Return whether the target wins by more than rounding could undo."""
    nearest = nearest_rivals(model, inputs.flatten(1), inputs.shape[1:], targets, num_rivals=1)
    return nearest.margins.amin(dim=1) > nearest.tie


def missing_margin(
    model: Classifier, inputs: Float[Tensor, "n *shape"], targets: Int[Tensor, " n"]
) -> Float[Tensor, " n"]:
    """Return what the inputs lack of their targets; at a tie, where there is no gap to measure by, what a tie takes."""
    with torch.no_grad():
        logits = model(inputs)
    own = logits.gather(1, targets[:, None])[:, 0].abs()
    return torch.maximum(-margins(logits, targets).amin(dim=1), TIE_MARGIN * torch.where(own > 0, own, 1.0))


def soft_margin(
    model: Classifier,
    points: Float[Tensor, "n pixels"],
    shape: torch.Size,
    targets: Int[Tensor, " n"],
    temperature: Float[Tensor, " n"],
) -> SoftMargin:
    """Return m_τ = z_l − τ·log Σ_{j≠l} exp(z_j / τ), a smooth lower bound of the smallest margin, and ∇m_τ.

    It is within τ·log(K − 1) of it. At τ = 1 the cross-entropy is softplus(−m_τ).
    """
    with torch.enable_grad():
        leaf = points.detach().requires_grad_(True)
        over = margins(model(leaf.reshape(-1, *shape)), targets)
        soft = -temperature * torch.logsumexp(-over / temperature[:, None], dim=1)
        (gradient,) = torch.autograd.grad(soft.sum(), leaf)
    return SoftMargin(soft.detach(), _without_infinities(gradient))


def shortfall(
    model: Classifier,
    points: Float[Tensor, "n pixels"],
    shape: torch.Size,
    targets: Int[Tensor, " n"],
    wanted: Float[Tensor, " n"],
) -> tuple[Float[Tensor, " n"], Float[Tensor, "n pixels"]]:
    """Return Σ_j max(0, 1 − m_j / δ)², which is zero where every margin is at least δ, and its gradient."""
    with torch.enable_grad():
        leaf = points.detach().requires_grad_(True)
        over = margins(model(leaf.reshape(-1, *shape)), targets)
        lacking = (1 - over / wanted[:, None]).clamp(min=0).square().sum(dim=1)
        (gradient,) = torch.autograd.grad(lacking.sum(), leaf)
    return lacking.detach(), _without_infinities(gradient)


def nearest_rivals(
    model: Classifier,
    points: Float[Tensor, "n pixels"],
    shape: torch.Size,
    targets: Int[Tensor, " n"],
    num_rivals: int,
    head_start: Float[Tensor, "n classes"] | float = 0.0,
    out: Float[Tensor, "n {num_rivals} pixels"] | None = None,
) -> Rivals:
    """Return the margins, and the gradients of the `num_rivals` ones smallest after subtracting `head_start`.

    The gradients are written to `out`, if it is given.
    """
    gradients = points.new_empty(len(points), num_rivals, points.shape[1]) if out is None else out
    with torch.enable_grad():
        leaf = points.detach().requires_grad_(True)
        logits = model(leaf.reshape(-1, *shape))
        over = margins(logits, targets)
        rivals = (over.detach() - head_start).topk(num_rivals, dim=1, largest=False).indices
        chosen = over.gather(1, rivals)
        each = chosen.sum(dim=0)
        for i in range(num_rivals):
            (gradients[:, i],) = torch.autograd.grad(each[i], leaf, retain_graph=i + 1 < num_rivals)
    gradients = _without_infinities(gradients)
    margin, nearest = chosen.detach().min(dim=1)
    gradient = gradients[torch.arange(len(points), device=points.device), nearest]
    target = logits.detach().gather(1, targets[:, None])[:, 0]
    return Rivals(over.detach(), tie_margin(target, margin, gradient, points), rivals, gradients)


def _without_infinities(gradients: Float[Tensor, "*rows pixels"]) -> Float[Tensor, "*rows pixels"]:
    """Return gradients in which no pixel outweighs all others, in place: an infinite one counts as the largest finite.

    √x and log x have infinite slopes at the edge of the box, where steps that leave it end.
    """
    if not torch.isfinite(gradients.sum()):
        finite = torch.isfinite(gradients)
        largest = torch.where(finite, gradients.abs(), 0.0).amax(dim=-1, keepdim=True)
        gradients.copy_(torch.where(finite, gradients, gradients.sign().nan_to_num() * largest))
    return gradients
