"""Examples that hold by more than rounding: a last step for those that end too near a tie."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from tutorial_pkg.attacks.distortion import MinimumDistortion
from tutorial_pkg.attacks.margins import TIE_MARGIN, Classifier, evaluation_mode, margins
from tutorial_pkg.attacks.validation import check_dtype, check_inputs
from tutorial_pkg.metrics import l2_norm, rms_distortion

MAX_STEPS = 8
BATCH_SIZE = 256


def survive_rounding(
    model: Classifier,
    inputs: Tensor,
    result: MinimumDistortion,
    *,
    box: tuple[float, float] = (0.0, 1.0),
    batch_size: int = BATCH_SIZE,
) -> MinimumDistortion:
    """Move the examples whose class rounding could undo a little further along their perturbations.

    The last digits of a logit depend on the size of the batch and on the device. `minimum_distortion` therefore asks
    for a margin over the other classes, a share of the largest logit. Where *all* logits are near zero on the boundary
    that is too little: always with two classes whose logits are opposite, rarely with more. Here the margin m must
    also exceed the same share of √Σᵢ (∂m/∂xᵢ · xᵢ)², what rounding each pixel would change it by.

    Args:
        model: the classifier that was attacked.
        inputs: the clean inputs that were attacked, `[N, ...]`.
        result: what `minimum_distortion` returned for them.
        box: as in the attack.
        batch_size: examples evaluated together.

    Returns:
        The same, with `adv_inputs`, `rms_distortion` and `l2_norm` of the moved examples replaced. Where no step along
        the perturbation gives the margin, `success` is False, as after a failed attack. Examples that needed no
        change and failures are left as they are, and so are `c` and `num_evals`.

    Raises:
        ValueError: the inputs do not fit the result, or are none that could be attacked; batch_size is not positive.

    Example:
        >>> from tutorial_pkg.attacks import minimum_distortion
        >>> model = torch.nn.Sequential(torch.nn.Linear(2, 2, bias=False))
        >>> model[0].weight.data = torch.tensor([[1.0, -1.0], [-1.0, 1.0]])
        >>> x = torch.tensor([[0.8, 0.2]])
        >>> nearest = minimum_distortion(model, x, targets=torch.tensor([1]))
        >>> safe = survive_rounding(model, x, nearest)
        >>> bool((model(safe.adv_inputs)[0, 1] - model(safe.adv_inputs)[0, 0]) > 5e-6), safe.l2_norm
        (True, tensor([0.4243]))
    """
    check_inputs(inputs, box)
    check_dtype(model, inputs)
    if batch_size < 1:
        raise ValueError(f"batch_size: expected at least 1, got {batch_size}")
    if result.adv_inputs.shape != inputs.shape:
        raise ValueError(
            f"expected the result of an attack on these inputs, of shape {tuple(inputs.shape)}, got one of shape "
            f"{tuple(result.adv_inputs.shape)}; pass the inputs that were attacked"
        )
    clean = inputs.detach()
    moved, success = result.adv_inputs.clone(), result.success.clone()
    rows = (success & (result.l2_norm > 0)).nonzero()[:, 0]
    with evaluation_mode(model), torch.inference_mode(False):
        for some in rows.split(batch_size):
            moved[some], success[some] = _settle(
                model, clean[some].clone(), moved[some].clone(), result.targets[some], box
            )
    moved = torch.where(success.view(-1, *[1] * (clean.ndim - 1)), moved, clean)
    r = moved - clean
    return replace(
        result,
        adv_inputs=moved,
        success=success,
        l2_norm=torch.where(success, l2_norm(r), torch.inf),
        rms_distortion=torch.where(success, rms_distortion(r), torch.inf),
    )


def _settle(
    model: Classifier, clean: Tensor, points: Tensor, targets: Int[Tensor, " n"], box: tuple[float, float]
) -> tuple[Tensor, Tensor]:
    """Return points that hold, and which of them do."""
    lower, upper = box
    direction = points - clean
    for step in range(MAX_STEPS + 1):
        margin, needed, slope = _margin_along(model, points, targets, direction)
        short = margin < needed
        if step == MAX_STEPS or not (short & (slope > 0)).any():
            break
        # To twice what is needed, so that the next evaluation, which rounds differently, agrees.
        length = torch.where(short & (slope > 0), (2 * needed - margin) / slope.clamp(min=1e-30), 0)
        longer = points + length.view(-1, *[1] * (points.ndim - 1)) * direction
        points = torch.where(length.view(-1, *[1] * (points.ndim - 1)) > 0, longer.clamp(lower, upper), points)
    return points, ~short


def _margin_along(
    model: Classifier, points: Tensor, targets: Int[Tensor, " n"], direction: Tensor
) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"], Float[Tensor, " n"]]:
    """Return the smallest margin, the margin that rounding asks for, and the slope of the first along a direction."""
    with torch.enable_grad():
        leaf = points.detach().requires_grad_(True)
        logits = model(leaf)
        margin = margins(logits, targets).amin(dim=1)
        (gradient,) = torch.autograd.grad(margin.sum(), leaf)
    change = (gradient * points).flatten(1).norm(dim=1)
    needed = TIE_MARGIN * torch.maximum(logits.detach().abs().amax(dim=1), change)
    return margin.detach(), needed, (gradient * direction).flatten(1).sum(dim=1)
