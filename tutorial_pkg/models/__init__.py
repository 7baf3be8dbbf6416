"""The paper's models. Each returns logits and exposes its layers by name."""

from tutorial_pkg.models.alexnet import ALEXNETS, AlexNetConfig, LocalResponseNorm, alexnet, alexnet_config
from tutorial_pkg.models.layered import LayeredModel, batched_logits
from tutorial_pkg.models.mnist import (
    autoencoder_classifier,
    build_mnist_model,
    convolutional,
    fully_connected,
    softmax_regression,
)
from tutorial_pkg.models.pretrained import load_pretrained_alexnet
from tutorial_pkg.models.quocnet import QUOCNETS, QuocNetConfig, StageConfig, quocnet

__all__ = [
    "ALEXNETS",
    "AlexNetConfig",
    "LayeredModel",
    "LocalResponseNorm",
    "QUOCNETS",
    "QuocNetConfig",
    "StageConfig",
    "alexnet",
    "alexnet_config",
    "batched_logits",
    "build_model",
    "load_pretrained_alexnet",
    "quocnet",
    "softmax_regression",
    "fully_connected",
    "autoencoder_classifier",
    "convolutional",
]


def build_model(name: str) -> LayeredModel:
    """Build one of the paper's models by name, freshly initialised from torch's random state.

    Args:
        name: "softmax", "conv", "ae400-10", or "fc" and the widths after the input, such as "fc100-100-10",
            "fc200-200-10", "fc123-456-10"; or "alexnet", "alexnet-small", "alexnet-tiny";
            or "quocnet", "quocnet-full", "quocnet-large", "quocnet-tiny".

    Raises:
        ValueError: the name is none of these.

    Example:
        >>> build_model("fc100-100-10").layer_names
        ('hidden1', 'hidden2', 'logits')
    """
    if name in QUOCNETS:
        return quocnet(QUOCNETS[name])
    if name in ALEXNETS:
        return alexnet(ALEXNETS[name])
    try:
        return build_mnist_model(name)
    except ValueError as error:
        raise ValueError(f"{error}, or {', '.join([*ALEXNETS, *QUOCNETS])}") from error
