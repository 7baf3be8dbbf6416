"""Frame bounds of a layer as a network applies it: zero padding, borders and all."""

from __future__ import annotations

import copy
import math

import numpy as np
import torch
from jaxtyping import Float
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh
from torch import Tensor, nn

from tutorial_pkg.spectral.bounds import FrameBounds
from tutorial_pkg.spectral.checks import checked_axes
from tutorial_pkg.spectral.linear import linear_frame_bounds

_DENSE = 1500


def padded_frame_bounds(layer: nn.Module, input_shape: tuple[int, ...], *, max_iter: int = 300) -> FrameBounds:
    """Return the frame bounds of an affine layer on inputs of one size, whatever its padding.

    Section 4.3 treats a convolution as if its maps were circular. A real layer pads with zeros, is not diagonal
    in frequency, and keeps neither bound: λ₊ is at most the supremum over continuous frequencies, while λ₋ may
    lie on either side. A small operator is written out and decomposed. A larger one is only ever applied, it
    and, through autograd, its adjoint, and Lanczos (ARPACK) finds the ends of its Gram operator's spectrum.

    Args:
        layer: any affine module, such as `nn.Conv2d` with its padding and bias; a copy is used, in float64.
        input_shape: of one input, without the batch dimension.
        max_iter: restarts that Lanczos may use for each bound.

    Returns:
        `FrameBounds` of the linear part, without a grid. For a large operator λ₋ comes from a Gram operator and
        is good to about 1e-8·λ₊; a bound that Lanczos did not settle is NaN.

    Raises:
        ValueError: the layer cannot take that shape, or is not affine.

    Example:
        >>> average = nn.AvgPool1d(2)
        >>> bounds = padded_frame_bounds(average, (1, 6))
        >>> round(bounds.lower, 6), round(bounds.upper, 6)
        (0.707107, 0.707107)
    """
    shape = checked_axes("input_shape", input_shape, len(input_shape))
    layer = copy.deepcopy(layer).double().eval().requires_grad_(False)
    zero, offset = _probe(layer, shape)
    rows, cols = offset.numel(), zero.numel()
    if min(rows, cols) <= _DENSE:
        images = layer(torch.eye(cols, dtype=torch.float64, device=zero.device).reshape(cols, *shape))
        dense = linear_frame_bounds((images - offset).reshape(cols, rows).T)
        return FrameBounds(dense.lower, dense.upper, rows, cols, grid=(), certificate=dense.upper)

    origin = torch.zeros_like(zero, requires_grad=True)
    with torch.enable_grad():
        output = layer(origin)

    def apply(x: Tensor) -> Tensor:
        with torch.no_grad():
            return layer(x.reshape(zero.shape)) - offset

    def adjoint(y: Tensor) -> Tensor:
        return torch.autograd.grad(output, origin, y.reshape(offset.shape), retain_graph=True)[0]

    def gram(x: np.ndarray) -> np.ndarray:
        vector = torch.from_numpy(x).to(zero)
        result = apply(adjoint(vector)) if rows < cols else adjoint(apply(vector))
        return result.flatten().cpu().numpy()

    operator = LinearOperator((min(rows, cols),) * 2, matvec=gram, dtype=np.float64)
    lower, upper = (_end(operator, which, max_iter) for which in ("SA", "LA"))
    return FrameBounds(lower, upper, rows, cols, grid=(), certificate=upper)


def _probe(layer: nn.Module, shape: tuple[int, ...]) -> tuple[Float[Tensor, "1 *shape"], Float[Tensor, "1 *out"]]:
    """Return a zero input and its output, after checking that the layer takes it and is affine."""
    first = next(layer.parameters(), torch.empty(0))
    zero = torch.zeros(1, *shape, dtype=torch.float64, device=first.device)
    some = torch.randn(zero.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(zero)
    with torch.no_grad():
        try:
            offset, once, back = layer(zero), layer(some), layer(-2 * some)
        except RuntimeError as error:
            raise ValueError(
                f"input_shape: the layer takes no input of shape {shape}: {error}; give the shape of one input, "
                "without the batch dimension"
            ) from error
    if not torch.allclose(back - offset, -2 * (once - offset), rtol=1e-8, atol=1e-8):
        raise ValueError(
            f"layer: expected an affine module, but {type(layer).__name__} is not one; pass the convolution or "
            "linear layer alone, without its activation"
        )
    return zero, offset


def _end(operator: LinearOperator, which: str, max_iter: int) -> float:
    """Return the square root of a Gram operator's extreme eigenvalue, or NaN where Lanczos does not settle."""
    start = np.random.default_rng(0).standard_normal(operator.shape[0])
    try:
        (value,) = eigsh(
            operator, k=1, which=which, v0=start, ncv=60, tol=1e-9, maxiter=max_iter, return_eigenvectors=False
        )
    except ArpackNoConvergence:
        return math.nan
    return math.sqrt(max(value, 0.0))
