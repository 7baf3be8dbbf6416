"""Full-batch training with L-BFGS until convergence, as the paper trains its MNIST models (section 4.2)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.optimize import minimize
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from tqdm import tqdm

from tutorial_pkg.precision import widest

DECAY_CONVENTIONS = ("half_sum", "sum", "sum_over_units")
"""(λ/2)Σw², λΣw², and λΣw²/k with k the layer's units, which is what the paper prints."""


@dataclass(frozen=True)
class TrainingResult:
    """What `minimize_lbfgs` did.

    Attributes:
        loss: the objective, decay included, at the end.
        iterations: L-BFGS iterations.
        evaluations: passes through the training set.
        converged: whether it stopped because the objective fell no further, and not at `max_iter`.
        message: the optimiser's own words.
    """

    loss: float
    iterations: int
    evaluations: int
    converged: bool
    message: str


def train_classifier(
    model: nn.Module,
    inputs: Float[Tensor, "n *shape"],
    labels: Int[Tensor, " n"],
    *,
    weight_decay: Sequence[float],
    convention: str = "half_sum",
    decay_biases: bool = False,
    max_iter: int = 2000,
    progress: bool = False,
) -> TrainingResult:
    """Minimise the mean cross-entropy over the whole training set plus the paper's quadratic weight decay.

    Args:
        model: trained in place; only parameters with `requires_grad` move.
        inputs: the training set, on the model's device.
        labels: class indices, one an input.
        weight_decay: λ of each trained linear or convolutional layer, in the order of the layers.
        convention: how λ enters, one of `DECAY_CONVENTIONS`.
        decay_biases: whether the biases decay too.
        max_iter: L-BFGS iterations at most.
        progress: show a progress bar with loss and training error.

    Raises:
        ValueError: an unknown convention, or not one λ a layer.
        FloatingPointError: the loss is not finite.
    """
    penalty = quadratic_decay(model, weight_decay, convention=convention, decay_biases=decay_biases)
    state = {"error": math.nan}

    def objective() -> Tensor:
        logits = model(inputs)
        state["error"] = float((logits.detach().argmax(1) != labels).float().mean())
        # A mean in float32 carries more rounding than L-BFGS's last steps gain.
        return widest(cross_entropy(logits, labels, reduction="none")).mean() + penalty()

    return minimize_lbfgs(
        model,
        objective,
        max_iter=max_iter,
        progress=progress,
        status=lambda: f"error {100 * state['error']:.2f} %",
    )


def quadratic_decay(
    model: nn.Module, weight_decay: Sequence[float], *, convention: str, decay_biases: bool
) -> Callable[[], Tensor]:
    """Return a function that computes the decay term of the model as it is when called.

    Raises:
        ValueError: the convention is unknown, a decay is negative, or there is not one for each trained layer.
    """
    layers = [
        module
        for module in model.modules()
        if isinstance(module, nn.Linear | nn.Conv2d) and module.weight.requires_grad
    ]
    if convention not in DECAY_CONVENTIONS:
        raise ValueError(f"unknown convention {convention!r}; expected one of {DECAY_CONVENTIONS}")
    if any(decay < 0 for decay in weight_decay):
        raise ValueError(f"expected a weight decay of at least 0 for each layer, got {tuple(weight_decay)}")
    if len(weight_decay) != len(layers):
        raise ValueError(
            f"expected one weight decay for each of the {len(layers)} trained layers, got {len(weight_decay)}"
        )
    factors = [
        decay * {"half_sum": 0.5, "sum": 1.0, "sum_over_units": 1 / layer.weight.shape[0]}[convention]
        for decay, layer in zip(weight_decay, layers, strict=True)
    ]

    def penalty() -> Tensor:
        terms = []
        for factor, layer in zip(factors, layers, strict=True):
            terms.append(factor * layer.weight.square().sum())
            if decay_biases and layer.bias is not None:
                terms.append(factor * layer.bias.square().sum())
        return widest(torch.stack(terms)).sum()

    return penalty


def minimize_lbfgs(
    model: nn.Module,
    objective: Callable[[], Tensor],
    *,
    max_iter: int,
    progress: bool = False,
    status: Callable[[], str] = lambda: "",
    tolerance: float = 1e-10,
) -> TrainingResult:
    """Minimise `objective()` over the trainable parameters of `model` with SciPy's L-BFGS-B.

    Args:
        model: its parameters are changed in place.
        objective: the scalar to minimise, computed from the model's current parameters.
        max_iter: iterations at most.
        progress: show a progress bar.
        status: a word on the state of things for the progress bar.
        tolerance: stop when an iteration lowers the objective by less than this part of it.

    Raises:
        FloatingPointError: the objective is not finite.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]

    def value_and_grad(flat: np.ndarray) -> tuple[float, np.ndarray]:
        _assign(parameters, flat)
        loss = objective()
        gradients = torch.autograd.grad(loss, parameters)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise FloatingPointError(
                f"the training loss is {value}; the initial weights or the weight decay are too large"
            )
        flat_gradient = torch.cat([g.reshape(-1) for g in gradients])
        return value, flat_gradient.cpu().double().numpy()

    start = torch.cat([p.detach().reshape(-1) for p in parameters]).cpu().double().numpy()
    with tqdm(total=max_iter, disable=not progress, unit="iteration", leave=False) as bar:

        def report(intermediate_result: object) -> None:
            bar.set_postfix_str(f"loss {intermediate_result.fun:.5f} {status()}", refresh=False)  # type: ignore[attr-defined]
            bar.update()

        # SciPy's line search allows 20 evaluations; maxfun must not be what stops a long run.
        options = {"maxiter": max_iter, "maxfun": 20 * max_iter, "ftol": tolerance, "gtol": 0.0, "maxcor": 20}
        solution = minimize(value_and_grad, start, jac=True, method="L-BFGS-B", callback=report, options=options)
    _assign(parameters, solution.x)
    return TrainingResult(
        loss=float(solution.fun),
        iterations=int(solution.nit),
        evaluations=int(solution.nfev),
        converged=solution.status != 1,  # 1: the limit; 2: float32 shows no further descent
        message=str(solution.message),
    )


def _assign(parameters: Sequence[nn.Parameter], flat: np.ndarray) -> None:
    """Copy a flat float64 vector into the parameters, on their device and in their dtype."""
    values = torch.from_numpy(flat).to(parameters[0].dtype)
    with torch.no_grad():
        for parameter, part in zip(parameters, values.split([p.numel() for p in parameters]), strict=True):
            parameter.copy_(part.view_as(parameter))
