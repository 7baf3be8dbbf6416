"""Classifiers trained on the bundled digits in a second, and their first test images."""

import pytest
import torch
from torch import Tensor, nn

from tutorial_pkg.data import Dataset
from tutorial_pkg.models import build_model


def trained(name: str, digits: Dataset, steps: int) -> nn.Module:
    torch.manual_seed(0)
    return trained_for(build_model(name), digits, steps)


def trained_for(model: nn.Module, digits: Dataset, steps: int) -> nn.Module:
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(steps):
        batch = torch.randint(len(digits.train_labels), (200,))
        optimiser.zero_grad()
        nn.functional.cross_entropy(model(digits.train_inputs[batch]), digits.train_labels[batch]).backward()
        optimiser.step()
    for parameter in model.parameters():
        parameter.grad = None
    return model.eval()


@pytest.fixture(scope="session")
def linear(digits: Dataset) -> nn.Module:
    return trained("softmax", digits, 60)


@pytest.fixture(scope="session")
def network(digits: Dataset) -> nn.Module:
    return trained("fc32-32-10", digits, 60)


@pytest.fixture(scope="session")
def images(digits: Dataset, network: nn.Module, linear: nn.Module) -> tuple[Tensor, Tensor]:
    """Test images that both models classify correctly, and their labels."""
    x, labels = digits.test_inputs, digits.test_labels
    right = (network(x).argmax(1) == labels) & (linear(x).argmax(1) == labels)
    return x[right][:30], labels[right][:30]


@pytest.fixture(scope="session")
def targets(images: tuple[Tensor, Tensor]) -> Tensor:
    shift = torch.randint(1, 10, (len(images[1]),), generator=torch.Generator().manual_seed(0))
    return (images[1] + shift) % 10


class Residual(nn.Module):
    """Convolutions with batch norm, ReLU, a skip connection and max pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 12, 5, stride=2), nn.BatchNorm2d(12), nn.ReLU(), nn.MaxPool2d(2))
        self.branch = nn.Sequential(
            nn.Conv2d(12, 12, 3, padding=1), nn.BatchNorm2d(12), nn.ReLU(), nn.Conv2d(12, 12, 3, padding=1)
        )
        self.head = nn.Sequential(nn.BatchNorm2d(12), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(108, 10))

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        return self.head(x + self.branch(x))


@pytest.fixture(scope="session")
def kinked(digits: Dataset) -> nn.Module:
    torch.manual_seed(0)
    return trained_for(Residual(), digits, 80)


@pytest.fixture(scope="session")
def kinked_images(digits: Dataset, kinked: nn.Module) -> tuple[Tensor, Tensor]:
    x, labels = digits.test_inputs, digits.test_labels
    right = kinked(x).argmax(1) == labels
    assert right.double().mean() > 0.9
    return x[right][:16], labels[right][:16]
