"""Training steps of QuocNet at Le et al.'s size: a billion weights, measured."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import torch
from torch.nn.functional import interpolate

from tutorial_pkg.experiments.base import Context, Experiment, Result
from tutorial_pkg.experiments.car_detector import as_inputs
from tutorial_pkg.figures import Renderer
from tutorial_pkg.models import QUOCNETS, quocnet
from tutorial_pkg.records import Record
from tutorial_pkg.training import measure_steps, step_memory
from tutorial_pkg.training.randomness import seeded


@dataclass(frozen=True)
class Config:
    """What to measure.

    Attributes:
        model: a key of `models.QUOCNETS`.
        batch_size: images a step, enlarged to the network's size.
        tied: whether W₂ is W₁; with weights of its own a step needs nearly twice the memory.
    """

    dataset: str = "photographs"
    model: str = "quocnet-full"
    batch_size: int = 4
    tied: bool = True
    seed: int = 0


@dataclass(frozen=True)
class CellConfig:
    """One stage, from 1."""

    dataset: str
    model: str
    stage: int
    batch_size: int
    tied: bool
    seed: int


def cells(config: Config) -> dict[str, CellConfig]:
    """Return a cell a stage."""
    return {
        f"stage{stage}-seed{config.seed}": CellConfig(
            config.dataset, config.model, stage, config.batch_size, config.tied, config.seed
        )
        for stage in range(1, len(QUOCNETS[config.model].stages) + 1)
    }


def run(config: CellConfig, context: Context) -> Result:
    """Take a few training steps of the stage, its own weights and those below in memory.

    Raises:
        MemoryError: the machine has too little, which is said before it is filled.
    """
    full = QUOCNETS[config.model]
    need = step_memory(full, config.stage, batch_size=config.batch_size, tied=config.tied)
    room = _memory(context.device)
    if room < need:
        raise MemoryError(
            f"a training step of {config.model}'s stage {config.stage} on {config.batch_size} images needs about "
            f"{need / 2**30:.0f} GiB, and {context.device} has {room / 2**30:.0f}; choose the others with --only"
        )
    with seeded(config.seed):
        model = quocnet(replace(full, stages=full.stages[: config.stage])).to(context.device)
    images = as_inputs(context.images(config.dataset).train_images[: config.batch_size])
    images = interpolate(images, size=full.image_size, mode="bilinear", antialias=True)
    cost = measure_steps(model, config.stage, images, tied=config.tied)
    return Result({**asdict(cost), "expected_memory": need // 2**20})


def _memory(device: str) -> int:
    """Return the bytes that a device has."""
    if device.startswith("cuda"):
        return torch.cuda.mem_get_info()[0]
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def render(records: Sequence[Record], output: Renderer) -> None:
    """Write a row a stage."""
    first = records[0]
    output.table(
        "steps",
        ["stage", "weights trained", "s a step", "memory, GiB", "input lost, %"],
        [
            [
                f"{record.config['stage']}",
                f"{record.values['weights']:,}",
                f"{record.values['seconds']:.1f}",
                f"{record.values['memory'] / 1024:.1f}",
                f"{100 * record.values['lost'][0]:.1f} → {100 * record.values['lost'][-1]:.1f}",
            ]
            for record in records
        ],
        caption=f"**Training steps at full size**, {first.config['batch_size']} images, $W_2$ "
        f"{'is $W_1$' if first.config['tied'] else 'with weights of its own'}, on {first.provenance['device']}. Memory "
        "is the peak, on a CPU of the whole process. Lost: the share of the stage's input, at the first and at step "
        f"{len(first.values['lost'])}.",
    )


CONFIGS = {
    "quick": Config(model="quocnet-tiny"),
    "laptop": Config(),
    "paper": Config(batch_size=8, tied=False),
}

EXPERIMENT = Experiment(
    name="quocnet_full_size",
    title="Training steps of QuocNet at the paper's size",
    section="4.2",
    configs=CONFIGS,
    cells=cells,
    run=run,
    render=render,
)
