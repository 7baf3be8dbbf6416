"""What an experiment is: a configuration per profile, cells that compute, a rendering of their records."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from tutorial_pkg.data import IMAGE_DATASETS, Dataset, ImageDataset, load_dataset, load_images
from tutorial_pkg.figures import Renderer
from tutorial_pkg.fingerprint import code_fingerprint
from tutorial_pkg.records import Record, to_plain
from tutorial_pkg.training import Trainer, TrainingResult, trained_model
from tutorial_pkg.training.resources import peak_memory_mb

PROFILES = ("quick", "laptop", "paper")


@dataclass(frozen=True)
class Result:
    """What a cell computes: numbers by name, and arrays for figures."""

    values: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)


@dataclass
class Context:
    """What a cell may use besides its configuration.

    Attributes:
        device: "cpu", "cuda" or "mps".
        data_root: see `data.data_root`.
        cache: folder of trained models.
        progress: show progress bars.
    """

    device: str = "cpu"
    data_root: Path | None = None
    cache: Path = Path(".cache/checkpoints")
    progress: bool = False
    _datasets: dict[str, Dataset] = field(default_factory=dict)
    _images: dict[str, ImageDataset] = field(default_factory=dict)

    def dataset(self, name: str) -> Dataset:
        """Load a data set by name, once."""
        if name not in self._datasets:
            self._datasets[name] = load_dataset(name, self.data_root)
        return self._datasets[name]

    def images(self, name: str) -> ImageDataset:
        """Load a set of photographs by name, once."""
        if name not in self._images:
            self._images[name] = load_images(name, self.data_root)
        return self._images[name]

    def data(self, name: str) -> Dataset | ImageDataset:
        """Load a data set of either kind by name, once."""
        return self.images(name) if name in IMAGE_DATASETS else self.dataset(name)

    def trained(
        self,
        recipe: Any,
        dataset: Dataset | ImageDataset,
        seed: int,
        trainer: Trainer,
        *,
        build: Callable[[], nn.Module] | None = None,
        result_type: type[Any] = TrainingResult,
        resumable: bool = False,
    ) -> tuple[Any, Any]:
        """Return a trained model from the cache, or train it; see `training.trained_model`."""
        return trained_model(
            recipe,
            dataset,
            seed=seed,
            cache=self.cache,
            device=self.device,
            progress=self.progress,
            trainer=trainer,
            build=build,
            result_type=result_type,
            resumable=resumable,
        )


@dataclass(frozen=True)
class Experiment:
    """One table or figure.

    Attributes:
        name: as on the command line and in `results/`.
        title: for people.
        section: of the paper.
        configs: profile → configuration, a frozen dataclass with a field `seed`.
        cells: configuration → cell name → cell configuration, a frozen dataclass with a field `dataset`.
        run: computes one cell.
        render: turns the records of one profile, in the order of the cells, into fragments of the site.
    """

    name: str
    title: str
    section: str
    configs: Mapping[str, Any]
    cells: Callable[[Any], dict[str, Any]]
    run: Callable[[Any, Context], Result]
    render: Callable[[Sequence[Record], Renderer], None]

    @cached_property
    def fingerprint(self) -> str:
        """Fingerprint of the code that computes this experiment's cells; rendering is not part of it."""
        return code_fingerprint(self.run)


def run_cell(experiment: Experiment, profile: str, cell: str, config: Any, context: Context) -> Record:
    """Compute one cell and describe where its numbers come from."""
    dataset = context.data(config.dataset)
    start = time.perf_counter()
    if context.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    result = experiment.run(config, context)
    return Record(
        experiment=experiment.name,
        profile=profile,
        cell=cell,
        config=to_plain(config),
        data={"name": dataset.name, "checksum": dataset.checksum},
        fingerprint=experiment.fingerprint,
        values=to_plain(result.values),
        provenance={
            "device": _device_name(context.device),
            "seconds": round(time.perf_counter() - start, 1),
            "peak_memory_mb": peak_memory_mb(context.device),
            "versions": {name: _version(name) for name in ("torch", "numpy", "scipy")}
            | {"python": platform.python_version()},
        },
        arrays=result.arrays,
    )


def _device_name(device: str) -> str:
    if device == "cuda":
        return torch.cuda.get_device_name()
    if device == "mps":
        return f"Apple GPU ({platform.machine()})"
    return f"CPU, {torch.get_num_threads()} thread{'s' * (torch.get_num_threads() > 1)}"


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "not installed"
