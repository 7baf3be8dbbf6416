"""Frame bounds of a strided, grouped, dilated convolution on circular maps."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from tutorial_pkg.spectral.bounds import FrameBounds
from tutorial_pkg.spectral.checks import checked_axes, checked_groups, checked_weight, power_of_two
from tutorial_pkg.spectral.continuous import refine_bounds, riesz_factor
from tutorial_pkg.spectral.extremes import Batch, extreme_singular_values
from tutorial_pkg.spectral.symbol import GramSymbol, degrees, half_grid, polyphase_symbol

_BATCH_BYTES = {"cpu": 2**23, "cuda": 2**28}  # a CPU's cache; enough to fill a GPU


def conv_frame_bounds(
    weight: Tensor,
    *,
    stride: int | tuple[int, ...] = 1,
    groups: int = 1,
    dilation: int | tuple[int, ...] = 1,
    grid: int | tuple[int, ...] = 32,
    refine: bool = False,
) -> FrameBounds:
    """Return the frame bounds of a convolution: its least and greatest gain in the L2 norm.

    On circular maps of n = mΔ pixels an axis the layer is, up to unitary factors, the direct sum of one matrix
    A(ω) a group and reduced frequency ω = 2πj/m (section 4.3; `polyphase_symbol` has the matrix), so that

        λ₊ = max_ω σ₁(A(ω)),    λ₋ = min_ω σ_min(A(ω)),

    exactly those of the dense matrix. A larger or zero-padded map can exceed λ₊, but never `certificate`.

    Symbol → name: λ₋ → `lower`, λ₊ → `upper`, Δ → `stride`, m → `grid`.

    Args:
        weight: taps [F, C / groups, *kernel], a 1-, 2- or 3-d kernel of any float dtype; computed in float64,
            since a square layer's λ₋ is below float32's reach. Taps beyond the map wrap around it.
        stride: of the layer; one integer or one an axis.
        groups: of the layer.
        dilation: distance between neighbouring taps; one integer or one an axis.
        grid: m, frequencies an axis = the size of the output map.
        refine: also search λ₊ and λ₋ over continuous frequencies, at the price of a full decomposition.

    Returns:
        `FrameBounds`, thin, within 1e-11·λ₊ of a full decomposition's.

    Raises:
        ValueError: the weight has the wrong rank or dtype, is empty or not finite; `groups` does not divide F;
            stride, dilation or grid is not positive.

    Departs from the paper: its formula has other shifts and no factor, which is wrong for Δ > 1; and its lower
    bound is not said to be thin or taken on a grid, though both decide its value.

    Example:
        >>> import torch
        >>> b = conv_frame_bounds(torch.tensor([[[1.0, -1.0]]]), grid=8)
        >>> round(b.lower, 6), round(b.upper, 6)
        (0.0, 2.0)
        >>> b = conv_frame_bounds(torch.tensor([[[1.0, -1.0]]]), stride=2, grid=8)
        >>> round(b.lower, 6), round(b.upper, 6), b.strict_lower
        (1.414214, 1.414214, 0.0)

    Source: Szegedy et al. 2013, section 4.3. For stride 1 and one group: Sedghi, Gupta and Long, "The singular
    values of convolutional layers", ICLR 2019.
    """
    weight = checked_weight(weight, (3, 4, 5), "[F, C / groups, *kernel] with a 1-, 2- or 3-d kernel")
    unit = power_of_two(weight)
    weight = weight / unit
    kernel = tuple(weight.shape[2:])
    steps = checked_axes("stride", stride, len(kernel))
    spacing = checked_axes("dilation", dilation, len(kernel))
    sizes = checked_axes("grid", grid, len(kernel))
    parts = weight.chunk(checked_groups(groups, len(weight)))
    degree = degrees(kernel, steps, spacing)

    # An axis of degree 0 does not appear in A(ω): one frequency stands for all.
    frequencies = half_grid(tuple(m if d else 1 for m, d in zip(sizes, degree, strict=True)), weight.device)
    found = extreme_singular_values(_batches(parts, frequencies, steps, spacing))
    # A grid too coarse to prove anything can show λ₊ = 0 of a layer that is not zero.
    factor = riesz_factor(degree, sizes) if weight.any() else 1.0
    infimum = supremum = None
    if refine:
        with torch.inference_mode(False):  # it goes by gradients, in which a caller's inference tensors take no part
            # One small matrix at a time, at which a CPU is faster than a GPU.
            own = tuple(part.cpu().clone() for part in parts)
            low, high = refine_bounds(own, frequencies.cpu().clone(), stride=steps, dilation=spacing)
        infimum, supremum = min(low, found.smallest), max(high, found.largest)
    return FrameBounds(
        lower=unit * found.smallest,
        upper=unit * found.largest,
        rows=len(parts[0]),
        cols=weight.shape[1] * math.prod(steps),
        grid=sizes,
        certificate=unit * found.largest * factor if factor < math.inf else math.inf,
        supremum=None if supremum is None else unit * supremum,
        infimum=None if infimum is None else unit * infimum,
    )


def _batches(
    parts: tuple[Float[Tensor, "rows channels *kernel"], ...],
    frequencies: Float[Tensor, "freq axes"],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
) -> Iterator[Batch]:
    """Yield A(ω) group by group, a bounded amount of memory at a time."""
    rows, cols = len(parts[0]), parts[0].shape[1] * math.prod(stride)
    num_taps = math.prod(d + 1 for d in degrees(tuple(parts[0].shape[2:]), stride, dilation))
    slack = (rows + cols) * torch.finfo(torch.float64).eps
    batch_size = max(1, _BATCH_BYTES.get(frequencies.device.type, 2**28) // (16 * rows * cols))
    for part in parts:
        symbol = partial(polyphase_symbol, part, stride=stride, dilation=dilation)
        # A coefficient takes a product for each pair of taps, a frequency four times the arithmetic of one.
        gram = GramSymbol.of(part, stride=stride, dilation=dilation) if num_taps**2 <= 4 * len(frequencies) else None
        rounding = gram.rounding if gram else 0.0
        for some in frequencies.split(batch_size):
            yield Batch(gram.at(some), _Subset(symbol, some), slack, rounding) if gram else Batch.of(symbol(some))


@dataclass(frozen=True)
class _Subset:
    """A(ω) at some of some frequencies."""

    symbol: Callable[[Float[Tensor, "freq axes"]], Complex[Tensor, "freq rows cols"]]
    frequencies: Float[Tensor, "freq axes"]

    def __call__(self, positions: Int[Tensor, " some"]) -> Complex[Tensor, "some rows cols"]:
        return self.symbol(self.frequencies[positions])
