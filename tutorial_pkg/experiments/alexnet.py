"""AlexNet on photographs: what was trained, for how long, and how well it classifies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from tutorial_pkg.data import ImageDataset
from tutorial_pkg.experiments.base import Context, Experiment, Result
from tutorial_pkg.experiments.natural_images import DATASETS, RECIPES, trained_alexnet, validation_inputs
from tutorial_pkg.figures import SERIES, STYLE, Renderer
from tutorial_pkg.models import LayeredModel, alexnet_config, batched_logits
from tutorial_pkg.records import Record
from tutorial_pkg.training import ImageRecipe, ten_patches


@dataclass(frozen=True)
class Config:
    """Size of the experiment.

    Attributes:
        dataset: for `data.load_images`.
        recipe: the network and its training.
        seed: of both.
    """

    dataset: str
    recipe: ImageRecipe
    seed: int = 0


def cells(config: Config) -> dict[str, Config]:
    """Return the one cell."""
    return {f"{config.recipe.model}-seed{config.seed}": config}


def run(config: Config, context: Context) -> Result:
    """Train the network and ask it about the validation images, in full precision."""
    images = context.images(config.dataset)
    model, training = trained_alexnet(config.recipe, images, config.seed, context)
    inputs = validation_inputs(config.recipe, images)
    logits = batched_logits(model, inputs, device=context.device, batch_size=250).cpu()
    best = logits.topk(min(5, images.num_classes), dim=1).indices
    right = best == images.val_labels[:, None]
    averaged = _ten_patch_probabilities(model, config.recipe, images, context.device).topk(best.shape[1]).indices
    right_averaged = averaged == images.val_labels[:, None]
    by_class = torch.zeros(images.num_classes).index_add_(0, images.val_labels, right[:, 0].float())
    by_class /= torch.bincount(images.val_labels, minlength=images.num_classes)
    order = by_class.argsort(descending=True).tolist()
    sizes = alexnet_config(config.recipe.model, images.num_classes)
    return Result(
        values={
            "top1": float(right[:, 0].float().mean()),
            "top5": float(right.any(1).float().mean()),
            "top1_ten_patches": float(right_averaged[:, 0].float().mean()),
            "top5_ten_patches": float(right_averaged.any(1).float().mean()),
            "num_classes": images.num_classes,
            "num_train": len(images.train_labels),
            "num_val": len(images.val_labels),
            "num_parameters": sum(p.numel() for p in model.parameters()),
            "input_size": sizes.input_size,
            "channels": sizes.channels,
            "hidden": sizes.hidden,
            "best_classes": [(images.class_names[i], float(by_class[i])) for i in order[:3]],
            "worst_classes": [(images.class_names[i], float(by_class[i])) for i in order[-3:]],
            "training": training,
        }
    )


def _ten_patch_probabilities(model: LayeredModel, recipe: ImageRecipe, images: ImageDataset, device: str) -> Tensor:
    """Return the probabilities of the validation images' classes, averaged over ten patches of each."""
    means = []
    for part in images.val_images.split(500):
        logits = [batched_logits(model, patch, device=device, batch_size=250) for patch in ten_patches(part, recipe)]
        means.append(torch.stack(logits).softmax(-1).mean(0).cpu())
    return torch.cat(means)


def render(records: Sequence[Record], output: Renderer) -> None:
    """Draw the learning curves and say what was trained."""
    values = records[0].values
    _offer_values(records[0], output)
    output.figure(
        "curves",
        _curves(values["training"]),
        caption=f"**Learning curves.** Loss and accuracy after each epoch: of the training images as they were seen, "
        f"cropped, mirrored and with dropout, and of the centres of the {values['num_val']:,} validation images.",
        alt="Two panels, each with a line for training and one for validation: loss falls and accuracy rises",
    )
    _write_network(records[0], output)


def _offer_values(record: Record, output: Renderer) -> None:
    values, training = record.values, record.values["training"]
    for key in ("top1", "top5", "top1_ten_patches", "top5_ten_patches"):
        output.value(key, f"{100 * values[key]:.1f} %")
        output.value(f"{key}_error", f"{100 * (1 - values[key]):.1f} %")
    output.value("chance", f"{100 / values['num_classes']:.0f} %")
    for key in ("num_classes", "num_train", "num_val", "num_parameters", "input_size"):
        output.value(key, f"{values[key]:,}")
    output.value("epochs", str(record.config["recipe"]["epochs"]))
    output.value("minutes", f"{training['seconds'] / 60:.0f}")
    output.value("memory", f"{training['peak_memory_mb'] / 1024:.1f} GB")
    output.value("train_accuracy", f"{100 * training['train_accuracy'][-1]:.1f} %")
    for key in ("best", "worst"):
        output.value(key, ", ".join(f"{name} ({100 * share:.0f} %)" for name, share in values[f"{key}_classes"]))


def _write_network(record: Record, output: Renderer) -> None:
    """Write the network and its accuracy beside those of Krizhevsky et al."""
    values, training = record.values, record.values["training"]
    output.table(
        "network",
        ["", "here", "Krizhevsky et al. (2012)"],
        [
            ["classes", f"{values['num_classes']:,}", "1,000"],
            ["training images", f"{values['num_train']:,}", "1.2 million"],
            ["the network sees", _square(values["input_size"]), _square(224)],
            ["channels", _dashes(values["channels"]), "96-256-384-384-256"],
            ["fully connected units", _dashes(values["hidden"]), "4096-4096"],
            ["parameters", f"{values['num_parameters'] / 1e6:.2f} million", "60.97 million"],
            ["epochs", str(record.config["recipe"]["epochs"]), "about 90"],
            ["top-1 accuracy, centre", f"{100 * values['top1']:.1f} %", ""],
            ["top-5 accuracy, centre", f"{100 * values['top5']:.1f} %", ""],
            ["top-1, average of ten patches", f"{100 * values['top1_ten_patches']:.1f} %", "59.3 %"],
            ["top-5, average of ten patches", f"{100 * values['top5_ten_patches']:.1f} %", "81.8 %"],
            ["chance, top-1", f"{100 / values['num_classes']:.1f} %", "0.1 %"],
            ["time of training", f"{training['seconds'] / 60:.1f} min", "five to six days"],
            ["peak memory", f"{training['peak_memory_mb'] / 1024:.1f} GB", "two GPUs of 3 GB"],
        ],
        caption="**The network.** Accuracies are of the validation images, by their centres and by the average that "
        "Krizhevsky et al. take: of the probabilities of ten patches, the centre, the corners and their mirror images. "
        "Theirs are of one network on the validation set of ILSVRC-2012; with other classes, images and sizes the two "
        f"columns describe, and do not compare.{_earlier_runs(record)}",
    )


def _earlier_runs(record: Record) -> str:
    """Return why the record took less time than the training that it reports, if it did."""
    if record.values["training"]["seconds"] <= record.provenance["seconds"]:
        return ""
    return " The time of training is that of all runs; the line below leaves out what an earlier run had done."


def _square(side: int) -> str:
    return f"{side}×{side} pixels"


def _dashes(sizes: Sequence[int]) -> str:
    return "-".join(map(str, sizes))


def _curves(training: Mapping[str, Any]) -> Figure:
    epochs = np.arange(1, len(training["train_loss"]) + 1)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(6.0, 2.8))
        for axis, what, scale, label in zip(
            figure.subplots(1, 2), ("loss", "accuracy"), (1, 100), ("cross-entropy", "accuracy, %"), strict=True
        ):
            for i, (part, name) in enumerate({"train": "training, augmented", "val": "validation"}.items()):
                values = scale * np.array(training[f"{part}_{what}"])
                axis.plot(epochs, values, ["-", "-o"][i], markersize=3, color=SERIES[i], label=name)
            axis.set_ylim(bottom=0)
            axis.set_xlabel("epoch")
            axis.set_ylabel(label)
            if what == "loss":
                axis.legend()
    return figure


CONFIGS = {profile: Config(DATASETS[profile], RECIPES[profile]) for profile in ("quick", "laptop", "paper")}

EXPERIMENT = Experiment(
    name="alexnet",
    title="AlexNet trained on photographs",
    section="4.2",
    configs=CONFIGS,
    cells=cells,
    run=run,
    render=render,
)
