"""The nearest point of a class on a network full of kinks: a walk along the boundary of a smoothed margin.

A gradient behind every kink of a ReLU network is another one, so a walk that trusts each of them stops in the first
corner. Averaged over a neighbourhood, the margin is smooth, and its nearest point lies better than the corners near
the clean image. So the margin is averaged over noise a little longer than r, the noise is taken away step by step
(graduated optimisation), and the point follows. No step pays for its average: its gradient is taken at one noisy point,
and averaged with the gradients before. An iteration goes from r towards

    r* = λ·ḡ,   λ ≥ 0 such that m + ḡ·(r* − r) = δ,   ḡ the averaged gradient of the smallest margin m,

by a share t of the way, and then along ḡ to where the margin of this linear model is δ. t falls from 1 to nearly 0.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from tutorial_pkg.attacks.margins import Classifier, nearest_rivals
from tutorial_pkg.attacks.walk import Competition, Nearest

NUM_STEPS = 200
MOMENTUM = 0.7  # of the gradient's average
NOISE = 1.2  # its length at first, as a multiple of ‖r‖
NOISE_ENDS = 0.7  # the share of the steps after which there is none; only what is found without it counts
LAST_STEP = 0.01  # t at the end
OVERSHOOT = 0.5  # aimed beyond δ until a first success without noise, as a share of what is missing
PROJECTIONS = 3  # on a plane in the box, each with the pixels free that the one before left inside
FIRST_PRUNE = 0.1  # share of the steps after which targets are given up whose average r* is longer than the best one's
PRUNE_MOMENTUM = 0.9
PRUNE_SLACK, PRUNE_SLACK_END = 0.5, 0.1  # by so much at first, and when there is no more noise
TINY = 1e-20


def walk_smoothed(
    model: Classifier,
    inputs: Float[Tensor, "batch *shape"],
    targets: Int[Tensor, " batch"],
    *,
    box: tuple[float, float],
    seed: int = 0,
    competition: Competition | None = None,
) -> Nearest:
    """Return the nearest point found of every input in its target class, in `NUM_STEPS` evaluations.

    The noise is the same for every row and on every device, so that a row's result does not depend on the others.

    Args:
        model, inputs, targets, box: as for `minimum_distortion`; no input may be in its target class already.
        seed: of the noise. Another walk may end in another valley.
        competition: which rows are alternatives; those that fall behind are given up. They are `settled` if what the
            others found in the end is as near as was expected; else they were given up for a class that was never
            reached, have fewer than `NUM_STEPS` evaluations, and have to walk again.

    Source: Duchi, Bartlett & Wainwright, Randomized smoothing for stochastic optimization (2012); Hazan, Levy &
    Shalev-Shwartz, On graduated optimization for stochastic non-convex problems (2016).
    """
    clean = inputs.flatten(1)
    nearest = Nearest.nothing_yet(clean)
    expected, given_up_for = nearest.squared_norm.clone(), nearest.squared_norm.clone()
    row = torch.arange(len(clean), device=clean.device)
    point, average = clean, torch.zeros_like(clean)
    for k in range(NUM_STEPS):
        share_of_noise = max(0.0, 1 - k / (NOISE_ENDS * NUM_STEPS))
        r = point - clean
        squared_norm = r.square().sum(1)
        at = point
        if share_of_noise:
            at = _noisy(point, NOISE * share_of_noise * squared_norm.sqrt(), box, seed * NUM_STEPS + k)
        result = nearest_rivals(model, at, inputs.shape[1:], targets[row], num_rivals=1)
        # Where a model has no value, nothing is learnt, and the point stays.
        margin = result.margins.amin(1).nan_to_num(nan=0.0)
        average = torch.lerp(result.gradients[:, 0].nan_to_num(nan=0.0), average, MOMENTUM)
        slope = average / (1 - MOMENTUM ** (k + 1))
        multiplier = (r * slope).sum(1) / slope.square().sum(1).clamp(min=TINY)
        nearest.offer(row, point, squared_norm, (margin > result.tie) & (share_of_noise == 0), multiplier)

        missing = 2 * result.tie - margin
        if not share_of_noise:
            missing = torch.where(torch.isinf(nearest.squared_norm[row]), (1 + OVERSHOOT) * missing, missing)
        goal = _onto_plane(clean, slope, (missing + (slope * r).sum(1)).clamp(min=0), box)
        step = LAST_STEP + (1 - LAST_STEP) * (1 + math.cos(math.pi * k / NUM_STEPS)) / 2
        moved = torch.lerp(point, goal, step)
        point = _onto_plane(moved, slope, missing - (slope * (moved - point)).sum(1), box)

        if competition is not None:
            length = (goal - clean).square().sum(1)
            expected[row] = length if k == 0 else torch.lerp(length, expected[row], PRUNE_MOMENTUM)
            if k >= FIRST_PRUNE * NUM_STEPS:
                slack = PRUNE_SLACK_END + (PRUNE_SLACK - PRUNE_SLACK_END) * share_of_noise
                near_enough = expected[row] / (1 + slack) ** 2
                behind = near_enough > competition.best(expected)[row]
                given_up_for[row[behind]] = near_enough[behind]
                expected[row[behind]] = torch.inf
                row, clean, point, average = (t[~behind] for t in (row, clean, point, average))
        if len(row) == 0:
            break
    if competition is not None:
        nearest.settled = given_up_for.isfinite() & (given_up_for > competition.best(nearest.squared_norm))
    return nearest


def _noisy(
    point: Float[Tensor, "n pixels"], length: Float[Tensor, " n"], box: tuple[float, float], seed: int
) -> Float[Tensor, "n pixels"]:
    """Add noise of this length to every row, in the box."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(point.shape[1], generator=generator, dtype=torch.float32, device=generator.device).to(point)
    return (point + length[:, None] * (noise / noise.norm())).clamp(*box)


def _onto_plane(
    point: Float[Tensor, "n pixels"],
    normal: Float[Tensor, "n pixels"],
    rise: Float[Tensor, " n"],
    box: tuple[float, float],
) -> Float[Tensor, "n pixels"]:
    """Move along the normal, within the box, until normal·move is `rise`, or as far as a few Newton steps come."""
    moved, free = point, torch.ones_like(point)
    for _ in range(PROJECTIONS):
        fixed = ((moved - point) * normal * (1 - free)).sum(1)
        length = (rise - fixed) / (normal.square() * free).sum(1).clamp(min=TINY)
        unbounded = point + length[:, None] * normal
        moved = unbounded.clamp(*box)
        free = (moved == unbounded).to(point.dtype)
    return moved
