"""The baselines are plain training; pools change it, the same way every time."""

import math
from dataclasses import replace

import pytest
import torch
from torch.nn.functional import cross_entropy

from tests.shared import weights
from tutorial_pkg.adversarial_training import AdversarialRecipe, Pool, PoolRecipe, train_adversarially
from tutorial_pkg.adversarial_training.trainer import _forward, _rate
from tutorial_pkg.attacks import minimum_distortion
from tutorial_pkg.data import Dataset
from tutorial_pkg.metrics import error_rate
from tutorial_pkg.models import LayeredModel, build_model
from tutorial_pkg.training import trained_model

PLAIN = AdversarialRecipe("fc20-15-10", epochs=2, batch_size=100)
POOLS = tuple(
    PoolRecipe(layer, source="linearised", capacity=100, replaced=0.5, period=5, stretch=1.5, max_norm=1.5)
    for layer in ("input", "hidden1", "hidden2")
)


@pytest.fixture
def untrained():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return build_model("fc20-15-10")


@pytest.fixture
def ten():
    inputs = torch.rand(10, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    return Dataset("ten", inputs, torch.arange(10), inputs, torch.arange(10))


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_without_pools_a_step_is_adam_on_the_penalised_loss(ten, untrained, weight_decay):
    """On its first step Adam moves every weight by the learning rate against the sign of its gradient."""
    recipe = replace(PLAIN, epochs=1, batch_size=10, learning_rate=1e-2, weight_decay=weight_decay)
    after, _ = train_adversarially(recipe, ten, seed=0)
    loss = torch.nn.functional.cross_entropy(untrained(ten.train_inputs), ten.train_labels)
    loss = loss + weight_decay / 2 * sum(p.square().sum() for p in untrained.parameters() if p.ndim == 2)
    loss.backward()
    gradient = torch.cat([p.grad.flatten() for p in untrained.parameters()])
    large = gradient.abs() > 1e-4
    moved = (weights(after) - weights(untrained))[large]
    assert torch.allclose(moved, -1e-2 * gradient.sign()[large], rtol=0.02, atol=1e-7)


def test_training_is_adam_on_the_loss_and_schedule_that_are_documented(ten, untrained):
    recipe = PoolRecipe(source="linearised", capacity=10, replaced=1.0, period=1, weight=0.3)
    pool = Pool(recipe, ten.train_inputs, ten.train_labels, torch.Generator().manual_seed(0))
    recipe = replace(PLAIN, epochs=30, batch_size=10, learning_rate=1e-2, weight_decay=0.1, pools=(recipe,))
    after, _ = train_adversarially(recipe, ten, seed=0)
    optimizer = torch.optim.Adam(untrained.parameters())
    for step in range(30):
        optimizer.param_groups[0]["lr"] = 1e-2 * min(1, (step + 1) / 3) * (1 + math.cos(math.pi * step / 30)) / 2
        pool.refresh(untrained)
        examples, labels = pool.draw(untrained, 10)
        loss = cross_entropy(untrained(ten.train_inputs), ten.train_labels)
        loss = loss + 0.3 * cross_entropy(untrained(examples), labels)
        loss = loss + 0.05 * sum(p.square().sum() for p in untrained.parameters() if p.ndim == 2)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert torch.allclose(weights(after), weights(untrained), rtol=0, atol=1e-3)


@pytest.mark.parametrize(("steps", "warm_up"), [(100, 10), (1000, 100), (100_000, 200)])
def test_the_learning_rate_rises_for_a_tenth_of_the_steps_or_two_hundred(steps, warm_up):
    rates = [_rate(step, steps) for step in range(steps)]
    assert rates[0] == pytest.approx(1 / warm_up)
    assert rates.index(max(rates)) == warm_up - 1
    assert rates[steps // 2] == pytest.approx(0.5)


def test_the_loss_that_is_reported_is_the_mean_over_the_images(ten, untrained):
    _, result = train_adversarially(replace(PLAIN, epochs=1, batch_size=10), ten, seed=0)
    assert result.loss == pytest.approx(cross_entropy(untrained(ten.train_inputs), ten.train_labels).item(), rel=1e-5)


def test_as_many_examples_as_clean_images_are_drawn_from_a_pool_that_the_seed_decides(ten, monkeypatch):
    drawn, held = [], []
    draw = Pool.draw

    def counted(pool, model, count):
        drawn.append(count)
        held.append(tuple(pool._images.tolist()))
        return draw(pool, model, count)

    monkeypatch.setattr(Pool, "draw", counted)
    recipe = replace(PLAIN, epochs=1, batch_size=4, pools=(PoolRecipe(source="linearised", capacity=50),))
    for seed in (0, 0, 1):
        train_adversarially(recipe, ten, seed=seed)
    assert drawn == 3 * [4, 4, 2]
    assert held[0] == held[3] != held[6]


@pytest.mark.parametrize("dropout", [(0.5, 0.0), (0.0, 0.5)])
def test_dropout_reaches_every_layer_and_keeps_the_mean(dropout):
    model, ones = LayeredModel({"a": torch.nn.Identity(), "b": torch.nn.Identity()}), torch.ones(1000, 10)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        dropped = _forward(model, ones, dropout)
    assert set(dropped.unique().tolist()) == {0.0, 2.0}
    assert dropped.mean() == pytest.approx(1, abs=0.05)
    assert torch.equal(_forward(model, ones, ()), ones)


def test_training_drops_what_the_recipe_says(ten):
    """One batch of all images: their order changes nothing, dropout alone does."""
    recipe = replace(PLAIN, epochs=1, batch_size=10)
    plain, dropped = (train_adversarially(replace(recipe, dropout=p), ten, seed=0)[0] for p in ((), (0, 0, 0.5)))
    assert not torch.allclose(weights(plain), weights(dropped), atol=1e-4)


def test_muon_moves_a_matrix_along_its_gradient_with_equal_singular_values(ten, untrained):
    """Along the gradient's first singular vectors it goes equally far, for singular values far apart."""
    recipe = replace(PLAIN, epochs=1, batch_size=10, learning_rate=1e-2, optimizer="muon")
    after, _ = train_adversarially(recipe, ten, seed=0)
    torch.nn.functional.cross_entropy(untrained(ten.train_inputs), ten.train_labels).backward()
    for (name, old), new in zip(untrained.named_parameters(), after.parameters(), strict=True):
        moved = (old - new).detach()
        if old.ndim == 2:
            u, singular, vt = torch.linalg.svd(old.grad, full_matrices=False)
            along = (u.T @ moved @ vt.T).diagonal()[:4] / 1e-2
            assert singular[0] > 2 * singular[3], name
            assert ((along > 0.6) & (along < 1.3)).all(), (name, along)
        else:
            assert torch.allclose(moved.abs(), torch.full_like(moved, 1e-3), rtol=0.02), name


@pytest.mark.parametrize("trains_below", [False, True])
def test_a_hidden_pool_alone_changes_the_layers_above_it_only_unless_the_recipe_says_otherwise(ten, trains_below):
    """A heavy pool at hidden 1 cannot move the first layer more than the clean loss does: Adam, one step."""
    recipe = replace(PLAIN, epochs=1, batch_size=10, learning_rate=1e-2)
    pool = PoolRecipe("hidden1", source="linearised", capacity=10, replaced=1.0, period=1, weight=1e4)
    pool = replace(pool, trains_below=trains_below)
    plain, _ = train_adversarially(recipe, ten, seed=0)
    pooled, _ = train_adversarially(replace(recipe, pools=(pool,)), ten, seed=0)
    assert torch.equal(plain.layers["hidden1"][1].weight, pooled.layers["hidden1"][1].weight) == (not trains_below)
    assert not torch.equal(plain.layers["hidden2"][0].weight, pooled.layers["hidden2"][0].weight)


@pytest.mark.parametrize("pools", [(), POOLS], ids=["plain", "pools"])
def test_same_arguments_give_the_same_weights(digits, pools):
    recipe = replace(PLAIN, pools=pools, dropout=(0.1, 0.1, 0.1))
    before = torch.random.get_rng_state()
    first, second = (train_adversarially(recipe, digits, seed=3)[0] for _ in range(2))
    assert torch.equal(weights(first), weights(second))
    assert not torch.equal(weights(first), weights(train_adversarially(recipe, digits, seed=4)[0]))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_it_learns_and_reports(digits):
    model, result = train_adversarially(replace(PLAIN, epochs=25), digits, seed=0)
    with torch.no_grad():
        assert error_rate(model(digits.test_inputs), digits.test_labels) < 0.1
    assert not model.training
    assert (result.iterations, result.evaluations) == (15 * 25, 25)


def test_a_pool_of_images_makes_the_network_harder_to_fool(digits):
    """The same network, seed and steps; only the pool differs."""
    recipe = replace(PLAIN, epochs=25)
    distances = []
    for pools in ((), POOLS[:1]):
        model, _ = train_adversarially(replace(recipe, pools=pools), digits, seed=0)
        result = minimum_distortion(model, digits.test_inputs[:100], labels=digits.test_labels[:100])
        distances.append(result.l2_norm.median())
    assert distances[1] > 1.2 * distances[0]


def test_checkpoints_are_kept_apart_by_pool(digits, tmp_path):
    recipe = replace(PLAIN, epochs=1)
    for used in (recipe, replace(recipe, pools=POOLS), recipe):
        trained_model(used, digits, seed=0, cache=tmp_path, trainer=train_adversarially)
    assert len(list(tmp_path.glob("*.pt"))) == 2


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"epochs": 0}, "epochs ≥ 1"),
        ({"learning_rate": 0.0}, "learning_rate > 0 and weight_decay ≥ 0, got 2, 100, 0.0"),
        ({"weight_decay": float("nan")}, "weight_decay ≥ 0, got 2, 100, 0.005 and nan"),
        ({"optimizer": "sgd"}, "unknown optimizer 'sgd'; expected one of adam, muon"),
        ({"dropout": (1.0, 0.0, 0.0)}, r"dropout probabilities are in \[0, 1\)"),
        ({"pools": POOLS + POOLS}, "one pool a layer"),
    ],
)
def test_a_recipe_that_makes_no_sense_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        replace(PLAIN, **wrong)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"pools": (PoolRecipe("code"),)}, "unknown layer 'code'"),
        ({"pools": (PoolRecipe("logits"),)}, "nothing is above 'logits'"),
        ({"dropout": (0.1,)}, "dropout has 1 probabilities; fc20-15-10 has 3 layers"),
    ],
)
def test_what_does_not_fit_the_network_is_refused(ten, wrong, message):
    with pytest.raises(ValueError, match=message):
        train_adversarially(replace(PLAIN, **wrong), ten, seed=0)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_loss_that_is_not_finite_stops_training(ten):
    recipe = replace(PLAIN, epochs=20, batch_size=10, learning_rate=1e30, weight_decay=1.0)
    with pytest.raises(FloatingPointError, match=r"the training loss is (inf|nan); lower the learning rate"):
        train_adversarially(recipe, ten, seed=0)
