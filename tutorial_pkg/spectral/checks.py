"""A caller's mistakes, reported before any arithmetic."""

from __future__ import annotations

import math
from collections.abc import Iterable
from numbers import Integral

import torch
from torch import Tensor
from torch.nn.parameter import is_lazy

from tutorial_pkg.precision import in_float64

_ORDINARY = 10  # powers of two


def checked_weight(weight: object, ranks: tuple[int, ...], layout: str) -> Tensor:
    """Return `weight`, detached and in float64, or say what is wrong with it.

    Raises:
        ValueError: it is no real floating-point tensor of one of `ranks`, or is empty, or has NaN or infinity.
    """
    if not isinstance(weight, Tensor):
        raise ValueError(f"weight: expected a tensor {layout}, got {type(weight).__name__}; pass layer.weight")
    if weight.is_complex():
        raise ValueError(
            f"weight: expected real floating-point numbers, got {weight.dtype}; a complex layer is not supported"
        )
    if not weight.is_floating_point():
        raise ValueError(f"weight: expected real floating-point numbers, got {weight.dtype}; call .float() first")
    if is_lazy(weight) or weight.is_meta or weight.layout is not torch.strided:
        raise ValueError(
            "weight: expected a dense tensor that has its numbers, got a lazy, meta or sparse one; run the "
            "model once, load its weights, or call .to_dense()"
        )
    if weight.ndim not in ranks:
        raise ValueError(f"weight: expected {layout}, got shape {tuple(weight.shape)}; pass layer.weight as it is")
    if weight.numel() == 0:
        raise ValueError(f"weight: expected {layout} with no empty axis, got shape {tuple(weight.shape)}")
    exact = in_float64(weight.detach())  # not every float dtype has a minimum
    if not torch.stack(exact.aminmax()).isfinite().all():
        raise ValueError("weight: expected finite numbers, got NaN or infinity; check how the layer was trained")
    return exact


def power_of_two(values: Tensor) -> float:
    """Return the unit to compute in: 1, or where the largest value is far from it, the power of two next to that.

    Dividing by it rounds nothing, and what is computed from the quotient's squares neither overflows nor vanishes.

    Example:
        >>> power_of_two(torch.tensor([0.1, -3.0])), power_of_two(torch.tensor([0.0, 1e30])) == 2.0**99
        (1.0, True)
    """
    exponent = math.frexp(largest(values))[1]
    return 1.0 if abs(exponent) <= _ORDINARY else math.ldexp(1.0, exponent - 1)


def largest(values: Tensor) -> float:
    """Return the largest absolute value."""
    low, high = values.aminmax()
    return max(-low.item(), high.item())


def checked_axes(name: str, value: int | tuple[int, ...], num_axes: int) -> tuple[int, ...]:
    """Return one positive integer an axis from an integer or a tuple.

    Raises:
        ValueError: the tuple has another length, or an entry is no integer of at least 1.
    """
    axes = tuple(value) if isinstance(value, Iterable) else (value,) * num_axes
    if len(axes) != num_axes:
        raise ValueError(f"{name}: expected one integer or {num_axes} of them, one an axis, got {value!r}")
    if not all(isinstance(n, Integral) and not isinstance(n, bool) and n >= 1 for n in axes):
        raise ValueError(f"{name}: expected integers of at least 1, got {value!r}")
    return tuple(int(n) for n in axes)


def checked_groups(groups: int, num_outputs: int) -> int:
    """Return `groups` if the layer's output channels can be dealt to that many groups.

    Raises:
        ValueError: it is less than 1 or does not divide `num_outputs`.
    """
    if not isinstance(groups, Integral) or isinstance(groups, bool) or groups < 1 or num_outputs % groups:
        raise ValueError(
            f"groups: expected a divisor of the {num_outputs} output channels (weight.shape[0]), got {groups!r}; "
            "pass layer.groups"
        )
    return int(groups)
