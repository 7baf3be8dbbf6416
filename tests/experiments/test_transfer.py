"""Tables 2 to 4 and the transfer curve, on models so simple that every cell is known."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import torch
from torch import nn

from tests.shared import make_record
from tutorial_pkg import paper
from tutorial_pkg.data import Dataset
from tutorial_pkg.experiments import (
    Context,
    run_cell,
    table2,
    table2_rendering,
    tables3_4,
    tables3_4_rendering,
    transfer_curve,
    transfer_curve_rendering,
)
from tutorial_pkg.experiments.base import Experiment
from tutorial_pkg.experiments.transfer_cells import (
    PAPER_NUM_IMAGES,
    cells_figure,
    error_cell,
    mean_with_interval,
    outside_paper,
    paper_rate,
    points,
)
from tutorial_pkg.experiments.transfer_pairs import compare_pairs, cosines_of_other_images
from tutorial_pkg.figures import Renderer, muted, shaded
from tutorial_pkg.models import LayeredModel
from tutorial_pkg.records import Record
from tutorial_pkg.training import Recipe, Trainer, TrainingResult
from tutorial_pkg.transfer import TransferTable

NUM_CLASSES = 3


def twin_images() -> Dataset:
    """Images 2×3 whose rows both hold the class: its pixel is bright. Either row is enough to tell it."""
    labels = torch.arange(NUM_CLASSES).repeat(20)
    row = 0.2 + 0.4 * torch.nn.functional.one_hot(labels, NUM_CLASSES).float()
    inputs = torch.stack([row, row], dim=1)[:, None]
    return Dataset("twins", inputs, labels, inputs, labels, num_classes=NUM_CLASSES)


def reader_of(row: int) -> LayeredModel:
    """A linear model that reads its logits off one row of the image."""
    linear = nn.Linear(2 * NUM_CLASSES, NUM_CLASSES)
    with torch.no_grad():
        linear.weight.zero_()
        linear.bias.zero_()
        linear.weight[:, row * NUM_CLASSES : (row + 1) * NUM_CLASSES] = 10 * torch.eye(NUM_CLASSES)
    return LayeredModel({"logits": nn.Sequential(nn.Flatten(), linear)}).eval()


class KnownModels(Context):
    """Hands out a reader of the upper or the lower row in place of training."""

    def __init__(self, reads_lower_row):
        super().__init__()
        self._datasets["twins"] = twin_images()
        self.reads_lower_row = reads_lower_row

    def trained(
        self, recipe: Recipe, dataset: Dataset, seed: int, trainer: Trainer
    ) -> tuple[LayeredModel, TrainingResult]:
        return reader_of(int(self.reads_lower_row(recipe, dataset))), TrainingResult(0.0, 0, 0, True, "")


def records_of(experiment: Experiment, context: Context, **changes: object) -> list[Record]:
    config = replace(experiment.configs["quick"], dataset="twins", num_images=30, **changes)
    return [run_cell(experiment, "quick", name, cell, context) for name, cell in experiment.cells(config).items()]


def test_table2_of_readers_of_two_rows_transfers_within_a_row_and_not_across():
    context = KnownModels(lambda recipe, _: recipe.model == "softmax")
    (record,) = records_of(table2.EXPERIMENT, context)
    linear = table2.MODELS[:3]
    for source in table2.MODELS:
        for target in table2.MODELS:
            alike = (source in linear) == (target in linear)
            assert record.values["errors_of_all"][source][target] == (30 if alike else 0)
            assert record.values["errors_of_correct"][source][target] == (30 if alike else 0)
            if source != target:
                p = record.values["p_over_same_norm_noise"][source][target]
                assert p < table2_rendering.SIGNIFICANCE if alike else p == 1.0
    assert record.values["num_correct"] == dict.fromkeys(table2.MODELS, 30)
    # Of the examples made for neither, two of four sets fool softmax1, and two of four AE400-10.
    assert record.values["autoencoder_minus"]["softmax1"] == {"mean": 0.0, "low": 0.0, "high": 0.0}


def test_table4_finds_the_training_set_where_it_is_all_that_matters():
    context = KnownModels(lambda _, dataset: dataset.name.endswith("P2"))
    records = records_of(tables3_4.EXPERIMENT, context, num_splits=2)
    assert len(records) == 2
    for record in records:
        found = record.values["same_set_minus_other_set"]
        assert found["minimum"] == {"mean": 1.0, "low": 1.0, "high": 1.0}
        assert found["amplified"] == {"mean": 0.0, "low": 0.0, "high": 0.0}  # it shrinks them, see below
        assert record.values["errors_of_all"]["M1"] == {"M1": 30, "M1'": 30, "M2": 0, "M1-restart": 30}
        assert record.values["errors_of_all"]["M2"] == {"M1": 0, "M1'": 0, "M2": 30, "M1-restart": 0}
        assert record.values["error"]["M2"] == {"P1": 0.0, "P2": 0.0, "test": 0.0}
        # 0.4 apart in two pixels of six, met half-way: every distortion is √(2 · 0.2² / 6) = 0.115, beyond 0.1.
        assert record.values["distortion"]["M1"] == pytest.approx(0.1155, abs=1e-3)
        assert record.values["shrunk_by_amplification"]["M1"] == 1.0
        assert record.values["errors_of_all"]["M1 amplified"]["M1"] == 0


def test_the_models_of_tables_3_and_4_share_no_initialisation_and_their_halves_no_image():
    seen = {}

    class Spy(KnownModels):
        def trained(self, recipe, dataset, seed, trainer):
            seen[(recipe.model, dataset.name, seed)] = None
            return super().trained(recipe, dataset, seed, trainer)

    records_of(tables3_4.EXPERIMENT, Spy(lambda *_: False), num_splits=2)
    assert len({seed for _, _, seed in seen}) == len(seen) == 8
    assert {(model, name) for model, name, _ in seen} == {
        ("fc100-100-10", "twins P1"),
        ("fc123-456-10", "twins P1"),
        ("fc100-100-10", "twins P2"),
    }


def test_the_curve_of_equal_models_jumps_at_factor_1_and_has_cosine_and_reach_1():
    (record,) = records_of(transfer_curve.EXPERIMENT, KnownModels(lambda *_: False))
    factors = np.array(record.config["factors"])
    assert (record.arrays["fooled"] == 30 * (factors >= 1)).all()
    assert record.arrays["cosine"] == pytest.approx(np.ones((6, 6)))
    assert record.arrays["reach"] == pytest.approx(np.ones((6, 6)))
    assert record.arrays["transfer_low"] == pytest.approx(np.ones((6, 6)))  # nothing varies: no interval
    assert np.isnan(record.values["rank_correlation"]["reach"]["rho"])


def test_the_curve_of_models_that_share_no_pixel_stays_at_zero():
    (record,) = records_of(transfer_curve.EXPERIMENT, KnownModels(lambda recipe, _: recipe.model == "softmax"))
    across = np.ix_(range(3), range(3, 6))
    assert not record.arrays["fooled"][across].any()
    assert record.arrays["cosine"][across] == pytest.approx(np.zeros((3, 3)), abs=1e-6)
    assert record.arrays["reach"][across] == pytest.approx(np.zeros((3, 3)), abs=1e-6)
    assert record.values["rank_correlation"]["reach"] == pytest.approx({"rho": 1.0, "low": 1.0, "high": 1.0})


def test_the_cosine_with_other_images_compares_images_of_one_kind_and_skips_who_is_alone():
    inputs, right, up = torch.zeros(5, 2), torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    first, second = torch.stack([right, right, up, up, right]), torch.stack([right, right, up, up, up])

    def cosines(labels: tuple[int, ...], targets: tuple[int, ...]) -> dict[str, float]:
        return cosines_of_other_images(inputs, first, second, torch.tensor(labels), torch.tensor(targets))

    alike = cosines((0, 0, 1, 1, 2), (3, 3, 3, 3, 3))  # the last image, whose perturbations differ, is alone
    assert alike["cosine_of_same_class_and_target"] == 1.0
    # Each with the image before it, of any kind: the second and the fourth go the same way.
    assert alike["cosine_of_other_images"] == pytest.approx(2 / 5)
    unlike = cosines((0, 0, 0, 0, 0), (3, 4, 3, 4, 5))
    assert unlike["cosine_of_same_class_and_target"] == 0.0


@pytest.mark.parametrize("experiment", [table2.EXPERIMENT, tables3_4.EXPERIMENT, transfer_curve.EXPERIMENT])
def test_every_fragment_and_value_is_usable_on_a_page(experiment: Experiment, rendered: Callable[..., Renderer]):
    context = KnownModels(lambda recipe, _: recipe.model == "softmax")
    records = records_of(
        experiment, context, **{"num_seeds": 2} if "num_seeds" in vars(experiment.configs["quick"]) else {}
    )
    output = rendered(experiment, records)
    assert output.written
    for path in output.written:
        tables = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
        assert len({line.count("|") for line in tables}) <= 1


def test_what_renders_the_tables_knows_the_models_that_were_run():
    assert table2_rendering.MODELS == table2.MODELS
    for name in ("MODELS", "RESTART", "TRAINED_ON", "AMPLIFIED_STDDEV"):
        assert getattr(tables3_4_rendering, name) == getattr(tables3_4, name)


def test_every_model_is_drawn_in_its_own_way():
    styles = transfer_curve_rendering.LINES
    assert tuple(styles) == table2.MODELS
    for key in ("color", "marker"):
        assert len({style[key] for style in styles.values()}) == len(styles)


@pytest.mark.parametrize(("num_columns", "shape"), [(3, (1, 3)), (6, (3, 2))])
def test_no_panel_of_the_cells_is_empty(num_columns, shape):
    names = [f"M{i}" for i in range(num_columns)]
    counts = {"row": dict.fromkeys(names, 5)}
    record = make_record(values={"num_images": 10, "errors_of_all": counts})
    figure = cells_figure([record], {"row": "a row"}, names, {"row": [50.0] * num_columns})
    assert figure.axes[0].get_gridspec().get_geometry() == shape
    assert len(figure.axes) == num_columns
    assert all(axis.get_title() for axis in figure.axes)
    below = figure.axes[-shape[1] :]
    assert all(axis.get_xlabel() for axis in below)


def test_every_profile_reuses_the_models_of_table1():
    from tutorial_pkg.experiments import table1

    for profile in ("quick", "laptop", "paper"):
        expected = {(cell.name, cell.recipe, cell.seed) for cell in table1.cells(table1.CONFIGS[profile]).values()}
        for experiment in (table2.EXPERIMENT, transfer_curve.EXPERIMENT):
            cells = experiment.cells(experiment.configs[profile]).values()
            found = {(name, recipe, cell.seed) for cell in cells for name, recipe in cell.recipes.items()}
            assert found == expected


def test_the_papers_percentages_are_multiples_of_one_in_256():
    """The inference behind the intervals of the paper's cells: no other size up to 400 comes near."""
    printed = [value for row in [*paper.TABLE2.values(), *list(paper.TABLE4.values())[:3]] for value in row]
    printed = [value for value in printed if value != int(value)]

    def explained(num_images: int) -> int:
        decimals = [len(f"{value:g}".split(".")[1]) for value in printed]
        nearest = [100 * round(value / 100 * num_images) / num_images for value in printed]
        return sum(abs(n - v) <= 0.5 * 10**-d + 1e-9 for n, v, d in zip(nearest, printed, decimals, strict=True))

    assert explained(PAPER_NUM_IMAGES) == 34
    assert len(printed) == 39
    assert max(explained(n) for n in range(20, 401) if n != PAPER_NUM_IMAGES) < 25


def test_cells_outside_the_papers_intervals_are_named_with_their_side():
    errors = {"a": {"x": 15, "y": 60}, "b": {"x": 2, "y": 16}}
    record = make_record(values={"errors_of_all": errors, "num_images": 256, "num_correct": {}})
    printed = {"a": [5.9, 5.9], "b": [5.9, 5.9]}
    low, high = paper_rate(5.9).interval()
    assert paper_rate(5.9).count == 15
    assert 2 / 256 < low < 16 / 256 < high < 60 / 256
    assert outside_paper([record], ["a", "b"], ["x", "y"], printed) == {("a", "y"): "higher", ("b", "x"): "lower"}


def test_a_models_errors_on_its_own_examples_are_not_shaded():
    assert error_cell(0.25, "26", own=False) == shaded("25.0<br><small>(26)</small>", 0.25)
    assert error_cell(1.0, "100", own=True, below=False) == muted("100.0&nbsp;<small>(100)</small>")
    context = KnownModels(lambda recipe, _: recipe.model == "softmax")
    for experiment in (table2.EXPERIMENT, tables3_4.EXPERIMENT):
        records = records_of(experiment, context)
        with TemporaryDirectory() as folder:
            output = Renderer(Path(folder), experiment.name, records)
            experiment.render(records, output)
            name = "table2" if experiment is table2.EXPERIMENT else "table4"
            table = (Path(folder) / experiment.name / f"{name}.md").read_text(encoding="utf-8")
        # The diagonal; Table 4 has it twice.
        assert table.count('class="muted"') == len(table2.MODELS) == 2 * len(tables3_4.MODELS)


def test_bootstrap_interval_of_a_mean():
    values = np.random.default_rng(0).normal(size=400)
    found = mean_with_interval(values, seed=0)
    assert found["mean"] == pytest.approx(values.mean())
    assert found["high"] - found["low"] == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.1)
    assert points({"mean": 0.016, "low": -0.014, "high": 0.046}) == "+1.6 points (−1.4 to +4.6)"


def test_pairs_have_intervals_that_hold_the_truth_of_more_images():
    generator = torch.Generator().manual_seed(0)
    inputs = torch.zeros(400, 1, 1, 4)
    first = torch.randn(400, 1, 1, 4, generator=generator)
    adv_inputs = {"a": first, "b": first + torch.randn(400, 1, 1, 4, generator=generator)}
    coin = torch.rand(1, 2, 400, generator=generator) < 0.3
    table = TransferTable(("adversarial 1",), ("a", "b"), coin, torch.zeros(2, 400, dtype=torch.bool))
    pairs = compare_pairs(inputs, adv_inputs, {"a": table, "b": table}, "adversarial 1", seed=0)
    for measure in ("cosine", "reach", "transfer"):
        assert (pairs.low[measure] <= pairs.estimate[measure]).all()
        assert (pairs.estimate[measure] <= pairs.high[measure]).all()
    # The binomial's own interval, by the normal approximation.
    share = float(coin[0, 1].float().mean())
    half = 1.96 * (share * (1 - share) / 400) ** 0.5
    assert pairs.estimate["transfer"][0, 1] == pytest.approx(share)
    assert pairs.high["transfer"][0, 1] - pairs.low["transfer"][0, 1] == pytest.approx(2 * half, rel=0.1)
    again = compare_pairs(inputs, adv_inputs, {"a": table, "b": table}, "adversarial 1", seed=0)
    assert (again.low["cosine"] == pairs.low["cosine"]).all()


def test_images_that_the_target_had_wrong_before_do_not_count_as_transfer():
    inputs, adv = torch.zeros(4, 1, 1, 2), torch.ones(4, 1, 1, 2)
    wrong = torch.tensor([[[True, True, False, False]] * 2])
    before = torch.tensor([[True, False, False, False]] * 2)
    table = TransferTable(("adversarial 1",), ("a", "b"), wrong, before)
    pairs = compare_pairs(inputs, {"a": adv, "b": adv}, {"a": table, "b": table}, "adversarial 1", seed=0)
    assert pairs.estimate["transfer"] == pytest.approx(np.full((2, 2), 1 / 3))
    assert np.isnan(pairs.rank_correlation["reach"]["rho"])
