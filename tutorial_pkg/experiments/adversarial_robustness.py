"""Is an adversarially trained network more robust, or only more accurate? The ways of training under the same tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np
import torch
from matplotlib.figure import Figure

from tutorial_pkg.adversarial_training import AdversarialRecipe, train_adversarially
from tutorial_pkg.attacks import gaussian_noise, minimum_distortion
from tutorial_pkg.experiments.adversarial_training import LABELS, chosen_recipes
from tutorial_pkg.experiments.base import Context, Experiment, Result
from tutorial_pkg.figures import SERIES, STYLE, Renderer, mean_sd, sd_below, span
from tutorial_pkg.records import Record
from tutorial_pkg.spectral import layer_gains
from tutorial_pkg.transfer import transfer_table

WAYS = ("weight decay", "dropout", "input", "all")


@dataclass(frozen=True)
class Config:
    """Size of the experiment.

    Attributes:
        num_images: test images attacked and disturbed.
        noise: standard deviations of the Gaussian noise.
        epochs: of the networks; see `adversarial_training`.
    """

    dataset: str = "mnist"
    num_images: int = 1000
    noise: tuple[float, ...] = (0.1, 0.3, 0.5)
    num_seeds: int = 5
    epochs: int = 300
    seed: int = 0


@dataclass(frozen=True)
class CellConfig:
    """All ways of training with one seed."""

    dataset: str
    recipes: Mapping[str, AdversarialRecipe]
    num_images: int
    noise: tuple[float, ...]
    seed: int

    def __hash__(self) -> int:
        return hash((self.dataset, tuple(self.recipes.items()), self.num_images, self.noise, self.seed))


def cells(config: Config) -> dict[str, CellConfig]:
    """Return a cell for each seed."""
    return {
        f"seed{seed}": CellConfig(
            config.dataset, chosen_recipes(WAYS, config.epochs), config.num_images, config.noise, seed
        )
        for seed in range(config.seed, config.seed + config.num_seeds)
    }


def run(config: CellConfig, context: Context) -> Result:
    """Attack each network at its nearest boundary, disturb it by noise, and show its examples to the others.

    The images are those that every network has right, so that all are asked the same.
    """
    data = context.dataset(config.dataset)
    models = {
        way: context.trained(recipe, data, config.seed, train_adversarially)[0]
        for way, recipe in config.recipes.items()
    }
    inputs = data.test_inputs[: config.num_images].to(context.device)
    labels = data.test_labels[: config.num_images].to(context.device)
    with torch.no_grad():
        right = torch.stack([model(inputs).argmax(1) == labels for model in models.values()]).all(0)
    inputs, labels = inputs[right], labels[right]
    generator = torch.Generator().manual_seed(config.seed)
    examples, values, distances = {}, {}, {}
    for way, model in models.items():
        attack = minimum_distortion(model, inputs, labels=labels, progress=context.progress)
        examples[way] = attack.adv_inputs
        distances[way] = attack.rms_distortion.cpu().double().numpy()
        gains = layer_gains(model, inputs, attack.adv_inputs)
        values[way] = {
            "success": float(attack.success.float().mean()),
            "distortion_mean": float(distances[way].mean()),
            "distortion_min": float(distances[way].min()),
            "lipschitz_bound": gains[-1].bound,
            "largest_gain": gains[-1].largest,
        }
    for stddev in config.noise:
        examples[f"noise {stddev:g}"] = gaussian_noise(inputs, stddev=stddev, generator=generator, box=(0.0, 1.0))
    table = transfer_table(models, inputs, labels=labels, examples=examples)
    return Result(
        values={
            "num_attacked": len(labels),
            "ways": values,
            "errors": {
                row: {column: table.of_all(row, column).fraction for column in table.columns} for row in table.rows
            },
        },
        arrays={f"rms {way}": found.astype(np.float32) for way, found in distances.items()},
    )


def by_seed(records: Sequence[Record], way: str, key: str) -> list[float]:
    """Return a measure of one way of training, by seed."""
    return [record.values["ways"][way][key] for record in records]


def transfer_to(records: Sequence[Record], way: str) -> list[float]:
    """Return the mean error of one way's networks on the examples made for all others, in %, by seed."""
    return [
        float(np.mean([100 * record.values["errors"][source][way] for source in WAYS if source != way]))
        for record in records
    ]


def render(records: Sequence[Record], output: Renderer) -> None:
    """Write a row for each way of training and draw how far its examples are."""
    rows = []
    for way in WAYS:
        columns = _columns(records, way)
        for key, text in columns.items():
            output.value(f"{way.replace(' ', '_')}.{key}", text)
        rows.append([LABELS[way], *map(sd_below, columns.values())])
    success = min(min(by_seed(records, way, "success")) for way in WAYS)
    output.value("success", f"{100 * success:g}")
    output.value("num_attacked", span([record.values["num_attacked"] for record in records]))
    output.value("num_seeds", str(len(records)))
    output.table(
        "robustness",
        [
            "training with",
            "distortion, mean",
            "smallest",
            "error on others' examples %",
            *(f"noise {stddev:g}, error %" for stddev in records[0].config["noise"]),
            "Lipschitz bound",
            "largest gain",
        ],
        rows,
        caption="**More robust, or only more accurate?** Test images that every network has right: the smallest "
        "distortion to the nearest other class; the error on the examples made for the other networks and under "
        "Gaussian noise; the product of the layers' norms, and the largest gain seen under the attack.",
    )
    output.figure(
        "distances",
        _draw(records),
        caption="**How far the nearest adversarial example is.** Share of test images with one within the distortion "
        "below, all seeds together.",
        alt="Rising curves, one a way of training; those of the pools are furthest to the right",
    )


def _columns(records: Sequence[Record], way: str) -> dict[str, str]:
    """Return a row of the table: key of a value → text."""
    return {
        "distortion_mean": mean_sd(by_seed(records, way, "distortion_mean"), 3),
        "distortion_min": mean_sd(by_seed(records, way, "distortion_min"), 3),
        "transfer": mean_sd(transfer_to(records, way), 1),
        **{
            f"noise{stddev:g}": mean_sd([r.values["errors"][f"noise {stddev:g}"][way] for r in records], 1, 100)
            for stddev in records[0].config["noise"]
        },
        "lipschitz_bound": mean_sd(by_seed(records, way, "lipschitz_bound"), 0),
        "largest_gain": mean_sd(by_seed(records, way, "largest_gain"), 1),
    }


def _draw(records: Sequence[Record]) -> Figure:
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 3.4))
        axis = figure.subplots()
        for color, way in zip(SERIES, WAYS, strict=False):
            distances = np.sort(np.concatenate([record.arrays[f"rms {way}"] for record in records]))
            share = 100 * np.arange(1, len(distances) + 1) / len(distances)
            # On MNIST the last two coincide; dashed, the one below shows.
            line = "--" if way == WAYS[-1] else "-"
            axis.plot(distances, share, line, color=color, label=LABELS[way])
        axis.set_xlim(left=0)
        axis.set_xlabel("distortion √(Σr²/n)")
        axis.set_ylabel("images, %")
        figure.legend(loc="outside right center")
    return figure


CONFIGS = {
    "quick": Config(dataset="digits", num_images=40, num_seeds=1, epochs=30),
    "laptop": Config(num_seeds=1, epochs=60),
    "paper": Config(),
}

EXPERIMENT = Experiment(
    name="adversarial_robustness",
    title="More robust, or only more accurate? Adversarially trained networks under attack and noise",
    section="4.2",
    configs=CONFIGS,
    cells=cells,
    run=run,
    render=render,
)
