"""The symbol A(ω) of a strided convolution: the matrices whose direct sum the layer is."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor


def polyphase_symbol(
    weight: Float[Tensor, "rows channels *kernel"],
    frequencies: Float[Tensor, "freq axes"],
    *,
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
) -> Complex[Tensor, "freq rows cols"]:
    """Return A(ω) of one group of a convolution at every given frequency.

    A stride Δ splits the input into Δ² interleaved images, its *polyphase components* r; each meets every Δ-th
    tap of the kernel, and the layer becomes an ordinary convolution of C·Δ² channels:

        A(ω)[f, (c, r)] = Σ_t w[f, c, Δt + r] exp(−i ω·t)

    This is section 4.3's A(ω), with two repairs. Its columns are the alias images ŵ((ω + 2πl)/Δ) and not
    ŵ(ω + lπ/Δ), and they carry a factor 1/√Δ an axis, which is missing there; the unitary Fourier transform over
    l then turns them into the form above. With the printed form the norm is wrong whenever Δ > 1.

    Symbol → name: w → `weight`, ω → `frequencies`, Δ → `stride`.

    Args:
        weight: taps of one group, real; a 1-, 2- or 3-d kernel.
        frequencies: ω in radians, one row a frequency. They refer to the output map, so ω = 2πj/m for a map
            of m × m outputs; taps beyond the map then wrap around it, as they do on a circular map.
        stride: Δ, an axis.
        dilation: distance between neighbouring taps, an axis.

    Returns:
        One matrix a frequency, rows = output channels, cols = C·ΠΔ.

    Example:
        >>> difference = torch.tensor([[[1.0, -1.0]]])
        >>> polyphase_symbol(difference, torch.tensor([[0.7]]), stride=(2,), dilation=(1,))
        tensor([[[ 1.+0.j, -1.+0.j]]])
    """
    rows, channels = weight.shape[:2]
    taps = _split_phases(weight, stride, dilation)
    steps = torch.cartesian_prod(*[torch.arange(n) for n in taps.shape[2 + len(stride) :]])
    steps = steps.reshape(-1, len(stride)).to(frequencies)
    angles = frequencies @ steps.T
    taps = taps.reshape(-1, len(steps)).T.to(frequencies)
    return torch.complex(angles.cos() @ taps, -angles.sin() @ taps).reshape(
        len(frequencies), rows, channels * math.prod(stride)
    )


@dataclass(frozen=True)
class GramSymbol:
    """The smaller of A(ω)*A(ω) and conj(A(ω)A(ω)*), as a trigonometric polynomial, cheap at many frequencies.

    With A(ω) = Σ_t T_t exp(−iω·t), real T, the coefficient of exp(−iω·l) is G_l = Σ_t T_tᵀ T_{t+l}, and G_{−l} = G_lᵀ.

    Attributes:
        lags: l, one of each pair ±l.
        even: G_l + G_lᵀ, by which cos(ω·l) is multiplied, but G_0 once.
        odd: G_lᵀ − G_l, by which i sin(ω·l) is.
    """

    lags: Float[Tensor, "lags axes"]
    even: Float[Tensor, "lags n n"]
    odd: Float[Tensor, "lags n n"]

    @classmethod
    def of(
        cls, weight: Float[Tensor, "rows channels *kernel"], *, stride: tuple[int, ...], dilation: tuple[int, ...]
    ) -> GramSymbol:
        """Return that of one group of a convolution; arguments as for `polyphase_symbol`."""
        taps = _split_phases(weight, stride, dilation).flatten(1, 1 + len(stride))
        if len(taps) < taps.shape[1]:
            taps = taps.transpose(0, 1)
        taps = taps.movedim(1, -1).contiguous()
        num_steps = taps.shape[1:-1]
        lags, even, odd = [], [], []
        for lag in itertools.product(*[range(-(n - 1), n) for n in num_steps]):
            if lag < (0,) * len(lag):
                continue
            later = tuple(slice(max(0, step), n + min(0, step)) for step, n in zip(lag, num_steps, strict=True))
            earlier = tuple(slice(max(0, -step), n + min(0, -step)) for step, n in zip(lag, num_steps, strict=True))
            product = taps[:, *earlier].flatten(0, -2).T @ taps[:, *later].flatten(0, -2)
            lags.append(lag)
            even.append(product + product.T if any(lag) else product)
            odd.append(product.T - product)
        return cls(torch.tensor(lags).to(weight), torch.stack(even), torch.stack(odd))

    @property
    def rounding(self) -> float:
        """How far an eigenvalue may be off: a few units of what is added up, however little of it remains."""
        summands = torch.linalg.matrix_norm(self.even) + torch.linalg.matrix_norm(self.odd)
        return 32 * torch.finfo(self.even.dtype).eps * summands.sum().item()

    def at(self, frequencies: Float[Tensor, "freq axes"]) -> Complex[Tensor, "freq n n"]:
        """Return the matrices at every given frequency."""
        angles = frequencies @ self.lags.T
        flat = torch.complex(angles.cos() @ self.even.flatten(1), angles.sin() @ self.odd.flatten(1))
        return flat.unflatten(1, self.even.shape[1:])


def degrees(kernel: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...]) -> tuple[int, ...]:
    """Return the largest t of each axis in A(ω), its degree d as a polynomial in exp(−iω): ⌊δ(k−1)/Δ⌋."""
    return tuple(d * (k - 1) // s for k, s, d in zip(kernel, stride, dilation, strict=True))


def half_grid(grid: tuple[int, ...], device: torch.device) -> Float[Tensor, "freq axes"]:
    """Return the frequencies 2πj/m of a grid, one of each pair ±ω: real taps have A(−ω) = conj A(ω).

    Example:
        >>> half_grid((4,), torch.device("cpu")).div(torch.pi)
        tensor([[0.0000], [0.5000], [1.0000]], dtype=torch.float64)
    """
    sizes = torch.tensor(grid)
    points = torch.cartesian_prod(*[torch.arange(m) for m in grid]).reshape(-1, len(grid))
    kept = points[_flat(points, grid) <= _flat(-points % sizes, grid)]
    return (2 * torch.pi * kept.double() / sizes).to(device)


def _flat(points: Int[Tensor, "freq axes"], grid: tuple[int, ...]) -> Int[Tensor, " freq"]:
    """Number grid points row by row."""
    index = torch.zeros(len(points), dtype=torch.long)
    for axis, size in enumerate(grid):
        index = index * size + points[:, axis]
    return index


def _split_phases(
    weight: Float[Tensor, "rows channels *kernel"], stride: tuple[int, ...], dilation: tuple[int, ...]
) -> Float[Tensor, "rows channels *phases_then_steps"]:
    """Rearrange w[…, Δt + r] as [rows, channels, r…, t…], with zeros where there is no tap."""
    kernel = tuple(weight.shape[2:])
    steps = [d + 1 for d in degrees(kernel, stride, dilation)]
    spread = weight.new_zeros(*weight.shape[:2], *[n * s for n, s in zip(steps, stride, strict=True)])
    taps = tuple(slice(0, d * (k - 1) + 1, d) for k, d in zip(kernel, dilation, strict=True))
    spread[(slice(None), slice(None), *taps)] = weight
    pairs = [size for axis in zip(steps, stride, strict=True) for size in axis]
    split = spread.reshape(*weight.shape[:2], *pairs)
    axes = range(len(kernel))
    return split.permute(0, 1, *[3 + 2 * a for a in axes], *[2 + 2 * a for a in axes])
