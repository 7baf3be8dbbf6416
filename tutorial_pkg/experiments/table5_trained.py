"""Table 5 from trained weights: AlexNet's layers after training, beside the same layers before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch

from tutorial_pkg import paper
from tutorial_pkg.experiments.base import Context, Experiment, Result
from tutorial_pkg.experiments.natural_images import DATASETS, RECIPES, trained_alexnet
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
    rows = []
    for name in LAYERS.values():
        before, after = by_weights["before"][name], by_weights["after"][name]
        paper_lower, paper_upper = paper.TABLE5[name]
        cells_ = [name, "×".join(map(str, after["weight_shape"])), _grid(after)]
        for key, theirs in (("lower", paper_lower), ("upper", paper_upper)):
            cells_ += [_number(theirs), _number(before[key]), _number(after[key])]
            if "torchvision" in by_weights:
                cells_.append(_number(by_weights["torchvision"][name][key]))
        cells_.append(_number(after["certificate"]) if after["grid"] else "–")
        rows.append(cells_)
        for when, found in by_weights.items():
            for key in ("lower", "upper", "strict_lower"):
                output.value(f"{name}.{when}.{key}", _number(found[name][key]))
        output.value(f"{name}.growth", f"{after['upper'] / before['upper']:.2g}")
    growth = {n: by_weights["after"][n]["upper"] / by_weights["before"][n]["upper"] for n in LAYERS.values()}
    output.value("grew", str(sum(value > 1 for value in growth.values())))
    output.value("num_layers", str(len(growth)))
    output.value("most_grown", max(growth, key=growth.__getitem__))
    output.value("most_growth", f"{max(growth.values()):.2g}")
    for when, found in by_weights.items():
        output.value(f"product.{when}", _power(float(np.prod([found[n]["upper"] for n in LAYERS.values()]))))
    output.value("product.paper", _power(float(np.prod([upper for _, upper in paper.TABLE5.values()]))))
    torchvision = ["torchvision"] * ("torchvision" in by_weights)
    output.table(
        "table5",
        [
            *("layer", "weights here", "grid"),
            *("λ₋ (paper)", "before training", "after", *torchvision),
            *("λ₊ (paper)", "before training", "after", *torchvision),
            "certificate",
        ],
        rows,
        caption="**Table 5, from trained weights.** Lower (thin) and upper frame bounds of this network's layers, each "
        "convolution on a grid of its own map's size. The weights of the logits, fc3, start at a tenth of He's. The "
        "shapes, the scale of the inputs and the data are not the paper's: compare before with after, and the paper's "
        "column for its order of magnitude only.",
    )


def _grid(values: dict[str, Any]) -> str:
    return "×".join(map(str, values["grid"])) if values["grid"] else "–"


def _number(value: float) -> str:
    """Three significant digits; what lies below any rounding is 0."""
    if value < 1e-9:
        return "0"
    return f"{value:.3g}" if value >= 1e-3 else _power(value)


def _power(value: float) -> str:
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa}·10<sup>{int(exponent)}</sup>".replace("-", "−")


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
