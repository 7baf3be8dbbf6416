"""The whole analysis on features whose answer is known: units that are classes, and rotations of them."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist
from scipy.stats import entropy

from tutorial_pkg.data import Dataset
from tutorial_pkg.units import (
    STATISTICS,
    ImageSet,
    Profile,
    class_matched_sets,
    compare,
    joint_readout,
    purity,
    random_directions,
    scores_by_kind,
    set_statistics,
    top_sets,
)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def images(digits: Dataset) -> ImageSet:
    return ImageSet.measure(digits.test_inputs, digits.test_labels)


@pytest.fixture(scope="module")
def class_units(images: ImageSet) -> torch.Tensor:
    """40 units; each fires for one class."""
    onehot = torch.nn.functional.one_hot(images.labels).float()
    return onehot.repeat(1, 4) + 0.1 * torch.rand(len(onehot), 40, generator=seeded())


def rotation(dim: int, seed: int) -> torch.Tensor:
    return torch.linalg.qr(random_directions(dim, dim, generator=seeded(seed))).Q


def test_units_that_are_classes_beat_random_directions(images, class_units):
    scores = scores_by_kind(class_units, 40, k=8, generator=seeded())
    purities = {kind: purity(images.labels[top_sets(s, 8)]) for kind, s in scores.items()}
    assert purities["units"].min() == 1
    # Purity hardly tells: a random direction's top images are all of the class whose weights happen to be largest.
    assert 0.9 < purities["uniform"].mean() < 1
    shares = {kind: Profile.measure(s, images).of_directions()["class_share"] for kind, s in scores.items()}
    result = compare(shares["units"], shares["uniform"], generator=seeded(), num_resamples=999)
    assert result.low > 0.9
    assert result.p_value < 0.01
    factors = {kind: Profile.measure(s, images).of_factors(40) for kind, s in scores.items()}
    assert factors["units"]["class_share"] > 0.9
    assert factors["uniform"]["class_share"] < 0.8


def test_units_of_rotated_features_are_random_directions(images):
    """A rotation takes the units' privilege away: p-values are then uniform, so few are small."""
    gaussian = torch.randn(len(images.labels), 40, generator=seeded())
    gaussian += 2 * torch.randn(10, 40, generator=seeded(1))[images.labels]
    p_values = []
    for seed in range(24):
        scores = scores_by_kind(gaussian @ rotation(40, seed), 40, k=8, generator=seeded(seed))
        first, second = (purity(images.labels[top_sets(scores[kind], 8)]) for kind in ("units", "uniform"))
        p_values.append(compare(first, second, generator=seeded(seed), num_resamples=199).p_value)
    assert np.mean(np.array(p_values) < 0.05) <= 4 / 24
    assert 0.25 < np.mean(p_values) < 0.75


def test_chance_sets_are_random_images(images, class_units):
    scores = scores_by_kind(class_units, 400, k=8, generator=seeded())
    sets = top_sets(scores["chance"], 8)
    picks = torch.stack([torch.randperm(len(images.labels), generator=seeded(i))[:8] for i in range(400)])
    expected = set_statistics(picks, class_units, images)
    for name, values in set_statistics(sets, class_units, images).items():
        assert float(values.mean()) == pytest.approx(float(expected[name].mean()), rel=0.05), name


def test_matched_sets_keep_the_classes_and_nothing_else(images, class_units):
    sets = top_sets(class_units @ rotation(40, 0), 20)
    matched = class_matched_sets(sets, images.labels, seeded())
    assert torch.equal(images.labels[matched], images.labels[sets])
    assert all(len(one.unique()) == 20 for one in matched)
    assert (matched == sets).float().mean() < 0.2


def test_directions_are_what_their_kinds_say():
    features = torch.rand(50, 6, generator=seeded()) * torch.tensor([5.0, 1, 1, 1, 1, 1])
    kinds = scores_by_kind(features, 6, k=3, generator=seeded(1))
    directions = {kind: torch.linalg.lstsq(features, kinds[kind]).solution for kind in ("uniform", "nonnegative")}
    assert (directions["nonnegative"] > -1e-4).all()
    assert (directions["uniform"] < -0.1).any()
    centred = kinds["principal"] - kinds["principal"].mean(0)
    variances = torch.linalg.svdvals(features - features.mean(0)).square()
    assert torch.allclose(centred.T @ centred, variances.diag(), atol=1e-2)


def test_style_is_what_the_class_does_not_tell(images):
    for label in range(10):
        assert images.style[images.labels == label].mean(0).abs().max() < 1e-4


def test_every_statistic_has_the_sign_of_having_more_in_common(images, class_units):
    alike = torch.arange(30)[:, None].expand(30, 8)  # one image, eight times
    mixed = torch.stack([torch.randperm(len(images.labels), generator=seeded(i))[:8] for i in range(30)])
    clear = torch.cat([torch.nn.functional.one_hot(images.labels).float(), images.style], dim=1)
    noise = torch.randn(clear.shape, generator=seeded())
    more, less = (
        set_statistics(sets, class_units, images) | Profile.measure(scores, images).of_directions()
        for sets, scores in ((alike, clear), (mixed, noise))
    )
    assert {name: (more[name].mean() - less[name].mean()).sign() for name in STATISTICS} == STATISTICS


def test_every_statistic_of_a_set_is_of_what_its_name_says(images, class_units):
    sets = torch.stack([torch.randperm(len(images.labels), generator=seeded(i))[:8] for i in range(10)])
    found = set_statistics(sets, class_units, images)
    strokes, style = images.strokes, images.style
    for i, one in enumerate(sets):
        classes, holes = (np.bincount(values[one]) for values in (images.labels, strokes.holes))
        expected = {
            "purity": classes.max() / 8,
            "entropy": entropy(classes, base=2),
            "pixel_distance": pdist(images.inputs[one].flatten(1)).mean(),
            "feature_distance": pdist(class_units[one]).mean(),
            "slant_spread": float(strokes.slant[one].std() / strokes.slant.std()),
            "width_spread": float(strokes.width[one].std() / strokes.width.std()),
            "aspect_spread": float(strokes.aspect[one].std() / strokes.aspect.std()),
            "style_spread": float((style[one].std(0) / style.std(0)).mean()),
            "holes_agreement": holes.max() / 8,
        }
        assert {name: float(values[i]) for name, values in found.items()} == pytest.approx(expected, rel=1e-4)


def test_units_are_drawn_at_random_from_those_that_are_live():
    features = torch.rand(50, 12, generator=seeded())
    features[:, ::2] = 0
    draws = [scores_by_kind(features, 3, k=4, generator=seeded(i))["units"] for i in range(12)]
    drawn = [{(column == features.T).all(1).nonzero().item() for column in scores.T} for scores in draws]
    assert all(len(units) == 3 and units <= {1, 3, 5, 7, 9, 11} for units in drawn)
    assert set.union(*drawn) == {1, 3, 5, 7, 9, 11}


def test_every_statistic_is_measured_and_bounded(images, class_units):
    scores = scores_by_kind(class_units, 12, k=8, generator=seeded())["uniform"]
    measured = (
        set_statistics(top_sets(scores, 8), class_units, images) | Profile.measure(scores, images).of_directions()
    )
    assert tuple(measured) == tuple(STATISTICS)
    assert all(v.shape == (12,) and torch.isfinite(v).all() and (v >= 0).all() for v in measured.values())


def test_joint_readout_finds_factors_that_no_single_direction_shows(images):
    onehot = torch.nn.functional.one_hot(images.labels).float()
    factors = torch.cat([onehot, images.style / images.style.std(0)], dim=1)
    mixed = factors @ rotation(13, 3)
    together = joint_readout(mixed, images)
    alone = Profile.measure(mixed, images).of_factors(13)
    assert together["class_auc"] > 0.99
    for factor in ("slant", "width", "aspect"):
        assert together[factor] > 0.9
        assert alone[factor] < together[factor]


def test_joint_readout_finds_nothing_in_noise(images):
    """Each image is read out by a combination that was fitted to others."""
    noise = torch.randn(len(images.labels), 100, generator=seeded())
    together = joint_readout(noise, images)
    assert together["class_auc"] < 0.6
    assert max(together[factor] for factor in ("slant", "width", "aspect")) < 0.2


def test_a_profile_takes_the_best_of_as_many_directions_as_asked_for():
    classes, factors = torch.tensor([[0.6, 0.7], [0.5, 0.9]]), torch.tensor([[0.1, 0.2, 0.3], [0.5, 0.1, 0.4]])
    profile = Profile(classes, classes / 2, factors)
    one = {"class_auc": 0.65, "class_share": 0.325, "slant": 0.1, "width": 0.2, "aspect": 0.3}
    assert profile.of_factors(1) == pytest.approx(one)
    two = {"class_auc": 0.75, "class_share": 0.375, "slant": 0.5, "width": 0.2, "aspect": 0.4}
    assert profile.of_factors(2) == pytest.approx(two)
    best = {name: values.tolist() for name, values in profile.of_directions().items()}
    assert best["class_auc"] == pytest.approx([0.7, 0.9])
    assert best["style_correlation"] == pytest.approx([0.3, 0.5])


def test_a_dead_layer_is_named(images):
    features = torch.zeros(len(images.labels), 3)
    features[:50, 1] = 1.0
    with pytest.raises(ValueError, match="only 1 of 3 units exceed their minimum on 8 images; lower k"):
        scores_by_kind(features, 3, k=8, generator=seeded())
