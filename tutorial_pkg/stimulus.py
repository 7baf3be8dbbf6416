"""The input that a unit likes best: not found among images, but computed (Erhan et al., 2009; Le et al., 2012)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from tutorial_pkg.attacks import box_lbfgs
from tutorial_pkg.models import LayeredModel
from tutorial_pkg.models.evaluation import evaluation_mode


def optimal_stimuli(
    model: LayeredModel,
    layer: str,
    units: Sequence[int],
    *,
    shape: tuple[int, ...],
    num_starts: int = 4,
    max_iter: int = 200,
    generator: torch.Generator,
) -> tuple[Float[Tensor, "units *shape"], Float[Tensor, " units"]]:
    """Find the images in [0, 1] at which units respond most.

        x* = argmax φ_j(x)   subject to   0 ≤ x ≤ 1

    Args:
        model: where it is, is where the search runs.
        layer: whose output is φ.
        units: the numbers j, in the flattened output.
        shape: of an image.
        num_starts: grey images with noise that the search starts from, for each unit; the best end is kept.
        max_iter: evaluations a start.
        generator: draws the noise.

    Returns:
        An image a unit, and the unit's response to it.

    Raises:
        ValueError: a unit that the layer does not have.

    Departs from Le et al., who keep ‖x‖ = 1; a picture has to be in the box to be shown.

    Example:
        >>> model = LayeredModel({"sum": torch.nn.Linear(2, 1, bias=False)})
        >>> model.layers["sum"].weight.data = torch.tensor([[1.0, -1.0]])
        >>> optimal_stimuli(model, "sum", [0], shape=(2,), generator=torch.Generator())[0]
        tensor([[1., 0.]])
    """
    weight = next(model.parameters(), torch.empty(0))  # the images go where the model is

    def value_and_grad(x: Tensor, unit: Tensor) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            values = -model.features(x, layer).flatten(1).gather(1, unit[:, None])[:, 0]
            (gradient,) = torch.autograd.grad(values.sum(), x)
        return values.detach(), gradient

    with evaluation_mode(model):
        count = model.features(torch.full((1, *shape), 0.5).to(weight), layer)[0].numel()
        if any(not 0 <= unit < count for unit in units):
            raise ValueError(f"{layer} has {count} units, numbered from 0; got {list(units)}")
        chosen = torch.tensor(list(units), device=weight.device).repeat_interleave(num_starts)
        start = 0.5 + 0.1 * torch.randn((len(chosen), *shape), generator=generator, device=generator.device)
        found = box_lbfgs(value_and_grad, start.to(weight), per_problem=(chosen,), max_iter=max_iter)
        responses = -value_and_grad(found, chosen)[0].view(len(units), num_starts)
    best = responses.argmax(1)
    rows = torch.arange(len(units), device=weight.device)
    return found.view(len(units), num_starts, *shape)[rows, best], responses[rows, best]
