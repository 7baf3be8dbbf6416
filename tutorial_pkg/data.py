"""Data sets, the splits P1 and P2 of section 2, and the one data root they come from."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from tutorial_pkg.image_folder import ImageDataset, load_image_folder, load_photographs, read_tiny_imagenet

__all__ = [
    "IMAGE_DATASETS",
    "Dataset",
    "ImageDataset",
    "data_root",
    "load_dataset",
    "load_digits",
    "load_image_folder",
    "load_images",
    "load_mnist",
    "load_photographs",
    "load_tiny_imagenet",
    "split_halves",
]

MNIST_SIZES = {"train": 60_000, "t10k": 10_000}
"""Images in MNIST's two parts."""


@dataclass(frozen=True)
class Dataset:
    """Images in [0, 1] with their labels, in a training and a test part.

    Attributes:
        name: what provenance lines call it.
        train_inputs: images `[N, channels, height, width]`.
        train_labels: class indices.
        test_inputs: as `train_inputs`.
        test_labels: as `train_labels`.
        num_classes: number of classes.
    """

    name: str
    train_inputs: Float[Tensor, "train channels height width"]
    train_labels: Int[Tensor, " train"]
    test_inputs: Float[Tensor, "test channels height width"]
    test_labels: Int[Tensor, " test"]
    num_classes: int = 10

    @cached_property
    def checksum(self) -> str:
        """SHA-256 over every image and label, as 64 hexadecimal digits."""
        digest = hashlib.sha256()
        for tensor in (self.train_inputs, self.train_labels, self.test_inputs, self.test_labels):
            digest.update(str((tensor.dtype, tuple(tensor.shape))).encode())
            digest.update(tensor.cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    def train_subset(self, indices: Int[Tensor, " subset"], name: str) -> Dataset:
        """Return the data set with only these training images; the test part stays whole."""
        return replace(
            self,
            name=f"{self.name} {name}",
            train_inputs=self.train_inputs[indices],
            train_labels=self.train_labels[indices],
        )


def load_digits() -> Dataset:
    """Return scikit-learn's bundled 8×8 digits, resized to 28×28; needs no network.

    1,797 images of 43 people's handwriting (Alpaydin and Kaynak, 1998). A fixed random fifth is for testing.

    Example:
        >>> digits = load_digits()
        >>> tuple(digits.train_inputs.shape), len(digits.test_labels)
        ((1437, 1, 28, 28), 360)
    """
    from sklearn.datasets import load_digits as bundled_digits

    pixels, labels = bundled_digits(return_X_y=True)
    images = torch.from_numpy(pixels.astype(np.float32) / 16).reshape(-1, 1, 8, 8)
    images = torch.nn.functional.interpolate(images, size=(28, 28), mode="bilinear").clamp(0, 1)
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    train, test = order[: len(order) * 4 // 5], order[len(order) * 4 // 5 :]
    targets = torch.from_numpy(labels)
    return Dataset("digits", images[train], targets[train], images[test], targets[test])


def load_mnist(root: str | Path | None = None) -> Dataset:
    """Return MNIST's 60,000 training and 10,000 test images.

    The files are looked for in torchvision's layout, `<root>/MNIST/raw/`, and downloaded there by torchvision
    when they are missing.

    Args:
        root: see `data_root`.

    Raises:
        FileNotFoundError: MNIST is not there and could not be downloaded.
        ValueError: a file is there and is truncated or is not MNIST; it is named.
    """
    from torchvision.datasets import MNIST

    folder = data_root(root)
    try:
        parts = [MNIST(str(folder), train=train, download=True) for train in (True, False)]
    except Exception as error:
        damaged = _damaged_idx_files(folder / "MNIST" / "raw")
        if damaged:
            raise ValueError(
                f"damaged MNIST file {damaged[0]}: its {damaged[0].stat().st_size} bytes are not what its header "
                f"should promise ({error!r}). Delete it, so that it is downloaded again."
            ) from error
        raise FileNotFoundError(
            f"MNIST's files train-images-idx3-ubyte, … are not in {folder / 'MNIST' / 'raw'} and torchvision "
            f"could not download them ({error}). Put them there, name another folder with --data-root or "
            "TUTORIAL_DATA, or use the quick profile, which needs no download."
        ) from error
    for part, name in zip(parts, MNIST_SIZES, strict=True):
        images, labels = part.data, part.targets
        largest = max(labels.tolist(), default=0)
        if tuple(images.shape) != (MNIST_SIZES[name], 28, 28) or len(labels) != len(images) or largest > 9:
            raise ValueError(
                f"{folder / 'MNIST' / 'raw' / name}-*: expected {MNIST_SIZES[name]} images of 28×28 with a label "
                f"from 0 to 9 each, found {tuple(images.shape)} and {len(labels)} labels up to {largest}. Delete "
                "these files, so that they are downloaded again."
            )
    train, test = parts
    return Dataset(
        "MNIST",
        _as_unit_interval(train.data),
        train.targets.long(),
        _as_unit_interval(test.data),
        test.targets.long(),
    )


def split_halves(dataset: Dataset, generator: torch.Generator) -> tuple[Dataset, Dataset]:
    """Split the training images into the paper's disjoint halves P1 and P2, at random.

    Args:
        dataset: the whole; its test part goes with both halves.
        generator: decides who goes where.
    """
    order = torch.randperm(len(dataset.train_labels), generator=generator)
    half = len(order) // 2
    return dataset.train_subset(order[:half], "P1"), dataset.train_subset(order[half : 2 * half], "P2")


def data_root(root: str | Path | None = None, environ: Mapping[str, str] = os.environ) -> Path:
    """Return the folder of the data sets: `root`, else the variable `TUTORIAL_DATA`, else `data/`."""
    return Path(root or environ.get("TUTORIAL_DATA") or "data").expanduser()


def load_dataset(name: str, root: str | Path | None = None) -> Dataset:
    """Load a data set by the name that experiment configurations use.

    Raises:
        ValueError: the name is not known.
    """
    loaders = {"digits": load_digits, "mnist": lambda: load_mnist(root)}
    if name not in loaders:
        raise ValueError(f"unknown data set {name!r}; expected one of {', '.join(loaders)}")
    return loaders[name]()


IMAGE_DATASETS = ("photographs", "tiny-imagenet", "folder")
"""Names for `load_images`; "folder" is the data root itself, with `train` and `val` in it."""


def load_tiny_imagenet(root: str | Path | None = None) -> ImageDataset:
    """Return Tiny ImageNet, as many of its classes as are there; see `image_folder.read_tiny_imagenet`.

    Args:
        root: see `data_root`.
    """
    return read_tiny_imagenet(data_root(root))


def load_images(name: str, root: str | Path | None = None) -> ImageDataset:
    """Load a set of photographs by the name that experiment configurations use.

    Raises:
        ValueError: the name is not known.
    """
    loaders = {
        "photographs": load_photographs,
        "tiny-imagenet": lambda: load_tiny_imagenet(root),
        "folder": lambda: load_image_folder(data_root(root)),
    }
    if name not in loaders:
        raise ValueError(f"unknown set of photographs {name!r}; expected one of {', '.join(loaders)}")
    return loaders[name]()


def _as_unit_interval(images: Tensor) -> Float[Tensor, "n 1 height width"]:
    return images.unsqueeze(1).float() / 255


def _damaged_idx_files(folder: Path) -> list[Path]:
    """Uncompressed idx files whose header is not what their name says, or whose size contradicts it."""
    damaged = []
    for path in sorted(folder.glob("*-idx[13]-ubyte")):
        rank = int(path.name.removesuffix("-ubyte")[-1])
        with path.open("rb") as file:
            header = file.read(4 + 4 * rank)
        sizes = [int.from_bytes(header[i : i + 4], "big") for i in range(4, 4 + 4 * rank, 4)]
        if header[:4] != bytes([0, 0, 8, rank]) or path.stat().st_size != 4 + 4 * rank + math.prod(sizes):
            damaged.append(path)
    return damaged
