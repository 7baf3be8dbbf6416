from dataclasses import replace

import pytest
import torch

from tutorial_pkg.training import TABLE1_RECIPES, checkpoints, train, trained_model

QUICK = TABLE1_RECIPES["N100-100-10"].shortened(5)


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


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
    model, result = trained_model(QUICK, digits, seed=0, cache=tmp_path)
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


@pytest.mark.parametrize("damage", [lambda content: content[:1000], lambda content: b"not a checkpoint"])
def test_a_damaged_checkpoint_is_trained_again(digits, tmp_path, damage):
    model, _ = trained_model(QUICK, digits, seed=0, cache=tmp_path)
    (path,) = tmp_path.iterdir()
    path.write_bytes(damage(path.read_bytes()))
    again, _ = trained_model(QUICK, digits, seed=0, cache=tmp_path)
    assert torch.equal(weights(again), weights(model))


def test_autoencoder_code_is_pretrained_and_not_fine_tuned(digits):
    recipe = TABLE1_RECIPES["AE400-10"].shortened(3)
    model, _ = train(recipe, digits, seed=0)
    longer, _ = train(replace(recipe, max_iter=6), digits, seed=0)
    code, other_code = (weights(m.layers["code"]) for m in (model, longer))
    assert torch.equal(code, other_code)
    assert not torch.equal(weights(model.layers["logits"]), weights(longer.layers["logits"]))
    assert all(not p.requires_grad for p in model.layers["code"].parameters())
