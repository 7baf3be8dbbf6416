"""The experiments on photographs, small, and what they show."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tutorial_pkg.data import load_photographs
from tutorial_pkg.experiments import alexnet, figure5, figure5_rendering, figures3_4, table5_trained
from tutorial_pkg.experiments.figures3_4_rendering import NAMES
from tutorial_pkg.experiments.natural_images import RECIPES, trained_alexnet, validation_inputs
from tutorial_pkg.models import build_model
from tutorial_pkg.paper import TABLE5
from tutorial_pkg.records import read_record
from tutorial_pkg.training import images, ten_patches, train_images

RECIPE = RECIPES["quick"]


def test_alexnet_records_curves_accuracy_and_cost(small_records, rendered, generated):
    (record,) = small_records(alexnet.EXPERIMENT)
    values = record.values
    assert len(values["training"]["val_accuracy"]) == RECIPE.epochs
    assert values["training"]["seconds"] > 0
    assert values["training"]["peak_memory_mb"] > 0
    # The last epoch's, but for rounding: it was computed in another batch size.
    assert values["top1"] == pytest.approx(values["training"]["val_accuracy"][-1], abs=0.02)
    assert values["top1"] <= values["top5"]
    output = rendered(alexnet.EXPERIMENT, [record])
    assert {path.name for path in output.written} == {"curves.md", "network.md"}
    table = generated / "alexnet" / "network.md"
    assert "earlier run" not in table.read_text()
    # Of a training that was interrupted, or done before, the record's own time is a part only.
    resumed = replace(record, provenance=record.provenance | {"seconds": values["training"]["seconds"] / 2})
    rendered(alexnet.EXPERIMENT, [resumed])
    assert "the line below leaves out what an earlier run had done" in table.read_text()


def test_ten_patches_are_averaged_as_probabilities(small_records, context):
    photographs = load_photographs()
    model, _ = trained_alexnet(RECIPE, photographs, 0, context)
    (record,) = small_records(alexnet.EXPERIMENT)
    right = []
    for picture, label in zip(photographs.val_images, photographs.val_labels, strict=True):
        with torch.no_grad():
            each = [model(patch)[0].softmax(0) for patch in ten_patches(picture[None], RECIPE)]
        right.append(sum(each).argmax() == label)
    assert record.values["top1_ten_patches"] == pytest.approx(float(sum(right)) / len(right), abs=0.02)


def test_training_is_shared_and_not_repeated(small_records, monkeypatch):
    small_records(alexnet.EXPERIMENT)
    monkeypatch.setattr(images, "_train_epoch", lambda *args: pytest.fail("trained again"))
    small_records(alexnet.EXPERIMENT)


def test_figures_3_and_4_show_validation_images_and_measure_them(small_records, rendered):
    records = small_records(figures3_4.EXPERIMENT, num_directions=12, k=4, num_resamples=99, num_rows=2)
    photographs = load_photographs()
    centres = (validation_inputs(RECIPE, photographs) * 255).round().to(torch.uint8).movedim(1, -1).numpy()
    known = {image.tobytes() for image in centres}
    by_layer = {record.config["layer"]: record for record in records}
    assert set(by_layer) == {"pixels", "untrained", "fc2"}
    shown = by_layer["fc2"].arrays
    for kind, rows in (("units", 2), ("uniform", 2), ("chance", 1)):
        assert shown[kind].shape == (rows, 4, 28, 28, 3)
        assert {image.tobytes() for row in shown[kind] for image in row} <= known
    assert not by_layer["untrained"].arrays
    for record in records:
        effects = record.values["comparisons"]["units-uniform"]
        assert set(effects) == set(figures3_4.STATISTICS) == set(NAMES)
        assert all(-1 <= e["low"] <= e["high"] <= 1 and 0 < e["p_value"] <= 1 for e in effects.values())
        assert record.values["comparisons"]["units-matched"]["purity"]["delta"] == 0
        means = record.values["means"]
        assert means["units"]["feature_distance"] != means["chance"]["feature_distance"]
    assert by_layer["pixels"].values["dim"] == 3 * 28 * 28
    # Whatever lies far out in pixels is alike in colour.
    pixels = by_layer["pixels"].values["means"]
    assert pixels["uniform"]["colour_distance"] < pixels["chance"]["colour_distance"]
    output = rendered(figures3_4.EXPERIMENT, records)
    names = {"figure3", "figure4", "chance", "pixels-units", "pixels-uniform", "effects", "statistics", "layers"}
    assert {path.stem for path in output.written} == names


def test_figure_5_fools_every_image_and_shows_the_change(small_records, rendered, generated):
    records = small_records(figure5.EXPERIMENT, num_images=3, num_nearest=2)
    by_goal = {record.config["goal"]: record for record in records}
    assert set(by_goal) == {"far", "nearest", "penalty"}
    # A network as small as this one is flat in places, so that a class may be out of reach; the nearest never is.
    assert by_goal["nearest"].values["success"] == 1
    for record in records:
        arrays, values = record.arrays, record.values
        assert len(arrays["rms"]) == values["num_attacked"] == (2 if record.config["goal"] == "nearest" else 3)
        assert np.isfinite(arrays["rms"]).mean() == pytest.approx(values["success"])
        # The change is 10 r + 128 on bytes, clamped; the two images are rounded to bytes on their own.
        change = arrays["adversarial"].astype(float) - arrays["clean"].astype(float)
        inside = (arrays["difference"] > 0) & (arrays["difference"] < 255)
        assert np.abs(arrays["difference"] - (10 * change + 128))[inside].max() <= 11
    assert (by_goal["nearest"].arrays["rms"] <= by_goal["far"].arrays["rms"][:2] * 1.001).all()
    reached = by_goal["far"].arrays["rms"] < np.inf
    assert set(np.array(by_goal["far"].values["targets"])[reached]) <= {"flower, top left"}
    assert "flower, top left" not in by_goal["far"].values["labels"]
    output = rendered(figure5.EXPERIMENT, records)
    assert {path.stem for path in output.written} == {"figure5-far", "figure5-nearest", "distribution", "distortions"}
    for goal, number in (("far", 3), ("nearest", 2)):
        shown = (generated / "figure5" / f"figure5-{goal}.md").read_text()
        assert shown.count("<image ") == 3 * number


def test_table_5_reads_every_layer_before_and_after_training(small_records, rendered):
    records = small_records(table5_trained.EXPERIMENT)
    by_weights = {record.config["weights"]: record.values["layers"] for record in records}
    assert list(by_weights) == ["before", "after"]
    untrained, _ = train_images(replace(RECIPE, epochs=0), load_photographs(), seed=0)
    weight = untrained.layers["fc2"][0].weight.detach()
    assert by_weights["before"]["fc2"]["upper"] == pytest.approx(float(torch.linalg.matrix_norm(weight, 2)), rel=1e-4)
    for layers in by_weights.values():
        assert list(layers) == list(TABLE5)
        assert layers["conv1"]["grid"] == [28, 28]
    assert by_weights["before"]["fc1"]["upper"] != by_weights["after"]["fc1"]["upper"]
    output = rendered(table5_trained.EXPERIMENT, records)
    assert {path.name for path in output.written} == {"table5.md", "table5-continuous.md"}


def test_the_full_size_also_reads_torchvisions_weights(context, monkeypatch):
    published = build_model("alexnet-tiny")
    monkeypatch.setattr(table5_trained, "load_pretrained_alexnet", lambda: published)
    cells = table5_trained.cells(table5_trained.CONFIGS["paper"])
    assert set(cells) == {"before-seed0", "after-seed0", "torchvision-seed0"}
    assert table5_trained._network(cells["torchvision-seed0"], context) == (published, 224)


def test_the_committed_network_is_as_good_as_it_has_to_be(repository):
    paths = sorted((repository / "results" / "laptop" / "alexnet").glob("*.json"))
    if not paths:
        pytest.skip("no laptop records")
    assert all(read_record(path).values["top1"] >= 0.30 for path in paths)


def test_names_of_classes_are_no_wider_than_their_images():
    assert figure5_rendering._in_lines("→ German shepherd") == "→ German\nshepherd"
    lines = figure5_rendering._in_lines("→ European fire salamander").split("\n")
    assert len(lines) == 2
    assert max(map(len, lines)) <= 14
    assert lines[-1].endswith("…")
