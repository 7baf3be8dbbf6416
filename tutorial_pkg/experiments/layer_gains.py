"""The gain that the spectral bounds allow, layer by layer, and the gain that an attack finds (section 4.3)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import matplotlib
import torch
from matplotlib.figure import Figure

from tutorial_pkg.attacks import minimum_distortion
from tutorial_pkg.experiments.base import Context, Experiment, Result
from tutorial_pkg.figures import SERIES, STYLE, Renderer, mean_sd, sd_below, span
from tutorial_pkg.models import batched_logits
from tutorial_pkg.records import Record
from tutorial_pkg.spectral import layer_gains
from tutorial_pkg.training import TABLE1_RECIPES, Recipe, SgdRecipe, limited, train, train_sgd
from tutorial_pkg.transfer import same_norm_noise

MODELS: dict[str, Recipe | SgdRecipe] = {
    "softmax1": TABLE1_RECIPES["softmax1"],
    "N100-100-10": TABLE1_RECIPES["N100-100-10"],
    "Conv": SgdRecipe("conv"),
}


@dataclass(frozen=True)
class Config:
    """Size of the experiment.

    Attributes:
        dataset: for `data.load_dataset`.
        num_attacked: test images attacked a model.
        num_seeds: networks trained a model.
        seed: of the first.
        max_iter: a limit on L-BFGS training that overrides the recipes'; None for none.
    """

    dataset: str = "mnist"
    num_attacked: int = 500
    num_seeds: int = 1
    seed: int = 0
    max_iter: int | None = None


@dataclass(frozen=True)
class CellConfig:
    """One model with one seed."""

    dataset: str
    name: str
    recipe: Recipe | SgdRecipe
    num_attacked: int
    seed: int


def cells(config: Config) -> dict[str, CellConfig]:
    """Return a cell for each model and seed."""
    result = {}
    for seed in range(config.seed, config.seed + config.num_seeds):
        for name, recipe in MODELS.items():
            used = limited(recipe, config.max_iter) if isinstance(recipe, Recipe) else recipe
            result[f"{name}-seed{seed}"] = CellConfig(config.dataset, name, used, config.num_attacked, seed)
    return result


def run(config: CellConfig, context: Context) -> Result:
    """Attack test images at their nearest boundary and follow the perturbations through the layers.

    Beside them, noise of the same norms, and the radius ‖r‖ ≥ (z₁ − z₂) / √2 L that the Lipschitz bound L proves
    to be safe, z₁ and z₂ the two largest logits.
    """
    data = context.dataset(config.dataset)
    trainer = train if isinstance(config.recipe, Recipe) else train_sgd
    model, _ = context.trained(config.recipe, data, config.seed, trainer)
    inputs = data.test_inputs[: config.num_attacked].to(context.device)
    labels = data.test_labels[: config.num_attacked].to(context.device)
    logits = batched_logits(model, inputs, device=context.device)
    correct = logits.argmax(1) == labels
    inputs, labels, logits = inputs[correct], labels[correct], logits[correct]
    attack = minimum_distortion(model, inputs, labels=labels, progress=context.progress)
    noisy = same_norm_noise(inputs, attack.adv_inputs, generator=torch.Generator().manual_seed(config.seed))
    gains = layer_gains(model, inputs, attack.adv_inputs)
    noise_gains = layer_gains(model, inputs, noisy)

    best, second = logits.cpu().double().topk(2).values.T
    safe_radius = (best - second) / (math.sqrt(2) * gains[-1].bound)
    times_safe = (attack.l2_norm.cpu().double() / safe_radius)[attack.success.cpu()]
    return Result(
        values={
            "layers": [
                asdict(row) | {"noise_mean": noise.mean, "noise_largest": noise.largest}
                for row, noise in zip(gains, noise_gains, strict=True)
            ],
            "num_attacked": len(labels),
            "success": float(attack.success.float().mean()),
            "l2_norm_median": float(attack.l2_norm[attack.success].median()),
            "times_safe_radius_median": float(times_safe.median()),
            "times_safe_radius_min": float(times_safe.min()),
        }
    )


def render(records: Sequence[Record], output: Renderer) -> None:
    """Write the table layer by layer, draw the three gains, and offer the numbers to the prose."""
    by_model = {
        name: [record.values for record in records if record.config["name"] == name]
        for name in dict.fromkeys(record.config["name"] for record in records)
    }
    rows = []
    for name, runs in by_model.items():
        rows += [_row(name, runs, number, output) for number in range(len(runs[0]["layers"]))]
        output.value(f"{name}.times_safe_radius_median", mean_sd([r["times_safe_radius_median"] for r in runs], 1))
        output.value(f"{name}.times_safe_radius_min", mean_sd([r["times_safe_radius_min"] for r in runs], 1))
        output.value(f"{name}.l2_norm_median", mean_sd([r["l2_norm_median"] for r in runs]))
    num_seeds = len({record.config["seed"] for record in records})
    several = num_seeds > 1
    spread = f" Mean and standard deviation over {num_seeds} seeds." * several
    output.value("num_attacked", span([record.values["num_attacked"] for record in records]))
    output.table(
        "gains",
        ["layer", "own bound", "bound so far", "attack, largest", "attack, mean", "noise, mean", "bound ÷ largest"],
        rows,
        caption="**Gains, layer by layer.** ‖φ(x) − φ(x + r)‖ / ‖r‖ from the input to each layer's output, for the "
        "smallest perturbations that change the class of test images, and for noise of the same norms. A layer's own "
        "bound is λ₊, of a convolution its certificate, times its activation's, 1 for ReLU and 1/4 for the sigmoid."
        f"{spread}",
    )
    output.figure(
        "gains-figure",
        _draw({name: runs[0]["layers"] for name, runs in by_model.items() if len(runs[0]["layers"]) > 1}),
        caption="**Gains, layer by layer**, on a logarithmic scale: what the product of the bounds allows, what the "
        f"attack reaches at most and on average, and what noise of the same norms does{', first seed' * several}.",
        alt="Lines that rise with the layer; the proven bound rises far above the attack's gains, these above noise",
    )


def _row(model: str, runs: Sequence[Mapping[str, Any]], number: int, output: Renderer) -> list[str]:
    """Return the row of a model's layer, the mean over the runs, and offer its numbers to the prose."""
    layer = runs[0]["layers"][number]
    found = {key: [run["layers"][number][key] for run in runs] for key in layer if key != "name"}
    loose = [bound / largest for bound, largest in zip(found["bound"], found["largest"], strict=True)]
    columns = {key: mean_sd(found[key]) for key in ("layer_bound", "bound", "largest", "mean", "noise_mean")}
    columns["times_loose"] = mean_sd(loose, 1)
    for key, text in columns.items():
        output.value(f"{model}.{layer['name']}.{key}", text)
    if number:
        below = [run["layers"][number - 1]["mean"] for run in runs]
        times = [mean / before for mean, before in zip(found["mean"], below, strict=True)]
        output.value(f"{model}.{layer['name']}.times_below", mean_sd(times, 1))
    return [f"{model}: {layer['name']}", *map(sd_below, columns.values())]


def _draw(layers: dict[str, list[dict]]) -> Figure:
    """Draw bound, attack and noise against the layer, a panel a model."""
    series = [
        ("bound", "proven bound", "-"),
        ("largest", "attack, largest", "--"),
        ("mean", "attack, mean", "-"),
        ("noise_mean", "noise, mean", ":"),
    ]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 3.6))
        panels = figure.subplots(1, len(layers), sharey=True, squeeze=False)[0]
        for panel, (name, rows) in zip(panels, layers.items(), strict=True):
            names = ["input", *(row["name"] for row in rows)]
            for color, (key, label, style) in zip(SERIES, series, strict=False):
                panel.plot(names, [1, *(row[key] for row in rows)], style, color=color, marker=".", label=label)
            panel.set_yscale("log")
            panel.set_title(name)
            panel.tick_params(axis="x", rotation=30)
        panels[0].set_ylabel("gain from the input")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


CONFIGS = {
    "quick": Config(dataset="digits", num_attacked=12, max_iter=60),
    "laptop": Config(),
}
CONFIGS["paper"] = replace(CONFIGS["laptop"], num_attacked=2000, num_seeds=3)

EXPERIMENT = Experiment(
    name="layer_gains",
    title="What the spectral bounds allow and what an attack finds, layer by layer",
    section="4.3",
    configs=CONFIGS,
    cells=cells,
    run=run,
    render=render,
)
