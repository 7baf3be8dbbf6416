"""The paper's MNIST models (section 2): softmax, FC, AE and Conv. All return logits."""

from __future__ import annotations

import re
from itertools import pairwise

import torch
from torch import nn

from tutorial_pkg.models.layered import LayeredModel

PIXELS = 28 * 28


def softmax_regression(num_inputs: int = PIXELS, num_classes: int = 10) -> LayeredModel:
    """Return the linear classifier "softmax": one layer from the pixels to the logits."""
    return fully_connected((num_inputs, num_classes))


def fully_connected(widths: tuple[int, ...]) -> LayeredModel:
    """Return the sigmoid network "FC" of the given widths, inputs and classes included.

    The paper's N100-100-10 is `fully_connected((784, 100, 100, 10))`. Layers are named `hidden1`, `hidden2`,
    …, `logits`; a hidden layer's features are its activations, in [0, 1].
    """
    layers: dict[str, nn.Module] = {}
    last = len(widths) - 2
    for i, (fan_in, fan_out) in enumerate(pairwise(widths)):
        linear = xavier_linear(fan_in, fan_out, gain=1.0 if i == last else 4.0)
        parts = ([nn.Flatten()] if i == 0 else []) + [linear] + ([] if i == last else [nn.Sigmoid()])
        layers["logits" if i == last else f"hidden{i + 1}"] = nn.Sequential(*parts)
    return LayeredModel(layers)


def autoencoder_classifier(code_size: int = 400, num_inputs: int = PIXELS, num_classes: int = 10) -> LayeredModel:
    """Return "AE400-10": a sigmoid code layer, to be trained as a sparse autoencoder, and a softmax on it.

    `training.pretrain_autoencoder` trains the code; it is not fine-tuned afterwards.

    Args:
        code_size: sigmoid units.
        num_inputs: pixels of an image, of any shape.
        num_classes: logits.
    """
    return LayeredModel(
        {
            "code": nn.Sequential(nn.Flatten(), xavier_linear(num_inputs, code_size), nn.Sigmoid()),
            "logits": xavier_linear(code_size, num_classes),
        }
    )


def convolutional(num_channels: int = 32, num_hidden: int = 256, num_classes: int = 10) -> LayeredModel:
    """Return "Conv": convolution, max pooling, fully connected, dropout, softmax.

    The paper gives the order of the layers and no sizes; these are this project's choice.

    Args:
        num_channels: filters of 5×5 pixels; inputs are `[batch, 1, 28, 28]`.
        num_hidden: units of the fully connected layer.
        num_classes: logits.
    """
    side = (28 - 4) // 2
    return LayeredModel(
        {
            "conv": nn.Sequential(nn.Conv2d(1, num_channels, kernel_size=5), nn.ReLU()),
            "pool": nn.MaxPool2d(2),
            "hidden": nn.Sequential(nn.Flatten(), nn.Linear(num_channels * side * side, num_hidden), nn.ReLU()),
            "dropout": nn.Dropout(0.5),
            "logits": nn.Linear(num_hidden, num_classes),
        }
    )


def build_mnist_model(name: str) -> LayeredModel:
    """Build one of the MNIST models by name; see `models.build_model`.

    Raises:
        ValueError: the name is none of these models'.
    """
    if name == "softmax":
        return softmax_regression()
    if name == "conv":
        return convolutional()
    if match := re.fullmatch(r"ae(\d+)-(\d+)", name):
        return autoencoder_classifier(int(match[1]), num_classes=int(match[2]))
    if match := re.fullmatch(r"fc((?:\d+-)*\d+)", name):
        return fully_connected((PIXELS, *map(int, match[1].split("-"))))
    raise ValueError(
        f"unknown model {name!r}; expected 'softmax', 'conv', 'ae<code>-<classes>' such as 'ae400-10', "
        "or 'fc<width>-…-<classes>' such as 'fc100-100-10'"
    )


def xavier_linear(fan_in: int, fan_out: int, gain: float = 1.0) -> nn.Linear:
    """Return a linear layer with Glorot and Bengio's uniform weights times `gain`, and zero biases.

    A gain of 4 is usual for the logistic sigmoid, whose slope at 0 is 1/4.
    """
    linear = nn.Linear(fan_in, fan_out)
    with torch.no_grad():
        nn.init.xavier_uniform_(linear.weight, gain=gain)
        nn.init.zeros_(linear.bias)
    return linear
