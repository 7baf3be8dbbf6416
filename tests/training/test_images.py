"""Training on photographs: what is cut out, what a step does, and that a killed run goes on as if nothing happened."""

import math
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from tests.shared import weights
from tutorial_pkg.data import load_photographs
from tutorial_pkg.training import (
    ImageRecipe,
    ImageTraining,
    build_image_model,
    evaluate,
    images,
    model_inputs,
    random_crops,
    ten_patches,
    train_images,
    trained_model,
)

TINY = ImageRecipe("alexnet-tiny", image_size=32, epochs=2, batch_size=16, learning_rate=0.05)


@pytest.fixture(scope="module")
def photographs():
    return load_photographs(crops=8, size=40)


def test_crops_are_squares_of_the_image_or_of_its_mirror_image():
    """Every pixel has its own value, so that a crop tells where it is from."""
    picture = torch.arange(3 * 12 * 10).reshape(1, 3, 12, 10).float()
    pictures = picture.repeat(200, 1, 1, 1)
    crops = random_crops(pictures, 8, torch.Generator().manual_seed(0))
    squares = picture.unfold(2, 8, 1).unfold(3, 8, 1)[0].permute(1, 2, 0, 3, 4).flatten(0, 1)
    known = {tuple(square.flatten().tolist()) for square in (*squares, *squares.flip(-1))}
    found = {tuple(crop.flatten().tolist()) for crop in crops}
    assert found == known, "some crop is not of the image, or some never came up in 200 draws of 30"


def test_each_image_has_its_own_crop_and_the_generator_decides():
    generator = torch.Generator().manual_seed(1)
    pictures = torch.rand(6, 3, 16, 16, generator=generator)
    first, second = (random_crops(pictures, 9, torch.Generator().manual_seed(2)) for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, random_crops(pictures, 9, generator))
    assert first.amin() >= pictures.amin()


def test_a_crop_of_the_whole_image_is_the_image_or_its_mirror_image():
    pictures = torch.rand(8, 3, 5, 5)
    crops = random_crops(pictures, 5, torch.Generator().manual_seed(0))
    for crop, picture in zip(crops, pictures, strict=True):
        assert torch.equal(crop, picture) or torch.equal(crop, picture.flip(-1))


def test_the_network_sees_the_centre():
    pictures = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    seen = model_inputs(pictures, ImageRecipe())
    assert torch.equal(seen, pictures[:, :, 4:60, 4:60].float() / 255)


def test_ten_patches_are_the_centre_the_corners_and_their_mirror_images():
    pictures = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    patches = ten_patches(pictures, ImageRecipe())
    far = slice(8, 64)
    near = slice(0, 56)
    whole = pictures.float() / 255
    expected = [whole[:, :, rows, columns] for rows in (near, far) for columns in (near, far)]
    expected.append(model_inputs(pictures, ImageRecipe()))
    expected += [patch.flip(-1) for patch in expected]
    assert len(patches) == 10
    assert all(sum(torch.equal(patch, wanted) for patch in patches) == 1 for wanted in expected)


def test_images_of_another_size_are_resized_first():
    pictures = torch.full((1, 3, 40, 40), 51, dtype=torch.uint8)
    torch.testing.assert_close(model_inputs(pictures, TINY), torch.full((1, 3, 28, 28), 0.2))


@pytest.mark.parametrize(("height", "width", "size"), [(40, 40, 16), (37, 52, 20), (12, 9, 24)])
def test_images_are_resized_as_pillow_resizes_them(height, width, size):
    generator = torch.Generator().manual_seed(0)
    picture = torch.randint(0, 256, (3, height, width), dtype=torch.uint8, generator=generator)
    channels = [Image.fromarray(channel.numpy().astype("float32")) for channel in picture]
    expected = [np.asarray(channel.resize((size, size), Image.Resampling.BILINEAR)) for channel in channels]
    found = images.resized(picture[None], size)[0]
    torch.testing.assert_close(found, torch.from_numpy(np.stack(expected)) / 255, rtol=0, atol=1e-5)


def test_it_learns_what_can_be_told_apart():
    photographs = load_photographs(crops=30)
    recipe = replace(TINY, epochs=25, learning_rate=0.02, bfloat16=False)
    model, training = train_images(recipe, photographs, seed=0)
    assert training.train_loss[-1] < 0.8 * math.log(8) < training.train_loss[0]
    assert training.val_accuracy[-1] > 2 / 8  # twice what guessing gives
    assert evaluate(model, photographs, recipe)[1] == training.val_accuracy[-1]
    assert len(training.train_accuracy) == len(training.val_loss) == 25
    assert training.seconds > 0
    assert training.peak_memory_mb > 0
    assert not model.training


def test_a_step_is_momentum_sgd_on_the_mean_cross_entropy(photographs, monkeypatch):
    """v ← 0.9 v + g + 0.0005 w, then w ← w − ηv, for every weight; two epochs of two steps, the second on what is left.

    The curves hold the means over an epoch's images, whichever batch they were in.
    """
    few = replace(photographs, train_images=photographs.train_images[:5], train_labels=photographs.train_labels[:5])
    recipe = ImageRecipe("alexnet-tiny", image_size=28, epochs=2, batch_size=3, learning_rate=0.1, bfloat16=False)

    def without_dropout(*arguments):
        model = build_image_model(*arguments)
        for module in model.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
        return model

    monkeypatch.setattr(images, "build_image_model", without_dropout)
    expected, _ = train_images(replace(recipe, epochs=0), few, seed=0)
    trained, curves = train_images(recipe, few, seed=0)
    assert any(isinstance(module, nn.Dropout) for module in expected.modules())
    optimizer = torch.optim.SGD(expected.parameters(), 0.1, momentum=0.9, weight_decay=0.0005)
    generator = torch.Generator().manual_seed(0)
    pictures = model_inputs(few.train_images, recipe)
    losses, right = [], []
    for epoch in range(2):
        for batch, done in zip(torch.randperm(5, generator=generator).split(3), (0.0, 0.25), strict=True):
            logits = expected(random_crops(pictures[batch], 28, generator))
            each = torch.nn.functional.cross_entropy(logits, few.train_labels[batch], reduction="none")
            losses += each.tolist()
            right += (logits.argmax(1) == few.train_labels[batch]).tolist()
            optimizer.param_groups[0]["lr"] = 0.1 * images._schedule(epoch / 2 + done)
            optimizer.zero_grad()
            each.mean().backward()
            optimizer.step()
    torch.testing.assert_close(weights(trained), weights(expected))
    assert curves.train_loss == pytest.approx([sum(losses[:5]) / 5, sum(losses[5:]) / 5], rel=1e-4)
    assert curves.train_accuracy == pytest.approx([sum(right[:5]) / 5, sum(right[5:]) / 5])


def test_evaluation_is_the_mean_over_the_centres_of_the_validation_images(photographs):
    recipe = replace(TINY, bfloat16=False)
    model = build_image_model(recipe, photographs).eval()
    with torch.no_grad():
        logits = model(model_inputs(photographs.val_images, recipe))
    expected = torch.nn.functional.cross_entropy(logits, photographs.val_labels)
    right = (logits.argmax(1) == photographs.val_labels).float().mean()
    for batch_size in (3, 1000):
        loss, accuracy = evaluate(model, photographs, recipe, batch_size=batch_size)
        assert loss == pytest.approx(float(expected), rel=1e-5)
        assert accuracy == pytest.approx(float(right))


def test_the_schedule_rises_and_falls():
    rates = [images._schedule(step / 100) for step in range(101)]
    top = rates.index(max(rates))
    assert top == 5
    assert max(rates) == pytest.approx(1)
    assert rates[:6] == sorted(rates[:6])
    assert rates[5:] == sorted(rates[5:], reverse=True)
    assert rates[-1] == pytest.approx(0)


def test_the_schedule_is_a_line_from_next_to_nothing_and_then_half_a_cosine():
    rise = torch.tensor([images._schedule(0.01 * step) for step in range(6)], dtype=torch.float64)
    assert 0 < rise[0] < 0.03
    torch.testing.assert_close(rise, torch.linspace(rise[0], 1, 6, dtype=torch.float64))
    fall = [images._schedule(0.05 + 0.95 * share) for share in (0, 1 / 3, 1 / 2, 2 / 3, 1)]
    assert fall == pytest.approx([1, 0.75, 0.5, 0.25, 0])


def test_same_arguments_give_the_same_weights_and_leave_the_random_state(photographs):
    before = torch.random.get_rng_state()
    first, second = (train_images(TINY, photographs, seed=3)[0] for _ in range(2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(weights(first), weights(second))
    assert not torch.equal(weights(first), weights(train_images(TINY, photographs, seed=4)[0]))


def test_a_killed_run_goes_on_to_the_same_weights(photographs, tmp_path, monkeypatch):
    state = tmp_path / "run.state.pt"
    recipe = replace(TINY, epochs=3)
    whole, curves = train_images(recipe, photographs, seed=0)
    with monkeypatch.context() as patch:
        real, calls = images._train_epoch, []

        def killed(*args):
            calls.append(args)
            if len(calls) == 3:
                raise KeyboardInterrupt
            return real(*args)

        patch.setattr(images, "_train_epoch", killed)
        with pytest.raises(KeyboardInterrupt):
            train_images(recipe, photographs, seed=0, state=state)
    assert state.exists()
    with monkeypatch.context() as patch:
        epochs = []
        patch.setattr(images, "_train_epoch", lambda *args: epochs.append(1) or real(*args))
        resumed, resumed_curves = train_images(recipe, photographs, seed=0, state=state)
    assert len(epochs) == 1, "only the epoch that was lost is run again"
    assert torch.equal(weights(resumed), weights(whole))
    assert resumed_curves.val_loss == curves.val_loss
    assert not state.exists()


def test_the_time_and_the_memory_of_all_runs_count(photographs, tmp_path, monkeypatch):
    state = tmp_path / "run.state.pt"
    recipe = replace(TINY, epochs=1)
    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.unlink", lambda *_, **__: None)  # as if it were killed at the very end
        train_images(recipe, photographs, seed=0, state=state)
    stored = torch.load(state, weights_only=True)
    stored["curves"] |= {"seconds": 1e6, "peak_memory_mb": 10**9}
    torch.save(stored, state)
    _, curves = train_images(replace(recipe, epochs=2), photographs, seed=0, state=state)
    assert len(curves.val_loss) == 2
    assert curves.seconds > 1e6
    assert curves.peak_memory_mb == 10**9


def test_a_damaged_state_starts_over(photographs, tmp_path):
    state = tmp_path / "run.state.pt"
    state.write_bytes(b"half of a run")
    with pytest.warns(UserWarning, match=re.escape(f"the run that {state} holds begins anew: the file is damaged")):
        model, _ = train_images(TINY, photographs, seed=0, state=state)
    assert torch.equal(weights(model), weights(train_images(TINY, photographs, seed=0)[0]))
    assert not state.exists()


@pytest.mark.parametrize("training", [True, False])
def test_evaluation_leaves_the_model_in_its_mode(photographs, training):
    model = build_image_model(TINY, photographs).train(training)
    first, second = (evaluate(model, photographs, TINY) for _ in range(2))
    assert model.training == training
    assert first == second, "dropout is on"


def test_the_cache_finds_it_again(photographs, tmp_path):
    def get():
        return trained_model(
            TINY,
            photographs,
            seed=0,
            cache=tmp_path,
            trainer=train_images,
            build=lambda: build_image_model(TINY, photographs),
            result_type=ImageTraining,
            resumable=True,
        )

    model, training = get()
    (path,) = tmp_path.iterdir()
    written = path.stat().st_mtime_ns
    again, same = get()
    assert torch.equal(weights(again), weights(model))
    assert same == training
    assert path.stat().st_mtime_ns == written


def test_a_loss_that_is_not_finite_stops_the_run(photographs):
    with pytest.raises(FloatingPointError, match=r"the training loss is (nan|inf); lower the learning rate, now 1e\+"):
        train_images(replace(TINY, learning_rate=1e20, bfloat16=False), photographs, seed=0)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"epochs": -1}, "epochs ≥ 0, batch_size ≥ 1 and learning_rate > 0, got -1"),
        ({"batch_size": 0}, "got 22, 0"),
        ({"learning_rate": float("nan")}, "and nan"),
        ({"image_size": 48}, "images of 48 pixels are smaller than the 56 that alexnet-small sees"),
        ({"model": "vgg"}, "unknown AlexNet 'vgg'"),
    ],
)
def test_a_recipe_that_makes_no_sense_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        ImageRecipe(**wrong)
