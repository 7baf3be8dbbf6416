"""Table 5 from trained weights: AlexNet's layers after training, beside the same layers before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch

from tutorial_pkg import paper
from tutorial_pkg.experiments.base import Context, Experiment, Result
from tutorial_pkg.experiments.natural_images import DATASETS, RECIPES, trained_alexnet
from tutorial_pkg.experiments.table5 import as_printed, power, ratio, shape_and_grid, three_digits
from tutorial_pkg.figures import Renderer
from tutorial_pkg.models import LayeredModel, alexnet_config, load_pretrained_alexnet
from tutorial_pkg.records import Record
from tutorial_pkg.spectral import model_frame_bounds
from tutorial_pkg.training import ImageRecipe, train_images

LAYERS = {f"conv{i}": f"conv{i}" for i in range(1, 6)} | {"fc1": "fc1", "fc2": "fc2", "logits": "fc3"}
"""Layer of the model → its name in the paper's table."""


@dataclass(frozen=True)
class Config:
    """Size of the experiment.

    Attributes:
        dataset: for `data.load_images`.
        recipe: the network and its training.
        pretrained: also read torchvision's weights, trained on ImageNet; they are downloaded.
        seed: of the network.
    """

    dataset: str
    recipe: ImageRecipe
    pretrained: bool = False
    seed: int = 0


@dataclass(frozen=True)
class CellConfig:
    """One set of weights: "before" or "after" training, or "torchvision"."""

    dataset: str
    recipe: ImageRecipe
    weights: str
    seed: int


def cells(config: Config) -> dict[str, CellConfig]:
    """Return a cell for each set of weights."""
    names = ["before", "after"] + ["torchvision"] * config.pretrained
    return {f"{name}-seed{config.seed}": CellConfig(config.dataset, config.recipe, name, config.seed) for name in names}


def run(config: CellConfig, context: Context) -> Result:
    """Return every layer's bounds, convolutions on grids of their own maps' sizes."""
    model, size = _network(config, context)
    rows = model_frame_bounds(model, torch.zeros(1, 3, size, size, device=context.device))
    return Result(
        values={
            "input_size": size,
            "layers": {
                LAYERS[row.name.split(".")[1]]: asdict(row.bounds)
                | {"strict_lower": row.bounds.strict_lower, "weight_shape": row.weight_shape}
                for row in rows
            },
        }
    )


def _network(config: CellConfig, context: Context) -> tuple[LayeredModel, int]:
    if config.weights == "torchvision":
        return load_pretrained_alexnet().to(context.device), 224
    images = context.images(config.dataset)
    size = alexnet_config(config.recipe.model).input_size
    if config.weights == "before":
        untrained = replace(config.recipe, epochs=0)
        return train_images(untrained, images, seed=config.seed, device=context.device)[0], size
    return trained_alexnet(config.recipe, images, config.seed, context)[0], size


def render(records: Sequence[Record], output: Renderer) -> None:
    """Write the table, and what training changed."""
    by_weights = {record.config["weights"]: record.values["layers"] for record in records}
    rows, continuous = [], []
    for name in LAYERS.values():
        before, after = by_weights["before"][name], by_weights["after"][name]
        printed = paper.TABLE5[name]
        ours = [(found[name]["lower"], found[name]["upper"]) for found in by_weights.values()]
        rows.append(
            [
                name,
                shape_and_grid(after["weight_shape"], after["grid"]),
                as_printed(printed[0]),
                *(three_digits(lower) for lower, _ in ours),
                as_printed(printed[1]),
                *(three_digits(upper) for _, upper in ours),
                *(ratio(lower, upper) for lower, upper in (printed, *ours)),
            ]
        )
        certificate = three_digits(after["certificate"]) if after["grid"] else "–"
        continuous.append(
            [name, *(three_digits(after[key]) for key in ("lower", "strict_lower", "upper")), certificate]
        )
        for when, found in by_weights.items():
            for key in ("lower", "upper", "strict_lower"):
                output.value(f"{name}.{when}.{key}", three_digits(found[name][key]))
        output.value(f"{name}.growth", f"{after['upper'] / before['upper']:.2g}")
    _offer_growth(by_weights, output)
    _write_tables(rows, continuous, by_weights, output)


def _write_tables(
    rows: Sequence[Sequence[str]],
    continuous: Sequence[Sequence[str]],
    by_weights: Mapping[str, Mapping[str, Any]],
    output: Renderer,
) -> None:
    columns = ["paper", *({"before": "before training"}.get(when, when) for when in by_weights)]
    output.table(
        "table5",
        ["layer", "weights here", *(f"{bound} {column}" for bound in ("λ₋", "λ₊", "λ₊/λ₋") for column in columns)],
        rows,
        caption="**Table 5, from trained weights.** Lower (thin) and upper frame bounds, each convolution on a grid of "
        "its own map's size. fc3 starts at a tenth of He's weights. Shapes, inputs and data are not the paper's: "
        "compare before with after.",
    )
    output.table(
        "table5-continuous",
        ["layer", "λ₋ after", "strict λ₋", "λ₊ after", "certificate"],
        continuous,
        caption="**Table 5 from trained weights, beyond the grid.** *Strict λ₋*: the smallest ‖Wx‖ / ‖x‖, 0 where "
        "outputs are fewer than inputs. *Certificate*: what λ₊ cannot exceed on a map of any size.",
    )


def _offer_growth(by_weights: Mapping[str, Mapping[str, Any]], output: Renderer) -> None:
    """Offer how training changed the upper bounds, layer by layer and as a product."""
    growth = {n: by_weights["after"][n]["upper"] / by_weights["before"][n]["upper"] for n in LAYERS.values()}
    output.value("grew", str(sum(value > 1 for value in growth.values())))
    output.value("num_layers", str(len(growth)))
    output.value("most_grown", max(growth, key=growth.__getitem__))
    output.value("most_growth", f"{max(growth.values()):.2g}")
    for when, found in by_weights.items():
        output.value(f"product.{when}", power(float(np.prod([found[n]["upper"] for n in LAYERS.values()]))))
    output.value("product.paper", power(float(np.prod([upper for _, upper in paper.TABLE5.values()]))))


CONFIGS = {
    profile: Config(DATASETS[profile], RECIPES[profile], pretrained=profile == "paper")
    for profile in ("quick", "laptop", "paper")
}

EXPERIMENT = Experiment(
    name="table5_trained",
    title="Frame bounds of a trained AlexNet's layers",
    section="4.3",
    configs=CONFIGS,
    cells=cells,
    run=run,
    render=render,
)
