"""Photographs from disk: both layouts, the cache of decoded pixels, and what is said of a folder that is not whole."""

import numpy as np
import pytest
import torch
from PIL import Image

from tutorial_pkg.data import IMAGE_DATASETS, load_image_folder, load_images, load_photographs, load_tiny_imagenet

CLASSES = {"n01": 10, "n02": 200}


def write(path, value, size=(8, 6)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (value, value // 2, 0)).save(path)


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
    (root / "words.txt").write_text("n01\tgoose\nn02\tsports car, sport car\nn03\tbee\n")
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


def test_decoded_pixels_are_found_again(folder):
    first = load_image_folder(folder, size=4)
    for path in folder.rglob("*.png"):
        path.write_bytes(b"")  # no longer an image: a second call must not read it
    assert load_image_folder(folder, size=4).checksum == first.checksum
    with pytest.raises(ValueError, match=r"cannot be read as an image"):
        load_image_folder(folder, size=5)


def test_a_new_image_is_noticed(folder):
    load_image_folder(folder, size=4)
    write(folder / "train" / "n01" / "9.png", 77)
    assert len(load_image_folder(folder, size=4).train_labels) == 7


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


def test_a_file_that_is_no_image_is_named(folder):
    (folder / "train" / "n02" / "broken.png").write_text("not an image")
    with pytest.raises(ValueError, match=r"broken\.png cannot be read as an image .*; delete it or unpack it again"):
        load_image_folder(folder)


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


def test_a_missing_image_of_tiny_imagenet_is_named(tiny_imagenet):
    (tiny_imagenet / "tiny-imagenet-200" / "val" / "images" / "val_1.JPEG").unlink()
    with pytest.raises(ValueError, match=r"1 of 2 images are missing, the first is .*val_1\.JPEG; unpack it again"):
        load_tiny_imagenet(tiny_imagenet)


def test_tiny_imagenet_that_cannot_be_had_says_what_to_do(tmp_path, monkeypatch):
    def refuse(*args):
        raise OSError("no network")

    monkeypatch.setattr("torchvision.datasets.utils.download_and_extract_archive", refuse)
    with pytest.raises(FileNotFoundError, match=r"could not be downloaded \(no network\).*quick"):
        load_tiny_imagenet(tmp_path)


def test_bundled_photographs_are_the_same_each_time():
    first, second = load_photographs(crops=4, size=32), load_photographs(crops=4, size=32)
    assert first.checksum == second.checksum
    assert first.num_classes == 8
    assert torch.bincount(first.train_labels).tolist() == [4] * 8
    assert not torch.equal(first.train_images[:1], first.val_images[:1])


def test_an_unknown_name_is_refused():
    with pytest.raises(ValueError, match="unknown set of photographs 'cifar'; expected one of photographs"):
        load_images("cifar")
