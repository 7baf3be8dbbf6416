"""Photographs: Tiny ImageNet, any folder of images by class, and the two that ship with scikit-learn."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from tutorial_pkg.image_cache import decoded_images

TINY_IMAGENET_URL = "http://cs231n.stanford.edu/tiny-imagenet-200.zip"
"""The public archive, 237 MB, of Stanford's course CS231n."""


@dataclass(frozen=True)
class ImageDataset:
    """Photographs as bytes, with their labels, in a training and a validation part.

    Attributes:
        name: what provenance lines call it.
        train_images: bytes `[N, 3, height, width]`; a model's input is `images.float() / 255`.
        train_labels: class indices.
        val_images: as `train_images`.
        val_labels: as `train_labels`.
        class_ids: the classes' names on disk, such as WordNet's "n04285008".
        class_names: the same for people, such as "sports car".
    """

    name: str
    train_images: UInt8[Tensor, "train 3 height width"]
    train_labels: Int[Tensor, " train"]
    val_images: UInt8[Tensor, "val 3 height width"]
    val_labels: Int[Tensor, " val"]
    class_ids: tuple[str, ...]
    class_names: tuple[str, ...]

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.class_ids)

    @cached_property
    def checksum(self) -> str:
        """SHA-256 over every image and label, as 64 hexadecimal digits."""
        digest = hashlib.sha256()
        for tensor in (self.train_images, self.train_labels, self.val_images, self.val_labels):
            digest.update(str((tensor.dtype, tuple(tensor.shape))).encode())
            digest.update(tensor.contiguous().numpy().tobytes())
        return digest.hexdigest()


def load_photographs(crops: int = 60, size: int = 64) -> ImageDataset:
    """Return crops of the two photographs that ship with scikit-learn; needs no network.

    Each photograph, a temple and a flower, is cut into quarters: eight classes, told apart by what is in them.
    A crop is a random square of its quarter. This is the photographs' stand-in on a machine without data.

    Args:
        crops: training crops a class; a quarter as many are for validation.
        size: side of a crop in pixels.

    Raises:
        ValueError: a quarter of a photograph has no square of that size.

    Example:
        >>> photographs = load_photographs(crops=4)
        >>> tuple(photographs.train_images.shape), photographs.num_classes
        ((32, 3, 64, 64), 8)
    """
    from sklearn.datasets import load_sample_images

    bundled = load_sample_images()
    quarters: list[Tensor] = []
    names: list[str] = []
    for photograph, path in zip(bundled.images, bundled.filenames, strict=True):
        pixels = torch.from_numpy(np.array(photograph)).permute(2, 0, 1)
        half_height, half_width = pixels.shape[1] // 2, pixels.shape[2] // 2
        for row, side in ((0, "top"), (1, "bottom")):
            for column, end in ((0, "left"), (1, "right")):
                top, left = row * half_height, column * half_width
                quarters.append(pixels[:, top : top + half_height, left : left + half_width])
                names.append(f"{Path(path).stem}, {side} {end}")
    largest = min(min(quarter.shape[1:]) for quarter in quarters)
    if not 1 <= size <= largest:
        raise ValueError(f"expected a size from 1 to {largest} pixels, the photographs' quarters, got {size}")
    generator = torch.Generator().manual_seed(0)

    def cut(count: int) -> tuple[Tensor, Tensor]:
        images = [_random_crop(quarter, size, generator) for quarter in quarters for _ in range(count)]
        return torch.stack(images), torch.arange(len(quarters)).repeat_interleave(count)

    return ImageDataset("photographs", *cut(crops), *cut(max(1, crops // 4)), tuple(names), tuple(names))


def read_tiny_imagenet(root: Path) -> ImageDataset:
    """Return the classes of Tiny ImageNet that are below `root`: 64×64 colour images, 500 and 50 a class.

    The public archive has 200 classes; a subset in the same layout is read as it is. The archive is downloaded
    when nothing is there. The decoded pixels are kept beside the images, so that a second call takes seconds.

    Args:
        root: the data root; the images are in `<root>/tiny-imagenet-200/`.

    Raises:
        FileNotFoundError: Tiny ImageNet is not there and could not be downloaded.
        ValueError: the folder is there and is not complete, or a file in it is damaged; it is named.
    """
    folder = root / "tiny-imagenet-200"
    if not (folder / "wnids.txt").exists():
        _download_tiny_imagenet(root)
    # A class is what has a folder: the list may name more than a subset holds.
    listed = (folder / "wnids.txt").read_text(encoding="utf-8").split()
    ids = tuple(sorted(name for name in listed if (folder / "train" / name).is_dir()))
    if not ids:
        raise ValueError(f"{folder}: none of the {len(listed)} classes in wnids.txt has a folder below train/")
    names = dict(_first_two_columns(folder / "words.txt"))
    train = [(path, i) for i, name in enumerate(ids) for path in sorted((folder / "train" / name).rglob("*.JPEG"))]
    index = {name: i for i, name in enumerate(ids)}
    val = [
        (folder / "val" / "images" / file, index[name])
        for file, name in _first_two_columns(folder / "val" / "val_annotations.txt")
        if name in index
    ]
    for part, files in (("train", train), ("val", val)):
        empty = sorted(set(index.values()) - {label for _, label in files})
        if empty:
            raise ValueError(
                f"{folder / part} has no image of {len(empty)} of the {len(ids)} classes, the first is "
                f"{ids[empty[0]]}; unpack it again, or delete the class's folder below train"
            )
    return ImageDataset(
        f"Tiny ImageNet, {len(ids)} classes",
        *decoded_images(train, folder / "decoded-train.npy"),
        *decoded_images(val, folder / "decoded-val.npy"),
        ids,
        tuple(names.get(name, name).split(",")[0] for name in ids),
    )


def load_image_folder(root: str | Path, size: int = 64) -> ImageDataset:
    """Return the images below `root`, in torchvision's `ImageFolder` layout, all of one size.

    `<root>/train/<class>/` and `<root>/val/<class>/` hold images of any size and format that Pillow reads: ImageNet and
    Imagenette as they are unpacked. As in Krizhevsky et al. (2012), an image is resized so that its shorter side has
    `size` pixels, and its centre is kept. The decoded pixels are kept in `<root>`, so that a second call takes
    seconds, until an image changes; ImageNet needs 16 GB of memory at 64 pixels.

    Args:
        root: the folder that has `train` and `val`.
        size: side of the images in pixels.

    Raises:
        FileNotFoundError: there is no `train` or no `val`.
        ValueError: a class without an image, a file that is no image, or different classes in `train` and `val`.
    """
    from torchvision.datasets import ImageFolder

    folder = Path(root).expanduser()
    for part in ("train", "val"):
        if not (folder / part).is_dir():
            raise FileNotFoundError(
                f"{folder} has no folder {part!r}; expected {part}/<class>/<image> below it, as in torchvision's "
                "ImageFolder"
            )
    if size < 1:
        raise ValueError(f"expected a size of at least one pixel, got {size}")
    try:
        train, val = (ImageFolder(str(folder / part)) for part in ("train", "val"))
    except FileNotFoundError as error:  # torchvision names the classes without images
        raise ValueError(str(error)) from error
    if train.classes != val.classes:
        odd = sorted(set(train.classes) ^ set(val.classes))
        raise ValueError(f"{folder}: train and val differ in {len(odd)} classes, such as {odd[0]!r}")
    parts = [
        decoded_images(
            [(Path(path), label) for path, label in found.samples], folder / f"decoded-{size}-{name}.npy", size
        )
        for name, found in (("train", train), ("val", val))
    ]
    ids = tuple(train.classes)
    return ImageDataset(f"{folder.name}, {len(ids)} classes", *parts[0], *parts[1], ids, ids)


def _first_two_columns(table: Path) -> list[tuple[str, str]]:
    try:
        rows = [line.split("\t") for line in table.read_text(encoding="utf-8").splitlines() if line]
        return [(first, second) for first, second, *_ in rows]
    except (OSError, ValueError) as error:
        raise ValueError(f"{table}: expected columns separated by tabs ({error}); unpack the archive again") from error


def _download_tiny_imagenet(root: Path) -> None:
    from torchvision.datasets.utils import download_and_extract_archive

    archive = root / TINY_IMAGENET_URL.rpartition("/")[2]
    try:
        try:
            download_and_extract_archive(TINY_IMAGENET_URL, str(root))
        except BadZipFile:  # a download that was killed leaves a stump, which torchvision takes for the archive
            archive.unlink()
            download_and_extract_archive(TINY_IMAGENET_URL, str(root))
    except BadZipFile as error:
        raise ValueError(
            f"{archive} was downloaded again and is no zip archive ({error}); fetch {TINY_IMAGENET_URL} in another way "
            f"and unpack it in {root}"
        ) from error
    except Exception as error:
        raise FileNotFoundError(
            f"Tiny ImageNet is not in {root / 'tiny-imagenet-200'} and could not be downloaded ({error}). Unpack "
            f"{TINY_IMAGENET_URL} there, name another folder with --data-root or TUTORIAL_DATA, or use the quick "
            "profile, which needs no download."
        ) from error


def _random_crop(image: Tensor, size: int, generator: torch.Generator) -> Tensor:
    top, left = (
        int(torch.randint(extent - size + 1, (), generator=generator)) for extent in (image.shape[1], image.shape[2])
    )
    return image[:, top : top + size, left : left + size]
