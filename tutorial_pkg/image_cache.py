"""Decoded photographs, kept in a file beside them, so that a second reading takes seconds."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int, UInt8
from torch import Tensor


def decoded_images(
    files: list[tuple[Path, int]], cache: Path, size: int | None = None
) -> tuple[UInt8[Tensor, "n 3 height width"], Int[Tensor, " n"]]:
    """Return the pixels and labels of image files; the pixels from `cache` when these files made it.

    Args:
        files: images and their class indices.
        cache: a file above the images, written when it does not hold the pixels of these files as they are now.
        size: side of the images' centre in pixels; None for images that are of one shape as they are.

    Raises:
        ValueError: a file is missing, is no image, or has a shape of its own; it is named.
    """
    from tqdm import tqdm

    missing = [path for path, _ in files if not path.exists()]
    if missing:
        raise ValueError(
            f"{len(missing)} of {len(files)} images are missing, the first is {missing[0]}; unpack it again"
        )
    made_from = hashlib.sha256(f"side {size}".encode())
    for path, _ in files:
        status = path.stat()
        made_from.update(repr((str(path.relative_to(cache.parent)), status.st_size, status.st_mtime_ns)).encode())
    pixels = _read_cache(cache, made_from.digest())
    if pixels is None:
        images: list[np.ndarray] = []
        for path, _ in tqdm(files, desc=f"decoding {cache.stem}", leave=False):
            images.append(_read_image(path, size))
            if images[-1].shape != images[0].shape:
                shapes = f"{images[-1].shape} in {path} and {images[0].shape} in {files[0][0]}"
                raise ValueError(f"expected images of one shape, got {shapes}; unpack them again")
        pixels = np.stack(images).transpose(0, 3, 1, 2).copy()
        _write_cache(cache, pixels, made_from.digest())
    return torch.from_numpy(pixels), torch.tensor([label for _, label in files])


def _read_image(path: Path, size: int | None) -> UInt8[np.ndarray, "height width 3"]:
    """Return an image, or the centre of it when its shorter side has `size` pixels."""
    from PIL import Image
    from PIL.ImageOps import fit

    try:
        with Image.open(path) as image:
            if image.mode.startswith("I;16"):  # which convert would cut at 255
                colours = Image.fromarray((np.asarray(image) / 257).round().astype(np.uint8)).convert("RGB")
            else:
                colours = image.convert("RGB")
            return np.asarray(colours if size is None else fit(colours, (size, size)))
    except Exception as error:  # of a damaged file, Pillow's decoders raise far more than OSError
        raise ValueError(f"{path} cannot be read as an image ({error}); delete it or unpack it again") from error


def _read_cache(cache: Path, made_from: bytes) -> UInt8[np.ndarray, "n 3 height width"] | None:
    """Return the pixels of a cache that ends in this digest; array and digest are one file, replaced as one."""
    with suppress(Exception), cache.open("rb") as file:  # whatever is wrong with it, decoding again mends it
        file.seek(-len(made_from), os.SEEK_END)
        if file.read() == made_from:
            file.seek(0)
            return np.load(file)
    return None


def _write_cache(cache: Path, pixels: UInt8[np.ndarray, "n 3 height width"], made_from: bytes) -> None:
    partial = cache.with_suffix(f".{os.getpid()}.partial")
    with suppress(OSError):  # a data folder that is full or read-only costs time and nothing else
        try:
            with partial.open("wb") as file:
                np.save(file, pixels)
                file.write(made_from)
            partial.replace(cache)
        finally:
            partial.unlink(missing_ok=True)
