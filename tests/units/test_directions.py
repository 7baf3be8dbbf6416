import numpy as np
import pytest
import torch
from scipy.stats import beta, kstest
from torch import nn

from tutorial_pkg.models import LayeredModel
from tutorial_pkg.units import (
    effective_dimension,
    layer_features,
    live_units,
    principal_directions,
    random_directions,
    top_activations,
    top_sets,
)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_top_activations_of_a_unit_are_its_largest_values_best_first():
    features = torch.rand(50, 6, generator=seeded())
    expected = np.argsort(-features[:, 3].numpy())[:5]
    assert top_activations(features, torch.eye(6)[3], k=5).tolist() == expected.tolist()


def test_top_activations_do_not_depend_on_the_direction_s_length_and_follow_the_images():
    features, direction = torch.randn(40, 5, generator=seeded()), torch.randn(5, generator=seeded(1))
    best = top_activations(features, direction)
    assert torch.equal(top_activations(features, 100 * direction), best)
    order = torch.randperm(40, generator=seeded(2))
    assert torch.equal(order[top_activations(features[order], direction)], best)


def test_among_equal_activations_the_first_image_wins():
    features = torch.tensor([[0.0], [1.0], [0.0], [1.0], [1.0]])
    assert top_activations(features, torch.ones(1), k=4).tolist() == [1, 3, 4, 0]
    assert top_activations(features, torch.ones(1), k=5).tolist() == [1, 3, 4, 0, 2]
    many = (torch.arange(100_000) % 2).float()[:, None]
    assert torch.equal(top_activations(many, torch.ones(1), k=50_000), torch.arange(1, 100_000, 2))


def test_top_sets_are_top_activations_of_every_direction():
    features, directions = torch.randn(30, 4, generator=seeded()), torch.randn(7, 4, generator=seeded(1))
    for one, direction in zip(top_sets(features @ directions.T, 3), directions, strict=True):
        assert torch.equal(one, top_activations(features, direction, k=3))


@pytest.mark.parametrize(
    ("features", "direction", "k", "message"),
    [
        (torch.rand(5, 2, 2), torch.rand(2), 2, r"floats \[images, units\], got torch.float32 \(5, 2, 2\)"),
        (torch.ones(5, 2, dtype=torch.long), torch.rand(2), 2, r"got torch.int64 \(5, 2\)"),
        (torch.rand(5, 2), torch.rand(3), 2, r"a direction of 2 entries, one a unit, got \(3,\)"),
        (torch.rand(5, 2), torch.rand(2), 6, "k from 1 to 5, the number of images, got 6"),
        (torch.rand(5, 2), torch.rand(2), 0, "k from 1 to 5"),
        (torch.full((5, 2), torch.nan), torch.rand(2), 2, "finite activations"),
    ],
)
def test_bad_input_is_named(features, direction, k, message):
    with pytest.raises(ValueError, match=message):
        top_activations(features, direction, k=k)


@pytest.mark.parametrize("dim", [2, 3, 50])
def test_random_directions_are_uniform_on_the_sphere(dim):
    directions = random_directions(4000, dim, generator=seeded(dim))
    assert torch.allclose(directions.norm(dim=1), torch.ones(4000))
    # Any coordinate x of a uniform direction has (x + 1)/2 ~ Beta((d−1)/2, (d−1)/2).
    half = (dim - 1) / 2
    for axis in (torch.eye(dim)[0], torch.ones(dim) / dim**0.5):
        assert kstest(((directions @ axis + 1) / 2).numpy(), beta(half, half).cdf).pvalue > 1e-3


def test_nonnegative_directions_are_the_others_folded():
    folded = random_directions(100, 6, generator=seeded(), nonnegative=True)
    assert torch.equal(folded, random_directions(100, 6, generator=seeded()).abs())


def test_random_directions_leave_the_global_random_state():
    before = torch.random.get_rng_state()
    random_directions(3, 3, generator=seeded())
    assert torch.equal(torch.random.get_rng_state(), before)
    with pytest.raises(ValueError, match="got count=0, dim=3"):
        random_directions(0, 3, generator=seeded())


def test_principal_directions_are_the_right_singular_vectors():
    features = torch.randn(60, 8, generator=seeded()) * torch.arange(8, 0, -1)
    expected = torch.linalg.svd(features - features.mean(0)).Vh[:3]
    assert torch.allclose((principal_directions(features, 3) * expected).sum(1).abs(), torch.ones(3), atol=1e-4)
    with pytest.raises(ValueError, match="no 9 principal components"):
        principal_directions(features, 9)


def test_principal_directions_of_a_wide_layer_are_the_same_every_time():
    features = torch.randn(520, 510, generator=seeded())
    assert torch.equal(principal_directions(features, 2), principal_directions(features, 2))


def test_live_units_exceed_their_minimum_on_k_images():
    features = torch.tensor([[0.0, 0.0, 1.0], [0.0, 2.0, 1.0], [0.0, 1.0, 1.0], [0.0, 0.0, 1.0]])
    assert live_units(features, 1).tolist() == [False, True, False]
    assert live_units(features, 3).tolist() == [False, False, False]


def test_effective_dimension_counts_the_axes_that_vary():
    gaussian = torch.randn(20_000, 5, generator=seeded())
    assert effective_dimension(gaussian) == pytest.approx(5, rel=0.01)
    assert effective_dimension(gaussian[:, :1] * torch.arange(1.0, 6)) == pytest.approx(1)


def test_effective_dimension_is_that_of_the_variances_wherever_the_features_are():
    features = torch.tensor([[2.0, 0.0], [-2.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    assert effective_dimension(features + 5) == pytest.approx((8 + 2) ** 2 / (8**2 + 2**2))


def test_layer_features_are_the_flattened_layer_in_any_batch_size():
    model = LayeredModel({"maps": nn.Conv2d(1, 3, 2), "logits": nn.Flatten()})
    inputs = torch.rand(7, 1, 4, 4, generator=seeded())
    features = layer_features(model, inputs, "maps", batch_size=3)
    assert features.shape == (7, 27)
    assert not features.requires_grad
    assert torch.allclose(features, model(inputs), atol=1e-6)
