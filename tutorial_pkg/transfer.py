"""Do examples made for one model fool another? The measurements of section 4.2's Tables 2 and 4.

An example carries over ("transfers") from its *source* to a *target model* when the target model, too, gets
it wrong. Whether that means anything is decided by a control: random noise of the same norm.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from scipy.stats import binomtest
from torch import Tensor, nn

from tutorial_pkg.metrics import l2_norm
from tutorial_pkg.models.evaluation import evaluation_mode


@dataclass(frozen=True)
class Rate:
    """A share of images, kept as counts so that it knows its own uncertainty.

    Example:
        >>> rate = Rate(15, 256)
        >>> f"{rate.fraction:.3f}", [round(bound, 3) for bound in rate.interval()]
        ('0.059', [0.033, 0.095])
    """

    count: int
    total: int

    @property
    def fraction(self) -> float:
        """The share, in [0, 1]; NaN of no images."""
        return self.count / self.total if self.total else math.nan

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Return the exact binomial interval (Clopper and Pearson, 1934); (0, 1) of no images."""
        if not self.total:
            return 0.0, 1.0
        bounds = binomtest(self.count, self.total).proportion_ci(confidence, method="exact")
        return float(bounds.low), float(bounds.high)


@dataclass(frozen=True)
class TransferTable:
    """Which images each model got wrong: Table 2, image by image, in both readings of "error".

    Attributes:
        rows: names of the sets of distorted images.
        columns: names of the models.
        wrong: whether the column's model errs on the row's version of an image.
        wrong_before: the same for the undistorted images.
    """

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    wrong: Bool[Tensor, "rows columns batch"]
    wrong_before: Bool[Tensor, "columns batch"]

    def clean(self, column: str) -> Rate:
        """Return a model's error on the undistorted images."""
        return _share(self.wrong_before[self.columns.index(column)])

    def of_all(self, row: str, column: str) -> Rate:
        """Return a model's error over all the row's images: the paper's cell, as far as one can tell."""
        return _share(self._cell(row, column))

    def of_correct(self, row: str, column: str) -> Rate:
        """Return a model's error over the images that it classified correctly before they were distorted."""
        return _share(self._cell(row, column)[~self.wrong_before[self.columns.index(column)]])

    def p_value(self, row: str, control: str, column: str) -> float:
        """Return how likely chance alone makes a row this much more harmful to a model than another row.

        McNemar's exact test, one-sided: by chance, an image on which the two rows disagree goes either way.
        """
        first, second = self._cell(row, column), self._cell(control, column)
        only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
        if only_first + only_second == 0:
            return 1.0
        return float(binomtest(only_first, only_first + only_second, alternative="greater").pvalue)

    def _cell(self, row: str, column: str) -> Bool[Tensor, " batch"]:
        return self.wrong[self.rows.index(row), self.columns.index(column)]


def transfer_table(
    models: Mapping[str, nn.Module],
    inputs: Float[Tensor, "batch *shape"],
    *,
    labels: Tensor,
    examples: Mapping[str, Tensor],
    batch_size: int = 8192,
) -> TransferTable:
    """Feed every set of distorted images to every model (section 4.2, Table 2).

    Args:
        models: name → model that returns logits `[N, K]`; asked in evaluation mode, and left as it was.
        inputs: the undistorted images, on the models' device.
        labels: their classes, `[N]`.
        examples: name → a distorted version of the same images.
        batch_size: images in a forward pass.

    Raises:
        ValueError: no models or images, another number of labels, a set not shaped like `inputs` or not finite,
            or a model without `[N, K]` logits.

    Example:
        >>> inputs = torch.eye(2)
        >>> swapped = {"swapped": inputs.flip(1)}
        >>> table = transfer_table({"identity": nn.Identity()}, inputs, labels=torch.arange(2), examples=swapped)
        >>> table.of_all("swapped", "identity"), table.clean("identity")
        (Rate(count=2, total=2), Rate(count=0, total=2))
    """
    if not models or not 0 < len(inputs) == len(labels):
        raise ValueError(
            f"expected models, images and a label for each, got {len(models)} models, {len(inputs)} images and "
            f"{len(labels)} labels"
        )
    if labels.ndim != 1 or labels.is_floating_point():
        raise ValueError(f"expected labels [N] of class indices, got {labels.dtype} {tuple(labels.shape)}")
    for name, distorted in examples.items():
        _perturbation(inputs, distorted, f"examples[{name!r}]")
    sets, labels = [inputs, *examples.values()], labels.to(inputs.device)
    wrong = torch.stack(
        [torch.stack([_misclassified(model, x, labels, batch_size) for model in models.values()]) for x in sets]
    )
    return TransferTable(tuple(examples), tuple(models), wrong[1:], wrong[0])


def amplify(
    inputs: Float[Tensor, "batch *shape"], adv_inputs: Tensor, *, stddev: float
) -> Float[Tensor, "batch *shape"]:
    """Stretch every perturbation to the same pixel-level distortion (section 4.2, lower half of Table 4).

        x + s √n (x' − x) / ‖x' − x‖₂

    x is `inputs`, x' `adv_inputs`, n the number of pixels and s `stddev`: √(Σ(x'ᵢ − xᵢ)²/n) becomes s. The
    paper prints 0.1 for s √n; with its n = 784 that is a 28th of the "stddev=0.1" of its table. Like its
    formula, this may leave the box [0, 1].

    Args:
        inputs: the original images.
        adv_inputs: their distorted versions; where one equals its original there is no direction to follow,
            and the original is returned.
        stddev: the distortion to reach, ≥ 0.

    Raises:
        ValueError: the shapes differ, a perturbation is not finite, or `stddev` is negative.

    Example:
        >>> amplify(torch.zeros(1, 4), torch.tensor([[0.0, 0.0, 0.01, 0.0]]), stddev=0.1)
        tensor([[0.0000, 0.0000, 0.2000, 0.0000]])
    """
    if not stddev >= 0:
        raise ValueError(f"stddev must be at least 0, got {stddev}")
    perturbation = _perturbation(inputs, adv_inputs)
    norm = l2_norm(perturbation)
    target_norm = stddev * math.sqrt(perturbation[0].numel())
    return inputs + _rescaled(perturbation, torch.where(norm > 0, target_norm, norm))


def same_norm_noise(
    inputs: Float[Tensor, "batch *shape"], adv_inputs: Tensor, *, generator: torch.Generator
) -> Float[Tensor, "batch *shape"]:
    """Move every image in a uniformly random direction, exactly as far as its adversarial example went.

    The control for `transfer_table`. It is not clipped to the box: clipping would shorten it.

    Args:
        inputs: the original images.
        adv_inputs: their distorted versions.
        generator: a CPU generator, so that every device gets the same noise.

    Raises:
        ValueError: the shapes differ or a perturbation is not finite.
    """
    norm = l2_norm(_perturbation(inputs, adv_inputs))
    direction = torch.randn(inputs.shape, generator=generator, dtype=inputs.dtype, device=generator.device)
    direction = direction.to(inputs.device)
    return inputs + _rescaled(direction, norm)


def perturbation_cosine(
    inputs: Float[Tensor, "batch *shape"], adv_first: Tensor, adv_second: Tensor
) -> Float[Tensor, " batch"]:
    """Return the cosine between two perturbations of each image; NaN where one of them is zero.

    Random directions in n dimensions have cosines of about ±1/√n, 0.04 for MNIST's 784 pixels.

    Args:
        inputs: the original images.
        adv_first: their distorted versions, such as a model's examples for a target class.
        adv_second: others, such as another model's for the same class.

    Raises:
        ValueError: the shapes differ or a perturbation is not finite.
    """
    first, second = _perturbation(inputs, adv_first), _perturbation(inputs, adv_second)
    return (first * second).flatten(1).sum(1) / (l2_norm(first) * l2_norm(second))


def reach(inputs: Float[Tensor, "batch *shape"], adv_source: Tensor, adv_target: Tensor) -> Float[Tensor, " batch"]:
    """Return how much of the way to the target model's own boundary the source's perturbation covers.

        ⟨r, r⋆⟩ / ‖r⋆‖₂²

    r is the source model's perturbation and r⋆ the target model's own, both for the same target class. For a linear
    target model a reach below 1 *proves* that r cannot bring it to that class: the class's region within the box is
    convex and x + r⋆ its nearest point, so all of it lies where ⟨·, r⋆⟩ ≥ ‖r⋆‖².

    Args:
        inputs: the original images.
        adv_source: examples made for the source model.
        adv_target: the target model's own; where one equals its original the reach is infinite.

    Raises:
        ValueError: the shapes differ or a perturbation is not finite.

    Example:
        >>> reach(torch.zeros(1, 2), torch.tensor([[0.5, 3.0]]), torch.tensor([[1.0, 0.0]]))
        tensor([0.5000])
    """
    source, own = _perturbation(inputs, adv_source), _perturbation(inputs, adv_target)
    square = own.square().flatten(1).sum(1)
    covered = (source * own).flatten(1).sum(1) / square
    return torch.where(square > 0, covered, torch.inf)


def _misclassified(model: nn.Module, inputs: Tensor, labels: Tensor, batch_size: int) -> Bool[Tensor, " batch"]:
    """Say which images a model gets wrong; on the CPU."""
    predicted = []
    lowest, highest = labels.aminmax()
    with evaluation_mode(model), torch.no_grad():
        for batch in inputs.split(batch_size):
            logits = model(batch.clone())  # its first operation may be in place
            if not isinstance(logits, Tensor) or logits.ndim != 2 or len(logits) != len(batch):
                came = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
                raise ValueError(f"a model must return logits [N, K], got {came} for {len(batch)} images")
            if lowest < 0 or highest >= logits.shape[1]:
                raise ValueError(
                    f"labels must be class indices in 0..{logits.shape[1] - 1}, got {int(lowest)}..{int(highest)}"
                )
            if logits.isnan().any():
                raise ValueError("a model must return finite logits, got NaN; check its weights and the images")
            predicted.append(logits.argmax(1))
    return (torch.cat(predicted) != labels).cpu()


def _share(mask: Bool[Tensor, " batch"]) -> Rate:
    return Rate(int(mask.sum()), len(mask))


def _perturbation(inputs: Tensor, distorted: Tensor, name: str = "the distorted images") -> Tensor:
    if distorted.shape != inputs.shape or distorted.dtype != inputs.dtype:
        raise ValueError(
            f"{name} must be versions of the same images, {inputs.dtype} {tuple(inputs.shape)}; "
            f"got {distorted.dtype} {tuple(distorted.shape)}"
        )
    perturbation = distorted - inputs
    if not perturbation.isfinite().all():
        raise ValueError(f"{name} or their originals hold NaN or infinity")
    return perturbation


def _rescaled(vectors: Tensor, norm: Tensor) -> Tensor:
    """Return every row scaled to a norm; a zero row stays zero."""
    factor = norm / l2_norm(vectors).clamp_min(torch.finfo(vectors.dtype).tiny)
    return vectors * factor.reshape(-1, *[1] * (vectors.ndim - 1))
