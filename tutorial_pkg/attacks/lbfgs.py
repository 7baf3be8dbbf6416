"""A batch of independent box-constrained problems, each minimised by its own projected L-BFGS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from tutorial_pkg.attacks.quasi_newton import inverse_hessian_coefficients
from tutorial_pkg.attacks.running import without
from tutorial_pkg.attacks.validation import check_box, check_problems, check_values

SHORTEST_STEP = 1e-6  # as a share of the quasi-Newton step: below it, rounding decides


@dataclass
class Run:
    """The problems that are still running, one row each."""

    row: Int[Tensor, " n"]
    point: Float[Tensor, "n size"]
    value: Float[Tensor, " n"]
    gradient: Float[Tensor, "n size"]
    step_length: Float[Tensor, " n"]
    inverse_curvature: Float[Tensor, " n"]
    vectors: Float[Tensor, "n rows size"]  # s₁ … s_M, y₁ … y_M, g
    scratch: Float[Tensor, "n rows size"]  # these on the free variables


def box_lbfgs(
    value_and_grad: Callable[..., tuple[Tensor, Tensor]],
    x0: Tensor,
    lower: float = 0.0,
    upper: float = 1.0,
    *,
    per_problem: tuple[Tensor, ...] = (),
    max_iter: int = 100,
    tolerance: float | Tensor = 1e-6,
    curvature: float | None = None,
    history_size: int = 8,
) -> Tensor:
    """Minimise every problem of a batch over the box by projected L-BFGS, each with its own steps and stopping.

    An iteration takes, for each problem, the quasi-Newton step x ← clip(x − t·H·g) on the variables that the box
    does not hold (Bertsekas 1982), and accepts it if the value falls enough (Armijo). A rejected step is halved,
    and its gradient still goes into H: one evaluation an iteration, none of them wasted, and no problem waits
    for the line search of another.

    Args:
        value_and_grad: x `[n, ...]` → (values `[n]`, gradients like x), each row a problem of its own. With
            `per_problem` it is called as `value_and_grad(x, *rows)`.
        x0: where to start, `[N, ...]`; clipped to the box.
        lower: lower end of the box, the same for every variable; may be infinite.
        upper: its upper end.
        per_problem: tensors with one row a problem. Where they are given, problems that have converged leave the
            batch, and `value_and_grad` gets the rows that are still running; else it always gets all N.
        max_iter: evaluations after the first.
        tolerance: stop where clipping x − g / curvature moves no variable by more; a number, or one a problem `[N]`.
        curvature: the objective's own, in every direction, before anything is measured (the 1 of ½‖r‖²);
            None estimates it from the latest step.
        history_size: steps remembered, M.

    Returns:
        The best point of every problem, in the box exactly.

    Raises:
        ValueError: an empty box; an x0 that is not `[N, ...]`, float32 or float64, or holds NaN; no steps remembered;
            values or gradients of another shape.

    Example:
        >>> center = torch.tensor([[0.3, 2.0], [-1.0, 0.5]])
        >>> box_lbfgs(lambda x: (0.5 * (x - center).square().sum(1), x - center), torch.zeros(2, 2))
        tensor([[0.3000, 1.0000],
                [0.0000, 0.5000]])

    Source: Byrd, Lu, Nocedal & Zhu (1995), whose L-BFGS-B the paper names; the projection is Bertsekas's.
    """
    check_box((lower, upper))
    check_problems(x0, max_iter, history_size)
    shape = x0.shape[1:]

    def evaluate(point: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        # Clones, because its first operation may be in place.
        if per_problem:
            points = point.reshape(-1, *shape)
            values, grads = value_and_grad(points.clone(), *(t[rows] for t in per_problem))
        else:
            points = solution.index_copy(0, rows, point).reshape(-1, *shape)
            values, grads = value_and_grad(points.clone())
        check_values(values, grads, points)
        if not per_problem:
            values, grads = values[rows], grads[rows]
        return values.detach(), grads.detach().flatten(1)

    limits = torch.as_tensor(tolerance).to(x0).expand(len(x0))
    solution = x0.detach().flatten(1).clamp(lower, upper)
    run = _begin(solution, evaluate, curvature, history_size)
    for k in range(max_iter + 1):
        moving = _projected_gradient(run, lower, upper) > limits[run.row]
        moving &= run.step_length > SHORTEST_STEP
        if k == max_iter or not moving.all():
            solution[run.row] = run.point
            run = without(run, ~moving)
        if k == max_iter or len(run.row) == 0:
            break
        _advance(run, k, evaluate, (lower, upper), curvature)
    return solution.reshape(x0.shape)


def _begin(solution: Tensor, evaluate: Callable, curvature: float | None, history_size: int) -> Run:
    row = torch.arange(len(solution), device=solution.device)
    value, gradient = evaluate(solution, row)
    one = torch.ones_like(value)
    # Without a curvature to go by, the first step moves no variable by more than one.
    first = one / curvature if curvature else 1 / gradient.abs().amax(1).clamp(min=1e-30)
    vectors = solution.new_zeros(len(solution), 2 * history_size + 1, solution.shape[1])
    return Run(row, solution.clone(), value, gradient, one, first, vectors, torch.empty_like(vectors))


def _advance(run: Run, k: int, evaluate: Callable, box: tuple[float, float], curvature: float | None) -> None:
    """Try one step of every problem, in place."""
    lower, upper = box
    history_size = run.vectors.shape[1] // 2
    zero, one = torch.zeros_like(run.value), torch.ones_like(run.value)
    run.vectors[:, -1] = run.gradient
    held = ((run.point <= lower) & (run.gradient > 0)) | ((run.point >= upper) & (run.gradient < 0))
    free = torch.mul(run.vectors, (~held).to(run.vectors.dtype)[:, None], out=run.scratch)
    gram = free @ free.transpose(1, 2)
    newest = (k - 1) % history_size
    mix = inverse_hessian_coefficients(gram, history_size, newest, zero, one, run.inverse_curvature)
    weights = torch.cat((mix[:, :, 0], run.inverse_curvature[:, None]), dim=1)
    step = -(weights[:, None] @ free)[:, 0]

    trial = (run.point + run.step_length[:, None] * step).clamp(lower, upper)
    value, gradient = evaluate(trial, run.row)
    moved, change = trial - run.point, gradient - run.gradient
    slope = (moved * run.gradient).sum(1)
    rounding = 4 * torch.finfo(value.dtype).eps * run.value.abs()
    finite = torch.isfinite(change.sum(1))
    accepted = finite & (value <= run.value + 1e-4 * slope.clamp(max=0) + rounding)
    if not finite.all():
        moved, change = (torch.where(finite[:, None], t, 0.0) for t in (moved, change))

    slot = k % history_size
    run.vectors[:, slot] = moved
    run.vectors[:, history_size + slot] = change
    run.point = torch.where(accepted[:, None], trial, run.point)
    run.gradient = torch.where(accepted[:, None], gradient, run.gradient)
    run.value = torch.where(accepted, value, run.value)
    run.step_length = torch.where(accepted, (2 * run.step_length).clamp(max=1), run.step_length / 2)
    if curvature is None:
        bend = (moved * change).sum(1)
        measured = bend / change.square().sum(1).clamp(min=1e-30)
        run.inverse_curvature = torch.where(bend > 0, measured, run.inverse_curvature)


def _projected_gradient(run: Run, lower: float, upper: float) -> Tensor:
    """Return the largest |clip(x − γ·g) − x|, zero exactly where x is stationary in the box."""
    step = run.point - run.inverse_curvature[:, None] * run.gradient
    return (step.clamp(lower, upper) - run.point).abs().amax(1)
