"""QuocNet's experiments: what a record says is what a stranger would measure."""

from dataclasses import asdict, replace
from functools import partial

import numpy as np
import pytest
import torch

from tests.shared import make_record
from tutorial_pkg.data import load_photographs
from tutorial_pkg.experiments import (
    Context,
    car_detector,
    figure6,
    figure6_rendering,
    quocnet,
    quocnet_full_size,
    quocnet_rendering,
)
from tutorial_pkg.figures import Renderer
from tutorial_pkg.records import read_record, write_record
from tutorial_pkg.roc import auc
from tutorial_pkg.stimulus import optimal_stimuli
from tutorial_pkg.training import TicaRecipe

RECIPE = TicaRecipe("quocnet-tiny", steps=3, batch_size=10)


@pytest.fixture(scope="module")
def context(tmp_path_factory):
    context = Context(cache=tmp_path_factory.mktemp("checkpoints"))
    context._images["photographs"] = load_photographs(crops=12)
    return context


@pytest.fixture(scope="module")
def result(context):
    config = replace(quocnet.CONFIGS["quick"], recipe=RECIPE, num_negatives=40, num_units=1, num_images=3)
    (cell,) = quocnet.cells(config).values()
    with pytest.MonkeyPatch.context() as patch:  # the search is tested elsewhere
        patch.setattr(quocnet, "optimal_stimuli", partial(optimal_stimuli, num_starts=1, max_iter=20))
        return quocnet.run(cell, context)


@pytest.fixture(scope="module")
def attacked(context):
    config = replace(figure6.CONFIGS["quick"], recipe=RECIPE, num_negatives=40, num_attacked=3, max_iter=20)
    return config, figure6.run(config, context)


def test_areas_are_those_of_the_scores_in_a_record_read_from_disk(result, tmp_path):
    record = read_record(write_record(tmp_path, make_record(values=result.values, arrays=result.arrays)))
    positive, found = record.arrays["is_positive"], record.values["representations"]
    scores = quocnet_rendering.scores_by_name(record)
    assert set(scores) == set(found)
    for name, row in found.items():
        assert auc(scores[name], positive).value == pytest.approx(row["auc"]["value"])
    assert found[result.values["best_pixels"]]["auc_minus_pixels"]["value"] == 0
    assert {name.split("-")[0] for name in found} == {"pixels", "random", "untied", "trained"}


def test_top_images_excite_the_unit_most(result, context):
    images = context.images("photographs")
    model, _ = car_detector.trained_quocnet(RECIPE, images, 0, context)
    features = car_detector.stage_features(model, images.val_images, device="cpu")["stage3"]
    for unit, shown in zip(result.values["units"], result.arrays["top_images"], strict=True):
        responses = features[:, unit["unit"]]
        assert unit["top_response"] == pytest.approx(float(responses.max()))
        best = images.val_images[responses.argmax()].movedim(0, -1).numpy()
        assert (shown[0] == best).all()
        assert unit["response"] > unit["top_response"]


def test_cars_were_recognised_and_are_not_any_more(attacked, context):
    config, result = attacked
    images = context.images("photographs")
    model, _ = car_detector.trained_quocnet(RECIPE, images, 0, context)
    model, _ = car_detector.detector(model, images, config.positives, config.num_negatives, context)
    assert result.values["success"] == 1
    assert result.values["num_attacked"] == 3
    with torch.no_grad():
        clean = torch.from_numpy(result.arrays["clean"]).movedim(-1, 1).float() / 255
        assert (model(clean).argmax(1) == 1).all()
    assert (result.arrays["margin"] > 0).all()
    rms, mean = result.arrays["rms"], result.values["distortion"]["mean"]
    assert mean == pytest.approx(rms.mean(), rel=1e-5)
    from_images = np.sqrt((result.arrays["difference"].astype(float) ** 2).mean((1, 2, 3)))
    np.testing.assert_allclose(from_images, rms, rtol=0.01)


def test_positives_have_to_be_there(context):
    images = context.images("photographs")
    labels = car_detector.is_positive(images.val_labels, images, car_detector.FLOWER)
    assert labels.sum() == 12
    with pytest.raises(ValueError, match="has no class n02814533"):
        car_detector.is_positive(images.val_labels, images, car_detector.CARS)


def test_all_positives_and_some_others_are_learned_from():
    labels = torch.tensor([0, 1, 0, 0, 1, 0])
    rows = car_detector.training_rows(labels, 2, torch.Generator().manual_seed(0))
    assert labels[rows].tolist() == [1, 1, 0, 0]


def test_a_step_that_does_not_fit_is_refused_before_memory_is_filled(context):
    config = replace(quocnet_full_size.CONFIGS["paper"], batch_size=10**6)
    cell = quocnet_full_size.cells(config)["stage2-seed0"]
    with pytest.raises(MemoryError, match=r"stage 2 on 1000000 images needs about \d+ GiB, and cpu has \d+"):
        quocnet_full_size.run(cell, context)


def test_fragments_and_values(result, attacked, tmp_path):
    _, figure = attacked
    records = {
        "quocnet": make_record(
            experiment="quocnet",
            cell="trained-seed0",
            config={"recipe": asdict(RECIPE)},
            values=result.values,
            arrays=result.arrays,
        ),
        "figure6": make_record(experiment="figure6", values=figure.values, arrays=figure.arrays),
    }
    for name, experiment in (("quocnet", quocnet.EXPERIMENT), ("figure6", figure6.EXPERIMENT)):
        output = Renderer(tmp_path, name, [records[name]])
        experiment.render([records[name]], output)
        assert output.values
        assert all(path.stat().st_size > 20 for path in output.written)
    shown = (tmp_path / "quocnet" / "representations.md").read_text()
    assert "stage 3, trained filters" in shown
    assert "pixels, 64×64" in shown


def test_magnification_is_round_and_keeps_the_image():
    assert figure6_rendering.magnification(np.full((2, 3), 0.011)) == 50
    assert figure6_rendering.magnification(np.full((2, 3), 0.9)) == 1


def test_units_are_shown_by_how_well_they_detect_cars():
    units = [
        {"kind": kind, "auc": {"value": area}}
        for kind, area in (("best", 0.73), ("best", 0.67), ("best", 0.7), ("random", 0.9))
    ]
    images = np.zeros((len(units), 2, 4, 4, 3), np.uint8)
    record = make_record(values={"units": units}, arrays={"stimuli": images[:, 0], "top_images": images})
    figure = quocnet_rendering.stimuli_figure(record)
    labels = [text.get_text() for axis in figure.axes for text in axis.texts]
    assert labels == ["best\narea 0.73", "best\narea 0.70", "best\narea 0.67", "random\narea 0.90"]
