"""Table 5: frame bounds of AlexNet's eight layers, here with the weights that training starts from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from tutorial_pkg import paper
from tutorial_pkg.experiments.base import Context, Experiment, Result
from tutorial_pkg.figures import Renderer
from tutorial_pkg.records import Record
from tutorial_pkg.spectral.alexnet import ALEXNET

ROUNDING = 1e-9
"""A bound below this is zero but for rounding."""


@dataclass(frozen=True)
class Config:
    """Size of the experiment.

    Attributes:
        dataset: no image is used; every record names a data set.
        refine: also search the bounds over continuous frequencies.
        num_seeds: sets of weights.
        seed: of the first.
    """

    dataset: str = "digits"
    refine: bool = True
    num_seeds: int = 1
    seed: int = 0


@dataclass(frozen=True)
class CellConfig:
    """One set of weights."""

    dataset: str
    refine: bool
    seed: int


def cells(config: Config) -> dict[str, CellConfig]:
    """Return a cell for each seed."""
    seeds = range(config.seed, config.seed + config.num_seeds)
    return {f"random-seed{seed}": CellConfig(config.dataset, config.refine, seed) for seed in seeds}


def run(config: CellConfig, context: Context) -> Result:
    """Return every layer's bounds."""
    values = {}
    for number, layer in enumerate(ALEXNET):
        weight = layer.random_weight(seed=100 * config.seed + number).to(context.device)
        bounds = layer.frame_bounds(weight, refine=config.refine)
        values[layer.name] = asdict(bounds) | {"strict_lower": bounds.strict_lower}
    return Result(values=values)


def render(records: Sequence[Record], output: Renderer) -> None:
    """Write the table, the paper's columns beside ours, what it leaves out, and its numbers for the prose."""
    output.note_no_data()
    rows, continuous = [], []
    for layer in ALEXNET:
        paper_lower, paper_upper = paper.TABLE5[layer.name]
        medians = _medians(records, layer.name)
        row = {key: three_digits(median) for key, median in medians.items()}
        for key, text in row.items():
            output.value(f"{layer.name}.{key}", text)
        grid = records[0].values[layer.name]["grid"]
        rows.append(
            [
                layer.name,
                shape_and_grid(layer.weight_shape, grid),
                as_printed(paper_lower),
                row["lower"],
                as_printed(paper_upper),
                row["upper"],
                ratio(paper_lower, paper_upper),
                ratio(medians["lower"], medians["upper"]),
            ]
        )
        shown = {key: row[key] if grid else "–" for key in ("infimum", "certificate")}
        cells_ = [row["lower"], shown["infimum"], row["strict_lower"], row["upper"], shown["certificate"]]
        continuous.append([layer.name, *cells_])
        output.value(f"{layer.name}.paper_lower", as_printed(paper_lower))
        output.value(f"{layer.name}.paper_upper", as_printed(paper_upper))
        if layer.stride > 1:
            # The frequencies that the stride mixes lie in four of the printed sets, and the factor 1/Δ is missing.
            output.value(f"{layer.name}.paper_upper_at_most", as_printed(2 * paper_upper / layer.stride))
    output.value("num_seeds", str(len(records)))
    output.value("seconds", f"{np.mean([record.provenance['seconds'] for record in records]):.0f}")
    _write_tables(rows, continuous, len(records), output)


def _medians(records: Sequence[Record], layer: str) -> dict[str, float]:
    """Return a layer's bounds; NaN where it has none of that kind.

    The median of the records: a square layer's λ₋ is near 0 by chance, and the largest of a few would be their mean.
    """
    medians = {}
    for key in ("lower", "infimum", "upper", "certificate", "strict_lower"):
        known = [record.values[layer][key] for record in records if record.values[layer][key] is not None]
        medians[key] = float(np.median(known)) if known else np.nan
    return medians


def _write_tables(
    rows: Sequence[Sequence[str]], continuous: Sequence[Sequence[str]], num_seeds: int, output: Renderer
) -> None:
    seeds = f" (medians of {num_seeds} seeds)" * (num_seeds > 1)
    output.table(
        "table5",
        ["layer", "weights", "λ₋ paper", "λ₋ here", "λ₊ paper", "λ₊ here", "λ₊/λ₋ paper", "λ₊/λ₋ here"],
        rows,
        caption="**Table 5.** Lower and upper frame bounds on the grid. The paper's network is trained, ours has "
        f"Gaussian weights of standard deviation 0.01{seeds}, so only the ratios can be compared. *λ₋* is the "
        "smallest of the min(rows, columns) singular values.",
    )
    output.table(
        "table5-continuous",
        ["layer", "λ₋ on the grid", "inf over ω", "strict λ₋", "λ₊ on the grid", "certificate"],
        continuous,
        caption="**Table 5, beyond the grid.** *inf over ω*: the smallest singular value that a local search over all "
        "frequencies finds. *Strict λ₋*: the smallest ‖Wx‖ / ‖x‖, 0 where outputs are fewer than inputs. "
        "*Certificate*: what λ₊ cannot exceed on a map of any size.",
    )


def shape_and_grid(shape: Sequence[int], grid: Sequence[int] | None) -> str:
    """Return a cell with a weight's shape, and the grid of its frequencies small below it."""
    sizes = ["×".join(map(str, found)) for found in (shape, grid or ())]
    return sizes[0] + f"<br><small>grid {sizes[1]}</small>" * bool(grid)


def ratio(lower: float, upper: float) -> str:
    """Return upper / lower with two significant digits, as many as the paper's bounds have."""
    if lower < ROUNDING:
        return "–"
    rounded = float(f"{upper / lower:.2g}")
    return f"{rounded:,.0f}" if rounded >= 10 else f"{rounded:.1f}"


def three_digits(value: float) -> str:
    """Return three significant digits; what lies below any rounding is 0, and NaN a dash."""
    if math.isnan(value):
        return "–"
    if value < ROUNDING:
        return "0"
    return f"{value:#.3g}".rstrip(".") if value >= 1e-3 else power(value, digits=3)


def as_printed(value: float) -> str:
    """Return a number of the paper, with as many digits as it has there."""
    return f"{value:g}" if value >= 1e-3 else power(value, digits=1)


def power(value: float, *, digits: int = 2) -> str:
    """Return so many significant digits and a power of ten."""
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    return f"{mantissa}·10<sup>{int(exponent)}</sup>".replace("-", "−")


CONFIGS = {"quick": Config(refine=False), "laptop": Config()}
CONFIGS["paper"] = replace(CONFIGS["laptop"], num_seeds=3)

EXPERIMENT = Experiment(
    name="table5",
    title="Frame bounds of AlexNet's layers",
    section="4.3",
    configs=CONFIGS,
    cells=cells,
    run=run,
    render=render,
)
