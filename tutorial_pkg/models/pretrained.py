"""AlexNet with weights that others trained on ImageNet."""

from __future__ import annotations

import torch
from torch import nn

from tutorial_pkg.models.alexnet import Normalise
from tutorial_pkg.models.layered import LayeredModel


def load_pretrained_alexnet() -> LayeredModel:
    """Return torchvision's AlexNet, trained on ImageNet's 1,000 classes, with this project's layer names.

    It is Krizhevsky's variant of 2014: one group, 64-192-384-256-256 channels, no response normalisation. Its inputs
    are images of 224 × 224 in [0, 1]. The weights, 233 MB, are downloaded by torchvision into `TORCH_HOME`.

    Raises:
        FileNotFoundError: the weights are not there and could not be downloaded; says what to do instead.

    Source: Krizhevsky, One weird trick for parallelizing convolutional neural networks (2014).
    """
    from torchvision.models import AlexNet_Weights, alexnet

    weights = AlexNet_Weights.IMAGENET1K_V1
    try:
        network = alexnet(weights=weights)
    except Exception as error:
        file = weights.url.rsplit("/", 1)[1]
        raise FileNotFoundError(
            f"torchvision's AlexNet could not be downloaded ({error}). Put {file} into "
            f"{torch.hub.get_dir()}/checkpoints, or train a network: build_figures.py --only alexnet --profile laptop."
        ) from error
    return as_layered(network).eval()


def as_layered(network: nn.Module) -> LayeredModel:
    """Return torchvision's AlexNet as a chain of named layers that share its modules."""
    features, classifier, average = network.features, network.classifier, network.avgpool
    assert isinstance(features, nn.Sequential)
    assert isinstance(classifier, nn.Sequential)
    assert isinstance(average, nn.Module)
    return LayeredModel(
        {
            "normalise": Normalise(),
            "conv1": features[0:2],
            "pool1": features[2],
            "conv2": features[3:5],
            "pool2": features[5],
            "conv3": features[6:8],
            "conv4": features[8:10],
            "conv5": features[10:12],
            "pool5": nn.Sequential(features[12], average),
            "dropout1": classifier[0],
            "fc1": nn.Sequential(nn.Flatten(), *classifier[1:3]),
            "dropout2": classifier[3],
            "fc2": classifier[4:6],
            "logits": classifier[6],
        }
    )
