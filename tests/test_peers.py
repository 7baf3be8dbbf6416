"""What the benchmark compares with: the wrappers around published attacks do what their rows say."""

import peers
import pytest
import torch
from torch import nn


def test_trying_every_class_finds_the_nearest():
    model = nn.Identity()  # three pixels are three logits
    inputs = torch.tensor([[0.9, 0.2, 0.6], [0.1, 0.8, 0.2]])
    labels = inputs.argmax(1)

    def swap(model: nn.Module, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        rows = torch.arange(len(inputs))
        adversarial = inputs.clone()
        adversarial[rows, targets] = inputs.amax(1) + 0.01
        return adversarial

    adversarial = peers.nearest_of_all(swap)(model, inputs, labels)
    assert adversarial.argmax(1).tolist() == [2, 2]
    missed = peers.nearest_of_all(lambda model, inputs, targets: inputs + 1)(model, inputs, labels)
    assert torch.equal(missed, inputs)


def test_scipy_reaches_the_target_of_a_linear_model():
    model = nn.Linear(4, 2, bias=False)  # with two classes the rule is exact
    with torch.no_grad():
        model.weight.copy_(torch.eye(2, 4))
    clean, target = torch.tensor([[0.9, 0.3, 0.1, 0.5]]), torch.tensor([1])
    adversarial = peers.scipy_loop(model, clean, target)
    assert model(adversarial).argmax(1).tolist() == [1]
    # To make the second pixel the largest, each of the two gives way by half their difference.
    assert (adversarial - clean).norm() == pytest.approx(0.6 / 2**0.5, rel=0.02)
