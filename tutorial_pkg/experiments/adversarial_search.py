"""How the ways of training were chosen: errors on held-out training images, never on the test set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from textwrap import fill

import matplotlib
import numpy as np
import torch
from matplotlib.figure import Figure

from tutorial_pkg.adversarial_training import AdversarialRecipe, train_adversarially
from tutorial_pkg.adversarial_training.recipes import ADAM_SUFFIX, ATTACKED, CANDIDATES, CHOSEN, SENSITIVITY
from tutorial_pkg.data import Dataset
from tutorial_pkg.experiments.adversarial_training import LABELS
from tutorial_pkg.experiments.base import Context, Experiment, Result
from tutorial_pkg.figures import SERIES, Renderer, mean_sd, spaced
from tutorial_pkg.metrics import error_rate
from tutorial_pkg.models import batched_logits
from tutorial_pkg.records import Record
from tutorial_pkg.transfer import Rate

AXES = {
    "capacity": "examples in the pool",
    "replaced": "share replaced in a round",
    "stretch": "× the way to the boundary",
}


@dataclass(frozen=True)
class Config:
    """Size of the search.

    Attributes:
        num_held_out: training images held out to choose by.
        num_seeds: networks trained a candidate.
        epochs: an override of the recipes'; None for none.
        candidates: at most as many a way of training; None for all.
        max_capacity: of a pool, overriding the recipes' larger ones; None for none.
    """

    dataset: str = "mnist"
    num_held_out: int = 10_000
    num_seeds: int = 1
    epochs: int | None = None
    candidates: int | None = None
    max_capacity: int | None = None
    seed: int = 0


@dataclass(frozen=True)
class CellConfig:
    """One candidate with one seed.

    Attributes:
        group: the way of training, or what is varied.
        name: of the candidate.
    """

    dataset: str
    group: str
    name: str
    recipe: AdversarialRecipe
    num_held_out: int
    seed: int


def cells(config: Config) -> dict[str, CellConfig]:
    """Return a cell for each candidate and seed."""
    groups = {
        **CANDIDATES,
        **{group: {f"{x:g}": recipe for x, recipe in recipes.items()} for group, recipes in SENSITIVITY.items()},
        "attack": ATTACKED,
    }
    result = {}
    for seed in range(config.seed, config.seed + config.num_seeds):
        for group, recipes in groups.items():
            for number, (name, recipe) in enumerate(list(recipes.items())[: config.candidates]):
                used = _shortened(recipe, config)
                cell = f"{group.replace(' ', '')}{number}-seed{seed}"
                result[cell] = CellConfig(config.dataset, group, name, used, config.num_held_out, seed)
    return result


def _shortened(recipe: AdversarialRecipe, config: Config) -> AdversarialRecipe:
    """Return the recipe within the limits of the configuration."""
    pools = tuple(
        replace(pool, capacity=min(pool.capacity, config.max_capacity or pool.capacity)) for pool in recipe.pools
    )
    return replace(recipe, pools=pools, epochs=config.epochs or recipe.epochs)


def run(config: CellConfig, context: Context) -> Result:
    """Train on the images not held out and measure the error on those that are."""
    kept, held_out = hold_out(context.dataset(config.dataset), config.num_held_out)
    model, _ = context.trained(config.recipe, kept, config.seed, train_adversarially)

    def error_on(inputs: torch.Tensor, labels: torch.Tensor) -> float:
        return error_rate(batched_logits(model, inputs, device=context.device).cpu(), labels)

    return Result(
        {
            "train_error": error_on(kept.train_inputs, kept.train_labels),
            "held_out_error": error_on(held_out.train_inputs, held_out.train_labels),
        }
    )


def hold_out(dataset: Dataset, count: int) -> tuple[Dataset, Dataset]:
    """Split the training images at random into those to train on and `count` to choose by; the same ones always."""
    order = torch.randperm(len(dataset.train_labels), generator=torch.Generator().manual_seed(0))
    return dataset.train_subset(order[count:], "kept"), dataset.train_subset(order[:count], "held out")


def errors(records: Sequence[Record], group: str) -> dict[str, list[float]]:
    """Return the held-out errors of each candidate of a group, in %."""
    found: dict[str, list[float]] = {}
    for record in records:
        if record.config["group"] == group:
            found.setdefault(record.config["name"], []).append(100 * record.values["held_out_error"])
    return found


def render(records: Sequence[Record], output: Renderer) -> None:
    """Write what was tried and what it gave, and draw the error against each property of a pool."""
    _write_candidates(records, output)
    _offer_optimizers(records, output)
    _offer_sensitivity(records, output)
    output.figure(
        "sensitivity",
        _draw(records),
        caption="**Size, age and distance of a pool of images.** Held-out error against one property at a time; bars: "
        f"95 % binomial intervals for {records[0].config['num_held_out']:,} images, without what another seed would "
        "change. On the left all pools get equally many new examples.",
        alt="Three panels of the held-out error against pool size, share replaced and distance",
    )


def _write_candidates(records: Sequence[Record], output: Renderer) -> None:
    """Write a row for each candidate of each way of training."""
    rows = []
    for group in CANDIDATES:
        for name, found in errors(records, group).items():
            tried = [r for r in records if (r.config["group"], r.config["name"]) == (group, name)]
            train = [100 * r.values["train_error"] for r in tried]
            num_epochs = str(tried[0].config["recipe"]["epochs"])
            used = "✔" if CHOSEN[group] == name else ""
            rows.append([LABELS[group], _whole(name), used, num_epochs, mean_sd(train), mean_sd(found)])
    output.table(
        "candidates",
        ["way of training", "tried", "used", "epochs", "training error %", "held-out error %"],
        rows,
        caption="**What was tried**, trained on the images not held out. Ticked, the smallest held-out error of each "
        "way of training (one of them, where two are equal), which the other tables use. Compare errors at equal "
        "epochs only. Dropout is given by its rates at the input / hidden layer 1 / hidden layer 2. Distances are "
        "multiples of the way to the boundary of a network taken for linear; λ is the weight decay, a weight that of a "
        "pool's loss.",
        num_text_columns=3,
    )
    output.value("num_ways", str(len(CANDIDATES)))
    output.value("num_tried", str(len(rows)))


def _offer_sensitivity(records: Sequence[Record], output: Renderer) -> None:
    """Offer the errors with each attack and with each property of a pool, and how far chance alone moves them."""
    attack = errors(records, "attack")
    for source, found in attack.items():
        output.value(f"attack.{source}", mean_sd(found))
    for group in SENSITIVITY:
        for name, found in errors(records, group).items():
            output.value(f"{group}.{name}", mean_sd(found))
    stretched = [float(np.mean(found)) for found in errors(records, "stretch").values()]
    output.value("stretch.least", f"{min(stretched):.2f}")
    output.value("stretch.most", f"{max(stretched):.2f}")
    num_held_out = records[0].config["num_held_out"]
    output.value("half_interval", f"{np.ptp(_interval(float(np.mean(stretched)), num_held_out)) / 2:.2f}")
    output.value("num_held_out", f"{num_held_out:,}")
    epochs = {record.config["group"]: str(record.config["recipe"]["epochs"]) for record in records}
    output.value("epochs.long", epochs["input"])
    output.value("epochs.short", epochs["stretch"])


def _offer_optimizers(records: Sequence[Record], output: Renderer) -> None:
    """Offer the errors of the two optimisers at one setting, for the ways of training that tried both."""
    for group, candidates in CANDIDATES.items():
        tried = errors(records, group)
        for name in candidates:
            if name.endswith(ADAM_SUFFIX):
                for optimizer, candidate in (("adam", name), ("muon", name.removesuffix(ADAM_SUFFIX))):
                    text = mean_sd(tried[candidate]) if candidate in tried else "–"
                    output.value(f"{group.replace(' ', '_')}.{optimizer}", text)


def _whole(name: str) -> str:
    """Return a candidate's name with its equations and powers of ten kept on one line each."""
    return name.replace(" = ", "\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}").replace("e-", "e\N{NON-BREAKING HYPHEN}")


def _interval(error: float, num_images: int) -> tuple[float, float]:
    """Return the 95 % interval that so many images allow for an error; all in %."""
    low, high = Rate(round(error / 100 * num_images), num_images).interval()
    return 100 * low, 100 * high


def _draw(records: Sequence[Record]) -> Figure:
    num_images = records[0].config["num_held_out"]
    with matplotlib.rc_context(spaced(wspace=0.06)):
        figure = Figure(figsize=(6.4, 2.9))
        panels = figure.subplots(1, len(AXES), sharey=True)
        for panel, color, (group, label) in zip(panels, SERIES, AXES.items(), strict=False):
            found = {float(x): float(np.mean(e)) for x, e in errors(records, group).items()}
            lows, highs = np.array([_interval(error, num_images) for error in found.values()]).T
            panel.vlines(list(found), lows, highs, color=color, linewidth=1.4)
            panel.plot(list(found), list(found.values()), "o", color=color)
            if group != "stretch":
                panel.set_xscale("log")
            panel.margins(x=0.15)
            panel.set_xlabel(fill(label, 20))
        panels[0].set_ylabel("held-out error, %")
    return figure


CONFIGS = {
    "quick": Config(dataset="digits", num_held_out=200, epochs=1, candidates=2, max_capacity=200),
    "laptop": Config(epochs=10),
    "paper": Config(),
}

EXPERIMENT = Experiment(
    name="adversarial_search",
    title="Adversarial training: what was tried, judged on held-out training images",
    section="4.2",
    configs=CONFIGS,
    cells=cells,
    run=run,
    render=render,
)
