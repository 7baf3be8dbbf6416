"""Section 4.2's adversarial training, at length: pools against weight decay and dropout, over seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from scipy import stats
from torch import Tensor

from tutorial_pkg import paper
from tutorial_pkg.adversarial_training import AdversarialRecipe, train_adversarially
from tutorial_pkg.adversarial_training.recipes import CANDIDATES, CHOSEN
from tutorial_pkg.experiments.base import Context, Experiment, Result
from tutorial_pkg.figures import SERIES, STYLE, Renderer, beside, mean_sd, with_interval
from tutorial_pkg.metrics import error_rate
from tutorial_pkg.models import batched_logits
from tutorial_pkg.records import Record

PAPER = {
    "weight decay": paper.ADVERSARIAL_TRAINING["weight_decay"],
    "dropout": paper.ADVERSARIAL_TRAINING["dropout"],
    "all": paper.ADVERSARIAL_TRAINING["pools"],
}
"""The paper's errors in %; that of pools is for one of every layer."""

LABELS = {
    "weight decay": "weight decay alone",
    "dropout": "dropout",
    "input": "pool of images",
    "hidden 1": "pool of hidden layer 1",
    "hidden 2": "pool of hidden layer 2",
    "all": "pools of all layers",
    "noise": "Gaussian noise instead",
    "shift": "shifts by a pixel instead",
}
"""A way of training → what tables and figures call it."""


@dataclass(frozen=True)
class Config:
    """Size of the experiment.

    Attributes:
        ways: of training, in the order in which they are run.
        num_seeds: networks trained each way.
        epochs: passes through the training set, the same for every way.
    """

    dataset: str = "mnist"
    ways: tuple[str, ...] = ("all", "input", "weight decay", "dropout")
    num_seeds: int = 5
    epochs: int = 300
    seed: int = 0


@dataclass(frozen=True)
class CellConfig:
    """One way of training with one seed."""

    dataset: str
    way: str
    recipe: AdversarialRecipe
    seed: int


def chosen_recipes(ways: Sequence[str], epochs: int) -> dict[str, AdversarialRecipe]:
    """Return the chosen recipe of each way of training, at this number of epochs."""
    return {way: replace(CANDIDATES[way][CHOSEN[way]], epochs=epochs) for way in ways}


def cells(config: Config) -> dict[str, CellConfig]:
    """Return a cell for each way of training and seed."""
    return {
        f"{way.replace(' ', '')}-seed{seed}": CellConfig(config.dataset, way, recipe, seed)
        for way, recipe in chosen_recipes(config.ways, config.epochs).items()
        for seed in range(config.seed, config.seed + config.num_seeds)
    }


def run(config: CellConfig, context: Context) -> Result:
    """Train on the whole training set and measure both errors; the test set decides nothing."""
    data = context.dataset(config.dataset)
    model, training = context.trained(config.recipe, data, config.seed, train_adversarially)

    def error_on(inputs: Tensor, labels: Tensor) -> float:
        return error_rate(batched_logits(model, inputs, device=context.device).cpu(), labels)

    return Result(
        {
            "train_error": error_on(data.train_inputs, data.train_labels),
            "test_error": error_on(data.test_inputs, data.test_labels),
            "final_loss": training.loss,
        }
    )


def test_errors(records: Sequence[Record], way: str) -> np.ndarray:
    """Return the test errors of one way of training in %, by seed."""
    found = sorted((r.config["seed"], 100 * r.values["test_error"]) for r in records if r.config["way"] == way)
    return np.array([error for _, error in found])


def difference(records: Sequence[Record], first: str, second: str) -> tuple[float, float, float]:
    """Return the mean of `first` minus `second` in points, with Welch's 95 % interval over the seeds."""
    a, b = test_errors(records, first), test_errors(records, second)
    mean = float(a.mean() - b.mean())
    if min(len(a), len(b)) < 2:
        return mean, -np.inf, np.inf
    interval = stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.95)
    return mean, float(interval.low), float(interval.high)


def mean_interval(errors: np.ndarray) -> tuple[float, float]:
    """Return the 95 % interval of the mean of some networks' errors, by Student's t."""
    if len(errors) < 2:
        return -np.inf, np.inf
    low, high = stats.t.interval(0.95, len(errors) - 1, errors.mean(), stats.sem(errors))
    return float(low), float(high)


def render(records: Sequence[Record], output: Renderer) -> None:
    """Write a row for each way of training, and draw every seed."""
    ordered = write_values(records, output)
    for way, error in PAPER.items():
        output.value(f"paper.{way.replace(' ', '_')}", f"{error:g}")
        if way in ordered:
            found = test_errors(records, way)
            output.value(f"{way.replace(' ', '_')}.num_above_paper", str((found > error).sum()))
            low, high = mean_interval(found)
            interval = f"[{low:.2f}, {high:.2f}]" if len(found) > 1 else "[−∞, ∞]"
            output.value(f"{way.replace(' ', '_')}.interval", interval)
    # The median, because a network that was in the cache took no time.
    seconds = {way: np.median([r.provenance["seconds"] for r in records if r.config["way"] == way]) for way in ordered}
    for way in ordered if "weight decay" in ordered else ():
        output.value(f"{way.replace(' ', '_')}.times_as_long", f"{seconds[way] / seconds['weight decay']:.1f}")
    printed = {way: f"{'&lt;&nbsp;' * (way == 'all')}{error:g}" for way, error in PAPER.items()}
    output.table(
        "errors",
        COLUMNS,
        [
            [LABELS[way], beside(error, printed[way]) if way in printed else error, train_error(records, way)]
            for way, error in ((way, mean_sd(list(test_errors(records, way)))) for way in ordered)
        ],
        caption="**Adversarial training.** A 100-100-10 network, the same number of epochs each way; mean ± standard "
        "deviation over seeds, the paper's values in parentheses. The pools of all layers are that of images and one "
        "for each hidden layer.",
    )
    output.figure(
        "seeds",
        draw(records, ordered, PAPER),
        caption="**Every seed.** Test error of each network; the bar is the mean, the diamond the paper's value.",
        alt="Dots in a row for each way of training; those with pools of adversarial examples are lowest",
    )


COLUMNS = ("way of training", "test error %", "training error %")


def train_error(records: Sequence[Record], way: str) -> str:
    """Return the training error of one way of training in %, over seeds."""
    return mean_sd([100 * r.values["train_error"] for r in records if r.config["way"] == way])


def write_values(records: Sequence[Record], output: Renderer) -> list[str]:
    """Offer the numbers to the prose; return the ways of training from the smallest error to the largest."""
    ways = dict.fromkeys(record.config["way"] for record in records)
    for way in ways:
        key = way.replace(" ", "_")
        output.value(f"{key}.test_error", mean_sd(list(test_errors(records, way))))
        output.value(f"{key}.train_error", train_error(records, way))
        for other in set(ways) & {"weight decay", "input"} - {way}:
            output.value(f"{key}.minus_{other.replace(' ', '_')}", with_interval(*difference(records, way, other)))
        for pool in next(r for r in records if r.config["way"] == way).config["recipe"].get("pools", ()):
            for setting in ("stretch", "weight", "max_norm"):
                output.value(f"{key}.{pool['layer']}.{setting}", f"{pool[setting]:g}")
    output.value("epochs", str(records[0].config["recipe"]["epochs"]))
    output.value("num_seeds", str(len({record.config["seed"] for record in records})))
    return sorted(ways, key=lambda way: test_errors(records, way).mean())


def draw(records: Sequence[Record], ordered: Sequence[str], published: Mapping[str, float]) -> Figure:
    """Draw every network's test error, a row for each way of training, and the published error where there is one."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 0.36 * len(ordered) + 0.9))
        axis = figure.subplots()
        for height, way in enumerate(reversed(ordered)):
            errors = test_errors(records, way)
            axis.plot(errors, np.full(len(errors), height), "o", color=SERIES[0], markersize=5, alpha=0.7)
            axis.plot([errors.mean()] * 2, [height - 0.3, height + 0.3], color=SERIES[0], linewidth=2)
            if way in published:
                axis.plot(published[way], height, "D", color=SERIES[1], markersize=6)
        axis.margins(0.06, 0.12)
        axis.set_yticks(range(len(ordered)), [LABELS[way] for way in reversed(ordered)])
        axis.set_xlabel("test error, %")
        axis.grid(axis="y", visible=False)
    return figure


CONFIGS = {
    "quick": Config(dataset="digits", num_seeds=1, epochs=30),
    "laptop": Config(num_seeds=1, epochs=60),
    "paper": Config(),
}

EXPERIMENT = Experiment(
    name="adversarial_training",
    title="Adversarial training against weight decay and dropout",
    section="4.2",
    configs=CONFIGS,
    cells=cells,
    run=run,
    render=render,
)
