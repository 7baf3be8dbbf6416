"""Reconstruction TICA against a dense formula, its seeds, its gradient, and a run that was killed."""

import copy
import re
from dataclasses import replace

import pytest
import torch
from torch.nn.functional import unfold

from tutorial_pkg.data import ImageDataset
from tutorial_pkg.models import QUOCNETS, quocnet
from tutorial_pkg.models.quocnet import L2Pooling, LocalFilters, QuocNetConfig, StageConfig
from tutorial_pkg.training import (
    TicaRecipe,
    TicaResult,
    measure_steps,
    step_memory,
    tica,
    tica_cost,
    tica_steps,
    train_tica,
)
from tutorial_pkg.training.checkpoints import trained_model

SMALL = QuocNetConfig(
    stages=(
        StageConfig(4, num_maps=3, filter_stride=2, pool_size=2, norm_size=3),
        StageConfig(2, num_maps=4, pool_size=2, norm_size=3),
    ),
    image_size=12,
)
RECIPE = TicaRecipe("quocnet-tiny", steps=6, batch_size=8)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setitem(QUOCNETS, "quocnet-tiny", SMALL)


@pytest.fixture(scope="module")
def photographs():
    generator = torch.Generator().manual_seed(0)
    smooth = torch.rand(30, 3, 4, 4, generator=generator).repeat_interleave(3, 2).repeat_interleave(3, 3)
    noise = 0.2 * torch.rand(30, 3, 12, 12, generator=generator)
    images = (255 * (0.8 * smooth + noise)).to(torch.uint8)
    labels = torch.arange(30) % 2
    return ImageDataset("toy", images, labels, images[:10], labels[:10], ("a", "b"), ("a", "b"))


def dense_cost(x, filters, epsilon, pool_size, decoder):
    """The cost with W₁, W₂ and H written out as matrices over a whole image."""
    count, channels, side, _ = x.shape
    pixels = channels * side**2
    identity = torch.eye(pixels, dtype=x.dtype).view(pixels, channels, side, side)
    cut = unfold(identity, filters.size, stride=filters.stride)  # pixels → patches, a row a pixel
    encode = torch.einsum("pkl,lkm->pml", cut, filters.weight).flatten(1).T
    decode = torch.einsum("pkl,lkm->pml", cut, decoder).flatten(1)
    flat = x.flatten(1)
    codes = flat @ encode.T
    error = (codes @ decode.T - flat).square().sum(1)
    maps = codes.view(count, -1, filters.side, filters.side)
    windows = maps.unfold(2, pool_size, 1).unfold(3, pool_size, 1)
    return error, (epsilon + windows.square().sum((-1, -2))).sqrt()


def toy(seed=0):
    generator = torch.Generator().manual_seed(seed)
    filters = LocalFilters(2, 5, 3, size=3).double()
    filters.weight.data = torch.randn(filters.weight.shape, dtype=torch.float64, generator=generator)
    decoder = torch.randn(filters.weight.shape, dtype=torch.float64, generator=generator).requires_grad_()
    x = torch.randn(4, 2, 5, 5, dtype=torch.float64, generator=generator)
    return x, filters, L2Pooling(2, epsilon=0.01), decoder


def test_cost_and_gradient_are_those_of_the_dense_formula():
    x, filters, pooling, decoder = toy()
    gradients = []
    for cost in (tica_cost(x, filters, pooling, decoder), dense_cost(x, filters, 0.01, 2, decoder)):
        total = cost[0].sum() + 0.1 * cost[1].sum()
        gradients.append((*cost, *torch.autograd.grad(total, [filters.weight, decoder])))
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_gradcheck():
    x, filters, pooling, decoder = toy(1)

    def cost(weight, decoder):
        layer = LocalFilters(2, 5, 3, size=3).double()
        del layer.weight
        layer.weight = weight
        error, pooled = tica_cost(x, layer, pooling, decoder)
        return error.sum() + pooled.sum()

    assert torch.autograd.gradcheck(cost, (filters.weight.detach().requires_grad_(), decoder))


@pytest.mark.parametrize("tied", [True, False])
def test_training_starts_from_the_best_multiple(tied):
    x, filters, _, _ = toy(2)
    decoder = tica.first_weights(x, filters, tied=tied)
    assert (decoder is filters.weight) == tied
    assert torch.equal(decoder, filters.weight)

    def error(factor):
        with torch.no_grad():
            return float((filters.decode(filters(x), factor * decoder) - x).square().sum())

    assert error(1.0) < min(error(0.99), error(1.01), error(0.0))


def test_steps_are_relative_to_the_weights():
    _, filters, _, decoder = toy()
    size = float(filters.weight.detach().square().mean().sqrt())
    optimizer = tica.stage_optimizer(filters, decoder, 0.1)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.1 * size)
    assert len(optimizer.param_groups[0]["params"]) == 2
    assert len(tica.stage_optimizer(filters, filters.weight, 0.1).param_groups[0]["params"]) == 1


@pytest.mark.parametrize("tied", [True, False])
def test_a_stage_is_adam_on_the_mean_cost_at_a_rate_that_falls_to_zero(photographs, tied):
    recipe = replace(RECIPE, steps=3, sparsity_weight=0.5, learning_rate=0.1, tied=tied)
    trained, result = train_tica(recipe, photographs, seed=4)
    model, _ = train_tica(replace(recipe, steps=0), photographs, seed=4)
    for stage in (1, 2):
        below, filters, pooling = tica.stage_modules(model, stage)
        filters.requires_grad_(True)
        lost, pooled_means = [], []
        for step, batch in enumerate(tica._batches(30, recipe, 4, stage)):
            x = photographs.train_images[batch] / 255
            x = x if below is None else below(x).detach()
            if step == 0:
                decoder = tica.first_weights(x, filters, tied=tied)
                rate = 0.1 * float(filters.weight.detach().square().mean().sqrt())
                optimizer = torch.optim.Adam([filters.weight] if tied else [filters.weight, decoder], betas=(0.9, 0.99))
            optimizer.param_groups[0]["lr"] = rate * (1 - step / 3)
            errors, pooled = tica_cost(x, filters, pooling, decoder)
            optimizer.zero_grad()
            (errors.mean() + 0.5 * pooled.flatten(1).sum(1).mean()).backward()
            optimizer.step()
            lost.append(float(errors.detach().sum() / x.square().sum()))
            pooled_means.append(float(pooled.detach().mean()))
        filters.requires_grad_(False)
        torch.testing.assert_close(trained.layers[f"filters{stage}"].weight, filters.weight)
        assert result.reconstruction[stage - 1] == pytest.approx(lost, rel=1e-4)
        assert result.sparsity[stage - 1] == pytest.approx(pooled_means, rel=1e-4)


@pytest.mark.parametrize("tied", [True, False])
def test_training_lowers_the_cost_and_leaves_the_rest(photographs, tied):
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    model, result = train_tica(replace(RECIPE, steps=60, tied=tied), photographs, seed=1)
    assert torch.equal(torch.rand(1), expected)
    for curve in result.reconstruction:
        assert len(curve) == 60
        assert curve[-1] < 0.7 * curve[0]
    fresh, _ = train_tica(replace(RECIPE, steps=0), photographs, seed=1)
    assert torch.equal(model.layers["logits"][1].weight, fresh.layers["logits"][1].weight)
    assert not torch.equal(model.layers["filters1"].weight, fresh.layers["filters1"].weight)
    assert not any(p.requires_grad for p in model.parameters())


def test_it_needs_no_labels(photographs):
    other = replace(photographs, train_labels=1 - photographs.train_labels)
    first, second = (train_tica(RECIPE, data, seed=0)[0].state_dict() for data in (photographs, other))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_killed_run_goes_on_after_its_last_stage(photographs, tmp_path, monkeypatch):
    whole, expected = train_tica(RECIPE, photographs, seed=2)
    state = tmp_path / "unfinished.pt"
    train_stage = tica._train_stage
    trained = []

    def killed(model, stage, *rest):
        if stage == 2:
            raise KeyboardInterrupt
        return train_stage(model, stage, *rest)

    monkeypatch.setattr(tica, "_train_stage", killed)
    with pytest.raises(KeyboardInterrupt):
        train_tica(RECIPE, photographs, seed=2, state=state)
    assert state.exists()
    monkeypatch.setattr(
        tica, "_train_stage", lambda model, stage, *rest: (trained.append(stage), train_stage(model, stage, *rest))
    )
    resumed, result = train_tica(RECIPE, photographs, seed=2, state=state)
    assert trained == [2]
    assert not state.exists()
    assert result.reconstruction == expected.reconstruction
    weights, others = whole.state_dict(), resumed.state_dict()
    assert all(torch.equal(weights[name], others[name]) for name in weights)


def test_a_damaged_state_starts_over(photographs, tmp_path):
    state = tmp_path / "unfinished.pt"
    state.write_bytes(b"not a checkpoint")
    with pytest.warns(UserWarning, match=re.escape(f"the run that {state} holds begins anew: the file is damaged")):
        _, result = train_tica(RECIPE, photographs, seed=0, state=state)
    assert len(result.seconds) == 2


def test_the_cache_gives_the_same_network(photographs, tmp_path):
    options = {
        "seed": 0,
        "cache": tmp_path,
        "trainer": train_tica,
        "build": lambda: quocnet(SMALL),
        "result_type": TicaResult,
        "resumable": True,
    }
    model, result = trained_model(RECIPE, photographs, **options)
    again, same = trained_model(RECIPE, photographs, **options)
    assert same == result
    assert torch.equal(model(torch.ones(1, 3, 12, 12)), again(torch.ones(1, 3, 12, 12)))
    assert len(list(tmp_path.iterdir())) == 1


def test_every_image_is_seen_before_one_is_seen_again():
    batches = list(tica._batches(30, replace(RECIPE, steps=3, batch_size=10), 0, 1))
    assert sorted(torch.cat(batches).tolist()) == list(range(30))


def test_every_stage_of_every_seed_has_an_order_of_its_own():
    first, other_stage, other_seed, again = (
        torch.cat(list(tica._batches(30, RECIPE, seed, stage))) for seed, stage in ((0, 1), (0, 2), (1, 1), (0, 1))
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other_stage)
    assert not torch.equal(first, other_seed)


def test_a_point_of_a_curve_is_the_mean_of_its_part_of_the_steps():
    assert tica._curve([float(step) for step in range(2 * tica.NUM_POINTS)]) == [
        2 * part + 0.5 for part in range(tica.NUM_POINTS)
    ]
    assert tica._curve([3.0, 1.0]) == [3.0, 1.0]
    assert tica._curve([]) == []


def test_bad_input(photographs):
    with pytest.raises(ValueError, match=r"unknown model 'googlenet'; expected one of quocnet"):
        TicaRecipe("googlenet")
    with pytest.raises(ValueError, match="learning_rate > 0"):
        TicaRecipe(learning_rate=0.0)
    with pytest.raises(ValueError, match="takes 3×64×64 images, got"):
        train_tica(TicaRecipe("quocnet"), photographs, seed=0)
    with pytest.raises(FloatingPointError, match="lower the learning rate"):
        train_tica(replace(RECIPE, learning_rate=1e30), photographs, seed=0)


@pytest.mark.parametrize("tied", [True, False])
def test_measured_steps_train_one_stage(tied):
    torch.manual_seed(0)
    model = quocnet(SMALL)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    images = torch.rand(3, 3, 12, 12)
    cost = measure_steps(model, 2, images, tied=tied, steps=8)
    changed = [name for name, value in model.state_dict().items() if not torch.equal(value, before[name])]
    assert changed == ["layers.filters2.weight"]
    assert all(parameter.grad is None for parameter in model.parameters())
    assert cost.weights == (1 if tied else 2) * model.layers["filters2"].weight.numel()
    assert cost.seconds > 0
    assert len(cost.lost) == 8
    assert cost.lost[-1] < cost.lost[0]
    # A model that ends with the stage is enough, and gives the same.
    torch.manual_seed(0)
    shorter = quocnet(replace(SMALL, stages=SMALL.stages[:2]))
    assert measure_steps(shorter, 2, images, tied=tied, steps=8).lost == cost.lost


@pytest.mark.parametrize("tied", [True, False])
def test_measured_steps_are_those_of_training_at_a_constant_rate(tied):
    model = quocnet(SMALL)
    images = torch.rand(3, 3, 12, 12, generator=torch.Generator().manual_seed(0))
    below, filters, pooling = tica.stage_modules(copy.deepcopy(model), 2)
    x = below(images).detach()
    decoder = tica.first_weights(x, filters, tied=tied)
    optimizer = tica.stage_optimizer(filters, decoder, 0.05)
    lost = []
    for _ in range(5):
        errors, pooled = tica_cost(x, filters, pooling, decoder)
        optimizer.zero_grad()
        (errors.mean() + TicaRecipe().sparsity_weight * pooled.flatten(1).sum(1).mean()).backward()
        optimizer.step()
        lost.append(float(errors.detach().sum() / x.square().sum()))
    assert measure_steps(model, 2, images, tied=tied, steps=5, learning_rate=0.05).lost == pytest.approx(lost, rel=1e-4)


def test_the_seconds_of_a_step_are_the_fastest_one(monkeypatch):
    clock = iter([0.0, 5.0, 6.0, 8.0, 9.0, 12.0])
    monkeypatch.setattr(tica_steps, "_now", lambda device: next(clock))
    assert measure_steps(quocnet(SMALL), 1, torch.rand(2, 3, 12, 12), tied=True, steps=3).seconds == 2


def test_memory_of_a_step_has_no_part_for_the_stages_above():
    alone = step_memory(replace(SMALL, stages=SMALL.stages[:1]), 1, batch_size=8, tied=True)
    assert step_memory(SMALL, 1, batch_size=8, tied=True) == alone


def test_memory_of_a_step_at_full_size():
    config = QUOCNETS["quocnet-full"]
    stages = [step_memory(config, stage, batch_size=8, tied=False) / 2**30 for stage in (1, 2, 3)]
    assert 20 < max(stages) == stages[1] < 80
    assert step_memory(config, 2, batch_size=8, tied=True) < 0.8 * 2**30 * stages[1]
