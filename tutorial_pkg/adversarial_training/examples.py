"""What goes into a pool: adversarial examples of a layer's output, made in one of several ways.

The paper's way is the project's own attack. The others are options: a first-order step that costs one gradient, and
two deformations that ask the network nothing, for comparison.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from tutorial_pkg.attacks import minimum_distortion
from tutorial_pkg.models import LayeredModel
from tutorial_pkg.models.evaluation import evaluation_mode

WALK = 10  # points evaluated at most for an example; its norm is then within a thousandth of the converged one
TINY = 1e-12


def make_examples(
    model: LayeredModel,
    inputs: Float[Tensor, "n *features"],
    labels: Int[Tensor, " n"],
    *,
    source: str,
    generator: torch.Generator,
    stretch: float = 1.0,
    max_norm: float = math.inf,
    box: tuple[float, float] = (0.0, 1.0),
) -> Float[Tensor, "n *features"]:
    """Return an example near each input that `model` takes, or nearly takes, for another class.

        x + min(s, ρ/‖r‖)·r,   r from `source`, in the box

    Args:
        model: the layers above the one whose output `inputs` are.
        inputs: x; a layer's features, or images.
        labels: their true classes.
        source: one of `SOURCES`. "minimum_distortion": D(x, l) for the runner-up class l, by this project's attack.
            "linearised": the nearest point of the runner-up's boundary if the network were linear. "noise": a
            Gaussian direction of norm ρ. "shift": the image moved by at most one pixel each way, s and ρ unused.
        generator: for noise and shifts.
        stretch: s, a multiple of the distance to the boundary.
        max_norm: ρ, of r in ‖·‖₂.
        box: range of the layer's output.

    Raises:
        ValueError: an unknown source, noise without a norm, or a shift of what is no image.

    Example:
        >>> from tutorial_pkg.models import LayeredModel
        >>> model = LayeredModel({"logits": torch.nn.Linear(2, 2, bias=False)})
        >>> model.layers["logits"].weight.data = torch.eye(2)
        >>> make_examples(model, torch.tensor([[0.8, 0.2]]), torch.tensor([0]),
        ...               source="linearised", generator=torch.Generator(), stretch=0.5)
        tensor([[0.6500, 0.3500]])
    """
    if source not in SOURCES:
        raise ValueError(f"unknown source of examples {source!r}; expected one of {', '.join(SOURCES)}")
    if source == "shift":
        return _shifted(inputs, generator)
    if source == "noise":
        if not math.isfinite(max_norm):
            raise ValueError("noise needs a finite max_norm, which is its norm")
        change = torch.randn(inputs.shape, generator=generator, device=generator.device).to(inputs)
        stretch = math.inf
    else:
        with evaluation_mode(model):
            change = ATTACKS[source](model, inputs, labels, box)
    norm = change.flatten(1).norm(dim=1).clamp_min(TINY)
    factor = (max_norm / norm).clamp_max(stretch).reshape(-1, *[1] * (inputs.ndim - 1))
    return (inputs + factor * change).clamp(*box)


def _nearest_of_runner_up(
    model: LayeredModel, inputs: Tensor, labels: Tensor, box: tuple[float, float]
) -> Float[Tensor, "n *features"]:
    """The paper's D(x, l) − x, l the class that the network thinks likeliest after the true one."""
    targets = _runner_up(model, inputs, labels)
    return minimum_distortion(model, inputs, targets=targets, box=box, max_iter=WALK).adv_inputs - inputs


def _linearised_step(
    model: LayeredModel, inputs: Tensor, labels: Tensor, box: tuple[float, float]
) -> Float[Tensor, "n *features"]:
    """The projection of x onto {m(x) + ∇m(x)·r = 0}, m the true class's margin over the runner-up.

    Where the network errs already, m < 0, there is nothing to do: r = 0.
    """
    x = inputs.detach().requires_grad_()
    with torch.enable_grad():
        logits = model(x.clone())  # its first operation may be in place
        rivals = logits.detach().scatter(1, labels[:, None], -math.inf).argmax(1)
        margin = (logits.gather(1, labels[:, None]) - logits.gather(1, rivals[:, None]))[:, 0]
        (gradient,) = torch.autograd.grad(margin.sum(), x)
    squared = gradient.flatten(1).square().sum(1).clamp_min(TINY)
    step = (margin.detach().clamp_min(0) / squared).reshape(-1, *[1] * (inputs.ndim - 1))
    return -step * gradient


@torch.no_grad()
def _runner_up(model: LayeredModel, inputs: Tensor, labels: Tensor) -> Int[Tensor, " n"]:
    return model(inputs.clone()).scatter(1, labels[:, None], -math.inf).argmax(1)


def _shifted(images: Tensor, generator: torch.Generator) -> Float[Tensor, "n *features"]:
    """Every image moved by −1, 0 or 1 pixels along each axis, black coming in."""
    if images.ndim != 4:
        raise ValueError(f"a shift needs images [N, channels, height, width], got {tuple(images.shape)}")
    padded = torch.nn.functional.pad(images, (1, 1, 1, 1))
    moves = torch.randint(3, (len(images), 2), generator=generator).tolist()
    height, width = images.shape[2:]
    return torch.stack(
        [image[:, dy : dy + height, dx : dx + width] for image, (dy, dx) in zip(padded, moves, strict=True)]
    )


Attack = Callable[[LayeredModel, Tensor, Tensor, tuple[float, float]], Tensor]
ATTACKS: dict[str, Attack] = {"minimum_distortion": _nearest_of_runner_up, "linearised": _linearised_step}
SOURCES = (*ATTACKS, "noise", "shift")
"""Ways to make an example; the last two do not ask the network."""
