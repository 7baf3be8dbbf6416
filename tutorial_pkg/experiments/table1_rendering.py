"""The tables, figure and numbers of the experiment `table1`."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from tutorial_pkg import paper
from tutorial_pkg.figures import INK, SERIES, STYLE, Renderer, beside, mean_sd, percent
from tutorial_pkg.records import Record

KINDS = {
    "softmax1": ("linear", "weak decay"),
    "softmax2": ("linear", "medium decay"),
    "softmax3": ("linear", "strong decay"),
    "N100-100-10": ("network", "two layers"),
    "N200-200-10": ("network", "two layers"),
    "AE400-10": ("autoencoder + linear", "frozen features"),
}
"""The paper's names → what they are, in words, and what tells them apart."""

SMALL = 0.1
"""A distortion that we read "small" and "very close" as: the stddev of the noise that the paper compares with."""


def render(records: Sequence[Record], output: Renderer) -> None:
    """Write the table with the paper's columns beside ours, and its numbers for the prose."""
    num_seeds = len({record.config["seed"] for record in records})
    several = num_seeds > 1
    models = dict.fromkeys(record.config["name"] for record in records)
    rows = [_row(records, name, output, below=several) for name in models]
    _write_excess(records, output)
    missed, of = missed_examples(records)
    output.value("missed", f"{missed:,}")
    output.value("num_examples", f"{of:,}")
    output.value("num_attacked", f"{records[0].values['num_attacked']:,}")
    output.value("close_share", percent(close_share(records), 1))
    fewest, most = (pick(record.values["num_nearest"] for record in records) for pick in (min, max))
    of_them = f"{fewest:,}" + f" to {most:,}" * (fewest < most)
    spread = f"; mean ± standard deviation over {num_seeds} seeds, where it is not 0 in the last digit" * several
    output.table(
        "table1",
        ["", "train %", "test %", "penalty, rms", "minimum, rms", "minimum, mean", "nearest, mean"],
        rows,
        caption=f"**Table 1**, the paper's values in parentheses{spread}. Errors, and the distortion of correctly "
        "classified training images in four readings of the paper's last column. To a random other class: the "
        "minimiser of the paper's penalised objective and the minimum itself, root mean square over the images; the "
        f"minimum's mean. To the nearest other class: the minimum's mean, over {of_them} of them.",
    )
    _write_short(records, output)
    output.figure(
        "density",
        _draw_density(records, list(models)),
        caption="**How near the nearest adversarial example is.** Share of correctly classified training images that "
        f"have one, of any other class, within the distortion below{', all seeds together' * several}; at most "
        f"{most:,} images a network. Dotted: {SMALL:g}, the stddev of the noise that the paper compares with.",
        alt="Rising curves, one a model, each from 0 to 100 % of the images",
    )


def _write_short(records: Sequence[Record], output: Renderer) -> None:
    """Write what a first reader needs: error and distortion as the paper has them, and the paper's below."""
    num_seeds = len({record.config["seed"] for record in records})
    over_seeds = f"; mean over {num_seeds} seeds" * (num_seeds > 1)
    rows = []
    for name, (kind, detail) in KINDS.items():
        values = [record.values for record in records if record.config["name"] == name]
        _, test, distortion = paper.TABLE1[name]
        rows.append(
            [
                f"{kind}<br><small>{name}, {detail}</small>",
                beside(f"{np.mean([v['distortion_penalty_rms'] for v in values]):.3f}", f"{distortion:g}", below=True),
                beside(f"{100 * np.mean([v['test_error'] for v in values]):.2f}", f"{test:g}", below=True),
            ]
        )
    output.table(
        "short",
        ["classifier", "distortion", "test error, %"],
        rows,
        caption=f"**Distortion and error**, the paper's in parentheses{over_seeds}. The distortion is the "
        "average (root mean square) over training images that were right, each changed until it is taken for another "
        "class, drawn at random.",
    )


def _row(records: Sequence[Record], model: str, output: Renderer, *, below: bool) -> list[str]:
    """Return a model's row, and offer its numbers to the prose.

    Args:
        below: whether the paper's numbers stand below ours, not after them.
    """
    values = [record.values for record in records if record.config["name"] == model]
    errors = {key: mean_sd([v[key] for v in values], 2, 100) for key in ("train_error", "test_error")}
    distortions = {
        key: mean_sd([v[key] for v in values], 3)
        for key in (
            "distortion_penalty_rms",
            "distortion_random_target_rms",
            "distortion_random_target_mean",
            "distortion_nearest_mean",
        )
    }
    others = {
        "success_targeted": mean_sd([v["success_targeted"] for v in values], 1, 100),
        "distortion_nearest_max": mean_sd([v["distortion_nearest_max"] for v in values], 3),
        "paper_train_error": f"{paper.TABLE1[model][0]:g}",
        "paper_test_error": f"{paper.TABLE1[model][1]:g}",
    }
    for key, text in (errors | distortions | others).items():
        output.value(f"{model}.{key}", text)
    ours = [*errors.values(), *distortions.values()]
    compared = [
        beside(text, f"{printed:g}", below=below) for text, printed in zip(ours, paper.TABLE1[model], strict=False)
    ]
    return [model, *compared, *ours[len(compared) :]]


def _write_excess(records: Sequence[Record], output: Renderer) -> None:
    """Write what the paper's method leaves over of the minimum, a row for each model."""
    rows = []
    for name in dict.fromkeys(record.config["name"] for record in records):
        found = {
            key: mean_sd([r.values[key] for r in records if r.config["name"] == name], 4)
            for key in ("distortion_penalty_mean", "distortion_random_target_mean")
        }
        excess = mean_sd(penalty_excess(records, name), 2)
        output.value(f"{name}.penalty_excess", excess)
        rows.append([name, *found.values(), excess])
    output.table(
        "excess",
        ["", "penalty", "minimum", "farther by %"],
        rows,
        caption="**What the penalty leaves over.** Mean distortion of correctly classified training images to a random "
        "other class: of the paper's penalised minimiser, and of the nearest image that our attack finds. The last "
        "column says by how many percent the first mean exceeds the second.",
    )


def _draw_density(records: Sequence[Record], models: Sequence[str]) -> Figure:
    """Draw, for each model, the share of images whose nearest adversarial example is within a distortion."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(5.6, 3.8))
        axis = figure.subplots()
        for i, name in enumerate(models):
            found = [record.arrays["nearest_rms"] for record in records if record.config["name"] == name]
            distances = np.sort(np.concatenate(found))
            # A step for every image would be a figure of megabytes.
            levels = np.linspace(0, 1, min(len(distances), 200))
            axis.plot(np.quantile(distances, levels), 100 * levels, ("-", "--")[i % 2], color=SERIES[i], label=name)
        axis.axvline(SMALL, color=INK, linestyle=":", linewidth=1)
        axis.set_xlim(left=0)
        axis.set_xlabel("distortion √(Σr²/n)")
        axis.set_ylabel("images, %")
        figure.legend(loc="outside lower center", ncols=3)
    return figure


def missed_examples(records: Sequence[Record]) -> tuple[int, int]:
    """Return how many of Table 1's examples failed, and of how many, to a random class and to the nearest."""
    ways = (("success_targeted", "num_attacked"), ("success_nearest", "num_nearest"))
    pairs = [(record.values[success], record.values[number]) for record in records for success, number in ways]
    return round(sum((1 - success) * number for success, number in pairs)), sum(number for _, number in pairs)


def close_share(records: Sequence[Record]) -> float:
    """Return the share of the images, over all models, that have an example of another class within `SMALL`."""
    rms = np.concatenate([record.arrays["nearest_rms"] for record in records])
    return float((rms < SMALL).mean())


def penalty_excess(records: Sequence[Record], name: str) -> list[float]:
    """Return how much farther the penalty's minimiser is than the minimum, on average in %, by seed."""
    return [
        100 * (r.values["distortion_penalty_mean"] / r.values["distortion_random_target_mean"] - 1)
        for r in records
        if r.config["name"] == name
    ]
