"""What a frame-bound computation returns."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FrameBounds:
    """The frame bounds λ₋ ≤ λ₊ of a linear operator W, and what is known about how they were read.

    Attributes:
        lower: λ₋, *thin*: the smallest of the min(rows, cols) singular values.
        upper: λ₊ = ‖W‖, the largest singular value.
        rows: outputs of one block of W (of all of W for a linear layer).
        cols: inputs of that block.
        grid: reduced frequencies an axis on which a convolution was read; () for an operator that has none.
        certificate: a proven upper bound of ‖W‖ on maps of *every* size, zero-padded ones included, but for rounding
            (1e-10 of it); `inf` where the grid is too coarse to prove one, and from `padded_frame_bounds`, which sees
            one size only. It is `upper` for a fully connected layer.
        supremum: λ₊ searched over continuous frequencies, where asked for. It is attained, so the true supremum
            lies in [supremum, certificate].
        infimum: λ₋ searched likewise; the true infimum lies in [0, infimum].

    Example:
        >>> bounds = FrameBounds(lower=0.5, upper=2.0, rows=3, cols=7, grid=(), certificate=2.0)
        >>> bounds.lower, bounds.strict_lower
        (0.5, 0.0)
    """

    lower: float
    upper: float
    rows: int
    cols: int
    grid: tuple[int, ...]
    certificate: float
    supremum: float | None = None
    infimum: float | None = None

    @property
    def strict_lower(self) -> float:
        """The *strict* lower frame bound, inf ‖Wx‖ / ‖x‖: zero when W has more columns than rows."""
        return 0.0 if self.cols > self.rows else self.lower
