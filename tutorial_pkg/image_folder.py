"""Photographs: Tiny ImageNet, any folder of images by class, and the two that ship with scikit-learn."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Int, UInt8
from torch import Tensor

if TYPE_CHECKING:
    from PIL import Image

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
    generator = torch.Generator().manual_seed(0)

    def cut(count: int) -> tuple[Tensor, Tensor]:
        images = [_random_crop(quarter, size, generator) for quarter in quarters for _ in range(count)]
        return torch.stack(images), torch.arange(len(quarters)).repeat_interleave(count)

    return ImageDataset("photographs", *cut(crops), *cut(max(1, crops // 4)), tuple(names), tuple(names))


def read_tiny_imagenet(root: Path) -> ImageDataset:
    """Return the classes of Tiny ImageNet that are below `root`: 64×64 colour images, 500 and 50 a class.

    The public archive has 200 classes; a subset in the same layout is read as it is. The archive is downloaded
    when nothing is there. The decoded pixels are kept beside the images, so that a second call takes a second.

    Args:
        root: the data root; the images are in `<root>/tiny-imagenet-200/`.

    Raises:
        FileNotFoundError: Tiny ImageNet is not there and could not be downloaded.
        ValueError: the folder is there and is not complete.
    """
    folder = root / "tiny-imagenet-200"
    if not (folder / "wnids.txt").exists():
        _download_tiny_imagenet(root)
    # A class is what has a folder: the list may name more than a subset holds.
    listed = (folder / "wnids.txt").read_text(encoding="utf-8").split()
    ids = tuple(sorted(name for name in listed if (folder / "train" / name).is_dir()))
    if not ids:
        raise ValueError(f"{folder}: none of the {len(listed)} classes in wnids.txt has a folder below train/")
    names = dict(line.split("\t", 1) for line in (folder / "words.txt").read_text(encoding="utf-8").splitlines())
    train = [(path, i) for i, name in enumerate(ids) for path in sorted((folder / "train" / name).rglob("*.JPEG"))]
    annotations = (folder / "val" / "val_annotations.txt").read_text(encoding="utf-8").splitlines()
    index = {name: i for i, name in enumerate(ids)}
    val = [
        (folder / "val" / "images" / file, index[name])
        for file, name in (line.split("\t")[:2] for line in annotations)
        if name in index
    ]
    return ImageDataset(
        f"Tiny ImageNet, {len(ids)} classes",
        *_decoded(train, folder / "decoded-train.npy"),
        *_decoded(val, folder / "decoded-val.npy"),
        ids,
        tuple(names.get(name, name).split(",")[0] for name in ids),
    )


def load_image_folder(root: str | Path, size: int = 64) -> ImageDataset:
    """Return the images below `root`, in torchvision's `ImageFolder` layout, all of one size.

    `<root>/train/<class>/` and `<root>/val/<class>/` hold images of any size and format that Pillow reads: ImageNet and
    Imagenette as they are unpacked. As in Krizhevsky et al. (2012), an image is resized so that its shorter side has
    `size` pixels, and its centre is kept. The decoded pixels are kept in `<root>`, so that a second call takes a
    second; ImageNet needs 16 GB of memory at 64 pixels.

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
        _decoded([(Path(path), label) for path, label in found.samples], folder / f"decoded-{size}-{name}.npy", size)
        for name, found in (("train", train), ("val", val))
    ]
    ids = tuple(train.classes)
    return ImageDataset(f"{folder.name}, {len(ids)} classes", *parts[0], *parts[1], ids, ids)


def _decoded(files: list[tuple[Path, int]], cache: Path, size: int | None = None) -> tuple[Tensor, Tensor]:
    """Return pixels, of `size` or as they are, and labels; the pixels from `cache` when it holds as many images."""
    from PIL import Image
    from tqdm import tqdm

    labels = torch.tensor([label for _, label in files])
    if cache.exists():
        pixels = np.load(cache)
        if len(pixels) == len(files):
            return torch.from_numpy(pixels), labels
    missing = [path for path, _ in files if not path.exists()]
    if missing:
        raise ValueError(
            f"{len(missing)} of {len(files)} images are missing, the first is {missing[0]}; unpack it again"
        )
    images = []
    for path, _ in tqdm(files, desc=f"decoding {cache.stem}", leave=False):
        try:
            with Image.open(path) as image:
                images.append(np.asarray(_square(image.convert("RGB"), size)))
        except OSError as error:  # Pillow's UnidentifiedImageError is one
            raise ValueError(f"{path} cannot be read as an image ({error}); delete it or unpack it again") from error
    pixels = np.stack(images).transpose(0, 3, 1, 2).copy()
    try:
        partial = cache.with_suffix(".partial.npy")
        np.save(partial, pixels)
        partial.replace(cache)
    except OSError:
        pass  # a read-only data folder costs time and nothing else
    return torch.from_numpy(pixels), labels


def _square(image: Image.Image, size: int | None) -> Image.Image:
    """Return the centre of an image whose shorter side has `size` pixels; the image itself for no size."""
    from PIL.ImageOps import fit

    return image if size is None else fit(image, (size, size))


def _download_tiny_imagenet(root: Path) -> None:
    from torchvision.datasets.utils import download_and_extract_archive

    try:
        download_and_extract_archive(TINY_IMAGENET_URL, str(root))
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
