"""The smallest change that a classifier takes for another class: the paper's D(x, l)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from tqdm import tqdm

from tutorial_pkg.attacks.boundary import walk_boundary
from tutorial_pkg.attacks.margins import Classifier, evaluation_mode, hard_margin
from tutorial_pkg.attacks.penalty_search import search_penalty
from tutorial_pkg.attacks.validation import check_goal, check_inputs, check_logits, check_options
from tutorial_pkg.metrics import l2_norm, rms_distortion

BATCH_SIZES = {"cpu": 256}
ACCELERATOR_BATCH_SIZE = 4096
MARGIN_TEMPERATURE = 0.02  # of loss="margin", as a share of the margin to be overcome


@dataclass(frozen=True)
class MinimumDistortion:
    """The nearest adversarial examples found, one row an input.

    Attributes:
        adv_inputs: x + r, in the box exactly; the clean input where the attack failed.
        success: whether the model gives the target for `adv_inputs`, or gave it for the clean input already.
        targets: the class reached for; for an untargeted attack the nearest one, chosen by the attack.
        rms_distortion: √(Σr²/n), the paper's measure; inf where the attack failed.
        l2_norm: ‖r‖₂; inf where the attack failed.
        c: the largest weight on ‖r‖² with which c‖r‖² + loss was found to succeed; for loss="margin" with
            polish=True, 1/(2λ) of the constraint's multiplier λ; inf where r = 0, nan where the attack failed.
        num_evals: forward and backward passes spent on the input.
    """

    adv_inputs: Float[Tensor, "batch *shape"]
    success: Bool[Tensor, " batch"]
    targets: Int[Tensor, " batch"]
    rms_distortion: Float[Tensor, " batch"]
    l2_norm: Float[Tensor, " batch"]
    c: Float[Tensor, " batch"]
    num_evals: Int[Tensor, " batch"]


def minimum_distortion(
    model: Classifier,
    inputs: Tensor,
    *,
    targets: Tensor | None = None,
    labels: Tensor | None = None,
    box: tuple[float, float] = (0.0, 1.0),
    loss: str = "margin",
    polish: bool = True,
    max_iter: int = 60,
    num_search_steps: int = 12,
    batch_size: int | None = None,
    progress: bool = False,
) -> MinimumDistortion:
    """Find the smallest r for which the model takes x + r for another class."""
    check_options(loss, max_iter, num_search_steps, batch_size)
    check_inputs(inputs, box)
    check_goal(inputs, targets, labels)
    size = batch_size or BATCH_SIZES.get(inputs.device.type, ACCELERATOR_BATCH_SIZE)
    goals = targets if targets is not None else labels
    assert goals is not None
    parts = []
    with evaluation_mode(model), tqdm(total=len(inputs), disable=not progress, unit="image") as bar:
        for clean, goal in zip(inputs.detach().split(size), goals.long().split(size), strict=True):
            with torch.no_grad():
                logits = model(clean)
            check_logits(model, logits, clean, goal)
            if targets is None:
                parts.append(
                    _untargeted(model, clean, goal, logits, box, loss, polish, max_iter, num_search_steps)
                )
            else:
                parts.append(
                    _targeted(model, clean, goal, logits, box, loss, polish, max_iter, num_search_steps)
                )
            bar.update(len(clean))
    joined = {name: torch.cat([getattr(p, name) for p in parts]) for name in parts[0].__dataclass_fields__}
    return MinimumDistortion(**joined)


def _targeted(model, clean, targets, logits, box, loss, polish, max_iter, num_search_steps):
    done = logits.argmax(1) == targets
    rows = (~done).nonzero()[:, 0]
    adv = clean.clone()
    success = done.clone()
    c = torch.full(done.shape, torch.inf, dtype=clean.dtype, device=clean.device)
    num_evals = torch.zeros_like(targets)
    if len(rows):
        x, t = clean[rows], targets[rows]
        start = None
        if loss == "cross_entropy" or not polish:
            gap = -hard_margin(logits[rows], t)
            temperature = torch.ones_like(gap) if loss == "cross_entropy" else MARGIN_TEMPERATURE * gap
            found = search_penalty(
                model,
                x,
                t,
                box=box,
                temperature=temperature,
                max_iter=max_iter,
                num_search_steps=num_search_steps,
            )
            start = found.points
            adv[rows], success[rows], num_evals[rows] = found.points, found.success, found.num_evals
            c[rows] = torch.where(found.success, found.c, torch.nan)
        if polish:
            walk = walk_boundary(model, x, t, box=box, max_iter=max_iter)
            adv[rows] = walk.points.reshape(x.shape)
            success[rows] = walk.squared_norm.isfinite()
            num_evals[rows] += walk.num_evals
            c[rows] = 1 / (2 * walk.multiplier)
    norm = torch.where(success, l2_norm(adv - clean), torch.inf)
    rms = torch.where(success, rms_distortion(adv - clean), torch.inf)
    return MinimumDistortion(adv, success, targets, rms, norm, c, num_evals)


def _untargeted(model, clean, labels, logits, box, loss, polish, max_iter, num_search_steps):
    best = _targeted(model, clean, logits.argmax(1), logits, box, loss, polish, max_iter, num_search_steps)
    left = logits.argmax(1) == labels
    best = MinimumDistortion(
        best.adv_inputs,
        ~left,
        best.targets,
        torch.where(left, torch.inf, best.rms_distortion),
        torch.where(left, torch.inf, best.l2_norm),
        torch.where(left, torch.nan, best.c),
        best.num_evals,
    )
    for offset in range(1, logits.shape[1]):
        targets = torch.where(left, (labels + offset) % logits.shape[1], best.targets)
        trial = _targeted(model, clean, targets, logits, box, loss, polish, max_iter, num_search_steps)
        nearer = left & (trial.l2_norm < best.l2_norm)
        pick = lambda a, b: torch.where(nearer.reshape(-1, *[1] * (a.ndim - 1)), a, b)  # noqa
        best = MinimumDistortion(
            *(pick(getattr(trial, f), getattr(best, f)) for f in best.__dataclass_fields__)
        )
    return best
