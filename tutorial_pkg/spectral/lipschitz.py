"""The Lipschitz constant that the layers' bounds prove, beside the gain that is seen."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn

from tutorial_pkg.models import LayeredModel
from tutorial_pkg.models.evaluation import evaluation_mode
from tutorial_pkg.precision import in_float64
from tutorial_pkg.spectral.checks import checked_axes
from tutorial_pkg.spectral.network import Convolution, layer_frame_bounds

_MaxPooling = nn.MaxPool1d | nn.MaxPool2d | nn.MaxPool3d
_TYPES = (LayeredModel, nn.Sequential, nn.Linear, *get_args(Convolution), *get_args(_MaxPooling))
_CONSTANTS: Mapping[type[nn.Module], float] = {
    nn.Identity: 1.0,
    nn.Flatten: 1.0,
    nn.Dropout: 1.0,  # as applied at test time
    nn.Dropout2d: 1.0,
    nn.ReLU: 1.0,
    nn.Tanh: 1.0,
    nn.Sigmoid: 0.25,
}


@dataclass(frozen=True)
class LayerGain:
    """How much of a perturbation of the input arrives at a layer, and how much could.

    Attributes:
        name: of the layer.
        mean: of ‖φ(x) − φ(x + r)‖ / ‖r‖ over the inputs, φ(x) the layer's output.
        largest: of the same.
        bound: the Lipschitz constant proven for φ, the product of `layer_bound` up to this layer.
        layer_bound: the Lipschitz constant proven for this layer alone.
    """

    name: str
    mean: float
    largest: float
    bound: float
    layer_bound: float


def lipschitz_bound(module: nn.Module, *, grid: int = 32) -> float:
    """Return a Lipschitz constant of a chain of layers: the product of the layers' own (section 4.3).

    ‖φ(x) − φ(x')‖ ≤ Π L_k ‖x − x'‖, with L_k = λ₊(W_k) for a fully connected layer, the certificate of λ₊ for a
    convolution (valid for zero padding and any map), 1 for ReLU, 1/4 for the logistic sigmoid. Circular padding is
    covered where it makes the layer a circular convolution; elsewhere it repeats pixels, and the gain can be larger.

    Departs from the paper, which calls max pooling contractive: that holds where windows do not overlap. A pixel
    seen by p windows can be the largest in all of them, and the constant is √p; AlexNet's 3×3 windows two pixels
    apart have p = 4 and constant 2.

    Args:
        module: a layer, or `LayeredModel` or `nn.Sequential` of layers.
        grid: frequencies an axis on which convolutions are read.

    Raises:
        ValueError: it contains a module whose constant is not known: one of another type, a subclass with a
            `forward` of its own, or a convolution that pads circularly but not by δ(k − 1) in all at stride 1.

    Example:
        >>> lipschitz_bound(nn.Sequential(nn.Linear(3, 3), nn.Sigmoid())) < 0.5
        True
        >>> lipschitz_bound(nn.MaxPool2d(3, stride=2))
        2.0
    """
    known = _computes_as_its_type(module)
    if known and isinstance(module, LayeredModel):
        return math.prod(lipschitz_bound(layer, grid=grid) for layer in module.layers.values())
    if known and isinstance(module, nn.Sequential):
        return math.prod(lipschitz_bound(layer, grid=grid) for layer in module)
    if known and (isinstance(module, nn.Linear) or (isinstance(module, Convolution) and _padding_is_covered(module))):
        with evaluation_mode(module):  # in which a weight that is computed stays what it is
            return layer_frame_bounds(module, grid).certificate
    if known and isinstance(module, _MaxPooling) and module.dilation == 1:
        return math.sqrt(_windows_per_pixel(module))
    if type(module) in _CONSTANTS:
        return _CONSTANTS[type(module)]
    raise ValueError(
        f"module: no Lipschitz constant is known for {type(module).__name__} ({module}); expected a LayeredModel or "
        "nn.Sequential of convolutions (padded with zeros, or circularly with padding='same' and stride 1), linear "
        f"layers, max pooling, {', '.join(t.__name__ for t in _CONSTANTS)}, none with a forward of its own; bound this "
        "layer by hand and the others here, and multiply"
    )


@torch.no_grad()
def layer_gains(
    model: LayeredModel,
    inputs: Float[Tensor, "batch *shape"],
    adv_inputs: Tensor,
    *,
    grid: int = 32,
    batch_size: int = 256,
) -> list[LayerGain]:
    """Return what each layer makes of perturbations, beside what the spectral bounds would allow.

    Args:
        model: read as at test time (no dropout); its mode is put back.
        inputs: x.
        adv_inputs: x + r; pairs with r = 0 are left out.
        grid: for the convolutions' bounds.
        batch_size: inputs at a time.

    Returns:
        One row a layer, from the input up.

    Raises:
        ValueError: the shapes differ, or no pair differs, or see `lipschitz_bound`.

    Example:
        >>> model = LayeredModel({"logits": nn.Linear(2, 2, bias=False)})
        >>> _ = nn.init.eye_(model.layers["logits"].weight)
        >>> layer_gains(model, torch.zeros(1, 2), torch.ones(1, 2))[0].mean
        1.0
    """
    if inputs.shape != adv_inputs.shape:
        raise ValueError(
            f"adv_inputs: expected the inputs' shape {tuple(inputs.shape)}, got {tuple(adv_inputs.shape)}; pass the "
            "attack's result for these very inputs"
        )
    changed = (inputs != adv_inputs).flatten(1).any(1)
    if not changed.any():
        raise ValueError("adv_inputs: expected inputs that were changed, got the inputs themselves")
    gains: dict[str, list[Tensor]] = {name: [] for name in model.layer_names}
    with evaluation_mode(model):
        pairs = zip(inputs[changed].split(batch_size), adv_inputs[changed].split(batch_size), strict=True)
        for clean, moved in pairs:
            size = (clean - moved).flatten(1).norm(dim=1)
            for name, layer in model.layers.items():
                clean, moved = layer(clean), layer(moved)
                gains[name].append((clean - moved).flatten(1).norm(dim=1) / size)
    rows, bound = [], 1.0
    for name, parts in gains.items():
        observed, layer_bound = in_float64(torch.cat(parts)), lipschitz_bound(model.layers[name], grid=grid)
        bound *= layer_bound
        rows.append(LayerGain(name, observed.mean().item(), observed.max().item(), bound, layer_bound))
    return rows


def _computes_as_its_type(module: nn.Module) -> bool:
    """Say whether a module is of a type known here and, where it is a subclass, leaves that type's forward alone."""
    names = ("forward", "_conv_forward")
    return any(
        isinstance(module, kind)
        and all(getattr(type(module), name, None) is getattr(kind, name, None) for name in names)
        for kind in _TYPES
    )


def _padding_is_covered(conv: Convolution) -> bool:
    """Say whether the certificate bounds a convolution as it pads: with zeros, or as on a circular map."""
    same = tuple(d * (k - 1) for k, d in zip(conv.kernel_size, conv.dilation, strict=True))
    padding = {"same": same, "valid": (0,) * len(same)}
    total = padding[conv.padding] if isinstance(conv.padding, str) else tuple(2 * p for p in conv.padding)
    circular = conv.padding_mode == "circular" and total == same and all(step == 1 for step in conv.stride)
    return circular or conv.padding_mode == "zeros"


def _windows_per_pixel(pooling: _MaxPooling) -> int:
    """Return the largest number of pooling windows that share a pixel."""
    axes = 1 if isinstance(pooling, nn.MaxPool1d) else 2 if isinstance(pooling, nn.MaxPool2d) else 3
    kernel = checked_axes("kernel_size", pooling.kernel_size, axes)
    stride = checked_axes("stride", pooling.stride, axes)
    return math.prod(-(-k // s) for k, s in zip(kernel, stride, strict=True))
