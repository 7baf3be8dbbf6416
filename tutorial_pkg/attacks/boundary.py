"""The nearest point of a class, by walking along its boundary: sequential quadratic programming.

Minimise ½‖r‖² subject to m(x + r) = δ and x + r in the box, m the soft margin of the target class. An iteration
solves the problem's quadratic model on the free pixels (those not held by the box):

    p = −H·r + λ·H·g,   λ such that m + gᵀp = δ,   g = ∇m,

with H the L-BFGS inverse of the Lagrangian's Hessian 1 − λ·∇²m. The 1 is known, so only what the network bends is
measured; without it, projecting onto the linearised boundary again and again, half of the images never arrive.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from tutorial_pkg.attacks.margins import (
    Classifier,
    evaluate,
    hard_margin,
    soft_margin,
    succeeds,
    tie_margin,
)
from tutorial_pkg.attacks.quasi_newton import inverse_hessian_coefficients

HISTORY_SIZE = 6
APPROACH = 6  # iterations in which the wanted margin rises from the clean image's to δ
TEMPERATURE = 0.2  # of the first soft margin, as a share of the margin to be overcome
COOLING = 0.75  # temperature of an iteration over that of the last
COLDEST = 3e-4
STEP_TOLERANCE = 2e-3  # a step this small beside r ends the walk; the loss in ‖r‖ is of second order in it
TINY = 1e-20


@dataclass
class Walk:
    """The problems that are still running, one row each."""

    row: Int[Tensor, " n"]
    clean: Float[Tensor, "n pixels"]
    targets: Int[Tensor, " n"]
    scale: Float[Tensor, " n"]  # the margin to be overcome: what the logits are measured by
    wanted_from: Float[Tensor, " n"]
    point: Float[Tensor, "n pixels"]
    logits: Float[Tensor, "n classes"]
    gradient: Float[Tensor, "n pixels"]
    multiplier: Float[Tensor, " n"]
    step_length: Float[Tensor, " n"]
    temperature: Float[Tensor, " n"]
    vectors: Float[Tensor, "n rows pixels"]  # s₁ … s_M, w₁ … w_M, r, g

    def select(self, keep: Bool[Tensor, " n"]) -> Walk:
        """Return the rows of `keep` only."""
        return replace(self, **{f.name: getattr(self, f.name)[keep] for f in fields(self)})


@dataclass
class Nearest:
    """The nearest successful point seen so far of every problem."""

    points: Float[Tensor, "batch pixels"]
    squared_norm: Float[Tensor, " batch"]
    multiplier: Float[Tensor, " batch"]
    num_evals: Int[Tensor, " batch"]

    def offer(self, walk: Walk, points: Tensor, squared_norm: Tensor, success: Tensor) -> None:
        """Keep the points that succeed and are nearer than what is known."""
        better = success & (squared_norm < self.squared_norm[walk.row])
        rows = walk.row[better]
        self.points[rows] = points[better]
        self.squared_norm[rows] = squared_norm[better]
        self.multiplier[rows] = walk.multiplier[better]


def walk_boundary(
    model: Classifier,
    inputs: Float[Tensor, "batch *shape"],
    targets: Int[Tensor, " batch"],
    *,
    box: tuple[float, float],
    max_iter: int,
    start: Float[Tensor, "batch *shape"] | None = None,
    approach: int = APPROACH,
    temperature: float = TEMPERATURE,
) -> Nearest:
    """Return the nearest point found of every image in its target class, in at most `max_iter` evaluations.

    Every iteration evaluates one trial point of each problem. A rejected trial halves that problem's step and
    still teaches H what curvature it met, so the next direction is another one.
    """
    shape = inputs.shape[1:]
    walk, nearest = _begin(model, inputs, targets, start, temperature)
    for k in range(max_iter):
        if len(walk.row) == 0:
            break
        remaining = max(0.0, 1 - (k + 1) / approach) if approach else 0.0
        tie = tie_margin(walk.logits)
        wanted = remaining * walk.wanted_from + 2 * tie
        margin = soft_margin(walk.logits, walk.targets, walk.temperature)
        normal_curvature, step = _direction(walk, margin - wanted, box, newest=(k - 1) % HISTORY_SIZE)

        trial = (walk.point + walk.step_length[:, None] * step).clamp(*box)
        result = evaluate(model, trial, shape, walk.targets, walk.temperature)
        perturbation = trial - walk.clean
        squared_norm = perturbation.square().sum(1)
        nearest.offer(walk, trial, squared_norm, succeeds(result.logits, walk.targets))
        nearest.num_evals[walk.row] += 1

        moved = trial - walk.point
        violation, trial_violation = margin - wanted, result.soft_margin - wanted
        penalty = 1 / normal_curvature
        slope = (
            (walk.vectors[:, -2] - (walk.multiplier - penalty * violation)[:, None] * walk.gradient) * moved
        ).sum(1)
        before = _merit(walk.vectors[:, -2].square().sum(1), walk.multiplier, penalty, violation)
        after = _merit(squared_norm, walk.multiplier, penalty, trial_violation)
        accepted = after <= before + 1e-4 * slope.clamp(max=0) + 1e-6 * before.abs()

        slot = k % HISTORY_SIZE
        walk.vectors[:, slot] = moved
        walk.vectors[:, HISTORY_SIZE + slot] = result.gradient - walk.gradient
        take = accepted[:, None]
        walk.point = torch.where(take, trial, walk.point)
        walk.logits = torch.where(take, result.logits, walk.logits)
        walk.gradient = torch.where(take, result.gradient, walk.gradient)
        walk.step_length = torch.where(accepted, (2 * walk.step_length).clamp(max=1), walk.step_length / 2)
        on_boundary = trial_violation.abs() < walk.temperature
        cooler = torch.maximum(COOLING * walk.temperature, COLDEST * walk.scale)
        walk.temperature = torch.where(accepted & on_boundary, cooler, walk.temperature)

        small = moved.square().sum(1) <= STEP_TOLERANCE**2 * squared_norm
        hard = hard_margin(result.logits, walk.targets)
        sharp = (hard - result.soft_margin < tie) | (walk.temperature <= COLDEST * walk.scale)
        met = (trial_violation.abs() < tie) & (remaining == 0)
        done = (accepted & small & sharp & met) | (walk.step_length < 1e-3)
        if done.any() and (done.sum() >= 0.1 * len(done) or done.all()):
            walk = walk.select(~done)
    return nearest


def _begin(
    model: Classifier, inputs: Tensor, targets: Tensor, start: Tensor | None, temperature: float
) -> tuple[Walk, Nearest]:
    """Evaluate the first points and make the first guess of the multiplier."""
    clean = inputs.flatten(1)
    num = len(clean)
    point = clean if start is None else start.flatten(1)
    with torch.no_grad():
        scale = -hard_margin(model(inputs), targets)
    scale = scale.clamp(min=TINY)
    temperatures = temperature * scale
    first = evaluate(model, point, inputs.shape[1:], targets, temperatures)
    steepness = first.gradient.square().sum(1).clamp(min=TINY)
    walk = Walk(
        row=torch.arange(num, device=clean.device),
        clean=clean,
        targets=targets,
        scale=scale,
        wanted_from=first.soft_margin,
        point=point,
        logits=first.logits,
        gradient=first.gradient,
        multiplier=(-first.soft_margin / steepness).clamp(min=0),
        step_length=torch.ones_like(scale),
        temperature=temperatures,
        vectors=clean.new_zeros(num, 2 * HISTORY_SIZE + 2, clean.shape[1]),
    )
    if start is not None:
        walk.multiplier = (((point - clean) * first.gradient).sum(1) / steepness).clamp(min=0)
    far = torch.full_like(scale, torch.inf)
    return walk, Nearest(clean.clone(), far, far * 0 + torch.nan, torch.ones_like(targets))


def _direction(walk: Walk, violation: Tensor, box: tuple[float, float], newest: int) -> tuple[Tensor, Tensor]:
    """Return gᵀ·H·g and the step p, and put the new multiplier into `walk`."""
    lower, upper = box
    vectors, m = walk.vectors, HISTORY_SIZE
    vectors[:, -2] = walk.point - walk.clean
    vectors[:, -1] = walk.gradient
    descent = walk.multiplier[:, None] * walk.gradient - vectors[:, -2]
    held = ((walk.point <= lower) & (descent < 0)) | ((walk.point >= upper) & (descent > 0))
    free = vectors * (~held).to(vectors.dtype)[:, None]
    gram = free @ free.transpose(1, 2)
    one = torch.ones_like(violation)
    coefficients = inverse_hessian_coefficients(gram, m, newest, one, -walk.multiplier, one)
    along_gradient = (gram[:, -1, : 2 * m, None] * coefficients).sum(1) + gram[:, -1, -2:]
    ghr, ghg = along_gradient[:, 0], along_gradient[:, 1].clamp(min=TINY)
    walk.multiplier = ((ghr - violation) / ghg).clamp(min=0)
    mix = torch.stack((-one, walk.multiplier), dim=1)
    weights = torch.cat(((coefficients * mix[:, None]).sum(2), mix), dim=1)
    return ghg, (weights[:, None] @ free)[:, 0]


def _merit(squared_norm: Tensor, multiplier: Tensor, penalty: Tensor, violation: Tensor) -> Tensor:
    """The augmented Lagrangian ½‖r‖² − λ·v + ½ρ·v², v = m − δ; p is a descent direction for it at any ρ."""
    return 0.5 * squared_norm - multiplier * violation + 0.5 * penalty * violation**2
