"""From a batch of inputs to the nearest point of any other class."""

from __future__ import annotations

import torch
from torch import Tensor

from tutorial_pkg.attacks.class_order import by_expected_distance
from tutorial_pkg.attacks.found import Found, nearer
from tutorial_pkg.attacks.goals import Options, reach_targets
from tutorial_pkg.attacks.margins import Classifier, margins

WAVE = 9  # targets of one image tried together
EARLY = 4  # no more are tried once the nearest is in the first quarter of those tried


def reach_nearest(model: Classifier, inputs: Tensor, labels: Tensor, logits: Tensor, options: Options) -> Found:
    """Return the nearest points of any other class, of inputs that are classified as labelled.

    The classes are tried nine at a time, and the nine compete; with ten classes or fewer all are tried. With more,
    those whose boundary a linear model puts nearest come first, and an image tries further ones while it has no
    example, or found its nearest one later than in the first quarter of those tried.
    """
    over = margins(logits, labels)
    all_at_once = over.shape[1] - 1 <= WAVE
    others = (
        over.argsort(dim=1)[:, :-1] if all_at_once else by_expected_distance(model, inputs, labels, over, options.box)
    )
    best: Found | None = None
    running = torch.arange(len(inputs), device=inputs.device)
    rank = torch.zeros_like(running)
    for start in range(0, others.shape[1], WAVE):
        wave = others[running, start : start + WAVE]
        num = wave.shape[1]
        copies = running.repeat_interleave(num)
        image = torch.arange(len(running), device=inputs.device).repeat_interleave(num)
        tried = reach_targets(model, inputs[copies], wave.flatten(), options, image)
        first = torch.where(tried.success, tried.squared_norm, torch.inf).reshape(-1, num).argmin(dim=1)
        nearest = tried.rows(first + num * torch.arange(len(running), device=inputs.device))
        nearest.num_evals.copy_(tried.num_evals.reshape(-1, num).sum(dim=1))
        if best is None:
            best, rank = nearest, first
        else:
            improved = nearest.squared_norm < best.squared_norm[running]
            rank[running] = torch.where(improved, start + first, rank[running])
            best.put(running, nearer(nearest, best.rows(running)))
        running = (~best.success | (EARLY * rank >= start + num)).nonzero()[:, 0]
        if len(running) == 0:
            break
    assert best is not None
    return best
