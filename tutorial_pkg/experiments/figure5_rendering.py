"""The figures, table and numbers of the experiment `figure5`."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from tutorial_pkg import paper
from tutorial_pkg.figures import SERIES, STYLE, Renderer, image_grid, two_a_row
from tutorial_pkg.records import Record


def render(records: Sequence[Record], output: Renderer, *, magnified: float) -> None:
    """Draw the triples and the distribution, and write the averages beside the paper's.

    Args:
        magnified: how many times the changes in the records are.
    """
    by_goal = {record.config["goal"]: record for record in records}
    far_class = records[0].config["far_class"]
    titles = {"far": f"taken for “{far_class}”", "nearest": "taken for the nearest class"}
    for goal, title in titles.items():
        record = by_goal[goal]
        output.figure(
            f"figure5-{goal}",
            _triples(record),
            caption=f"**Figure 5, {title}.** Left: a correctly classified validation image; "
            f"centre: the change, magnified {magnified:g} times, shifted by 128 and clamped; right: the adversarial "
            f"image. Average distortion over {len(_reached(record))} images "
            f"{_reached(record).mean():.4f} (the paper's: {paper.FIGURE5_DISTORTION:.4f}, on other images, "
            "larger ones, and another network).",
            alt="Triples of photographs: an image, a magnified change, and an adversarial image that looks the same",
        )
    output.figure(
        "distribution",
        _distribution(by_goal),
        caption="**Distortion of every image**, from the smallest to the largest. Dashed: the paper's average.",
        alt="Sorted distortions of all attacked images, for the nearest class and for the far one",
    )
    _write_distortions(by_goal, output)
    _offer_values(by_goal, output)


def _write_distortions(by_goal: dict[str, Record], output: Renderer) -> None:
    """Write a row for each goal, and the paper's."""
    far_class = by_goal["far"].config["far_class"]
    what = {
        "far": f"“{far_class}”",
        "penalty": f"“{far_class}”, by the search over c",
        "nearest": "the nearest class",
    }
    output.table(
        "distortions",
        ["taken for", "images", "success", "mean", "median", "largest", "‖r‖₂", "noise", "bytes"],
        [
            [
                what[goal],
                str(by_goal[goal].values["num_attacked"]),
                f"{100 * by_goal[goal].values['success']:.0f} %",
                *(f"{key(_reached(by_goal[goal])):.4f}" for key in (np.mean, np.median, np.max)),
                f"{_l2_norm(by_goal[goal]):.2f}",
                *(f"{100 * by_goal[goal].values[f'error_{key}']:.0f} %" for key in ("noise", "rounded")),
            ]
            for goal in what
        ]
        + [["“ostrich” (paper)", "64", "100 %", f"{paper.FIGURE5_DISTORTION:.4f}", "–", "–", "–", "–", "–"]],
        caption="**Distortion √(Σr²/n) on AlexNet** of correctly classified validation images: the smallest that was "
        "found, and for comparison that of the paper's method, the search over c. ‖r‖₂: its mean norm. *Noise*: error "
        "on the same images under Gaussian noise of the same norm, image by image. *Bytes*: error once the adversarial "
        "image is rounded to 256 levels a colour, as an image file is.",
    )


def _offer_values(by_goal: dict[str, Record], output: Renderer) -> None:
    first = by_goal["far"]
    output.value("far_class", first.config["far_class"])
    output.value("num_attacked", str(first.values["num_attacked"]))
    output.value("num_nearest", str(by_goal["nearest"].values["num_attacked"]))
    output.value("num_correct", f"{first.values['num_correct']:,}")
    output.value("num_pixels", f"{first.values['num_pixels']:,}")
    output.value("paper", f"{paper.FIGURE5_DISTORTION:.6f}")
    output.value("paper.l2_norm", f"{paper.FIGURE5_L2_NORM:.1f}")
    for goal, record in by_goal.items():
        values = record.values
        for key in ("success", "error_noise", "error_rounded"):
            output.value(f"{goal}.{key}", f"{100 * values[key]:.0f} %")
        rms = _reached(record)
        for key, text in (("mean", rms.mean()), ("median", np.median(rms)), ("max", rms.max())):
            output.value(f"{goal}.distortion_{key}", f"{text:.4f}")
        output.value(f"{goal}.l2_norm", f"{_l2_norm(record):.2f}")
        output.value(f"{goal}.largest_change", f"{255 * values['largest_change_mean']:.1f}")
        output.value(f"{goal}.steps", f"{255 * rms.mean():.2f}")
    every = {goal: record.arrays["rms"].astype(float) for goal, record in by_goal.items()}
    # The same images: those of the nearest class are the first of the others.
    far = every["far"][: len(every["nearest"])]
    both = np.isfinite(far) & np.isfinite(every["nearest"])
    output.value("far_over_nearest", f"{far[both].mean() / every['nearest'][both].mean():.1f}")
    output.value(
        "penalty_over_far", f"{100 * (_reached(by_goal['penalty']).mean() / _reached(first).mean() - 1):.0f} %"
    )


def _reached(record: Record) -> np.ndarray:
    """Return the distortions of the images that the attack moved to the class it aimed at."""
    rms = record.arrays["rms"].astype(float)
    return rms[np.isfinite(rms)]


def _l2_norm(record: Record) -> float:
    """Return the mean ‖r‖₂ of the same images."""
    return float(_reached(record).mean() * np.sqrt(record.values["num_pixels"]))


def _triples(record: Record) -> Figure:
    """Draw image, magnified change and adversarial image, two triples a row."""
    parts = [record.arrays[name] for name in ("clean", "difference", "adversarial")]
    titles = [
        (_in_lines(label), "", _in_lines(f"→ {target}"))
        for label, target in zip(record.values["labels"], record.values["targets"], strict=True)
    ]
    return image_grid(
        two_a_row(list(zip(*parts, strict=True))),
        titles=two_a_row(titles),
        cell_inches=1.1,
        text_size=10.5,  # read on a telephone, too
        group=3,
        column_titles=["image", "change", "adversarial"],
    )


def _in_lines(title: str) -> str:
    """Return a class's name on two lines at most, none wider than an image."""
    return "\n".join(wrap(title, 12, max_lines=2, placeholder=" …"))


def _distribution(by_goal: dict[str, Record]) -> Figure:
    names = {"nearest": "nearest class", "far": f"“{by_goal['far'].config['far_class']}”"}
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(5.6, 3.0))
        axis = figure.subplots()
        for i, (goal, name) in enumerate(names.items()):
            rms = np.sort(by_goal[goal].arrays["rms"])
            axis.plot(rms, 100 * np.arange(1, len(rms) + 1) / len(rms), color=SERIES[i], label=name)
        axis.axvline(paper.FIGURE5_DISTORTION, color=SERIES[7], linestyle="--", label="the paper's average")
        axis.set_xlim(left=0)
        axis.locator_params(axis="x", nbins=5)
        axis.set_ylim(0, 101)
        axis.set_xlabel("distortion √(Σr²/n)")
        axis.set_ylabel("images up to there, %")
        axis.legend(loc="lower right")
    return figure
