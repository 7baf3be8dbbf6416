from dataclasses import replace

import pytest
import torch

from tests.shared import weights
from tutorial_pkg.data import Dataset
from tutorial_pkg.metrics import error_rate
from tutorial_pkg.models import build_model
from tutorial_pkg.training import SgdRecipe, train_sgd, trained_model

LINEAR = SgdRecipe("softmax", epochs=2)


def test_it_learns_what_can_be_separated(digits):
    model, result = train_sgd(SgdRecipe("conv", epochs=3), digits, seed=0)
    with torch.no_grad():
        assert error_rate(model(digits.test_inputs), digits.test_labels) < 0.1
    assert (result.iterations, result.evaluations) == (45, 3)
    assert result.loss < 1
    assert not model.training


def test_no_epoch_gives_the_untrained_network(digits):
    model, result = train_sgd(replace(LINEAR, epochs=0), digits, seed=3)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        assert torch.equal(weights(model), weights(build_model("softmax")))
    assert result.iterations == 0


def test_same_arguments_give_the_same_weights(digits):
    first, second = (train_sgd(LINEAR, digits, seed=3)[0] for _ in range(2))
    assert torch.equal(weights(first), weights(second))
    assert not torch.equal(weights(first), weights(train_sgd(LINEAR, digits, seed=4)[0]))


def test_the_global_random_state_is_left_alone(digits):
    before = torch.random.get_rng_state()
    train_sgd(LINEAR, digits, seed=3)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_one_step_is_adam_on_the_mean_cross_entropy():
    """On its first step Adam moves every weight by the learning rate against the sign of its gradient."""
    generator = torch.Generator().manual_seed(0)
    inputs, labels = torch.rand(10, 1, 28, 28, generator=generator), torch.arange(10)
    data = Dataset("ten", inputs, labels, inputs, labels)
    recipe = SgdRecipe("softmax", epochs=1, batch_size=10, learning_rate=1e-2)
    before, after = (train_sgd(r, data, seed=0)[0] for r in (replace(recipe, epochs=0), recipe))
    torch.nn.functional.cross_entropy(before(inputs), labels).backward()
    gradient = torch.cat([p.grad.flatten() for p in before.parameters()])
    moved = weights(after) - weights(before)
    large = gradient.abs() > 1e-4
    assert torch.allclose(moved[large], -1e-2 * gradient.sign()[large], rtol=1e-3)


@pytest.mark.parametrize("name", ["softmax", "conv"])
def test_training_is_adam_on_shuffled_batches_with_dropout_and_a_rate_that_falls_linearly(name):
    inputs, labels = torch.rand(10, 1, 28, 28, generator=torch.Generator().manual_seed(0)), torch.arange(10)
    recipe = SgdRecipe(name, epochs=2, batch_size=4, learning_rate=1e-3)
    trained, result = train_sgd(recipe, Dataset("ten", inputs, labels, inputs, labels), seed=5)
    with torch.random.fork_rng():
        torch.manual_seed(5)
        model = build_model(name).train()
        optimizer, step = torch.optim.Adam(model.parameters()), 0
        for _ in range(2):
            losses = []
            for batch in torch.randperm(10).split(4):
                optimizer.param_groups[0]["lr"] = 1e-3 * (1 - step / 6)
                loss = torch.nn.functional.cross_entropy(model(inputs[batch]), labels[batch], reduction="sum")
                optimizer.zero_grad()
                (loss / len(batch)).backward()
                optimizer.step()
                losses.append(loss.item())
                step += 1
    assert torch.allclose(weights(trained), weights(model), rtol=0, atol=1e-5)
    assert result.loss == pytest.approx(sum(losses) / 10, rel=1e-4)


def test_a_loss_that_is_not_finite_stops_the_run(digits):
    broken = replace(digits, train_inputs=digits.train_inputs / 0)
    with pytest.raises(FloatingPointError, match=r"the training loss is nan; lower the learning rate, now 0\.002"):
        train_sgd(LINEAR, broken, seed=0)


@pytest.mark.parametrize(
    "wrong", [{"epochs": -1}, {"batch_size": 0}, {"learning_rate": 0.0}, {"learning_rate": float("nan")}]
)
def test_a_recipe_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValueError, match="epochs ≥ 0, batch_size ≥ 1 and learning_rate > 0, got"):
        SgdRecipe(**wrong)


def test_the_cache_keeps_it_apart_from_other_trainers(digits, tmp_path):
    model, result = trained_model(LINEAR, digits, seed=0, cache=tmp_path, trainer=train_sgd)
    again, same = trained_model(LINEAR, digits, seed=0, cache=tmp_path, trainer=train_sgd)
    assert torch.equal(weights(again), weights(model))
    assert same == result
    assert len(list(tmp_path.iterdir())) == 1
    trained_model(replace(LINEAR, epochs=1), digits, seed=0, cache=tmp_path, trainer=train_sgd)
    assert len(list(tmp_path.iterdir())) == 2
