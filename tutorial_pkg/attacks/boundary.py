"""The nearest point of a class, by walking along its boundary: sequential quadratic programming.

Minimise ½‖r‖² subject to m_j(x + r) ≥ δ for every rival class j, and x + r in the box. m_j = z_l − z_j is the target's
margin over j, δ a little more than a tie. At half of all nearest points several rivals tie, so each is a constraint
of its own. An iteration solves the quadratic model on the free pixels, those the box does not hold:

    p = −H·r + H·Gᵀ·λ,   λ ≥ 0 such that m + G·p ≥ δ, with equality where λ > 0,   G the rows ∇m_j,

with H the L-BFGS inverse of the Lagrangian's Hessian 1 − Σ λ_j·∇²m_j. The 1 is known, so only what the network bends
is measured. Without H, projecting onto the linearised boundary again and again, half of the images never arrive.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from tutorial_pkg.attacks.active_set import solve_multipliers
from tutorial_pkg.attacks.margins import Classifier, Rivals, margins, nearest_rivals
from tutorial_pkg.attacks.quasi_newton import inverse_hessian_coefficients
from tutorial_pkg.attacks.running import without
from tutorial_pkg.attacks.walk import Competition, Nearest, Walk

HISTORY_SIZE = 6
MAX_RIVALS = 9  # constraints linearised at a time; every class of a ten-class problem
APPROACH = 3  # iterations in which the wanted margin rises from the clean image's to δ
OVERSHOOT = 1.0  # aimed beyond δ until a first success, as a share of the violation
STEP_GROWTH = 1.41  # of a shortened step after an accepted one; 2 is rejected every other time
SHORTEST_STEP = 1e-3
STEP_TOLERANCE = 3e-3  # a step this small beside r ends the walk; what is lost in ‖r‖ is of second order in it
PRUNE_SLACK = 0.5  # a target is given up when it has only been reached, and is expected, this share beyond the best
TINY = 1e-20


def walk_boundary(
    model: Classifier,
    inputs: Float[Tensor, "batch *shape"],
    targets: Int[Tensor, " batch"],
    *,
    box: tuple[float, float],
    max_iter: int,
    start: Float[Tensor, "batch *shape"] | None = None,
    competition: Competition | None = None,
) -> Nearest:
    """Return the nearest point found of every input in its target class, in at most `max_iter` iterations.

    An iteration evaluates one trial point of each problem. A rejected trial halves that problem's step and still
    teaches H what curvature it met, so the next direction is another one.

    Args:
        model, inputs, targets, box: as for `minimum_distortion`; no input may be in its target class already.
        max_iter: trial points of a problem at most.
        start: where to begin; the inputs themselves by default.
        competition: which rows are alternatives; those that fall behind are given up.
    """
    walk, nearest = _begin(model, inputs, targets, start)
    for k in range(max_iter):
        ahead = max(0.0, 1 - (k + 1) / APPROACH) if start is None else 0.0
        wanted = _wanted_margin(walk, nearest, ahead)
        step, penalty = _direction(walk, wanted, box, newest=(k - 1) % HISTORY_SIZE)
        trial = (walk.point + walk.step_length[:, None] * step).clamp(*box)
        head_start = walk.multipliers / penalty[:, None]
        shape, room = inputs.shape[1:], walk.trial_gradients
        result = nearest_rivals(model, trial, shape, walk.targets, room.shape[1], head_start, out=room)
        squared_norm = (trial - walk.clean).square().sum(1)
        margin = result.margins.amin(1)
        success = margin > result.tie
        nearest.offer(walk.row, trial, squared_norm, success, walk.multipliers.sum(1))

        accepted = _sufficient_decrease(walk, trial, result, wanted, penalty)
        short = (trial - walk.point).square().sum(1) <= STEP_TOLERANCE**2 * squared_norm
        arrived = accepted & short & success & (margin < wanted + result.tie) & (ahead == 0)
        _remember(walk, trial, result, slot=k % HISTORY_SIZE)
        _move(walk, trial, result, accepted)
        if competition is not None:
            arrived |= _falls_behind(walk, nearest, competition)
        nearest.settled[walk.row] = arrived
        done = arrived | (walk.step_length < SHORTEST_STEP)
        if done.any():
            walk = without(walk, done)
        if len(walk.row) == 0:
            break
    return nearest


def _begin(model: Classifier, inputs: Tensor, targets: Tensor, start: Tensor | None) -> tuple[Walk, Nearest]:
    """Evaluate the first points and guess the first multiplier."""
    clean, point = inputs.flatten(1), (inputs if start is None else start).flatten(1)
    with torch.no_grad():
        logits = model(inputs)
    none = torch.zeros_like(logits)
    num_rivals = min(MAX_RIVALS, logits.shape[1] - 1)
    vectors = clean.new_zeros(len(clean), 2 * HISTORY_SIZE + 1 + num_rivals, clean.shape[1])
    first = nearest_rivals(model, point, inputs.shape[1:], targets, num_rivals, out=vectors[:, -num_rivals:])
    slope = first.gradients[:, 0]
    reach = -first.margins.amin(1) if start is None else ((point - clean) * slope).sum(1)
    guess = (reach / slope.square().sum(1).clamp(min=TINY)).clamp(min=0)
    walk = Walk(
        row=torch.arange(len(clean), device=clean.device),
        clean=clean,
        targets=targets,
        gap=-margins(logits, targets).amin(1),
        point=point,
        margins=first.margins,
        tie=first.tie,
        rivals=first.rivals,
        multipliers=none.scatter(1, first.rivals[:, :1], guess[:, None]),
        step_length=torch.ones_like(guess),
        vectors=vectors,
        scratch=torch.empty_like(vectors),
    )
    nearest = Nearest.nothing_yet(clean)
    nearest.num_evals += 1
    return walk, nearest


def _wanted_margin(walk: Walk, nearest: Nearest, ahead: float) -> Float[Tensor, " n"]:
    """Return δ: twice a tie; less while the walk approaches, more while it ends on the wrong side."""
    wanted = 2 * walk.tie - ahead * walk.gap
    if ahead == 0:
        unmet = torch.isinf(nearest.squared_norm[walk.row])
        wanted = wanted + torch.where(unmet, OVERSHOOT * (wanted - walk.margins.amin(1)).clamp(min=0), 0.0)
    return wanted


def _direction(
    walk: Walk, wanted: Tensor, box: tuple[float, float], newest: int
) -> tuple[Float[Tensor, "n pixels"], Float[Tensor, " n"]]:
    """Return the step p and the merit's penalty weight ρ, and put the new multipliers into `walk`."""
    pairs = 2 * HISTORY_SIZE
    walk.vectors[:, pairs] = walk.point - walk.clean
    downhill = _combine(walk.multipliers, walk.rivals, walk.gradients) - walk.vectors[:, pairs]
    held = ((walk.point <= box[0]) & (downhill < 0)) | ((walk.point >= box[1]) & (downhill > 0))
    free = torch.mul(walk.vectors, (~held).to(walk.vectors.dtype)[:, None], out=walk.scratch)
    gram = free @ free.transpose(1, 2)
    one = torch.ones_like(wanted)
    measured = inverse_hessian_coefficients(gram, HISTORY_SIZE, newest, one, -walk.multipliers.sum(1), one)
    # Rows ∇m_j, columns r, ∇m₁ … ∇m_k: the products with H in between.
    products = gram[:, pairs + 1 :, :pairs] @ measured + gram[:, pairs + 1 :, pairs:]
    needed = wanted[:, None] - walk.margins.gather(1, walk.rivals) + products[:, :, 0]
    active = walk.multipliers.gather(1, walk.rivals) > 0
    multipliers = solve_multipliers(products[:, :, 1:], needed, active)
    walk.multipliers = torch.zeros_like(walk.multipliers).scatter(1, walk.rivals, multipliers)
    mix = torch.cat((-one[:, None], multipliers), dim=1)
    weights = torch.cat(((measured @ mix[:, :, None])[:, :, 0], mix), dim=1)
    steepest = products[:, :, 1:].diagonal(dim1=1, dim2=2).amax(1).clamp(min=TINY)
    return (weights[:, None] @ free)[:, 0].nan_to_num(), 1 / steepest


def _sufficient_decrease(
    walk: Walk, trial: Tensor, result: Rivals, wanted: Tensor, penalty: Tensor
) -> Bool[Tensor, " n"]:
    """Return whether the trial lowers the augmented Lagrangian enough (Armijo).

    It is ½‖r‖² + Σ_j (max(0, λ_j − ρ·(m_j − δ))² − λ_j²) / 2ρ; p descends it whatever ρ is, and, unlike with an
    exact penalty, a full step along a curved boundary is not refused near the solution (the Maratos effect).
    """

    def merit(point: Tensor, over: Tensor) -> tuple[Tensor, Tensor]:
        forces = (walk.multipliers - penalty[:, None] * (over - wanted[:, None])).clamp(min=0)
        distance = 0.5 * (point - walk.clean).square().sum(1)
        return distance + (forces.square() - walk.multipliers.square()).sum(1) / (2 * penalty), forces

    before, forces = merit(walk.point, walk.margins)
    after, _ = merit(trial, result.margins)
    gradient = walk.point - walk.clean - _combine(forces, walk.rivals, walk.gradients)
    slope = (gradient * (trial - walk.point)).sum(1)
    rounding = 8 * torch.finfo(before.dtype).eps * before.abs()
    return after <= before + 1e-4 * slope.clamp(max=0) + rounding


def _remember(walk: Walk, trial: Tensor, result: Rivals, slot: int) -> None:
    """Store the step s and the change w of Σ λ_j·∇m_j / Σ λ_j, over the rivals known at both ends."""
    known = torch.zeros_like(walk.multipliers).scatter(1, result.rivals, 1.0)
    weights = walk.multipliers * known
    weights = weights / weights.sum(1, keepdim=True).clamp(min=TINY)
    moved = trial - walk.point
    change = _combine(weights, result.rivals, result.gradients) - _combine(weights, walk.rivals, walk.gradients)
    finite = torch.isfinite(change).all(1, keepdim=True)
    walk.vectors[:, slot] = torch.where(finite, moved, 0.0)
    walk.vectors[:, HISTORY_SIZE + slot] = torch.where(finite, change, 0.0)


def _move(walk: Walk, trial: Tensor, result: Rivals, accepted: Tensor) -> None:
    """Go to the accepted trials; halve the step of the others."""
    column = accepted[:, None]
    walk.point = torch.where(column, trial, walk.point)
    walk.margins = torch.where(column, result.margins, walk.margins)
    walk.tie = torch.where(accepted, result.tie, walk.tie)
    walk.rivals = torch.where(column, result.rivals, walk.rivals)
    result.gradients[~accepted] = walk.gradients[~accepted]
    walk.gradients.copy_(result.gradients)
    longer = (STEP_GROWTH * walk.step_length).clamp(max=1)
    walk.step_length = torch.where(accepted, longer, walk.step_length / 2)


def _falls_behind(walk: Walk, nearest: Nearest, competition: Competition) -> Bool[Tensor, " n"]:
    """Return whether a row has succeeded, but far behind another one of its image, and can be expected to stay there.

    The expectation is the Lagrangian ½‖r‖² − Σ λ_j·m_j: what the distance will be once the margins are met.
    """
    best = competition.best(nearest.squared_norm)[walk.row]
    missing = (walk.multipliers * torch.where(walk.multipliers > 0, walk.margins, 0.0)).sum(1)
    expected = (walk.point - walk.clean).square().sum(1) - 2 * missing
    reached = nearest.squared_norm[walk.row]
    return torch.isfinite(reached) & (torch.minimum(reached, expected) > (1 + PRUNE_SLACK) ** 2 * best)


def _combine(weights: Tensor, rivals: Tensor, gradients: Tensor) -> Float[Tensor, "n pixels"]:
    """Return Σ_j w_j·∇m_j over the rivals."""
    return (weights.gather(1, rivals)[:, None] @ gradients)[:, 0]
