"""The frame bounds of every layer of a network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from tutorial_pkg.models.evaluation import evaluation_mode
from tutorial_pkg.spectral.bounds import FrameBounds
from tutorial_pkg.spectral.circular import conv_frame_bounds
from tutorial_pkg.spectral.linear import linear_frame_bounds

Convolution = nn.Conv1d | nn.Conv2d | nn.Conv3d
Transposed = nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d


@dataclass(frozen=True)
class LayerBounds:
    """One row of Table 5.

    Attributes:
        name: of the module in the model.
        weight_shape: [F, C / groups, *kernel], of a transposed convolution [C, F / groups, *kernel], or [out, in].
        bounds: its frame bounds.
    """

    name: str
    weight_shape: tuple[int, ...]
    bounds: FrameBounds

    @property
    def lower(self) -> float:
        """λ₋, thin."""
        return self.bounds.lower

    @property
    def upper(self) -> float:
        """λ₊."""
        return self.bounds.upper


def model_frame_bounds(
    model: nn.Module, inputs: Tensor | None = None, *, grid: int | tuple[int, ...] = 32
) -> list[LayerBounds]:
    """Return the frame bounds of every convolutional, transposed and fully connected layer of a model (Table 5).

    A layer is read by its weight and its geometry, whatever else its `forward` may do.

    Args:
        model: any module; its layers are found by type, in the order in which it registers them.
        inputs: a batch to run once, so that each convolution is read on a grid of its own map's size, at its last call.
        grid: frequencies an axis for convolutions, where there are no `inputs` or where they do not come.

    Returns:
        One row a layer, named as in `model.named_modules()`. Empty if there is no such layer.

    Raises:
        ValueError: a layer's weight is not finite, see `conv_frame_bounds`; or the model does not take the `inputs`.

    Example:
        >>> model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 2))
        >>> [(row.name, row.weight_shape) for row in model_frame_bounds(model, grid=4)]
        [('0', (2, 1, 3, 3)), ('3', (2, 8))]
    """
    if inputs is not None and not isinstance(inputs, Tensor):
        raise ValueError(f"inputs: expected a batch as a tensor, got {type(inputs).__name__}; or pass grid=")
    sizes = {} if inputs is None else _map_sizes(model, inputs)
    with evaluation_mode(model):  # in which a weight that is computed, as by `spectral_norm`, stays what it is
        return [
            # The bounds first: they refuse a weight that has no shape yet.
            LayerBounds(
                name=name,
                bounds=layer_frame_bounds(layer, sizes.get(name, grid)),
                weight_shape=tuple(layer.weight.shape),
            )
            for name, layer in model.named_modules()
            if isinstance(layer, Convolution | Transposed | nn.Linear)
        ]


def layer_frame_bounds(layer: Convolution | Transposed | nn.Linear, grid: int | tuple[int, ...]) -> FrameBounds:
    """Return the frame bounds of one convolutional or fully connected module, its geometry read from it.

    Args:
        layer: a transposed convolution is the adjoint of the convolution with its weight, and has its bounds.
        grid: frequencies an axis: of a transposed convolution, the size of its input's map, of another its output's.
    """
    if isinstance(layer, nn.Linear):
        return linear_frame_bounds(layer.weight)
    bounds = conv_frame_bounds(
        layer.weight, stride=layer.stride, groups=layer.groups, dilation=layer.dilation, grid=grid
    )
    return replace(bounds, rows=bounds.cols, cols=bounds.rows) if isinstance(layer, Transposed) else bounds


def _map_sizes(model: nn.Module, inputs: Tensor) -> dict[str, tuple[int, ...]]:
    """Run the model once and note the size of every convolution's output map, of a transposed one's input map."""
    sizes: dict[str, tuple[int, ...]] = {}

    def note(name: str, axes: int) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def hook(module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
            sizes[name] = tuple((args[0] if isinstance(module, Transposed) else output).shape[-axes:])

        return hook

    hooks = [
        layer.register_forward_hook(note(name, len(layer.kernel_size)))
        for name, layer in model.named_modules()
        if isinstance(layer, Convolution | Transposed)
    ]
    try:
        with evaluation_mode(model), torch.no_grad():
            model(inputs.clone())  # its first operation may be in place
    except RuntimeError as error:
        raise ValueError(
            f"inputs: the model takes no batch of shape {tuple(inputs.shape)}: {error}; pass what it is called with"
        ) from error
    finally:
        for handle in hooks:
            handle.remove()
    return sizes
