import pytest
import torch

from tutorial_pkg.data import data_root, load_dataset, load_digits, load_mnist, split_halves


def test_digits_are_images_in_the_unit_interval(digits):
    assert digits.train_inputs.shape[1:] == (1, 28, 28)
    assert digits.train_inputs.dtype == torch.float32
    for inputs in (digits.train_inputs, digits.test_inputs):
        assert float(inputs.min()) >= 0
        assert float(inputs.max()) <= 1
    assert set(digits.train_labels.tolist()) == set(range(10))


def test_digits_are_the_same_every_time(digits):
    assert load_digits().checksum == digits.checksum


def test_checksum_sees_a_single_pixel(digits):
    changed = digits.train_subset(torch.arange(len(digits.train_labels)), "copy")
    assert changed.checksum == digits.checksum
    changed.train_inputs[3, 0, 5, 5] += 1e-3
    fresh = changed.train_subset(torch.arange(len(changed.train_labels)), "changed")
    assert fresh.checksum != digits.checksum


def test_halves_are_disjoint_and_cover_the_training_set(digits):
    marked = digits.train_subset(torch.arange(len(digits.train_labels)), "marked")
    marked.train_labels.copy_(torch.arange(len(marked.train_labels)))
    one, two = split_halves(marked, torch.Generator().manual_seed(0))
    first, second = set(one.train_labels.tolist()), set(two.train_labels.tolist())
    assert not first & second
    assert len(first) == len(second) == len(digits.train_labels) // 2
    assert torch.equal(one.test_inputs, digits.test_inputs)


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


def test_missing_mnist_names_the_folder_and_the_way_out(tmp_path, monkeypatch):
    def no_network(self):
        raise RuntimeError("no network")

    monkeypatch.setattr("torchvision.datasets.MNIST.download", no_network)
    with pytest.raises(FileNotFoundError, match=r"TUTORIAL_DATA, or use the quick profile") as caught:
        load_mnist(tmp_path)
    assert str(tmp_path) in str(caught.value)


def test_truncated_mnist_file_is_named(tmp_path):
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for part, count in (("train", 60_000), ("t10k", 10_000)):
        images = bytes([0, 0, 8, 3]) + b"".join(n.to_bytes(4, "big") for n in (count, 28, 28)) + bytes(100)
        labels = bytes([0, 0, 8, 1]) + count.to_bytes(4, "big") + bytes(count)
        (raw / f"{part}-images-idx3-ubyte").write_bytes(images)
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(labels)
    with pytest.raises(ValueError, match=r"damaged MNIST file .*t10k-images-idx3-ubyte.*Delete it"):
        load_mnist(tmp_path)


def test_unknown_data_set_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"unknown data set 'cifar'.*digits, mnist"):
        load_dataset("cifar")
