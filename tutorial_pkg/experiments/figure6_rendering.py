"""The figures and numbers of the experiment `figure6`: cars, the nearest images that are none, and distances."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from tutorial_pkg.figures import SERIES, STYLE, Renderer, image_grid, percent, two_a_row
from tutorial_pkg.records import Record

MAGNIFICATIONS = (1, 2, 5, 10, 20, 50, 100, 200, 500)


def render(records: Sequence[Record], output: Renderer) -> None:
    """Draw the images, and the distribution of the distortions."""
    record = records[0]
    output.figure(
        "images",
        cars_figure(record),
        caption="**Figure 6.** Left: validation cars, drawn at random from those that are recognised. Middle: the "
        "nearest images that are not recognised. Right: the absolute difference, each with a magnification of its own.",
        alt="Photographs of cars, the same photographs imperceptibly changed, and the changes as coloured noise",
    )
    output.figure(
        "distortions",
        distortions_figure(record),
        caption=f"**How far a car is from not being one**, for {record.values['num_attacked']} recognised cars. The "
        "distortion is √(Σr²/n) for pixels from 0 to 1; the dashed line is one grey level of 255. The surer the "
        "classifier, the longer the way.",
        alt="A histogram of distortions, and distortion against the classifier's margin",
    )
    _offer_cars(record, output)


def cars_figure(record: Record) -> Figure:
    """Draw cars, the nearest images that are none, and the differences, two triples a row."""
    arrays = record.arrays
    factors = [magnification(difference) for difference in arrays["difference"]]
    triples = [
        [clean, adversarial, np.clip(factor * difference.astype(float), 0, 1)]
        for clean, adversarial, difference, factor in zip(
            arrays["clean"], arrays["adversarial"], arrays["difference"], factors, strict=True
        )
    ]
    titles = [["", "", f"× {factor}"] for factor in factors]
    return image_grid(
        two_a_row(triples),
        titles=two_a_row(titles),
        cell_inches=1.05,
        text_size=10,
        group=3,
        column_titles=["a car", "not a car", "change"],
    )


def _offer_cars(record: Record, output: Renderer) -> None:
    values = record.values
    output.value("num_cars", f"{values['num_cars']:,}")
    output.value("num_recognised", f"{values['num_recognised']:,}")
    output.value("num_attacked", f"{values['num_attacked']:,}")
    output.value("num_noises", f"{values['num_noises']}")
    for key in ("accuracy", "false_positive_rate", "success", "missed_under_noise"):
        output.value(key, percent(values[key], 1))
    for factor, share in values["success_in_8_bits"].items():
        output.value(f"success_in_8_bits.{factor}", percent(share, 1))
    for key in ("distortion", "largest_change", "l2_norm"):
        for name, number in values[key].items():
            output.value(f"{key}.{name}", f"{number:.2f}" if key == "l2_norm" else f"{number:.4f}")
    output.value("grey_levels", f"{255 * values['distortion']['mean']:.1f}")
    output.value("seconds", f"{record.provenance['seconds']:.0f}")


def magnification(difference: np.ndarray) -> int:
    """Return a round factor that brings all but the largest hundredth of the differences into [0, 1]."""
    large = float(np.quantile(difference.astype(float), 0.99))
    return max([factor for factor in MAGNIFICATIONS if factor * large <= 1], default=1)


def distortions_figure(record: Record) -> Figure:
    """Draw a histogram of the distortions, and the distortion against the margin."""
    rms, margin = record.arrays["rms"], record.arrays["margin"]
    reached = np.isfinite(rms)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(6.2, 2.8))
        left, right = figure.subplots(1, 2)
        left.hist(rms[reached], bins=24, color=SERIES[0])
        left.axvline(1 / 255, color=SERIES[1], linestyle="--")
        left.set_xlim(left=0)
        left.locator_params(axis="x", nbins=5)
        left.set_xlabel("distortion")
        left.set_ylabel("cars")
        right.plot(margin[reached], rms[reached], ".", color=SERIES[0])
        right.axhline(1 / 255, color=SERIES[1], linestyle="--")
        right.set_xlim(left=0)
        right.set_ylim(bottom=0)
        right.set_xlabel("logit of car minus logit of not a car")
        right.set_ylabel("distortion")
    return figure
