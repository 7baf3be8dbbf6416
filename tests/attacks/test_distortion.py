"""What `minimum_distortion` promises whatever the model: the box, true successes, independence, nothing changed."""

import copy
import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tutorial_pkg.attacks import minimum_distortion
from tutorial_pkg.attacks.boundary import walk_boundary

MODES = [(loss, polish) for loss in ("margin", "cross_entropy") for polish in (True, False)]


def random_network(seed: int, num_pixels: int, num_classes: int, dtype: torch.dtype) -> nn.Module:
    torch.manual_seed(seed)
    layers = nn.Linear(num_pixels, 16), nn.Tanh(), nn.Linear(16, num_classes)
    for layer in layers[::2]:
        layer.weight.data *= 4
    return nn.Sequential(nn.Flatten(), *layers).to(dtype).eval()


@settings(max_examples=10, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    num_classes=st.integers(2, 14),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    box=st.sampled_from([(0.0, 1.0), (-1.0, 1.0), (0.0, float("inf")), (-float("inf"), float("inf")), (0.25, 0.75)]),
    mode=st.sampled_from(MODES),
)
def test_the_box_is_kept_and_no_success_is_false(seed, num_classes, dtype, box, mode):
    model = random_network(seed, 12, num_classes, dtype)
    inputs = torch.rand(7, 12, dtype=dtype).clamp(*box)
    targets = torch.randint(num_classes, (7,))
    result = minimum_distortion(model, inputs, targets=targets, box=box, loss=mode[0], polish=mode[1])
    assert result.adv_inputs.min() >= box[0]
    assert result.adv_inputs.max() <= box[1]
    reached = torch.cat([model(x[None]) for x in result.adv_inputs]).argmax(1)  # one by one: another batch size
    assert torch.equal(reached[result.success], targets[result.success])
    assert torch.equal(result.adv_inputs[~result.success], inputs[~result.success])
    assert torch.equal(torch.isinf(result.l2_norm), ~result.success)
    moved = (result.adv_inputs - inputs).norm(dim=1)
    assert torch.allclose(moved[result.success], result.l2_norm[result.success])
    assert torch.allclose(result.rms_distortion * 12**0.5, result.l2_norm)


@pytest.mark.parametrize(("loss", "polish"), MODES)
def test_every_correctly_classified_image_is_moved_to_its_target(network, images, targets, loss, polish):
    result = minimum_distortion(network, images[0], targets=targets, loss=loss, polish=polish)
    reached = result.success
    assert reached.all() if polish else reached.double().mean() > 0.95  # a penalty's minimiser may collapse to r = 0
    assert torch.equal(result.targets, targets)
    assert torch.equal(network(result.adv_inputs).argmax(1)[reached], targets[reached])
    assert (result.c[reached] > 0).all()


def test_the_default_is_nearer_than_the_papers_search(network, images, targets):
    walked = minimum_distortion(network, images[0], targets=targets).l2_norm
    searched = minimum_distortion(network, images[0], targets=targets, loss="cross_entropy", polish=False).l2_norm
    polished = minimum_distortion(network, images[0], targets=targets, loss="cross_entropy").l2_norm
    assert (walked / searched).mean() < 0.99
    assert (polished <= searched).all()


@pytest.mark.parametrize("max_iter", [1, 3])
def test_polishing_loses_nothing_that_the_search_has_found(network, images, targets, max_iter):
    """One step from there reaches a nearer point only sometimes."""
    options = {"targets": targets, "loss": "cross_entropy", "max_iter": max_iter}
    searched = minimum_distortion(network, images[0], polish=False, **options)
    polished = minimum_distortion(network, images[0], **options)
    assert searched.success.any()
    assert (polished.l2_norm <= searched.l2_norm).all()


@pytest.mark.parametrize(("loss", "polish"), MODES)
def test_an_image_does_not_depend_on_its_batch(network, images, targets, loss, polish):
    model, x = copy.deepcopy(network).double(), images[0].double()
    options = {"loss": loss, "polish": polish}
    together = minimum_distortion(model, x, targets=targets, **options)
    alone = minimum_distortion(model, x, targets=targets, batch_size=1, **options)
    apart = (together.adv_inputs - alone.adv_inputs).flatten(1).abs().amax(1)
    # Rounding differs with the batch and the processor, and a curved boundary may amplify it: an image in a hundred
    # ends in another valley. Of thirty, two may.
    assert apart.median() < (1e-6 if loss == "cross_entropy" or polish else 1e-3)
    assert (apart > 1e-3).sum() <= 2


def test_the_nearest_class_does_not_depend_on_the_batch(network, images):
    model, x, labels = copy.deepcopy(network).double(), images[0][:6].double(), images[1][:6]
    together = minimum_distortion(model, x, labels=labels)
    alone = minimum_distortion(model, x, labels=labels, batch_size=9)
    assert torch.allclose(together.adv_inputs, alone.adv_inputs, rtol=0, atol=1e-6)
    assert torch.equal(together.num_evals, alone.num_evals)


def test_more_iterations_never_give_a_larger_distortion(network, images, targets):
    model, x = copy.deepcopy(network).double(), images[0][:20].double()
    norms = [
        minimum_distortion(model, x, targets=targets[:20], max_iter=n).l2_norm for n in (1, 2, 4, 6, 9, 14, 25, 60)
    ]
    for fewer, more in itertools.pairwise(norms):
        assert (more <= fewer * (1 + 1e-9)).all()


def test_untargeted_loses_nothing_to_trying_every_target(network, images):
    """In float64: where the walk is chaotic, rounding alone would lead to other minima."""
    model, x, labels = copy.deepcopy(network).double(), images[0][:20].double(), images[1][:20]
    every = [minimum_distortion(model, x, targets=(labels + k) % 10) for k in range(1, 10)]
    result = minimum_distortion(model, x, labels=labels)
    assert result.success.all()
    assert torch.equal(model(result.adv_inputs).argmax(1), result.targets)
    assert (result.targets != labels).all()
    assert (result.l2_norm / torch.stack([one.l2_norm for one in every]).amin(0)).max() < 1.0001
    assert result.num_evals.sum() < 0.8 * sum(one.num_evals.sum() for one in every)


@pytest.mark.parametrize("num_classes", [2, 22])
def test_untargeted_with_two_and_with_many_classes(num_classes):
    model = random_network(3, 12, num_classes, torch.float64)
    x = torch.rand(5, 12, dtype=torch.float64)
    labels = model(x).argmax(1)
    every = [minimum_distortion(model, x, targets=(labels + k) % num_classes).l2_norm for k in range(1, num_classes)]
    result = minimum_distortion(model, x, labels=labels)
    assert (result.l2_norm / torch.stack(every).amin(0)).max() < 1.0001


def test_inputs_that_are_there_already_need_no_change(network, images):
    x, labels = images[0][:5], images[1][:5]
    there = minimum_distortion(network, x, targets=labels)
    misclassified = minimum_distortion(network, x, labels=(labels + 1) % 10)
    for result in (there, misclassified):
        assert result.success.all()
        assert torch.equal(result.adv_inputs, x)
        assert torch.equal(result.targets, labels)
        assert (result.l2_norm == 0).all()
        assert torch.isinf(result.c).all()


@pytest.mark.parametrize(("loss", "polish"), MODES)
def test_a_target_out_of_reach_is_an_answer(loss, polish):
    model = nn.Linear(4, 3)
    nn.init.ones_(model.weight)
    model.bias.data = torch.tensor([0.0, 9.0, -9.0])
    inputs = torch.rand(3, 4)
    result = minimum_distortion(model, inputs, targets=torch.tensor([0, 1, 2]), loss=loss, polish=polish)
    assert result.success.tolist() == [False, True, False]
    assert torch.equal(result.adv_inputs, inputs)
    assert result.l2_norm.tolist() == [float("inf"), 0.0, float("inf")]
    assert result.c.isnan().tolist() == [True, False, True]


def convolutional() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Dropout(0.5), nn.Flatten(), nn.Linear(6 * 36, 5)
    )


def test_convolution_dropout_and_batch_norm_are_attacked_in_eval_mode_and_left_alone():
    model = convolutional().train()
    model[1].eval()  # a mixed mode has to come back as it was
    model[0].weight.requires_grad_(False)
    model[5].weight.grad = torch.ones_like(model[5].weight)
    inputs = torch.rand(6, 2, 8, 8).requires_grad_(True)
    state, random_state = copy.deepcopy(model.state_dict()), torch.random.get_rng_state()
    targets = torch.arange(6) % 5
    before = inputs.detach().clone()
    result = minimum_distortion(model, inputs, targets=targets)

    assert result.success.all()
    assert [module.training for module in model] == [True, False, True, True, True, True]
    assert not model[0].weight.requires_grad
    assert model[5].bias.requires_grad
    assert torch.equal(model[5].weight.grad, torch.ones_like(model[5].weight))
    assert model[5].bias.grad is None
    assert inputs.grad is None
    assert inputs.requires_grad
    assert torch.equal(inputs, before)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert torch.equal(torch.random.get_rng_state(), random_state)
    assert not result.adv_inputs.requires_grad
    assert torch.equal(model.eval()(result.adv_inputs).argmax(1), targets)


def test_the_mode_comes_back_after_an_error():
    model = convolutional().train()
    with pytest.raises(ValueError, match="class indices"):
        minimum_distortion(model, torch.rand(1, 2, 8, 8), targets=torch.tensor([7]))
    assert model.training
    assert model[3].training


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_it_works_where_gradients_are_off_and_for_plain_functions(linear, mode):
    with mode():
        inputs = torch.rand(3, 1, 28, 28)
        targets = (linear(inputs).argmax(1) + 1) % 10
        result = minimum_distortion(lambda x: linear(x), inputs, targets=targets)
        assert torch.equal(linear(result.adv_inputs).argmax(1), targets)


def test_a_walk_can_start_elsewhere(network, images, targets):
    x, goal = images[0][:20], targets[:20]
    reference = walk_boundary(network, x, goal, box=(0.0, 1.0), max_iter=100)
    start = reference.points.reshape(x.shape)
    again = walk_boundary(network, x, goal, box=(0.0, 1.0), max_iter=100, start=start)
    assert (again.squared_norm / reference.squared_norm).max() < 1.005
    assert again.num_evals.sum() < 0.7 * reference.num_evals.sum()


@pytest.mark.parametrize("feature", [torch.sqrt, torch.log], ids=["sqrt", "log"])
@pytest.mark.parametrize(("loss", "polish"), [("margin", True), ("margin", False), ("cross_entropy", True)])
def test_slopes_that_are_infinite_at_the_edge_of_the_box(feature, loss, polish):
    """The images' own gradients are finite; the walk meets infinite ones where a step is clipped to 0."""
    torch.manual_seed(0)
    linear = nn.Linear(20, 3)
    inputs = 0.25 + 0.5 * torch.rand(40, 20)
    targets = (linear(feature(inputs)).argmax(1) + 1) % 3
    options = {"targets": targets, "loss": loss, "polish": polish}
    result = minimum_distortion(lambda x: linear(feature(x)), inputs, **options)
    bent = minimum_distortion(lambda x: linear(feature(x)), inputs, **options, box=(1e-6, 1.0))
    assert bent.success.all()
    assert result.success.float().mean() > 0.9
    ratio = (result.l2_norm / bent.l2_norm)[result.success]
    assert ratio.median() < 1.01
    assert ratio.mean() < 1.15


def test_gradients_that_are_infinite_at_the_image_itself():
    """As of x^(1/2.2), a gamma correction, where a digit is black."""
    torch.manual_seed(0)
    linear = nn.Linear(20, 3)
    inputs = torch.rand(20, 20) * (torch.rand(20, 20) > 0.5)
    targets = (linear(inputs ** (1 / 2.2)).argmax(1) + 1) % 3
    result = minimum_distortion(lambda x: linear(x ** (1 / 2.2)), inputs, targets=targets)
    smoothed = minimum_distortion(lambda x: linear((x + 1e-6) ** (1 / 2.2)), inputs, targets=targets)
    assert result.success.all()
    assert (result.l2_norm / smoothed.l2_norm).mean() < 1.1


def test_not_finite_gradients_spoil_no_neighbour():
    """√ has an infinite slope at 0, where the first image has pixels; the second must not notice."""
    torch.manual_seed(0)
    linear = nn.Linear(6, 3).double()

    def model(x):
        return linear(x.sqrt())

    inputs = torch.rand(2, 6, dtype=torch.float64)
    inputs[0, :3] = 0
    targets = (model(inputs).argmax(1) + 1) % 3
    both = minimum_distortion(model, inputs, targets=targets)
    alone = minimum_distortion(model, inputs[1:], targets=targets[1:])
    assert both.success.all()
    torch.testing.assert_close(both.l2_norm[1:], alone.l2_norm, rtol=1e-3, atol=0)


def test_a_compiled_model(network, images, targets):
    """Its backward pass can be asked for once only, so the attack runs it as it was written."""
    inputs, goal = images[0][:5], targets[:5]
    compiled = torch.compile(network, backend="aot_eager")
    compiled(inputs)
    result = minimum_distortion(compiled, inputs, targets=goal)
    assert torch.equal(result.adv_inputs, minimum_distortion(network, inputs, targets=goal).adv_inputs)


def test_another_default_dtype(network, images, targets):
    inputs, goal = images[0][:5], targets[:5]
    expected = minimum_distortion(network, inputs, targets=goal)
    torch.set_default_dtype(torch.float64)
    try:
        result = minimum_distortion(network, inputs, targets=goal)
    finally:
        torch.set_default_dtype(torch.float32)
    assert torch.equal(result.adv_inputs, expected.adv_inputs)


def test_autocast_of_the_caller_where_the_model_does_without(network, images, targets):
    def guarded(x):
        with torch.autocast("cpu", enabled=False):
            return network(x)

    inputs, goal = images[0][:5], targets[:5]
    expected = minimum_distortion(network, inputs, targets=goal)
    with torch.autocast("cpu", torch.bfloat16):
        result = minimum_distortion(guarded, inputs, targets=goal)
    assert torch.equal(result.adv_inputs, expected.adv_inputs)


def test_a_tie_at_the_image_itself():
    model = nn.Linear(16, 4, bias=False)
    for loss, polish in (("margin", True), ("margin", False), ("cross_entropy", True), ("cross_entropy", False)):
        result = minimum_distortion(model, torch.zeros(1, 16), labels=torch.tensor([0]), loss=loss, polish=polish)
        assert result.success.all(), (loss, polish)
        assert result.l2_norm < 1e-2


@pytest.mark.parametrize("size", [1e-1, 1e-3, 1e-4])
@pytest.mark.parametrize("loss", ["margin", "cross_entropy"])
def test_the_search_over_c_is_as_exact_for_small_distances(size, loss):
    """A linear model of two classes, whose boundary is at a known distance."""
    torch.manual_seed(0)
    normal = torch.nn.functional.normalize(torch.randn(100), dim=0) * 10
    inputs = torch.randn(4, 100)
    inputs -= ((inputs @ normal + 10 * size * 10) / 100)[:, None] * normal  # m = −100·size, so ‖r‖ = 10·size
    model = lambda x: torch.stack([torch.zeros(len(x)), x @ normal], dim=1)  # noqa: E731
    options = {"targets": torch.ones(4, dtype=torch.long), "box": (-math.inf, math.inf), "loss": loss, "polish": False}
    result = minimum_distortion(model, inputs, **options)
    assert result.success.all()
    assert (result.rms_distortion / size).max() < 1.1


def test_a_model_that_squeezes_its_output():
    torch.manual_seed(0)
    linear = nn.Linear(8, 3)
    inputs = torch.rand(5, 8)
    targets = (linear(inputs).argmax(1) + 1) % 3
    with pytest.raises(ValueError, match=r"logits of shape \(1, K\)"):
        minimum_distortion(lambda x: linear(x).squeeze(), inputs, targets=targets)


def test_a_model_whose_first_operation_is_in_place(network, images, targets):
    """The caller's images, and the walk's own points, stay what they are."""

    class Shifted(nn.Module):
        def forward(self, x):
            return network(x.sub_(0.1))

    x = images[0].clone()
    plain = minimum_distortion(lambda x: network(x - 0.1), x, targets=targets)
    for options in ({}, {"loss": "cross_entropy", "polish": False}):
        result = minimum_distortion(Shifted(), x, targets=targets, **options)
        assert torch.equal(x, images[0])
        assert result.success.float().mean() > 0.95
        assert (result.adv_inputs - x)[result.success].flatten(1).norm(dim=1) == pytest.approx(
            result.l2_norm[result.success], rel=1e-4
        )
    assert minimum_distortion(Shifted(), x, targets=targets).l2_norm == pytest.approx(plain.l2_norm, rel=1e-4)


@pytest.mark.parametrize("box", [(-0.1, 0.2), (-2.2, 0.8)])
def test_a_bound_that_float32_rounds_outward(box):
    torch.manual_seed(0)
    lower, upper = torch.tensor(box)
    x = torch.stack([lower, upper, lower, upper])[None].expand(3, 4).clone()
    model = nn.Linear(4, 3)
    result = minimum_distortion(model, x, labels=model(x).argmax(1), box=box)
    assert result.success.any()
    assert result.adv_inputs.min() >= lower
    assert result.adv_inputs.max() <= upper
    minimum_distortion(model, result.adv_inputs, labels=model(result.adv_inputs).argmax(1), box=box)
