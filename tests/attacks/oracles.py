"""Exact answers, found the slow way, one image at a time."""

import numpy as np
import torch
from scipy.optimize import linprog, minimize
from torch import Tensor, nn


def linear_distance(weight: Tensor, bias: Tensor, x: Tensor, target: int) -> tuple[float, float]:
    """Bounds of the distance from x to the target's region of a linear classifier, in the box [0, 1].

    The dual of the convex quadratic program: for multipliers λ ≥ 0 the inner minimum is r = clip(Gᵀλ), and by weak
    duality its value is a lower bound, whatever the solver did. The upper bound is r scaled until it is feasible.
    """
    weight, bias, x = (t.double().numpy() for t in (weight, bias, x.flatten()))
    others = np.arange(len(bias)) != target
    rows = weight[target] - weight[others]
    offsets = rows @ x + bias[target] - bias[others]

    def negative_dual(multipliers: np.ndarray) -> tuple[float, np.ndarray]:
        r = np.clip(rows.T @ multipliers, -x, 1 - x)
        margins = offsets + rows @ r
        return -(0.5 * r @ r - multipliers @ margins), margins

    start = np.full(len(rows), 1e-3)
    found = minimize(
        negative_dual, start, jac=True, method="L-BFGS-B", bounds=[(0, None)] * len(rows),
        options={"maxiter": 10_000, "ftol": 0, "gtol": 1e-12, "maxcor": 20},
    )  # fmt: skip
    r = np.clip(rows.T @ found.x, -x, 1 - x)
    return float(np.sqrt(2 * max(0.0, -found.fun))), float(np.linalg.norm(r))


def linear_largest_margin(weight: Tensor, bias: Tensor, target: int) -> float:
    """The largest margin that any point of the box [0, 1] has in the target's region of a linear classifier."""
    weight, bias = weight.double().numpy(), bias.double().numpy()
    others = np.arange(len(bias)) != target
    rows = weight[target] - weight[others]
    offsets = bias[target] - bias[others]
    size = weight.shape[1]
    # Maximise s, subject to rows·x + offsets ≥ s.
    found = linprog(
        np.append(np.zeros(size), -1.0), A_ub=np.hstack([-rows, np.ones((len(rows), 1))]), b_ub=offsets,
        bounds=[(0, 1)] * size + [(None, None)],
    )  # fmt: skip
    return -found.fun


def scipy_penalty_minimum(model: nn.Module, x: Tensor, target: int, c: float, start: Tensor) -> Tensor:
    """The minimiser of c‖r‖² + cross-entropy in the box by SciPy's L-BFGS-B, from `start`."""
    clean, label = x.double(), torch.tensor([target])

    def value_and_grad(point: np.ndarray) -> tuple[float, np.ndarray]:
        leaf = torch.from_numpy(point).reshape(clean.shape).requires_grad_(True)
        distance = (leaf - clean).square().sum()
        value = c * distance + nn.functional.cross_entropy(model(leaf[None]), label)
        (grad,) = torch.autograd.grad(value, leaf)
        return value.item(), grad.flatten().numpy()

    found = minimize(
        value_and_grad, start.double().flatten().numpy(), jac=True, method="L-BFGS-B",
        bounds=[(0, 1)] * clean.numel(), options={"maxiter": 1000, "ftol": 1e-14, "gtol": 1e-10},
    )  # fmt: skip
    return torch.from_numpy(found.x).reshape(clean.shape)
