"""A pool holds what its recipe says, replaces as much as it says, and keeps image and example together."""

import pytest
import torch

from tutorial_pkg.adversarial_training import Pool, PoolRecipe
from tutorial_pkg.models import LayeredModel, fully_connected


def distances(first, second):
    return torch.cdist(first, second, compute_mode="donot_use_mm_for_euclid_dist")


@pytest.fixture
def network():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return fully_connected((16, 8, 6, 4)).eval()


@pytest.fixture
def images():
    generator = torch.Generator().manual_seed(1)
    return torch.rand(200, 16, generator=generator), torch.randint(4, (200,), generator=generator)


def make_pool(images, **changes):
    recipe = PoolRecipe(**{"source": "linearised", "capacity": 60, "replaced": 0.25} | changes)
    return Pool(recipe, *images, torch.Generator().manual_seed(2))


@pytest.mark.parametrize(("layer", "width"), [("input", 16), ("hidden1", 8), ("hidden2", 6)])
@pytest.mark.parametrize("source", ["linearised", "minimum_distortion"])
def test_examples_are_points_of_the_layer_near_the_boundary(network, images, layer, width, source):
    pool = make_pool(images, layer=layer, source=source)
    assert len(pool) == 0
    pool.refresh(network)
    examples, labels = pool.draw(network, 40)
    assert examples.shape == (40, width)
    assert ((examples >= 0) & (examples <= 1)).all()
    above = network if layer == "input" else network.above(layer)
    logits = above(examples).detach()
    true = logits.gather(1, labels[:, None])[:, 0]
    best_other = logits.scatter(1, labels[:, None], -torch.inf).max(1).values
    if source == "minimum_distortion":  # exactly at or beyond the boundary
        assert (true - best_other < 1e-3).all()
    else:  # a first-order step ends near it, or further on the wrong side for what was wrong before
        assert (true - best_other).median() < 0.05


def test_a_round_replaces_the_share_it_says(network, images):
    pool = make_pool(images)
    pool.refresh(network)
    before = pool._stored.clone()
    pool.refresh(network)
    changed = (pool._stored != before).any(1).sum()
    assert 13 <= changed <= 15  # a quarter of 60; an image may come in for itself


def test_a_round_replaces_one_example_at_least(network, images):
    pool = make_pool(images, replaced=1e-6)
    pool.refresh(network)
    before = pool._stored.clone()
    for _ in range(5):
        pool.refresh(network)
    assert 1 <= (pool._stored != before).any(1).sum() <= 5


def test_examples_are_as_far_away_as_the_recipe_says(network, images):
    whole, half = (make_pool(images, stretch=stretch, box=(-9.0, 9.0)) for stretch in (1.0, 0.5))
    for pool in (whole, half):
        pool.refresh(network)
    clean = images[0][whole._images]
    assert torch.equal(whole._images, half._images)
    torch.testing.assert_close(half._stored - clean, (whole._stored - clean) / 2, rtol=1e-3, atol=1e-6)


def test_rounds_reach_every_slot(network, images):
    pool = make_pool(images)
    pool.refresh(network)
    before = pool._stored.clone()
    for _ in range(20):
        pool.refresh(network)
    assert (pool._stored != before).any(1).sum() > 55


@pytest.mark.parametrize("replaced", [0.25, 1.0])
def test_an_example_keeps_the_label_of_its_image(network, images, replaced):
    """With r = 0 the pool holds the images themselves, so that they can be recognised."""
    pool = make_pool(images, max_norm=1e-9, replaced=replaced)
    for _ in range(5):
        pool.refresh(network)
    examples, labels = pool.draw(network, 60)
    nearest = distances(examples, images[0]).argmin(1)
    assert torch.allclose(examples, images[0][nearest], atol=1e-6)
    assert torch.equal(labels, images[1][nearest])


def test_draws_are_without_repetition(network, images):
    pool = make_pool((images[0][:60], torch.arange(60) % 4), max_norm=1e-9)
    pool.refresh(network)
    examples, _ = pool.draw(network, 60)
    slots = distances(examples, pool._stored).argmin(1)
    assert len(pool.draw(network, 500)[0]) == 60
    assert len(torch.unique(pool._stored[slots], dim=0)) == len(torch.unique(pool._stored, dim=0))


@pytest.mark.parametrize("trains_below", [False, True])
def test_only_the_layers_above_are_trained_unless_the_recipe_says_otherwise(network, images, trains_below):
    pool = make_pool(images, layer="hidden1", trains_below=trains_below)
    pool.refresh(network)
    examples, labels = pool.draw(network, 30)
    torch.nn.functional.cross_entropy(network.above("hidden1")(examples), labels).backward()
    gradients = {name: p.grad for name, p in network.named_parameters()}
    assert all((g is not None) == trains_below for n, g in gradients.items() if n.startswith("layers.hidden1"))
    assert all(g is not None for n, g in gradients.items() if not n.startswith("layers.hidden1"))


def test_stored_changes_follow_the_features(network, images):
    """An example that trains the layers below is the image's present features plus what was stored."""
    pool = make_pool(images, layer="hidden1", trains_below=True, max_norm=1e-9)
    pool.refresh(network)
    with torch.no_grad():
        network.layers["hidden1"][1].bias.add_(0.5)
    examples, _ = pool.draw(network, 60)
    present = network.features(images[0], "hidden1")
    assert distances(examples, present).min(1).values.max() < 1e-5


def test_stored_changes_make_the_same_examples_while_the_network_stays_and_stay_in_the_box(network, images):
    points, changes = (make_pool(images, layer="hidden1", trains_below=below) for below in (False, True))
    for pool in (points, changes):
        pool.refresh(network)
    torch.testing.assert_close(changes.draw(network, 60)[0], points.draw(network, 60)[0])
    with torch.no_grad():
        network.layers["hidden1"][1].bias.add_(20.0)  # all features are near 1
    assert changes.draw(network, 60)[0].max() <= 1


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"source": "fgsm"}, "unknown source of examples 'fgsm'"),
        ({"capacity": 0}, "capacity ≥ 1, period ≥ 1 and 0 < replaced ≤ 1, got 0, 40 and 0.25"),
        ({"replaced": 0.0}, "capacity ≥ 1, period ≥ 1 and 0 < replaced ≤ 1, got 60, 40 and 0.0"),
        ({"period": 0}, "capacity ≥ 1, period ≥ 1 and 0 < replaced ≤ 1, got 60, 0 and 0.25"),
        ({"replaced": 1.5}, "capacity ≥ 1, period ≥ 1 and 0 < replaced ≤ 1, got 60, 40 and 1.5"),
        ({"box": (1.0, 0.0)}, r"lower end below its upper one, got \(1.0, 0.0\)"),
        ({"stretch": -1.0}, "stretch > 0, max_norm > 0 and weight ≥ 0, got -1.0"),
        ({"max_norm": 0.0}, "stretch > 0, max_norm > 0 and weight ≥ 0, got 1.0, 0.0"),
        ({"weight": -1.0}, "stretch > 0, max_norm > 0 and weight ≥ 0, got 1.0, inf and -1.0"),
    ],
)
def test_a_recipe_that_makes_no_sense_is_refused(images, wrong, message):
    with pytest.raises(ValueError, match=message):
        make_pool(images, **wrong)


def test_a_pool_may_count_for_nothing(images):
    assert make_pool(images, weight=0.0).recipe.weight == 0


def test_a_layer_below_its_box_is_refused(network, images):
    with pytest.raises(ValueError, match=r"layer 'hidden1' gives values from 0\..* outside its pool's box \(0\.9, 1"):
        make_pool(images, layer="hidden1", box=(0.9, 1.0)).refresh(network)


@pytest.fixture
def rectified():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        hidden = torch.nn.Linear(16, 8)
        hidden.weight.data *= 20
        return LayeredModel(
            {"hidden1": torch.nn.Sequential(hidden, torch.nn.ReLU()), "logits": torch.nn.Linear(8, 4)}
        ).eval()


@pytest.mark.parametrize("source", ["linearised", "minimum_distortion"])
def test_a_layer_that_leaves_the_box_is_refused_and_one_with_its_own_box_is_not(rectified, images, source):
    with pytest.raises(ValueError, match=r"layer 'hidden1' gives values from 0 to .*, outside its pool's box"):
        make_pool(images, layer="hidden1", source=source).refresh(rectified)
    pool = make_pool(images, layer="hidden1", source=source, box=(0.0, float("inf")))
    pool.refresh(rectified)
    examples, _ = pool.draw(rectified, 60)
    assert (examples >= 0).all()
    assert (examples > 1).any()
    assert torch.isfinite(examples).all()
