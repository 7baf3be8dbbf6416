"""Figures 1 and 2: test digits that excite single units of Conv most, and digits that excite random directions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from tutorial_pkg.experiments.base import Context, Experiment, Result
from tutorial_pkg.figures import Renderer, image_grid
from tutorial_pkg.metrics import error_rate
from tutorial_pkg.records import Record
from tutorial_pkg.training import SgdRecipe, train_sgd
from tutorial_pkg.units import layer_features, purity, scores_by_kind, top_sets

LAYER = "hidden"
"""The last hidden layer of Conv."""


@dataclass(frozen=True)
class Config:
    """Size of the experiment.

    Attributes:
        dataset: for `data.load_dataset`; its test part is the image set.
        epochs: of Conv's training.
        num_rows: units, and random directions, a figure.
        num_images: images a row.
        seed: of the network and of the choice of units and directions.
    """

    dataset: str = "mnist"
    epochs: int = 5
    num_rows: int = 4
    num_images: int = 10
    seed: int = 0


@dataclass(frozen=True)
class CellConfig:
    """One network."""

    dataset: str
    recipe: SgdRecipe
    num_rows: int
    num_images: int
    seed: int


def cells(config: Config) -> dict[str, CellConfig]:
    """Return the one cell."""
    recipe = SgdRecipe("conv", epochs=config.epochs)
    cell = CellConfig(config.dataset, recipe, config.num_rows, config.num_images, config.seed)
    return {f"conv-seed{config.seed}": cell}


def run(config: CellConfig, context: Context) -> Result:
    """Train Conv and find the top images of units and of random directions, none of them chosen by hand."""
    data = context.dataset(config.dataset)
    model, _ = context.trained(config.recipe, data, config.seed, train_sgd)
    inputs = data.test_inputs.to(context.device)
    features = layer_features(model, inputs, LAYER).cpu()
    generator = torch.Generator().manual_seed(config.seed)
    # Twice as many as a figure shows: the second half is for the quiz.
    scores = scores_by_kind(features, 2 * config.num_rows, k=config.num_images, generator=generator)
    sets = {kind: top_sets(scores[kind], config.num_images) for kind in ("units", "uniform", "chance")}
    quiz = torch.cat([sets["units"][config.num_rows :], sets["uniform"][config.num_rows :]])
    order = torch.randperm(len(quiz), generator=generator)
    shown = {kind: chosen[: config.num_rows] for kind, chosen in sets.items()} | {"quiz": quiz[order]}
    return Result(
        values={
            "test_error": error_rate(layer_features(model, inputs, "logits").cpu(), data.test_labels),
            "num_test": len(data.test_labels),
            "num_units": features.shape[1],
            "purity": {kind: purity(data.test_labels[s]).tolist() for kind, s in shown.items()},
            "quiz_is_unit": (order < len(quiz) // 2).tolist(),
        },
        arrays={
            name: (data.test_inputs[chosen][:, :, 0] * 255).round().to(torch.uint8).numpy()
            for name, chosen in shown.items()
        },
    )


def render(records: Sequence[Record], output: Renderer) -> None:
    """Draw Figure 1, Figure 2, a row of chance, and the quiz."""
    record = records[0]
    values, k = record.values, record.config["num_images"]
    output.value("test_error", f"{100 * values['test_error']:.2f} %")
    output.value("num_test", f"{values['num_test']:,}")
    output.value("num_units", f"{values['num_units']}")
    best = f"The {k} test digits that excite"
    panels = {
        "units": ("figure1", "unit", f"**Figure 1.** {best} single units of the last hidden layer most, best first."),
        "uniform": ("figure2", "direction", f"**Figure 2.** {best} random directions in the same layer most."),
        "chance": ("chance", "row", "**For comparison:** test digits drawn at random."),
    }
    for kind, (name, word, caption) in panels.items():
        # Two rows are enough to show what chance looks like.
        images = record.arrays[kind][: 2 if kind == "chance" else None]
        purities = values["purity"][kind][: len(images)]
        shares = ", ".join(f"{100 * share:.0f} %" for share in purities)
        output.value(f"{kind}.purity", f"{100 * float(np.mean(purities)):.0f} %")
        output.figure(
            name,
            image_grid(
                _rows(images),
                row_labels=[f"{word} {i + 1}" for i in range(len(images))],
                cell_inches=0.5,
                text_size=11,
            ),
            caption=f"{caption} Share of the commonest digit, row by row: {shares}.",
            alt=f"Rows of digits: one row for each {word}",
        )
    _show_quiz(record, output)


def _show_quiz(record: Record, output: Renderer) -> None:
    """Draw the rows whose kind a reader has to guess, and offer the answer."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    is_unit = record.values["quiz_is_unit"]
    output.figure(
        "quiz",
        image_grid(_rows(record.arrays["quiz"]), row_labels=letters[: len(is_unit)], cell_inches=0.5, text_size=11),
        caption=f"**Which rows are units?** {sum(is_unit)} of these rows show a unit's favourite digits, the others a "
        "random direction's.",
        alt="Rows of digits, of units and of random directions mixed",
    )
    answer = ", ".join(letter for letter, unit in zip(letters, is_unit, strict=False) if unit)
    output.value("quiz.answer", answer)
    output.value("quiz.num_rows", str(len(is_unit)))
    output.value("quiz.num_units", str(sum(is_unit)))


def _rows(images: np.ndarray) -> list[list[np.ndarray]]:
    return [list(row) for row in images]


CONFIGS = {"quick": Config(dataset="digits"), "laptop": Config(), "paper": Config()}

EXPERIMENT = Experiment(
    name="figures1_2",
    title="Digits that excite units and random directions",
    section="3",
    configs=CONFIGS,
    cells=cells,
    run=run,
    render=render,
)
