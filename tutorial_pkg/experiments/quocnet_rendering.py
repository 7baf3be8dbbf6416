"""The figures, tables and numbers of the experiment `quocnet`: training, and what its features know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from sklearn.metrics import roc_curve

from tutorial_pkg.figures import SERIES, STYLE, Renderer, image_grid, percent, with_interval
from tutorial_pkg.models import QUOCNETS
from tutorial_pkg.records import Record
from tutorial_pkg.roc import auc_difference

NAMES = {
    "pixels": "pixels, {}×{}",
    "random": "{}, random filters",
    "trained": "{}, trained filters",
    "untied": "{}, trained, W₂ of its own",
}


def render(records: Sequence[Record], output: Renderer) -> None:
    """Show the training, the table of representations, the ROC curves, filters and stimuli."""
    record = records[0]
    _offer_representations(record, output)
    _offer_gaps(record, output)
    _offer_training(record, output)
    _write_representations(record.values, output)
    _show_learning(record, output)
    _show_features(record, output)


def _write_representations(values: Mapping[str, Any], output: Renderer) -> None:
    output.table(
        "representations",
        ["linear classifier on", "features", "area", "minus pixels [95 %]", "balanced accuracy"],
        [
            [
                _name(name),
                f"{row['num_features']:,}",
                f"{row['auc']['value']:.3f}",
                "–" if name == values["best_pixels"] else _with_range(row["auc_minus_pixels"]),
                percent(row["balanced_accuracy"], 1),
            ]
            for name, row in values["representations"].items()
        ],
        caption="**Cars against all else**: the area under the ROC curve, on "
        f"{values['num_val']:,} validation images of which {values['num_val_positive']} are cars. “Minus pixels” is "
        "the difference from the best row of pixels on the same images, with DeLong's interval, for the choice of "
        "images; every row is of one seed. Guessing has an area of 0.5 and a balanced accuracy of 50 %.",
    )


def _show_learning(record: Record, output: Renderer) -> None:
    """Draw the training, and the ROC curves of what it gives."""
    output.figure(
        "training",
        training_figure(record.values["training"]),
        caption="**Learning without labels, stage by stage.** Left: the share of a stage's input that its code loses, "
        "Σ‖W₂W₁ᵀx − x‖² / Σ‖x‖². Right: the mean response of the pooling units, which the penalty holds down; it may "
        "rise while the reconstruction improves. A point is the mean over a part of the steps.",
        alt="Two panels of falling curves, one for each of the three stages",
    )
    output.figure(
        "roc",
        roc_figure(record),
        caption="**Cars found against false alarms** on the validation images, for every threshold; dots mark the "
        "classifiers' own, 0.",
        alt="Two ROC curves; that of the network's last stage is above that of the pixels",
    )


def _show_features(record: Record, output: Renderer) -> None:
    """Draw the filters of the first stage, and what units of the last stage like best."""
    _, (corner, centre, beside) = record.arrays["filters"].astype(float)
    output.figure(
        "filters",
        filters_figure(record.arrays["filters"]),
        caption="**Filters of the first stage**, a column a map. At all places they start alike and random (first "
        "row). After training those of a corner and of the centre have drifted apart (mean correlation "
        f"{_mean_correlation(corner, centre):.2f}), those of neighbouring places hardly "
        f"({_mean_correlation(centre, beside):.3f}).",
        alt="Four rows of small coloured filters",
    )
    output.figure(
        "stimuli",
        stimuli_figure(record),
        caption="**What units of the last stage like best.** Left: the optimal stimulus, computed; right: the "
        "validation images with the highest responses, best first. *Best* units were chosen on the training images, as "
        "the best single detectors of cars; the others at random. The optimal stimulus excites a unit "
        f"{_excess(record.values)} times as much as the best image.",
        alt="Rows of images: a computed pattern, and photographs",
    )


def _excess(values: Mapping[str, Any]) -> str:
    """Return how much stronger the optimal stimuli are than the best images, from unit to unit."""
    ratios = [unit["response"] / unit["top_response"] for unit in values["units"]]
    return f"{min(ratios):.1f} to {max(ratios):.1f}"


def training_figure(training: dict[str, Any]) -> Figure:
    """Draw the two parts of the cost against the steps, a line a stage."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(6.2, 2.8))
        left, right = figure.subplots(1, 2)
        for axis, key, label in (
            (left, "reconstruction", "lost share of the input"),
            (right, "sparsity", "mean pooled response"),
        ):
            for i, curve in enumerate(training[key]):
                progress = (np.arange(len(curve)) + 0.5) / max(1, len(curve))
                axis.plot(100 * progress, curve, color=SERIES[i], label=f"stage {i + 1}")
            axis.set_xlabel("training of the stage, %")
            axis.set_ylabel(label)
            axis.set_ylim(bottom=0)
        left.set_ylim(0, min(1.0, left.get_ylim()[1]))
        right.legend()
    return figure


def scores_by_name(record: Record) -> dict[str, np.ndarray]:
    """Return every representation's scores of the validation images."""
    return dict(zip(record.values["scored"], record.arrays["scores"], strict=True))


def roc_figure(record: Record) -> Figure:
    """Draw the ROC curves of the last stage and of the best pixels."""
    positive = record.arrays["is_positive"] == 1
    names = (record.values["last"], record.values["best_pixels"])
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(3.9, 3.6))
        axis = figure.subplots()
        for i, name in enumerate(names):
            scores = scores_by_name(record)[name]
            alarms, found, _ = roc_curve(positive, scores, drop_intermediate=False)
            area = record.values["representations"][name]["auc"]["value"]
            axis.plot(100 * alarms, 100 * found, color=SERIES[i], label=f"{_name(name)}: {area:.3f}")
            own = (scores > 0)[:, None] & np.stack((~positive, positive), 1)
            rates = own.sum(0) / ((~positive).sum(), positive.sum())
            axis.plot(*(100 * rates), "o", color=SERIES[i])
        axis.set_xlabel("false alarms, % of other images")
        axis.set_ylabel("found, % of the cars")
        axis.set_aspect("equal")
        axis.legend(loc="lower right", title="area")
    return figure


def _mean_correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Return the correlation between the pixels of two places' filters, averaged over the maps."""
    return float(np.mean([np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(one, other, strict=True)]))


def filters_figure(filters: np.ndarray) -> Figure:
    """Draw the random filters and the trained ones at three places."""
    random, trained = filters
    rows = [random[0], *trained]
    labels = ["random,\nanywhere", "trained,\ncorner", "trained,\ncentre", "trained,\nnext to it"]
    return image_grid([list(row) for row in rows], row_labels=labels, cell_inches=0.5, text_size=10)


def stimuli_figure(record: Record) -> Figure:
    """Draw a row a unit: its optimal stimulus, then the images that it likes best."""
    arrays, units = record.arrays, record.values["units"]
    # The best units first, then the random ones, each by how well they detect cars.
    order = sorted(range(len(units)), key=lambda i: (units[i]["kind"] != "best", -units[i]["auc"]["value"]))
    rows = [[arrays["stimuli"][i], *arrays["top_images"][i]] for i in order]
    labels = [f"{units[i]['kind']}\narea {units[i]['auc']['value']:.2f}" for i in order]
    return image_grid(rows, row_labels=labels, cell_inches=0.68, text_size=10)


def _offer_representations(record: Record, output: Renderer) -> None:
    """Offer what each representation reaches, the last stage and the best pixels by these names, too."""
    values, found = record.values, record.values["representations"]
    short = {"last": found[values["last"]], "pixels": found[values["best_pixels"]]}
    for name, row in (found | short).items():
        output.value(f"{name}.auc", f"{row['auc']['value']:.3f}")
        for key in ("balanced_accuracy", "accuracy", "recall", "false_positive_rate"):
            output.value(f"{name}.{key}", percent(row[key], 1))
    for name, row in short.items():
        output.value(f"{name}.num_features", f"{row['num_features']:,}")


def _offer_gaps(record: Record, output: Renderer) -> None:
    """Offer the best stage, and the differences of areas that the text speaks of."""
    values, found = record.values, record.values["representations"]
    _offer_gap("gain_over_pixels", found[values["last"]]["auc_minus_pixels"], output)
    stages = {name: row["auc"]["value"] for name, row in found.items() if name.startswith("trained")}
    best_stage = max(stages, key=stages.__getitem__)
    output.value("best_stage", best_stage.removeprefix("trained-").replace("stage", "Stage "))
    output.value("best_stage.auc", f"{stages[best_stage]:.3f}")
    scores = scores_by_name(record)
    untied = values["last"].replace("trained", "untied")
    learned = ((f"{name}.gain", name, name.replace("trained", "random")) for name in stages)
    for key, one, other in (
        *learned,
        ("best_minus_last", best_stage, values["last"]),
        ("tied_minus_untied", values["last"], untied),
    ):
        gap = auc_difference(scores[one], scores[other], record.arrays["is_positive"])
        _offer_gap(key, asdict(gap), output)


def _offer_training(record: Record, output: Renderer) -> None:
    """Offer sizes, settings and duration, and how well the best unit does alone."""
    values, recipe = record.values, record.config["recipe"]
    output.value("sparsity_weight", f"{recipe['sparsity_weight']:g}")
    output.value("steps", f"{recipe['steps']:,}")
    output.value("batch_size", f"{recipe['batch_size']:,}")
    output.value("num_patches", f"{recipe['steps'] * recipe['batch_size']:,}")
    output.value("norm_floor", f"{QUOCNETS[recipe['model']].norm_floor:g}")
    for key in ("num_weights", "num_train", "num_train_positive", "num_fitted", "num_val", "num_val_positive"):
        output.value(key, f"{values[key]:,}")
    output.value("num_fitted_negative", f"{values['num_fitted'] - values['num_train_positive']:,}")
    output.value("majority", percent(1 - values["num_val_positive"] / values["num_val"], 0))
    training = values["training"]
    output.value("seconds", f"{sum(training['seconds']):.0f}")
    output.value("minutes", f"{sum(training['seconds']) / 60:.0f}")
    for i, curve in enumerate(training["reconstruction"], 1):
        output.value(f"lost.{i}", percent(curve[-1], 1) if curve else "–")
    best_units = [unit["auc"]["value"] for unit in values["units"] if unit["kind"] == "best"]
    output.value("best_unit.auc", f"{best_units[0]:.3f}")


def _offer_gap(key: str, gap: Mapping[str, float], output: Renderer) -> None:
    """Offer a difference of areas with its interval, and what it says."""
    output.value(key, with_interval(gap["value"], gap["low"], gap["high"], 3))
    word = "a gain" if gap["low"] > 0 else "a loss" if gap["high"] < 0 else "which may be chance"
    output.value(f"{key}.verdict", word)


def _name(representation: str) -> str:
    kind, _, rest = representation.partition("-")
    where = rest.replace("stage", "stage ")
    return NAMES[kind].format(where, where)


def _with_range(interval: dict[str, float]) -> str:
    return with_interval(interval["value"], interval["low"], interval["high"], 3).replace(" ", "&nbsp;")
