"""Examples against a linear network, where the nearest boundary is known, and what every source keeps to."""

import math

import pytest
import torch

from tutorial_pkg.adversarial_training import SOURCES, make_examples
from tutorial_pkg.models import LayeredModel, fully_connected


def generator():
    return torch.Generator().manual_seed(0)


def random_points(n=40, features=12):
    # Away from the box's walls, so that the exact answers below need no projection.
    return 0.4 + 0.2 * torch.rand(n, features, generator=generator())


@pytest.fixture
def linear():
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return LayeredModel({"logits": torch.nn.Linear(12, 5)})


def distance_to_runner_up(model, points, labels):
    """Of a linear network: |z_y − z_l| / ‖w_y − w_l‖ for the likeliest other class l."""
    weight = model.layers["logits"].weight.detach()
    logits = model(points).detach()
    rivals = logits.scatter(1, labels[:, None], -math.inf).argmax(1)
    gap = logits.gather(1, labels[:, None]) - logits.gather(1, rivals[:, None])
    return gap[:, 0] / (weight[labels] - weight[rivals]).norm(dim=1), rivals


@pytest.mark.parametrize("source", ["minimum_distortion", "linearised"])
@pytest.mark.parametrize("stretch", [0.5, 1.0, 2.0])
def test_a_linear_network_s_examples_are_at_a_known_distance(linear, source, stretch):
    points = random_points()
    labels = linear(points).argmax(1)
    examples = make_examples(
        linear, points, labels, source=source, generator=generator(), stretch=stretch, box=(-9.0, 9.0)
    )
    distance, rivals = distance_to_runner_up(linear, points, labels)
    # The attack's point is the class's own, other rivals included: no nearer, and equal where no third class is met.
    moved = (examples - points).norm(dim=1) / stretch
    third = linear(points + (examples - points) / stretch).detach()
    alone = (third.topk(3).values[:, 1] - third.topk(3).values[:, 2]) > 1e-3
    assert alone.sum() > 20
    assert torch.allclose(moved[alone], distance[alone], rtol=1e-3, atol=1e-5)
    if stretch == 2.0:
        assert torch.equal(linear(examples).argmax(1)[alone], rivals[alone])


def test_what_is_misclassified_already_is_left_where_it_is(linear):
    points = random_points()
    wrong = linear(points).argmin(1)
    examples = make_examples(linear, points, wrong, source="linearised", generator=generator())
    assert torch.equal(examples, points)


@pytest.mark.parametrize("source", sorted(set(SOURCES) - {"shift"}))
def test_norms_and_the_box_are_kept_to(source):
    with torch.random.fork_rng():
        torch.manual_seed(2)
        model = fully_connected((12, 8, 5)).eval()
    points = torch.rand(60, 12, generator=generator())
    labels = model(points).argmax(1)
    examples = make_examples(model, points, labels, source=source, generator=generator(), stretch=9.0, max_norm=0.3)
    assert examples.shape == points.shape
    assert not examples.requires_grad
    assert ((examples >= 0) & (examples <= 1)).all()
    assert ((examples - points).norm(dim=1) <= 0.3 * (1 + 1e-5)).all()
    assert not torch.equal(examples, points)


def test_noise_has_the_norm_that_was_asked_for(linear):
    points = random_points()
    labels = torch.zeros(40, dtype=torch.long)
    noisy = make_examples(linear, points, labels, source="noise", generator=generator(), max_norm=0.1)
    assert torch.allclose((noisy - points).norm(dim=1), torch.full((40,), 0.1), rtol=1e-4)


def test_a_shift_moves_by_at_most_a_pixel_and_fills_with_black(linear):
    images = torch.rand(200, 1, 6, 6, generator=generator()) + 0.1
    labels = torch.zeros(200, dtype=torch.long)
    moved = make_examples(linear, images.clamp(0, 1), labels, source="shift", generator=generator())
    padded = torch.nn.functional.pad(images.clamp(0, 1), (1, 1, 1, 1))
    windows = torch.stack([padded[:, :, i : i + 6, j : j + 6] for i in range(3) for j in range(3)])
    matches = (windows == moved).flatten(2).all(2)
    assert (matches.sum(0) == 1).all()
    assert (matches.sum(1) > 5).all()  # every one of the nine moves occurs


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("fgsm", "unknown source of examples 'fgsm'; expected one of minimum_distortion, linearised, noise, shift"),
        ("noise", "noise needs a finite max_norm"),
        ("shift", r"a shift needs images \[N, channels, height, width\], got \(40, 12\)"),
    ],
)
def test_a_source_that_does_not_fit_is_refused(linear, source, message):
    with pytest.raises(ValueError, match=message):
        make_examples(linear, random_points(), torch.zeros(40, dtype=torch.long), source=source, generator=generator())


@pytest.mark.parametrize("source", ["minimum_distortion", "linearised"])
def test_a_model_in_training_is_attacked_in_evaluation_mode_and_left_in_training(source):
    torch.manual_seed(1)
    norm, dropout = torch.nn.BatchNorm1d(8), torch.nn.Dropout(0.5)
    layers = torch.nn.Sequential(torch.nn.Linear(12, 8), norm, torch.nn.Sigmoid(), dropout)
    model = LayeredModel({"hidden1": layers, "logits": torch.nn.Linear(8, 5)}).train()
    points, labels = random_points(), torch.arange(40) % 5
    state = torch.get_rng_state()
    found = [make_examples(model, points, labels, source=source, generator=generator()) for _ in range(2)]
    assert torch.equal(*found)
    assert model.training
    assert norm.num_batches_tracked == 0
    assert torch.equal(torch.get_rng_state(), state)
