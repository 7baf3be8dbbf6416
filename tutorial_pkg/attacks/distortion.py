"""The smallest change that a classifier takes for another class: the paper's D(x, l), section 4.1."""

from __future__ import annotations

import math
import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from tqdm import tqdm

from tutorial_pkg.attacks.found import Found, already_there
from tutorial_pkg.attacks.goals import Options, reach_targets
from tutorial_pkg.attacks.margins import Classifier
from tutorial_pkg.attacks.nearest_class import WAVE, reach_nearest
from tutorial_pkg.attacks.validation import (
    check_box,
    check_dtype,
    check_goal,
    check_gradient,
    check_inputs,
    check_logits,
    check_options,
    check_shape,
    rounded_box,
)
from tutorial_pkg.models.evaluation import evaluation_mode

BYTES_AT_A_TIME = {"cpu": 64 * 2**20}  # about a processor's last cache
BYTES_ON_ACCELERATOR = 4 * 2**30
POOLED = 4  # batches, of which the problems that get a second start are put together
VECTORS_A_PROBLEM = 80  # of the size of an input, that a problem holds at its peak


@dataclass(frozen=True)
class MinimumDistortion:
    """The nearest adversarial inputs found, one row an input.

    Attributes:
        adv_inputs: x + r, in the box exactly; the clean input where the attack failed.
        success: whether the model takes `adv_inputs` for the target.
        targets: the class reached; of an untargeted attack the nearest one, which the attack chose.
        rms_distortion: √(Σr²/n), the paper's measure; inf where the attack failed.
        l2_norm: ‖r‖₂; inf where the attack failed.
        c: the weight on ‖r‖² beside the loss. Where it was searched, the largest one found to succeed, whether or not
            r was polished since; else the one whose minimiser is on the boundary, 1 / (4·Σλ) of the multipliers λ
            there, because either loss has slope ½ at a tie. inf where r = 0, nan where the attack failed.
        num_evals: points of its search at which the model was evaluated for the input; not counted are the input
            itself, a point or two very near it, and, untargeted with more than ten classes, passes to order these.
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
    max_iter: int | None = None,
    num_search_steps: int = 12,
    batch_size: int | None = None,
    progress: bool = False,
) -> MinimumDistortion:
    """Find the smallest r for which the model takes x + r for another class.

        D(x, l) = x + r,   r = argmin ‖r‖₂   subject to   f(x + r) = l  and  x + r in the box       (section 4.1)

    Four ways there, the first being the fastest and mostly the nearest, the last the paper's:

    | loss | polish | what is done |
    |---|---|---|
    | "margin" | True | walk along the boundary from the clean input, every rival class a constraint (`boundary`) |
    | "cross_entropy" | True | the paper's search, then a walk along the boundary from where it ends |
    | "margin" | False | the search over c, with max(0, −margin), smoothed, for the loss |
    | "cross_entropy" | False | minimise c‖r‖² + cross-entropy by box-constrained L-BFGS, search over c |

    Where the default's walk does not converge, as on networks of ReLU and max pooling, a walk along the boundary of a
    smoothed margin gives it a second start (`smoothed_walk`), and the nearer point is kept. Where nothing has been
    reached then, any point of the class is looked for in the box, and a walk starts there.

    Every image is a problem of its own, with its own c, steps and stopping; its result depends on the others in
    the batch by rounding only. The arguments are left as they are: the model's mode, gradients, `requires_grad`.

    Args:
        model: returns logits `[N, K]`, of batches of any size; evaluated in eval mode, which it is put into while the
            attack runs. So threads may share a model that is in eval mode already, and no other.
        inputs: x, float32 or float64 `[N, ...]`, in the box.
        targets: l, `[N]`: the class to reach. One that is predicted already needs no change: r = 0.
        labels: the class to leave for the nearest other one, `[N]`; give this or `targets`. With more than ten classes
            those that seem nearest are tried first, and not all of them.
        box: lower and upper bound of every pixel; may be infinite.
        loss: "margin" or "cross_entropy".
        polish: whether to end on the boundary itself.
        max_iter: points evaluated at most in a walk (default 100) or for one c (default 15). More never makes
            the default's result larger, unless there are more than ten classes to leave: a better early class can keep
            a later one from being tried. The default has a second start after 30 points, where its walk halts, and
            where the network is full of kinks: two walks of 200 points each, or as many as `max_iter` has room for.
        num_search_steps: values of c tried.
        batch_size: problems solved together, of which an untargeted input makes up to nine; by default as many
            as fit the processor's cache or 4 GB of an accelerator. Large networks need it smaller.
        progress: whether to show a progress bar.

    Returns:
        A `MinimumDistortion`. No solution is an answer, not an error: `success` False and distortion inf. An
        example ends a hair beyond the boundary, by more than rounding in float32 could undo: 8e-6 of the larger of the
        two logits that tie. A large number added to all logits costs accuracy; a model can subtract their mean.

    Raises:
        ValueError: inputs outside the box, not finite, empty, or not float; neither or both of targets and
            labels; a class out of range; a model that does not return finite [N, K] logits; an unknown option.

    Departs from the paper: its "minimum c" is read as the largest c that succeeds, because a larger c gives a
    smaller r; |r| is squared, which loses no minimum r ≠ 0 of the penalty with ‖r‖₂ (it is one under another c) and has
    no kink at r = 0; and the default replaces the penalty by the constraint itself, because the cross-entropy's
    minimisers reach the boundary at a point that is not the nearest.

    Example:
        >>> model = torch.nn.Linear(2, 2, bias=False)
        >>> model.weight.data = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
        >>> result = minimum_distortion(model, torch.tensor([[0.8, 0.2]]), targets=torch.tensor([1]))
        >>> result.adv_inputs
        tensor([[0.5000, 0.5000]])
        >>> result.l2_norm, result.success
        (tensor([0.4243]), tensor([True]))

    Source: Szegedy et al. (2013), section 4.1; Nocedal & Wright, Numerical Optimization (2006), chapter 18.
    """
    check_options(model, loss, polish, max_iter, num_search_steps, batch_size)
    check_box(box)
    check_inputs(inputs, box)
    check_dtype(model, inputs)
    check_goal(inputs, targets, labels)
    classes = targets if targets is not None else labels
    assert classes is not None
    size = int(batch_size or _default_batch_size(inputs))
    limit = None if max_iter is None else int(max_iter)
    options = Options(rounded_box(box, inputs.dtype), loss, polish, limit, int(num_search_steps), size)
    parts = []
    bar = tqdm(total=len(inputs), disable=not progress, unit="image")

    def logits(x: Tensor) -> Tensor:
        found = model(x.clone())  # the model's first operation may be in place
        check_shape(found, x)
        return found

    with bar, evaluation_mode(model), torch.inference_mode(False), _uncompiled():
        for x, wanted in zip(inputs.detach().split(POOLED * size), classes.long().split(POOLED * size), strict=True):
            # Clones, because tensors made in the caller's inference mode cannot take part in a backward pass.
            parts.append(_attack(logits, x.clone(), classes, wanted.clone(), options, targets is not None))
            bar.update(len(x))
    found = Found(*(torch.cat(tensors) for tensors in zip(*(vars(part).values() for part in parts), strict=True)))
    norm = torch.where(found.success, found.squared_norm.sqrt(), torch.inf)
    rms = norm / math.sqrt(inputs[0].numel())
    return MinimumDistortion(found.points, found.success, found.targets, rms, norm, found.c, found.num_evals)


def _attack(
    model: Classifier,
    inputs: Tensor,
    every: Tensor,
    classes: Tensor,
    options: Options,
    targeted: bool,
) -> Found:
    """Attack some batches; inputs that are where they should be are their own solutions.

    The classes of `every` batch are checked with the first one, before any time is spent.
    """
    with torch.no_grad():
        check_logits(model(inputs[: options.batch_size]), inputs, every)
    with torch.autocast(inputs.device.type, enabled=False):  # a model may do without it while its caller does not
        with torch.no_grad():
            logits = torch.cat([model(batch) for batch in inputs.split(options.batch_size)])
        check_logits(logits, inputs, classes)
        return _attack_batch(model, inputs, classes, logits, options, targeted)


def _attack_batch(
    model: Classifier,
    inputs: Tensor,
    classes: Tensor,
    logits: Tensor,
    options: Options,
    targeted: bool,
) -> Found:
    predicted = logits.argmax(dim=1)
    there = predicted == classes if targeted else predicted != classes
    found = already_there(inputs, predicted)
    check_gradient(model, inputs)
    rows = (~there).nonzero()[:, 0]
    if len(rows) and targeted:
        found.put(rows, reach_targets(model, inputs[rows], classes[rows], options))
    elif len(rows):
        num_classes = min(WAVE, logits.shape[1] - 1)
        for some in rows.split(max(1, POOLED * options.batch_size // num_classes)):
            found.put(some, reach_nearest(model, inputs[some], classes[some], logits[some], options))
    return found


def _uncompiled() -> AbstractContextManager[object]:
    """Have compiled models run as they were written: a compiled backward pass can be asked for one gradient only."""
    compiling = "torch._dynamo" in sys.modules  # not imported here: it takes a second, and nothing is compiled yet
    return torch.compiler.set_stance("force_eager") if compiling else nullcontext()


def _default_batch_size(inputs: Tensor) -> int:
    budget = BYTES_AT_A_TIME.get(inputs.device.type, BYTES_ON_ACCELERATOR)
    return max(8, budget // (inputs[0].numel() * inputs.element_size() * VECTORS_A_PROBLEM))
