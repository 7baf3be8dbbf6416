"""Photographs from disk: both layouts, the cache of decoded pixels, and what is said of a folder that is not whole."""

import os
from pathlib import Path
from shutil import copyfile, make_archive

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_images

from tutorial_pkg import image_folder
from tutorial_pkg.data import IMAGE_DATASETS, load_image_folder, load_images, load_photographs, load_tiny_imagenet

CLASSES = {"n01": 10, "n02": 200}


def write(path, value, size=(8, 6)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (value, value // 2, 0)).save(path)


def refuse(*args):
    raise OSError("no network")


@pytest.fixture
def folder(tmp_path):
    for name, value in CLASSES.items():
        for i in range(3):
            write(tmp_path / "train" / name / f"{i}.png", value + i)
        write(tmp_path / "val" / name / "0.png", value)
    return tmp_path


@pytest.fixture
def tiny_imagenet(tmp_path):
    root = tmp_path / "tiny-imagenet-200"
    for name, value in CLASSES.items():
        write(root / "train" / name / "images" / f"{name}_0.JPEG", value, (64, 64))
    write(root / "val" / "images" / "val_0.JPEG", 10, (64, 64))
    write(root / "val" / "images" / "val_1.JPEG", 200, (64, 64))
    lines = ["val_1.JPEG\tn02\t0\t0\t9\t9", "val_0.JPEG\tn01\t0\t0\t9\t9", "val_2.JPEG\tn03\t0\t0\t9\t9"]
    (root / "val" / "val_annotations.txt").write_text("\n".join(lines))
    (root / "wnids.txt").write_text("n02\nn01\nn03\n")  # n03 is listed and is not here: a subset of the archive
    (root / "words.txt").write_text("n01\tgoose\n\nn02\tsports car, sport car\nn03\tbee\n")
    return tmp_path


def test_a_folder_by_class(folder):
    images = load_image_folder(folder, size=4)
    assert tuple(images.train_images.shape) == (6, 3, 4, 4)
    assert images.train_images.dtype == torch.uint8
    assert images.train_labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert images.val_labels.tolist() == [0, 1]
    assert images.class_ids == ("n01", "n02")
    assert images.train_images[:, 0, 0, 0].tolist() == [10, 11, 12, 200, 201, 202]
    assert images.train_images[3, :, 2, 2].tolist() == [200, 100, 0]


def test_the_centre_is_kept_and_the_shorter_side_decides(folder):
    stripes = np.zeros((10, 30, 3), dtype=np.uint8)
    stripes[:, 10:20] = 255  # the middle square
    Image.fromarray(stripes).save(folder / "train" / "n01" / "0.png")
    first = load_image_folder(folder, size=5).train_images[0]
    assert first[:, :, 1:4].min() > 250


def test_decoded_pixels_are_found_again(folder, monkeypatch):
    first = load_image_folder(folder, size=4)
    monkeypatch.setattr(Image, "open", refuse)
    assert load_image_folder(folder, size=4).checksum == first.checksum
    with pytest.raises(ValueError, match=r"cannot be read as an image"):
        load_image_folder(folder, size=5)
    assert sorted(path.name for path in folder.iterdir()) == [
        "decoded-4-train.npy",
        "decoded-4-val.npy",
        "train",
        "val",
    ]


def test_a_new_image_is_noticed(folder):
    load_image_folder(folder, size=4)
    write(folder / "train" / "n01" / "9.png", 77)
    assert len(load_image_folder(folder, size=4).train_labels) == 7


def test_an_image_written_over_is_noticed(folder):
    before = load_image_folder(folder, size=4)
    changed = folder / "train" / "n01" / "0.png"
    write(changed, 99)
    os.utime(changed, ns=(0, 0))  # a clock can be too coarse to tell the two writes apart
    after = load_image_folder(folder, size=4)
    assert after.train_images[0, 0, 0, 0] == 99
    assert torch.equal(after.train_images[1:], before.train_images[1:])


def test_pixels_follow_their_class_when_it_is_renamed(folder):
    load_image_folder(folder, size=4)
    for part in ("train", "val"):
        (folder / part / "n01").rename(folder / part / "n09")
    images = load_image_folder(folder, size=4)
    assert images.class_ids == ("n02", "n09")
    assert images.train_images[:, 0, 0, 0].tolist() == [200, 201, 202, 10, 11, 12]


@pytest.mark.parametrize(
    "damage",
    [
        lambda cache: cache.write_bytes(b""),
        lambda cache: cache.write_bytes(b"garbage, and long enough for a digest"),
        lambda cache: cache.write_bytes(cache.read_bytes()[:-40]),
        lambda cache: cache.write_bytes(cache.read_bytes()[40:]),
        lambda cache: np.save(cache, np.load(cache)),  # as earlier versions wrote it
        lambda cache: np.save(cache, np.zeros((6, 3, 9, 9), dtype=np.float64)),
        lambda cache: (cache.unlink(), cache.mkdir()),
    ],
    ids=["empty", "garbage", "end missing", "start missing", "no digest", "foreign", "folder"],
)
def test_a_cache_that_cannot_be_trusted_is_made_again(folder, damage):
    first = load_image_folder(folder, size=4)
    damage(folder / "decoded-4-train.npy")
    assert load_image_folder(folder, size=4).checksum == first.checksum
    assert not list(folder.glob("*.partial"))


def test_the_name_folder_is_the_data_root(folder):
    assert load_images("folder", folder).train_images.shape[-1] == 64
    assert "folder" in IMAGE_DATASETS


def test_a_missing_part_is_named(folder):
    with pytest.raises(FileNotFoundError, match=r"nowhere has no folder 'train'; expected train/<class>/<image>"):
        load_image_folder(folder / "nowhere")


def test_a_class_without_images_is_named(folder):
    (folder / "train" / "n01" / "sub").mkdir()
    for path in (folder / "train" / "n01").glob("*.png"):
        path.unlink()
    with pytest.raises(ValueError, match="n01"):
        load_image_folder(folder)


def test_different_classes_are_refused(folder):
    write(folder / "val" / "n03" / "0.png", 1)
    with pytest.raises(ValueError, match="train and val differ in 1 classes, such as 'n03'"):
        load_image_folder(folder)


def test_as_many_other_classes_are_refused(folder):
    (folder / "val" / "n02").rename(folder / "val" / "n03")
    with pytest.raises(ValueError, match="train and val differ in 2 classes, such as 'n02'"):
        load_image_folder(folder)


def test_a_file_that_is_no_image_is_named(folder):
    (folder / "train" / "n02" / "broken.png").write_text("not an image")
    with pytest.raises(ValueError, match=r"broken\.png cannot be read as an image .*; delete it or unpack it again"):
        load_image_folder(folder)


@pytest.mark.parametrize(
    "error", [SyntaxError("broken PNG"), Image.DecompressionBombError("too many pixels"), ValueError("bad header")]
)
def test_whatever_a_decoder_raises_names_the_file(folder, monkeypatch, error):
    def fail(*args):
        raise error

    monkeypatch.setattr(Image.Image, "convert", fail)
    with pytest.raises(ValueError, match=rf"n01.0\.png cannot be read as an image \({error}\); delete it"):
        load_image_folder(folder)


@pytest.mark.parametrize("suffix", ["png", "tiff"])
def test_sixteen_bits_become_eight(folder, suffix):
    levels = np.arange(256, dtype=np.uint16).reshape(16, 16) * 257
    (folder / "train" / "n01" / "0.png").unlink()
    Image.fromarray(levels).save(folder / "train" / "n01" / f"0.{suffix}")
    first = load_image_folder(folder, size=16).train_images[0]
    assert torch.equal(first, torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16).expand(3, 16, 16))


def test_an_impossible_size_is_refused(folder):
    with pytest.raises(ValueError, match="at least one pixel, got 0"):
        load_image_folder(folder, size=0)


def test_tiny_imagenet_takes_the_classes_that_are_there(tiny_imagenet):
    images = load_tiny_imagenet(tiny_imagenet)
    assert images.class_ids == ("n01", "n02")
    assert images.class_names == ("goose", "sports car")
    assert images.val_labels.tolist() == [1, 0]
    assert (images.val_images[0, 0] > 150).all()
    assert images.name == "Tiny ImageNet, 2 classes"
    assert load_tiny_imagenet(tiny_imagenet).checksum == images.checksum


def test_decoded_pixels_of_tiny_imagenet_are_found_again(tiny_imagenet, monkeypatch):
    first = load_tiny_imagenet(tiny_imagenet)
    monkeypatch.setattr(Image, "open", refuse)
    assert load_tiny_imagenet(tiny_imagenet).checksum == first.checksum


def test_a_missing_image_of_tiny_imagenet_is_named(tiny_imagenet):
    (tiny_imagenet / "tiny-imagenet-200" / "val" / "images" / "val_1.JPEG").unlink()
    with pytest.raises(ValueError, match=r"1 of 2 images are missing, the first is .*val_1\.JPEG; unpack it again"):
        load_tiny_imagenet(tiny_imagenet)


def test_an_image_of_tiny_imagenet_written_over_is_noticed(tiny_imagenet):
    load_tiny_imagenet(tiny_imagenet)
    changed = tiny_imagenet / "tiny-imagenet-200" / "train" / "n01" / "images" / "n01_0.JPEG"
    write(changed, 100, (64, 64))
    os.utime(changed, ns=(0, 0))
    assert (load_tiny_imagenet(tiny_imagenet).train_images[0, 0] > 90).all()


@pytest.mark.parametrize("table", ["words.txt", "val/val_annotations.txt"])
@pytest.mark.parametrize("content", [None, "n01 goose", b"\xff\xfe"], ids=["missing", "no tab", "no text"])
def test_a_damaged_table_of_tiny_imagenet_is_named(tiny_imagenet, table, content):
    path = tiny_imagenet / "tiny-imagenet-200" / table
    path.unlink()
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=rf"{table}: expected columns separated by tabs .*; unpack the archive again"):
        load_tiny_imagenet(tiny_imagenet)


def test_a_class_of_tiny_imagenet_without_images_is_named(tiny_imagenet):
    (tiny_imagenet / "tiny-imagenet-200" / "train" / "n02" / "images" / "n02_0.JPEG").unlink()
    with pytest.raises(
        ValueError, match=r"train has no image of 1 of the 2 classes, the first is n02; unpack it again"
    ):
        load_tiny_imagenet(tiny_imagenet)


def test_tiny_imagenet_without_validation_images_says_so(tiny_imagenet):
    (tiny_imagenet / "tiny-imagenet-200" / "val" / "val_annotations.txt").write_text("")
    with pytest.raises(ValueError, match=r"val has no image of 2 of the 2 classes, the first is n01; unpack it again"):
        load_tiny_imagenet(tiny_imagenet)


def test_an_image_of_another_shape_is_named(tiny_imagenet):
    write(tiny_imagenet / "tiny-imagenet-200" / "train" / "n02" / "images" / "n02_0.JPEG", 5, (32, 16))
    with pytest.raises(ValueError, match=r"one shape, got \(16, 32, 3\) in .*n02_0\.JPEG and \(64, 64, 3\) in .*n01_0"):
        load_tiny_imagenet(tiny_imagenet)


def test_tiny_imagenet_that_cannot_be_had_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr("torchvision.datasets.utils.download_and_extract_archive", refuse)
    with pytest.raises(FileNotFoundError, match=r"could not be downloaded \(no network\).*quick"):
        load_tiny_imagenet(tmp_path)


@pytest.fixture
def archive(tiny_imagenet, monkeypatch):
    """The same as an archive, at the address that it is downloaded from."""
    path = Path(make_archive(tiny_imagenet / "server" / "tiny-imagenet-200", "zip", tiny_imagenet, "tiny-imagenet-200"))
    monkeypatch.setattr(image_folder, "TINY_IMAGENET_URL", path.as_uri())
    monkeypatch.setattr("torchvision.datasets.utils._urlretrieve", lambda url, filename: copyfile(path, filename))
    return path


def test_a_stump_that_a_killed_download_left_is_replaced(tiny_imagenet, archive, tmp_path_factory):
    root = tmp_path_factory.mktemp("root")
    (root / archive.name).write_bytes(archive.read_bytes()[:1000])
    assert load_tiny_imagenet(root).checksum == load_tiny_imagenet(tiny_imagenet).checksum


def test_an_archive_that_is_damaged_where_it_comes_from_is_named(archive, tmp_path_factory):
    root = tmp_path_factory.mktemp("root")
    archive.write_bytes(archive.read_bytes()[:1000])
    with pytest.raises(ValueError, match=f"{root / archive.name} was downloaded again and is no zip archive .*unpack"):
        load_tiny_imagenet(root)


def test_bundled_photographs_are_the_same_each_time():
    first, second = load_photographs(crops=4, size=32), load_photographs(crops=4, size=32)
    assert first.checksum == second.checksum
    assert first.num_classes == 8
    assert torch.bincount(first.train_labels).tolist() == [4] * 8
    assert torch.bincount(first.val_labels).tolist() == [1] * 8
    assert not torch.equal(first.train_images[:1], first.val_images[:1])


def test_a_crop_is_a_square_of_the_quarter_that_its_class_is_named_after():
    photographs, bundled = load_photographs(crops=2, size=8), load_sample_images()
    whole = {Path(path).stem: pixels for path, pixels in zip(bundled.filenames, bundled.images, strict=True)}
    images = torch.cat([photographs.train_images, photographs.val_images])
    labels = torch.cat([photographs.train_labels, photographs.val_labels])
    for image, label in zip(images, labels.tolist(), strict=True):
        name, place = photographs.class_names[label].split(", ")
        rows, columns = (np.array_split(range(n - n % 2), 2) for n in whole[name].shape[:2])
        side, end = place.split()
        quarter = whole[name][rows[side == "bottom"]][:, columns[end == "right"]]
        windows = torch.from_numpy(quarter).unfold(0, 8, 1).unfold(1, 8, 1)
        assert (windows == image).flatten(2).all(2).any()


def test_every_square_of_an_image_comes_up():
    pixels, generator = torch.arange(6).reshape(1, 2, 3), torch.Generator().manual_seed(0)
    crops = [image_folder._random_crop(pixels, 1, generator).item() for _ in range(100)]
    assert set(crops) == set(range(6))


@pytest.mark.parametrize("size", [0, 214, 300])
def test_a_crop_larger_than_its_quarter_is_refused(size):
    with pytest.raises(
        ValueError, match=f"expected a size from 1 to 213 pixels, the photographs' quarters, got {size}"
    ):
        load_photographs(4, size=size)


def test_the_largest_crop_is_a_quarter_high():
    assert load_photographs(1, size=213).train_images.shape[-1] == 213


def test_an_unknown_name_is_refused():
    with pytest.raises(ValueError, match="unknown set of photographs 'cifar'; expected one of photographs"):
        load_images("cifar")
