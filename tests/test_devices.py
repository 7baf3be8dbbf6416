"""Everything that takes a device, on one that is not the CPU: the same numbers, and nothing left on the wrong side."""

from dataclasses import replace

import pytest
import torch

from tests.accelerator import NAME, accelerator
from tutorial_pkg.adversarial_training import AdversarialRecipe, PoolRecipe, train_adversarially
from tutorial_pkg.attacks import box_lbfgs, gaussian_noise, minimum_distortion
from tutorial_pkg.data import Dataset
from tutorial_pkg.experiments import EXPERIMENTS, Context
from tutorial_pkg.models import build_model, fully_connected
from tutorial_pkg.precision import has_float64, in_float64, widest
from tutorial_pkg.records import to_plain
from tutorial_pkg.spectral import conv_frame_bounds, layer_gains, linear_frame_bounds, model_frame_bounds
from tutorial_pkg.spectral.zero_padded import padded_frame_bounds
from tutorial_pkg.stimulus import optimal_stimuli
from tutorial_pkg.training import TABLE1_RECIPES, SgdRecipe, train, train_sgd, trained_model
from tutorial_pkg.transfer import amplify, perturbation_cosine, same_norm_noise, transfer_table
from tutorial_pkg.units import random_directions, top_activations


@pytest.fixture(params=[True, False], ids=["float64", "no float64"])
def device(request):
    with accelerator(float64=request.param) as device:
        yield device


@pytest.fixture
def without_float64():
    with accelerator(float64=False):
        yield


@pytest.fixture
def few(digits):
    return digits.test_inputs[:12], digits.test_labels[:12]


@pytest.fixture
def small():
    """A network that is attacked in a second, where every operation takes the stand-in a hundred times the CPU's."""
    torch.manual_seed(0)
    model = fully_connected((9, 6, 4)).eval()
    for parameter in model.parameters():
        parameter.data *= 8  # every class is somewhere in the box
    inputs = torch.rand(4, 9)
    return model, inputs, model(inputs).argmax(1)


def classifier(name):
    torch.manual_seed(0)
    return build_model(name).eval()


def same(mine, other):
    """Compare the tensors of two results, one of them from the device."""
    for name, value in vars(other).items():
        assert getattr(mine, name).device.type == NAME
        assert torch.allclose(getattr(mine, name).cpu(), value, rtol=0, atol=0, equal_nan=True), name


# The stand-in itself: it would be worth nothing if it let pass what a GPU refuses.


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: torch.ones(2, device=NAME) + torch.ones(2), "expected all tensors"),
        (lambda: torch.rand(2, device=NAME, generator=torch.Generator()), "expected a generator"),
        (
            lambda: torch.eye(2, device=NAME).long() @ torch.eye(2, device=NAME).long(),
            "not implemented for torch.int64",
        ),
        (lambda: torch.ones(2, device=NAME).numpy(), "numpy|convert"),
    ],
)
def test_the_device_refuses_what_a_gpu_refuses(wrong, message):
    with accelerator(), pytest.raises((RuntimeError, TypeError), match=message):
        wrong()


def test_a_device_without_float64_refuses_it():
    with accelerator(float64=False), pytest.raises(TypeError, match=r"no torch\.float64"):
        torch.ones(2, device=NAME).double()


def test_precision_is_the_best_that_the_device_has(device):
    values = torch.ones(2, device=NAME)
    assert has_float64(values.device) == device.float64
    assert widest(values).dtype == (torch.float64 if device.float64 else torch.float32)
    assert in_float64(values).dtype == torch.float64
    assert in_float64(values).device.type == (NAME if device.float64 else "cpu")


# The library.


@pytest.mark.parametrize("goal", ["targets", "labels"])
@pytest.mark.parametrize(
    ("loss", "polish"), [("margin", True), ("margin", False), ("cross_entropy", True), ("cross_entropy", False)]
)
def test_the_attack(without_float64, small, goal, loss, polish):
    model, inputs, labels = small
    classes = (labels + (goal == "targets")) % 4
    options = {"loss": loss, "polish": polish, "max_iter": 12, "num_search_steps": 4}
    expected = minimum_distortion(model, inputs, **{goal: classes}, **options)
    same(minimum_distortion(model.to(NAME), inputs.to(NAME), **{goal: classes.to(NAME)}, **options), expected)


@pytest.mark.parametrize("num_classes", [3, 25])
def test_the_attack_on_a_convolutional_network_and_on_many_classes(without_float64, num_classes):
    torch.manual_seed(0)
    layers = [torch.nn.Conv2d(1, 2, 3), torch.nn.ReLU(), torch.nn.MaxPool2d(2), torch.nn.Flatten()]
    model = torch.nn.Sequential(*layers, torch.nn.Dropout(), torch.nn.Linear(8, num_classes, bias=False))
    inputs = torch.rand(1, 1, 6, 6)
    labels = model.eval()(inputs).argmax(1)
    expected = minimum_distortion(model, inputs, labels=labels)
    same(minimum_distortion(model.to(NAME), inputs.to(NAME), labels=labels.to(NAME)), expected)


def test_how_often_the_host_waits_does_not_grow_with_the_images(small):
    model, _, _ = small
    waited = {}
    with accelerator() as device:
        model.to(NAME)
        for num in (20, 500):
            # The same twenty again and again, so that the hardest of them takes as many steps.
            inputs = torch.rand(20, 9, generator=torch.Generator().manual_seed(0)).repeat(num // 20, 1).to(NAME)
            targets = (model(inputs).argmax(1) + 1) % 4
            device.reads = 0
            minimum_distortion(model, inputs, targets=targets, max_iter=10)
            waited[num] = device.reads
    # In a step: are any done, how many, which; and what the multipliers and the second start look at.
    assert 0 < waited[500] < waited[20] + 100


def test_the_optimiser_and_noise(without_float64, few):
    inputs, _ = few
    centre = torch.linspace(-1, 2, inputs[0].numel()).reshape(inputs[0].shape)

    def objective(x):
        away = x - centre.to(x.device)
        return 0.5 * away.square().flatten(1).sum(1), away

    assert torch.equal(box_lbfgs(objective, inputs.to(NAME)).cpu(), box_lbfgs(objective, inputs))
    there, here = (
        gaussian_noise(x, stddev=0.2, generator=torch.Generator().manual_seed(0), box=(0.0, 1.0))
        for x in (inputs.to(NAME), inputs)
    )
    assert torch.equal(there.cpu(), here)


def test_transfer_and_units(without_float64, few):
    inputs, labels = few
    moved = (inputs + 0.1 * torch.randn(inputs.shape, generator=torch.Generator().manual_seed(1))).clamp(0, 1)
    there, moved_there = inputs.to(NAME), moved.to(NAME)
    assert torch.equal(amplify(there, moved_there, stddev=0.1).cpu(), amplify(inputs, moved, stddev=0.1))
    assert torch.equal(
        perturbation_cosine(there, moved_there, 1 - there).cpu(), perturbation_cosine(inputs, moved, 1 - inputs)
    )
    noise = same_norm_noise(there, moved_there, generator=torch.Generator().manual_seed(0))
    assert torch.equal(noise.cpu(), same_norm_noise(inputs, moved, generator=torch.Generator().manual_seed(0)))
    model = classifier("softmax")
    here = transfer_table({"a": model}, inputs, labels=labels, examples={"a": moved})
    model.to(NAME)
    there = transfer_table({"a": model}, there, labels=labels.to(NAME), examples={"a": moved_there})
    assert there.of_all("a", "a") == here.of_all("a", "a")
    features, direction = inputs.flatten(1), random_directions(1, 784, generator=torch.Generator().manual_seed(0))[0]
    assert torch.equal(
        top_activations(features.to(NAME), direction.to(NAME), k=4).cpu(), top_activations(features, direction, k=4)
    )


def test_where_new_tensors_are_on_the_device_by_default(few):
    """As after `torch.set_default_device`: the generators of the CPU still draw on the CPU."""
    with accelerator(float64=True):
        inputs, labels = few
        generator = torch.Generator().manual_seed(0)
        many = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 120))
        weight = torch.randn(4, 2, 3, 3, generator=generator)
        moved, images = inputs.flip(0), inputs[:2].to(NAME)
        outside = minimum_distortion(many, inputs[:2], labels=labels[:2]).rms_distortion
        many.to(NAME)
        with torch.device(NAME):
            assert random_directions(2, 3, generator=generator).shape == (2, 3)
            assert same_norm_noise(inputs, moved, generator=generator).shape == inputs.shape
            inside = minimum_distortion(many, images, labels=labels[:2].to(NAME)).rms_distortion
            bounds = conv_frame_bounds(weight, grid=4)
        assert torch.allclose(inside.cpu(), outside, rtol=1e-4)
        assert bounds.upper == pytest.approx(conv_frame_bounds(weight, grid=4).upper)


def test_the_optimal_stimulus(without_float64):
    model = classifier("softmax")
    options = {"shape": (1, 28, 28), "num_starts": 2, "max_iter": 20}
    here = optimal_stimuli(model, "logits", [0, 3], generator=torch.Generator().manual_seed(0), **options)
    there = optimal_stimuli(model.to(NAME), "logits", [0, 3], generator=torch.Generator().manual_seed(0), **options)
    assert all(torch.equal(mine.cpu(), other) for mine, other in zip(there, here, strict=True))


def test_frame_bounds_and_gains(device, few):
    inputs, _ = few
    weight = torch.randn(8, 2, 3, 3, generator=torch.Generator().manual_seed(0))
    there = weight.to(NAME)
    assert conv_frame_bounds(there, stride=2, groups=2, grid=5) == conv_frame_bounds(weight, stride=2, groups=2, grid=5)
    assert linear_frame_bounds(there.flatten(1)) == linear_frame_bounds(weight.flatten(1))
    model = classifier("conv")
    adversarial = (inputs + 0.1).clamp(0, 1)
    layer = torch.nn.Conv2d(2, 3, 3, padding=1)
    here = model_frame_bounds(model, grid=4), layer_gains(model, inputs, adversarial)
    padded = padded_frame_bounds(layer, (2, 5, 5))
    model.to(NAME)
    layer.to(NAME)
    assert model_frame_bounds(model, grid=4) == here[0]
    assert layer_gains(model, inputs.to(NAME), adversarial.to(NAME)) == here[1]
    assert padded_frame_bounds(layer, (2, 5, 5)) == padded
    assert layer.weight.device.type == NAME  # the caller's stays where it is


@pytest.mark.parametrize("shape", [(530, 600), (530, 530)])
def test_frame_bounds_of_large_matrices(device, shape):
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    here, there = linear_frame_bounds(weight), linear_frame_bounds(weight.to(NAME))
    assert (there.lower, there.upper) == pytest.approx((here.lower, here.upper), rel=1e-12)


TRAINERS = {
    "L-BFGS": (TABLE1_RECIPES["N100-100-10"].shortened(3), train),
    "L-BFGS, autoencoder first": (TABLE1_RECIPES["AE400-10"].shortened(2), train),
    "SGD": (SgdRecipe("conv", epochs=1), train_sgd),
    "adversarial": (
        AdversarialRecipe(
            epochs=1,
            batch_size=50,
            dropout=(0.1, 0.1, 0.1),
            pools=(
                PoolRecipe(source="minimum_distortion", capacity=20, replaced=0.5),
                PoolRecipe(layer="hidden1", source="linearised", capacity=50, replaced=1.0, period=1),
                PoolRecipe(layer="hidden2", source="noise", capacity=20, max_norm=1.0),
            ),
        ),
        train_adversarially,
    ),
}


@pytest.mark.parametrize("name", TRAINERS)
def test_training_and_checkpoints(device, digits, tmp_path, name):
    recipe, trainer = TRAINERS[name]
    part = replace(digits, train_inputs=digits.train_inputs[:200], train_labels=digits.train_labels[:200])
    assert isinstance(part, Dataset)
    model, _ = trained_model(recipe, part, seed=0, cache=tmp_path, device=NAME, trainer=trainer)
    expected, _ = trainer(recipe, part, seed=0)

    def fails(*args, **kwargs):
        raise AssertionError("the checkpoint was not found")

    fails.__module__, fails.__qualname__ = trainer.__module__, trainer.__qualname__
    again, _ = trained_model(recipe, part, seed=0, cache=tmp_path, device=NAME, trainer=fails)
    here, _ = trained_model(recipe, part, seed=0, cache=tmp_path, device="cpu", trainer=fails)
    for other in (expected, here):
        for mine, kept, theirs in zip(model.parameters(), again.parameters(), other.parameters(), strict=True):
            assert mine.device.type == NAME
            assert torch.equal(mine.cpu(), kept.cpu())
            torch.testing.assert_close(mine.cpu(), theirs, rtol=0, atol=1e-3 if not device.float64 else 1e-6)


# The experiments: what a first session with a GPU would run.

CHEAP = {
    "conventions": "sum-none-softmax1",
    "figure7": "softmax1-seed0",
    "layer_gains": "softmax1-seed0",
    "adversarial_training": "weightdecay-seed0",
    "adversarial_search": "all0-seed0",
    "figures3_4": "untrained-seed0",
    "quocnet_full_size": "stage1-seed0",
}


@pytest.mark.parametrize("name", CHEAP)
def test_experiments(name, tmp_path):
    experiment = EXPERIMENTS[name]
    config = experiment.cells(experiment.configs["quick"])[CHEAP[name]]
    with accelerator() as device:
        found = experiment.run(config, Context(device=NAME, cache=tmp_path))
    assert device.reads > 0  # something was computed there
    expected = experiment.run(config, Context(cache=tmp_path))
    mine, here = (dict(numbers(to_plain(result.values))) for result in (found, expected))
    assert mine.keys() == here.keys()
    assert here
    assert mine == pytest.approx(here, rel=1e-3, abs=1e-6, nan_ok=True)


def numbers(values, path=""):
    """Yield every number of a record with its place, but for what the machine was used."""
    if isinstance(values, dict | list):
        for key, value in values.items() if isinstance(values, dict) else enumerate(values):
            yield from numbers(value, f"{path}/{key}")
    elif isinstance(values, int | float) and not any(word in path for word in ("seconds", "memory")):
        yield path, values
