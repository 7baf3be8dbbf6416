"""Table 5: frame bounds of AlexNet's eight layers, here with the weights that training starts from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from tutorial_pkg import paper
from tutorial_pkg.experiments.base import Context, Experiment, Result
from tutorial_pkg.figures import Renderer
from tutorial_pkg.records import Record
from tutorial_pkg.spectral.alexnet import ALEXNET


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
    """Write the table, the paper's columns beside ours, and its numbers for the prose."""
    output.note_no_data()
    rows = []
    for layer in ALEXNET:
        found = [record.values[layer.name] for record in records]
        paper_lower, paper_upper = paper.TABLE5[layer.name]
        row = {}
        for key in ("lower", "infimum", "upper", "certificate", "strict_lower"):
            known = [values[key] for values in found if values[key] is not None]
            row[key] = _number(float(np.mean(known))) if known else "–"
            output.value(f"{layer.name}.{key}", row[key])
        grid = found[0]["grid"]
        rows.append(
            [
                layer.name,
                "×".join(map(str, layer.weight_shape)),
                "×".join(map(str, grid)) if grid else "–",
                _number(paper_lower),
                row["lower"],
                row["infimum"] if grid else "–",
                row["strict_lower"],
                _number(paper_upper),
                row["upper"],
                row["certificate"] if grid else "–",
            ]
        )
        output.value(f"{layer.name}.paper_lower", _number(paper_lower))
        output.value(f"{layer.name}.paper_upper", _number(paper_upper))
        if layer.stride > 1:
            # The frequencies that the stride mixes lie in four of the printed sets, and the factor 1/Δ is missing.
            output.value(f"{layer.name}.paper_upper_at_most", _number(2 * paper_upper / layer.stride))
    output.value("num_seeds", str(len(records)))
    output.value("seconds", f"{np.mean([record.provenance['seconds'] for record in records]):.0f}")
    output.table(
        "table5",
        [
            "layer",
            "weights",
            "grid",
            "λ₋ (paper, trained)",
            "λ₋ (random)",
            "inf over ω",
            "strict λ₋",
            "λ₊ (paper, trained)",
            "λ₊ (random)",
            "certificate",
        ],
        rows,
        caption="**Table 5.** Lower and upper frame bounds. The paper's are of a trained network, ours of AlexNet's "
        "shapes with Gaussian weights of standard deviation 0.01, so only their ratios can be compared. *λ₋* is the "
        "smallest of the min(rows, columns) singular values, on the grid; *inf over ω*, the smallest that a local "
        "search over all frequencies finds; *strict λ₋*, the smallest ‖Wx‖ / ‖x‖, 0 where outputs are fewer than "
        "inputs. *Certificate*: what λ₊ cannot exceed on a map of any size.",
    )


def _number(value: float) -> str:
    """Three significant digits; what lies below any rounding is 0."""
    if value < 1e-9:
        return "0"
    if value >= 1e-3:
        return f"{value:.3g}"
    mantissa, exponent = f"{value:.1e}".split("e")
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
