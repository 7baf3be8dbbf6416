import math
import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tutorial_pkg.data import (
    MNIST_SIZES,
    data_root,
    load_dataset,
    load_digits,
    load_mnist,
    load_photographs,
    split_halves,
)


def test_digits_are_images_in_the_unit_interval(digits):
    assert digits.train_inputs.shape[1:] == (1, 28, 28)
    assert digits.train_inputs.dtype == torch.float32
    for inputs in (digits.train_inputs, digits.test_inputs):
        assert float(inputs.min()) == 0
        assert float(inputs.max()) == pytest.approx(1, abs=1e-6)
    assert set(digits.train_labels.tolist()) == set(range(10))
    assert (16 * digits.train_inputs % 1 > 0).any(), "there are no levels between the 17 of the original"


def test_digits_are_the_same_every_time(digits):
    assert load_digits().checksum == digits.checksum
    assert digits.train_labels[:10].tolist() == [6, 5, 5, 7, 9, 9, 8, 4, 6, 8]


def test_checksum_sees_a_single_pixel(digits):
    changed = digits.train_subset(torch.arange(len(digits.train_labels)), "copy")
    assert changed.checksum == digits.checksum
    changed.train_inputs[3, 0, 5, 5] += 1e-3
    fresh = changed.train_subset(torch.arange(len(changed.train_labels)), "changed")
    assert fresh.checksum != digits.checksum


@pytest.mark.parametrize(
    "load", [load_digits, lambda: load_photographs(crops=1, size=8)], ids=["digits", "photographs"]
)
def test_checksum_covers_every_part(load):
    data = load()
    parts = {name: value for name, value in vars(data).items() if isinstance(value, torch.Tensor)}
    assert len(parts) == 4
    for name, value in parts.items():
        changed = value.clone()
        changed.view(-1)[0] = 1 - changed.view(-1)[0]
        assert replace(data, **{name: changed}).checksum != data.checksum, name
    # The same bytes in another shape are other images.
    images = {name: value for name, value in parts.items() if value.ndim == 4}
    wide = {name: x.reshape(*x.shape[:2], x.shape[2] // 2, 2 * x.shape[3]) for name, x in images.items()}
    assert replace(data, **wide).checksum != data.checksum


def test_halves_are_disjoint_and_cover_the_training_set(digits):
    marked = digits.train_subset(torch.arange(len(digits.train_labels)), "marked")
    marked.train_labels.copy_(torch.arange(len(marked.train_labels)))
    one, two = split_halves(marked, torch.Generator().manual_seed(0))
    first, second = set(one.train_labels.tolist()), set(two.train_labels.tolist())
    assert not first & second
    assert len(first) == len(second) == len(digits.train_labels) // 2
    assert torch.equal(one.test_inputs, digits.test_inputs)
    assert (one.name, two.name) == ("digits marked P1", "digits marked P2")


def test_halves_follow_the_seed(digits):
    def first_half(seed):
        return split_halves(digits, torch.Generator().manual_seed(seed))[0].checksum

    assert first_half(1) == first_half(1)
    assert first_half(1) != first_half(2)


def test_mnist_is_the_original(mnist):
    assert mnist.train_inputs.shape == (60_000, 1, 28, 28)
    assert mnist.test_inputs.shape == (10_000, 1, 28, 28)
    assert torch.bincount(mnist.test_labels).tolist() == [
        980,
        1135,
        1032,
        1010,
        982,
        892,
        958,
        1028,
        974,
        1009,
    ]
    one, two = split_halves(mnist, torch.Generator().manual_seed(0))
    assert len(one.train_labels) == len(two.train_labels) == 30_000


def test_data_root_prefers_the_argument_then_the_variable():
    assert str(data_root("here", {"TUTORIAL_DATA": "there"})) == "here"
    assert str(data_root(None, {"TUTORIAL_DATA": "there"})) == "there"
    assert str(data_root(None, {})) == "data"
    assert data_root("~/here", {}) == data_root(None, {"TUTORIAL_DATA": "~/here"}) == Path.home() / "here"


def test_missing_mnist_names_the_folder_and_the_way_out(tmp_path, monkeypatch):
    def no_network(self):
        raise RuntimeError("no network")

    monkeypatch.setattr("torchvision.datasets.MNIST.download", no_network)
    with pytest.raises(FileNotFoundError, match=r"TUTORIAL_DATA, or use the quick profile") as caught:
        load_mnist(tmp_path)
    assert str(tmp_path) in str(caught.value)


@pytest.fixture
def blank_mnist(tmp_path):
    """MNIST's four files, whole and black; every label is 0. They are sparse: zeros take no room on disk."""
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for part, count in MNIST_SIZES.items():
        for kind, shape in (("images-idx3", (count, 28, 28)), ("labels-idx1", (count,))):
            header = bytes([0, 0, 8, len(shape)]) + b"".join(n.to_bytes(4, "big") for n in shape)
            path = raw / f"{part}-{kind}-ubyte"
            path.write_bytes(header)
            os.truncate(path, len(header) + math.prod(shape))
    return tmp_path


@pytest.mark.parametrize("kind", ["images-idx3", "labels-idx1"])
@pytest.mark.parametrize("size", [0, 2, 6, 10, 116, 7_850_000])
def test_mnist_file_of_another_size_is_named(blank_mnist, kind, size):
    os.truncate(blank_mnist / "MNIST" / "raw" / f"t10k-{kind}-ubyte", size)
    with pytest.raises(ValueError, match=rf"damaged MNIST file .*t10k-{kind}-ubyte: its {size} bytes .*Delete it"):
        load_mnist(blank_mnist)


def test_mnist_bytes_become_the_unit_interval_and_labels_stay_with_their_part(blank_mnist):
    raw = blank_mnist / "MNIST" / "raw"
    for name, value in (("train-images-idx3", 255), ("t10k-images-idx3", 51), ("t10k-labels-idx1", 7)):
        with (raw / f"{name}-ubyte").open("r+b") as file:
            file.seek(-1, os.SEEK_END)
            file.write(bytes([value]))
    mnist = load_mnist(blank_mnist)
    assert (len(mnist.train_labels), len(mnist.test_labels)) == (60_000, 10_000)
    assert float(mnist.train_inputs[-1, 0, -1, -1]) == float(mnist.train_inputs.sum()) == 1
    assert float(mnist.test_inputs[-1, 0, -1, -1]) == pytest.approx(0.2)
    assert (int(mnist.train_labels.max()), int(mnist.test_labels[-1]), int(mnist.test_labels.sum())) == (0, 7, 7)


def test_mnist_file_with_a_damaged_header_is_named(blank_mnist):
    with (blank_mnist / "MNIST" / "raw" / "t10k-labels-idx1-ubyte").open("r+b") as file:
        file.write(bytes([0, 0, 3, 1]))
    with pytest.raises(ValueError, match=r"damaged MNIST file .*t10k-labels-idx1-ubyte: .*Delete it"):
        load_mnist(blank_mnist)


def test_mnist_file_of_another_kind_is_named(blank_mnist):
    one_pixel = bytes([0, 0, 8, 3]) + (1).to_bytes(4, "big") * 3 + bytes(1)
    (blank_mnist / "MNIST" / "raw" / "train-labels-idx1-ubyte").write_bytes(one_pixel)
    with pytest.raises(ValueError, match=r"damaged MNIST file .*train-labels-idx1-ubyte.*Delete it"):
        load_mnist(blank_mnist)


def test_mnist_with_a_label_too_few_is_refused(blank_mnist):
    path = blank_mnist / "MNIST" / "raw" / "t10k-labels-idx1-ubyte"
    path.write_bytes(bytes([0, 0, 8, 1]) + (9_999).to_bytes(4, "big") + bytes(9_999))
    with pytest.raises(ValueError, match=r"t10k-\*: expected 10000 images .* and 9999 labels up to 0\. Delete"):
        load_mnist(blank_mnist)


def test_mnist_label_above_nine_is_refused(blank_mnist):
    path = blank_mnist / "MNIST" / "raw" / "t10k-labels-idx1-ubyte"
    path.write_bytes(path.read_bytes()[:-1] + bytes([77]))
    with pytest.raises(
        ValueError, match=r"t10k-\*: expected .* a label from 0 to 9 each, found .* labels up to 77\. Delete"
    ):
        load_mnist(blank_mnist)


def test_unknown_data_set_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"unknown data set 'cifar'.*digits, mnist"):
        load_dataset("cifar")
