"""Which pool helps? A pool for each layer, all of them, and deformations instead, at one smaller budget."""

from __future__ import annotations

from collections.abc import Sequence

from tutorial_pkg.experiments.adversarial_training import (
    COLUMNS,
    LABELS,
    Config,
    cells,
    draw,
    run,
    test_errors,
    train_error,
    write_values,
)
from tutorial_pkg.experiments.base import Experiment
from tutorial_pkg.figures import Renderer, mean_sd
from tutorial_pkg.records import Record

WAYS = ("weight decay", "dropout", "input", "hidden 1", "hidden 2", "all", "noise", "shift")


def render(records: Sequence[Record], output: Renderer) -> None:
    """Write a row for each way of training, and draw every seed."""
    ordered = write_values(records, output)
    pools = next(record for record in records if record.config["way"] == "all").config["recipe"]["pools"]
    stretch = {pool["layer"]: pool["stretch"] for pool in pools}
    output.table(
        "errors",
        COLUMNS,
        [[LABELS[way], mean_sd(list(test_errors(records, way))), train_error(records, way)] for way in ordered],
        caption="**Layer by layer.** The same network and the same number of epochs each way; mean ± standard "
        f"deviation over seeds. How far examples go, as found best above: images {stretch['input']:g} times the way to "
        f"the boundary, the hidden layers' features only {stretch['hidden1']:g} of the way.",
    )
    output.figure(
        "seeds",
        draw(records, ordered, {}),
        caption="**Every seed.** Test error of each network; the bar is the mean.",
        alt="Dots in a row for each way of training; the pools of hidden layers are highest",
    )


CONFIGS = {
    "quick": Config(dataset="digits", ways=WAYS, num_seeds=1, epochs=30),
    "laptop": Config(ways=WAYS, num_seeds=1, epochs=20),
    "paper": Config(ways=WAYS, epochs=40),
}

EXPERIMENT = Experiment(
    name="adversarial_ablation",
    title="Adversarial training layer by layer, and deformations instead",
    section="4.2",
    configs=CONFIGS,
    cells=cells,
    run=run,
    render=render,
)
