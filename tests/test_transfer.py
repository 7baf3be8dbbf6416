"""Transfer between linear models is geometry: every number here is known before it is measured."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from tutorial_pkg.metrics import l2_norm, rms_distortion
from tutorial_pkg.transfer import (
    Rate,
    TransferTable,
    amplify,
    perturbation_cosine,
    reach,
    same_norm_noise,
    transfer_table,
)


class HalfSpace(nn.Module):
    """Class 1 where ⟨w, x⟩ > b, class 0 elsewhere."""

    def __init__(self, normal: Tensor, offset: float) -> None:
        super().__init__()
        self.normal, self.offset = nn.Parameter(normal), offset

    def forward(self, x: Tensor) -> Tensor:
        score = x.flatten(1) @ self.normal - self.offset
        return torch.stack([torch.zeros_like(score), score], dim=1)

    def nearest_of_class_1(self, x: Tensor, overshoot: float = 1e-3) -> Tensor:
        """The exact D(x, 1) without a box, a hair beyond the boundary."""
        normal = self.normal.detach()
        missing = (self.offset - x.flatten(1) @ normal) * (1 + overshoot)
        return x + (missing[:, None] * normal / normal.square().sum()).reshape(x.shape)


def two_models_at(degrees: float) -> dict[str, HalfSpace]:
    angle = math.radians(degrees)
    return {
        "first": HalfSpace(torch.tensor([1.0, 0.0]), 1.0),
        "second": HalfSpace(torch.tensor([math.cos(angle), math.sin(angle)]), 0.5),
    }


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# From the origin `first` is 1 away and `second` 0.5: going 1 along e₁ crosses `second` while cos θ > 0.5.
@pytest.mark.parametrize(("degrees", "crosses"), [(0, True), (59, True), (61, False), (90, False)])
def test_transfer_between_half_spaces_is_decided_by_their_angle(degrees, crosses):
    models = two_models_at(degrees)
    inputs = torch.zeros(1, 2)
    own = {name: model.nearest_of_class_1(inputs) for name, model in models.items()}
    table = transfer_table(models, inputs, labels=torch.tensor([0]), examples=own)
    assert table.of_all("first", "first") == table.of_all("second", "second") == Rate(1, 1)
    assert table.of_all("first", "second").count == crosses
    assert reach(inputs, own["first"], own["second"]).item() == pytest.approx(
        2 * math.cos(math.radians(degrees)), abs=1e-3
    )
    assert perturbation_cosine(inputs, own["first"], own["second"]).item() == pytest.approx(
        math.cos(math.radians(degrees)), abs=1e-5
    )


@given(seed=st.integers(0, 10_000), dimension=st.integers(2, 30))
def test_reach_predicts_every_transfer_between_half_spaces(seed, dimension):
    numbers = torch.randn(2, dimension, generator=generator(seed)).double()
    source, target = HalfSpace(numbers[0], 2.0), HalfSpace(numbers[1], 1.5)
    inputs = 0.05 * torch.randn(20, dimension, generator=generator(seed + 1)).double()
    labels = torch.zeros(20, dtype=torch.long)
    adv = source.nearest_of_class_1(inputs)
    share = reach(inputs, adv, target.nearest_of_class_1(inputs, overshoot=0.0))
    clear = (share - 1).abs() > 1e-9
    clean = transfer_table({"target": target}, inputs, labels=labels, examples={"adv": adv})
    outside = ~clean.wrong_before[0]  # an image of class 1 already has nothing to cross
    assert torch.equal(clean.wrong[0, 0][clear & outside], (share > 1)[clear & outside])


def test_the_two_readings_of_an_error_differ_by_what_was_wrong_before():
    table = TransferTable(
        ("row",),
        ("model",),
        wrong=torch.tensor([[[True, True, False, False]]]),
        wrong_before=torch.tensor([[True, False, False, False]]),
    )
    assert table.of_all("row", "model") == Rate(2, 4)
    assert table.of_correct("row", "model") == Rate(1, 3)
    assert table.clean("model") == Rate(1, 4)


def test_p_value_counts_only_images_on_which_the_rows_disagree():
    wrong = torch.zeros(2, 1, 20, dtype=torch.bool)
    wrong[0, 0, :7], wrong[1, 0, 5:7] = True, True  # 5 images for the first row alone, 0 for the second
    table = TransferTable(("adv", "noise"), ("model",), wrong, torch.zeros(1, 20, dtype=torch.bool))
    assert table.p_value("adv", "noise", "model") == pytest.approx(0.5**5)
    assert table.p_value("noise", "adv", "model") == 1.0
    assert table.p_value("adv", "adv", "model") == 1.0


def test_rate_intervals_against_closed_forms():
    assert Rate(0, 20).interval() == pytest.approx((0.0, 1 - 0.025 ** (1 / 20)))
    assert Rate(20, 20).interval(0.9) == pytest.approx((0.05 ** (1 / 20), 1.0))
    low, high = Rate(5, 20).interval()
    assert low < Rate(5, 20).fraction < high
    assert math.isnan(Rate(0, 0).fraction)
    assert Rate(0, 0).interval() == (0.0, 1.0)


@given(seed=st.integers(0, 1000), stddev=st.floats(0.001, 2), scale=st.floats(1e-6, 10))
def test_amplified_perturbations_have_exactly_the_distortion_asked_for(seed, stddev, scale):
    inputs = torch.rand(3, 1, 5, 5, generator=generator(seed)).double()
    adv = inputs + scale * torch.randn(inputs.shape, generator=generator(seed + 1)).double()
    amplified = amplify(inputs, adv, stddev=stddev)
    assert torch.allclose(rms_distortion(amplified - inputs), torch.full((3,), stddev).double(), rtol=1e-7)
    assert torch.allclose(perturbation_cosine(inputs, adv, amplified), torch.ones(3).double(), rtol=0, atol=1e-7)


def test_an_unmoved_image_has_no_direction_to_amplify():
    inputs = torch.rand(2, 4, generator=generator())
    adv = inputs.clone()
    adv[1, 0] += 0.5
    for stddev in (0.1, 100.0):
        assert torch.equal(amplify(inputs, adv, stddev=stddev)[0], inputs[0])
    assert torch.equal(same_norm_noise(inputs, adv, generator=generator())[0], inputs[0])
    assert perturbation_cosine(inputs, adv, adv).isnan().tolist() == [True, False]
    assert reach(inputs, adv, adv).tolist() == [math.inf, pytest.approx(1)]


def test_the_control_goes_as_far_as_the_example_in_an_unrelated_direction():
    inputs = torch.rand(200, 1, 28, 28, generator=generator())
    adv = inputs + torch.rand(200, 1, 1, 1, generator=generator(1)) * torch.randn(inputs.shape, generator=generator(2))
    noisy = same_norm_noise(inputs, adv, generator=generator(3))
    assert torch.allclose(l2_norm(noisy - inputs), l2_norm(adv - inputs), rtol=1e-4)
    assert abs(perturbation_cosine(inputs, adv, noisy).mean()) < 4 / 28 / math.sqrt(200)
    assert torch.equal(noisy, same_norm_noise(inputs, adv, generator=generator(3)))


def test_batches_change_nothing_and_the_caller_keeps_everything():
    model = nn.Sequential(nn.Linear(6, 8), nn.Dropout(0.0), nn.Linear(8, 3)).train()
    inputs = torch.rand(17, 6, generator=generator())
    labels = torch.randint(3, (17,), generator=generator())
    examples = {"noise": inputs + torch.randn(17, 6, generator=generator())}
    before, state = inputs.clone(), torch.get_rng_state()
    whole = transfer_table({"model": model}, inputs, labels=labels, examples=examples)
    parts = transfer_table({"model": model}, inputs, labels=labels, examples=examples, batch_size=4)
    assert torch.equal(whole.wrong, parts.wrong)
    assert model.training
    assert torch.equal(inputs, before)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())


def test_dropout_and_batch_norm_are_asked_in_eval_mode_and_left_alone():
    model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 3)).train()
    inputs, labels = torch.rand(17, 6, generator=generator()), torch.randint(3, (17,), generator=generator())
    before, state = [b.clone() for b in model.buffers()], torch.get_rng_state()
    first = transfer_table({"model": model}, inputs, labels=labels, examples={"same": inputs})
    assert torch.equal(first.wrong[0], first.wrong_before)
    assert all(module.training for module in model.modules())
    assert all(torch.equal(mine, old) for mine, old in zip(model.buffers(), before, strict=True))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_amplified_images_keep_their_dtype(dtype):
    amplified = amplify(torch.zeros(1, 4, dtype=dtype), torch.tensor([[0, 0, 0.5, 0]], dtype=dtype), stddev=0.1)
    assert amplified.dtype == dtype
    assert amplified[0, 2].item() == pytest.approx(0.2, rel=4 * torch.finfo(dtype).eps)


def test_bad_input_is_named():
    inputs, labels = torch.rand(3, 4), torch.zeros(3, dtype=torch.long)
    models = {"model": nn.Linear(4, 2)}
    with pytest.raises(ValueError, match="got 0 models, 3 images and 3 labels"):
        transfer_table({}, inputs, labels=labels, examples={})
    with pytest.raises(ValueError, match="got 1 models, 0 images and 0 labels"):
        transfer_table(models, inputs[:0], labels=labels[:0], examples={})
    with pytest.raises(ValueError, match="got 1 models, 3 images and 2 labels"):
        transfer_table(models, inputs, labels=labels[:2], examples={})
    with pytest.raises(ValueError, match=r"examples\['short'\] must be versions .* got torch.float32 \(2, 4\)"):
        transfer_table(models, inputs, labels=labels, examples={"short": inputs[:2]})
    stacked = nn.Sequential(nn.Linear(4, 2), nn.Unflatten(1, (1, 2)))
    with pytest.raises(ValueError, match=r"logits \[N, K\], got \(3, 1, 2\) for 3 images"):
        transfer_table({"stacked": stacked}, inputs, labels=labels, examples={})
    with pytest.raises(ValueError, match=r"stddev must be at least 0, got -0\.1"):
        amplify(inputs, inputs, stddev=-0.1)
    with pytest.raises(ValueError, match="stddev must be at least 0, got nan"):
        amplify(inputs, inputs, stddev=math.nan)
    with pytest.raises(ValueError, match="NaN or infinity"):
        amplify(inputs, inputs + torch.nan, stddev=0.1)
    with pytest.raises(ValueError, match=r"got torch\.float64"):
        reach(inputs, inputs.double(), inputs)


class Call(nn.Module):
    """A function as a model."""

    def __init__(self, function):
        super().__init__()
        self.forward = function


def test_labels_and_logits_of_another_shape_are_refused_and_images_stay():
    inputs = torch.eye(3)
    examples = {"moved": inputs.flip(1).clone()}
    with pytest.raises(ValueError, match=r"labels \[N\] of class indices, got torch.int64 \(3, 1\)"):
        transfer_table({"identity": nn.Identity()}, inputs, labels=torch.arange(3)[:, None], examples=examples)
    with pytest.raises(ValueError, match=r"labels \[N\] of class indices, got torch.float32 \(3,\)"):
        transfer_table({"identity": nn.Identity()}, inputs, labels=torch.arange(3.0), examples=examples)
    with pytest.raises(ValueError, match=r"logits \[N, K\], got tuple for 3 images"):
        transfer_table({"pair": Call(lambda x: (x, x))}, inputs, labels=torch.arange(3), examples=examples)
    with pytest.raises(ValueError, match="finite logits, got NaN"):
        transfer_table({"nan": Call(lambda x: x * math.nan)}, inputs, labels=torch.arange(3), examples=examples)
    transfer_table({"in place": Call(lambda x: x.neg_())}, inputs, labels=torch.arange(3), examples=examples)
    assert torch.equal(inputs, torch.eye(3))
    assert torch.equal(examples["moved"], inputs.flip(1))


@pytest.mark.parametrize("labels", [[5, 0], [2, 0], [-1, 0]])
def test_labels_that_no_model_knows_are_refused(labels):
    with pytest.raises(ValueError, match=r"class indices in 0\.\.1"):
        transfer_table({"a": nn.Identity()}, torch.eye(2), labels=torch.tensor(labels), examples={})
