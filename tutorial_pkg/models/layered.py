"""A classifier as a chain of named layers, so that one can stop at a layer or start above it."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn


class LayeredModel(nn.Module):
    """A feed-forward network of named layers, applied in order; the last gives the logits.

    In the paper's notation a layer's output is φ(x). `features(x, layer)` is φ(x), and `above(layer)` the
    rest of the network as a model of its own, so that `above(layer)(features(x, layer))` is `model(x)`.

    Args:
        layers: name → module, in the order of application. The modules are shared with the caller.

    Example:
        >>> import torch
        >>> model = LayeredModel({"hidden": nn.Linear(4, 3), "logits": nn.Linear(3, 2)})
        >>> x = torch.ones(5, 4)
        >>> model.layer_names
        ('hidden', 'logits')
        >>> torch.equal(model.above("hidden")(model.features(x, "hidden")), model(x))
        True
    """

    def __init__(self, layers: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.layers = nn.ModuleDict(dict(layers))

    @property
    def layer_names(self) -> tuple[str, ...]:
        """Names of the layers, from the input to the logits."""
        return tuple(self.layers)

    def forward(self, x: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch *out"]:
        """Apply every layer."""
        for layer in self.layers.values():
            x = layer(x)
        return x

    def features(self, x: Float[Tensor, "batch *shape"], layer: str) -> Float[Tensor, "batch *features"]:
        """Return φ(x), the output of `layer`.

        Raises:
            ValueError: no layer has that name.
        """
        self._require(layer)
        for name, module in self.layers.items():
            x = module(x)
            if name == layer:
                break
        return x

    def above(self, layer: str) -> LayeredModel:
        """Return the layers after `layer` as a model; it shares its parameters with this one.

        Raises:
            ValueError: no layer has that name, or it is the last one and nothing is above it.
        """
        self._require(layer)
        position = self.layer_names.index(layer) + 1
        if position == len(self.layers):
            raise ValueError(f"nothing is above {layer!r}, the last layer; choose one of {self.layer_names[:-1]}")
        rest = LayeredModel(dict(list(self.layers.items())[position:]))
        rest.training = self.training  # the layers are shared and keep the modes that they have
        return rest

    def _require(self, layer: str) -> None:
        if layer not in self.layers:
            raise ValueError(f"unknown layer {layer!r}; this model has {', '.join(self.layer_names)}")


@torch.no_grad()
def batched_logits(
    model: nn.Module, inputs: Float[Tensor, "n *shape"], *, device: str = "cpu", batch_size: int = 4096
) -> Float[Tensor, "n classes"]:
    """Return the logits of many inputs, a batch at a time, so that memory does not grow with their number.

    Args:
        model: on `device`, in the mode in which it is to be asked.
        inputs: on any device.
        batch_size: inputs a forward pass.
    """
    # Clones, because the model's first operation may be in place.
    return torch.cat([model(batch.to(device, copy=True)) for batch in inputs.split(batch_size)])
