import re
import warnings
from dataclasses import dataclass, replace
from io import BytesIO
from zipfile import ZipFile

import pytest
import torch
from torch import nn

from tests.shared import weights
from tutorial_pkg.training import TABLE1_RECIPES, checkpoints, tensor_files, train, trained_model

QUICK = TABLE1_RECIPES["N100-100-10"].shortened(5)


def test_same_arguments_give_the_same_weights(digits):
    first, second = (train(QUICK, digits, seed=3)[0] for _ in range(2))
    assert torch.equal(weights(first), weights(second))
    assert not torch.equal(weights(first), weights(train(QUICK, digits, seed=4)[0]))


def test_training_leaves_the_global_random_state(digits):
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    train(QUICK, digits, seed=3)
    assert torch.equal(torch.rand(1), expected)


def test_the_cache_is_used_and_keyed_by_everything(digits, tmp_path, monkeypatch):
    with warnings.catch_warnings(action="error"):  # nothing is there yet, which is no reason to warn
        model, result = trained_model(QUICK, digits, seed=0, cache=tmp_path)
    assert not model.training
    (path,) = tmp_path.iterdir()
    written = path.stat().st_mtime_ns
    again, same = trained_model(QUICK, digits, seed=0, cache=tmp_path)
    assert torch.equal(weights(again), weights(model))
    assert same == result
    assert path.stat().st_mtime_ns == written
    trained_model(QUICK, digits, seed=1, cache=tmp_path)
    trained_model(replace(QUICK, max_iter=4), digits, seed=0, cache=tmp_path)
    trained_model(QUICK, digits.train_subset(torch.arange(500), "part"), seed=0, cache=tmp_path)
    monkeypatch.setattr(checkpoints, "code_fingerprint", lambda function: "other code")
    trained_model(QUICK, digits, seed=0, cache=tmp_path)
    assert len(list(tmp_path.iterdir())) == 5


def test_a_network_just_trained_lies_in_memory_as_one_from_the_cache(digits, tmp_path):
    """Convolutions round differently for weights in another order."""

    def in_another_order(*args, **kwargs):
        model, result = train(*args, **kwargs)
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.data = parameter.data.T.contiguous().T
        return model, result

    first, second = (trained_model(QUICK, digits, seed=0, cache=tmp_path, trainer=in_another_order)[0] for _ in "ab")
    assert [p.stride() for p in first.parameters()] == [p.stride() for p in second.parameters()]


def saved(value):
    buffer = BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def flipped(content):
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def archive(_):
    buffer = BytesIO()
    with ZipFile(buffer, "w") as file:
        file.writestr("notes.txt", "no weights")
    return buffer.getvalue()


OTHER_MODEL = {"weights": {"weight": torch.zeros(2, 2)}, "training": {}}
UNUSABLE = {
    "cut short": (lambda content: content[:1000], "the file is damaged"),
    "empty": (lambda _: b"", "the file is damaged"),
    "text": (lambda _: b"not a checkpoint", "the file is damaged"),
    "one bit": (flipped, "the file is damaged"),
    "another archive": (archive, "the file is damaged or holds no tensors"),
    "an object": (lambda _: saved(nn.Linear(2, 2)), "something else than tensors and plain values"),
    "a tensor": (lambda _: saved(torch.zeros(3)), "does not hold weights, training"),
    "half of it": (lambda _: saved({"weights": {}}), "does not hold weights, training"),
    "a tensor for weights": (lambda _: saved({"weights": torch.zeros(3), "training": {}}), "holds no trained model"),
    "another model": (lambda _: saved(OTHER_MODEL), "the weights in it are those of another model"),
}


def test_a_file_of_tensors_is_put_in_the_place_of_the_old_one_which_stays_whole_until_then(tmp_path):
    path, old = tmp_path / "new" / "folder" / "run.pt", tmp_path / "old.pt"
    tensor_files.write_tensors(path, {"value": torch.zeros(3)})
    old.hardlink_to(path)
    tensor_files.write_tensors(path, {"value": torch.ones(4)})
    assert torch.equal(tensor_files.read_tensors(old, "value")["value"], torch.zeros(3))
    assert torch.equal(tensor_files.read_tensors(path, "value")["value"], torch.ones(4))


@pytest.mark.parametrize("name", UNUSABLE)
def test_what_is_no_checkpoint_is_trained_again_with_a_warning(digits, tmp_path, name):
    damage, reason = UNUSABLE[name]
    model, _ = trained_model(QUICK, digits, seed=0, cache=tmp_path)
    (path,) = tmp_path.iterdir()
    path.write_bytes(damage(path.read_bytes()))
    with pytest.warns(UserWarning, match=f"{re.escape(str(path))} is trained again and replaced: .*{reason}"):
        again, _ = trained_model(QUICK, digits, seed=0, cache=tmp_path)
    assert torch.equal(weights(again), weights(model))
    with warnings.catch_warnings(action="error"):
        trained_model(QUICK, digits, seed=0, cache=tmp_path)


def test_another_report_of_the_training_is_trained_again(digits, tmp_path):
    @dataclass(frozen=True)
    class Other:
        answer: int = 0

    def other_train(*args, **kwargs):
        return train(*args, **kwargs)[0], Other()

    key = {"trainer": other_train, "cache": tmp_path, "seed": 0}
    other_train.__module__, other_train.__qualname__ = train.__module__, train.__qualname__
    trained_model(QUICK, digits, **key, result_type=Other)
    with pytest.warns(UserWarning, match="what it says of the training is no TrainingResult"):
        _, result = trained_model(QUICK, digits, cache=tmp_path, seed=0)
    assert result.iterations > 0


@pytest.mark.parametrize(
    "error",
    [
        PermissionError("not yours"),
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_other_errors_are_passed_on_and_nothing_is_trained(digits, tmp_path, monkeypatch, error):
    trained_model(QUICK, digits, seed=0, cache=tmp_path)
    (path,) = tmp_path.iterdir()
    before = path.read_bytes()

    def fails(*args, **kwargs):
        raise error

    monkeypatch.setattr(tensor_files.torch, "load", fails)
    with pytest.raises(type(error)) as raised:
        trained_model(QUICK, digits, seed=0, cache=tmp_path)
    assert raised.value is error
    assert path.read_bytes() == before


@pytest.mark.parametrize("error", [PermissionError("not yours"), MemoryError()])
def test_a_file_that_cannot_be_read_is_not_called_damaged(digits, tmp_path, monkeypatch, error):
    trained_model(QUICK, digits, seed=0, cache=tmp_path)

    def fails(*args, **kwargs):
        raise error

    monkeypatch.setattr(tensor_files, "ZipFile", fails)
    with pytest.raises(type(error)) as raised:
        trained_model(QUICK, digits, seed=0, cache=tmp_path)
    assert raised.value is error


def test_a_folder_in_the_place_of_a_checkpoint_is_an_error(digits, tmp_path):
    trained_model(QUICK, digits, seed=0, cache=tmp_path)
    (path,) = tmp_path.iterdir()
    path.unlink()
    path.mkdir()
    with pytest.raises(OSError, match=re.escape(path.name)):
        trained_model(QUICK, digits, seed=0, cache=tmp_path)


def test_autoencoder_code_is_pretrained_and_not_fine_tuned(digits):
    recipe = TABLE1_RECIPES["AE400-10"].shortened(3)
    model, _ = train(recipe, digits, seed=0)
    longer, _ = train(replace(recipe, max_iter=6), digits, seed=0)
    code, other_code = (weights(m.layers["code"]) for m in (model, longer))
    assert torch.equal(code, other_code)
    assert not torch.equal(weights(model.layers["logits"]), weights(longer.layers["logits"]))
    assert all(not p.requires_grad for p in model.layers["code"].parameters())
