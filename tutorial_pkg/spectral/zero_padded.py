"""Frame bounds of a layer as a network applies it: zero padding, borders and all."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from itertools import chain

import numpy as np
import torch
from jaxtyping import Float
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh
from torch import Tensor, nn

from tutorial_pkg.precision import has_float64
from tutorial_pkg.spectral.bounds import FrameBounds
from tutorial_pkg.spectral.checks import checked_axes, largest
from tutorial_pkg.spectral.linear import linear_frame_bounds

_DENSE = 1500
_CHUNK = 64
_SHIFT = 0.01  # of λ₊²


def padded_frame_bounds(layer: nn.Module, input_shape: tuple[int, ...], *, max_iter: int = 300) -> FrameBounds:
    """Return the frame bounds of an affine layer on inputs of one size, whatever its padding.

    Section 4.3 treats a convolution as if its maps were circular. A real layer pads with zeros, is not diagonal
    in frequency, and keeps neither bound: λ₊ is at most the supremum over continuous frequencies, while λ₋ may
    lie on either side. An operator with few inputs or few outputs is written out and decomposed, by columns or,
    through the adjoint, by rows. A larger one is only ever applied, it and, through autograd, its adjoint,
    and Lanczos (ARPACK) finds the ends of its Gram operator's spectrum.

    Args:
        layer: any affine module, such as `nn.Conv2d` with its padding and bias; a copy is used, in float64.
        input_shape: of one input, without the batch dimension.
        max_iter: restarts that Lanczos may use for each bound.

    Returns:
        `FrameBounds` of the linear part, without a grid and of this size only: larger maps can exceed λ₊, so that
        `certificate` is `inf` (`conv_frame_bounds` proves one). For a large operator λ₋ comes from a Gram operator
        and is good to about 1e-8·λ₊; a bound that Lanczos did not settle is NaN.

    Raises:
        ValueError: the layer cannot take that shape, is not affine, or its numbers are not finite.

    Example:
        >>> average = nn.AvgPool1d(2)
        >>> bounds = padded_frame_bounds(average, (1, 6))
        >>> round(bounds.lower, 6), round(bounds.upper, 6)
        (0.707107, 0.707107)
    """
    if not isinstance(input_shape, tuple | list):
        raise ValueError(f"input_shape: expected a tuple such as (channels, height, width), got {input_shape!r}")
    if not all(value.isfinite().all() for value in chain(layer.parameters(), layer.buffers())):
        raise ValueError("layer: expected finite numbers, got NaN or infinity; check how the layer was trained")
    with torch.inference_mode(False):
        return _padded_frame_bounds(layer, checked_axes("input_shape", input_shape, len(input_shape)), max_iter)


def _padded_frame_bounds(layer: nn.Module, shape: tuple[int, ...], max_iter: int) -> FrameBounds:
    """Compute on a copy of the layer."""
    layer = _in_float64(copy.deepcopy(layer)).eval().requires_grad_(False)
    zero, offset = _probe(layer, shape)
    rows, cols = offset.numel(), zero.numel()
    if min(rows, cols) <= _DENSE:
        dense = linear_frame_bounds(_written_out(layer, zero, offset))
        return FrameBounds(dense.lower, dense.upper, rows, cols, grid=(), certificate=math.inf)

    adjoint = _adjoint(layer, zero)

    def apply(x: Tensor) -> Tensor:
        with torch.no_grad():
            return layer(x.reshape(zero.shape)) - offset

    start = np.random.default_rng(0).standard_normal(min(rows, cols))
    image = largest((adjoint if rows < cols else apply)(torch.from_numpy(start).to(zero)))
    if image == 0:  # ARPACK fails on zero
        return FrameBounds(0.0, 0.0, rows, cols, grid=(), certificate=math.inf)
    unit = math.ldexp(1.0, math.frexp(image)[1])  # ARPACK takes what is small for zero

    def gram(x: np.ndarray) -> np.ndarray:
        vector = torch.from_numpy(x).to(zero)
        result = apply(adjoint(vector) / unit) if rows < cols else adjoint(apply(vector) / unit)
        return (result / unit).flatten().cpu().numpy()

    top = _end(gram, start, "LA", max_iter)
    # ARPACK starts from an image of the operator, in which no null space has a part unless something is added.
    shift = _SHIFT * top
    bottom = math.nan if math.isnan(top) else _end(lambda x: gram(x) + shift * x, start, "SA", max_iter) - shift
    lower, upper = (unit * math.sqrt(max(square, 0.0)) for square in (bottom, top))
    return FrameBounds(lower, upper, rows, cols, grid=(), certificate=math.inf)


def _in_float64(layer: nn.Module) -> nn.Module:
    """Convert a layer, on the CPU if its own device has no float64."""
    return (layer if has_float64(_device(layer)) else layer.cpu()).double()


def _device(layer: nn.Module) -> torch.device:
    """Return where the layer's numbers are; the CPU if it has none."""
    return next(chain(layer.parameters(), layer.buffers()), torch.empty(0)).device


def _written_out(
    layer: nn.Module, zero: Float[Tensor, "1 *shape"], offset: Float[Tensor, "1 *out"]
) -> Float[Tensor, "rows cols"]:
    """Return the matrix of the linear part, from whichever are fewer, its columns or its rows, some at a time."""
    rows, cols = offset.numel(), zero.numel()
    basis = torch.eye(min(rows, cols), dtype=torch.float64, device=zero.device).split(_CHUNK)
    if rows < cols:
        return torch.cat([_adjoint(layer, zero.repeat(len(y), *[1] * (zero.ndim - 1)))(y).flatten(1) for y in basis])
    with torch.no_grad():
        return torch.cat([(layer(x.reshape(-1, *zero.shape[1:])) - offset).flatten(1) for x in basis]).T


def _adjoint(layer: nn.Module, zeros: Float[Tensor, "batch *shape"]) -> Callable[[Tensor], Tensor]:
    """Return the adjoint of the linear part, one image each for as many vectors as there are `zeros`."""
    origin = zeros.clone().requires_grad_()
    with torch.enable_grad():
        output = layer(origin)
    return lambda y: torch.autograd.grad(output, origin, y.reshape(output.shape), retain_graph=True)[0]


def _probe(layer: nn.Module, shape: tuple[int, ...]) -> tuple[Float[Tensor, "1 *shape"], Float[Tensor, "1 *out"]]:
    """Return a zero input and its output, after checking that the layer takes it and is affine."""
    zero = torch.zeros(1, *shape, dtype=torch.float64, device=_device(layer))
    generator = torch.Generator().manual_seed(0)
    some = torch.randn(zero.shape, generator=generator, dtype=torch.float64, device="cpu").to(zero)
    with torch.no_grad():
        try:
            offset = layer(zero)
            if not isinstance(offset, Tensor):
                raise ValueError(
                    f"layer: expected one tensor from {type(layer).__name__}, got {type(offset).__name__}; pass an "
                    "affine layer"
                )
            # An activation would not show beside a large bias, so the input grows until the linear part is larger.
            ratio = 10 * float(offset.norm() / (layer(some) - offset).norm())
            some = some * max(1.0, ratio) if math.isfinite(ratio) else some
            once, back = layer(some) - offset, layer(-2 * some) - offset
        except RuntimeError as error:
            raise ValueError(
                f"input_shape: the layer takes no input of shape {shape}: {error}; give the shape of one input, "
                "without the batch dimension"
            ) from error
    if not (back + 2 * once).norm() <= 1e-8 * once.norm():
        raise ValueError(
            f"layer: expected an affine module, but {type(layer).__name__} is not one; pass the convolution or "
            "linear layer alone, without its activation"
        )
    return zero, offset


def _end(gram: Callable[[np.ndarray], np.ndarray], start: np.ndarray, which: str, max_iter: int) -> float:
    """Return an operator's extreme eigenvalue, or NaN where Lanczos does not settle."""
    operator = LinearOperator((len(start),) * 2, matvec=gram, dtype=np.float64)
    try:
        (value,) = eigsh(
            operator, k=1, which=which, v0=start, ncv=60, tol=1e-9, maxiter=max_iter, return_eigenvectors=False
        )
    except ArpackNoConvergence:
        return math.nan
    return float(value)
