"""Do unstable directions belong to the architecture? The same images attacked on networks of other seeds and kinds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import permutations

import numpy as np
import torch

from tutorial_pkg.adversarial_training import AdversarialRecipe, train_adversarially
from tutorial_pkg.attacks import minimum_distortion
from tutorial_pkg.experiments.adversarial_training import chosen_recipes
from tutorial_pkg.experiments.base import Context, Experiment, Result
from tutorial_pkg.experiments.targets import random_other_classes
from tutorial_pkg.experiments.transfer_pairs import cosines_of_other_images
from tutorial_pkg.figures import Renderer, number
from tutorial_pkg.models import LayeredModel
from tutorial_pkg.records import Record
from tutorial_pkg.training import SgdRecipe, train_sgd
from tutorial_pkg.transfer import perturbation_cosine, same_norm_noise


@dataclass(frozen=True)
class Config:
    """Size of the experiment.

    Attributes:
        num_images: test images attacked.
        num_networks: of each architecture, with seeds from `seed` on.
        epochs: of the fully connected networks, which are those of `adversarial_training`.
        conv_epochs: of the convolutional ones.
    """

    dataset: str = "mnist"
    num_images: int = 300
    num_networks: int = 3
    epochs: int = 60
    conv_epochs: int = 5
    seed: int = 0


@dataclass(frozen=True)
class CellConfig:
    """Both architectures, several seeds."""

    dataset: str
    fully_connected: AdversarialRecipe
    convolutional: SgdRecipe
    num_images: int
    num_networks: int
    seed: int


def cells(config: Config) -> dict[str, CellConfig]:
    """Return the one cell: pairs of networks are what is compared."""
    connected = chosen_recipes(("weight decay",), config.epochs)["weight decay"]
    convolutional = SgdRecipe("conv", epochs=config.conv_epochs)
    return {
        f"seed{config.seed}": CellConfig(
            config.dataset, connected, convolutional, config.num_images, config.num_networks, config.seed
        )
    }


def run(config: CellConfig, context: Context) -> Result:
    """Attack the same images towards the same classes on every network, and compare pairs of networks.

    For a pair: the cosine of the two perturbations of an image; the gain of the second network along the first's
    perturbation, as a share of its gain along its own. Beside it the gain along noise of the same norm.
    """
    data = context.dataset(config.dataset)
    seeds = range(config.seed, config.seed + config.num_networks)
    networks = [
        ("FC", seed, context.trained(config.fully_connected, data, seed, train_adversarially)[0]) for seed in seeds
    ] + [("Conv", seed, context.trained(config.convolutional, data, seed, train_sgd)[0]) for seed in seeds]
    inputs = data.test_inputs[: config.num_images].to(context.device)
    labels = data.test_labels[: config.num_images].to(context.device)
    generator = torch.Generator().manual_seed(config.seed)
    targets = random_other_classes(labels.cpu(), data.num_classes, generator).to(context.device)
    adv_inputs = [
        minimum_distortion(model, inputs, targets=targets, progress=context.progress).adv_inputs
        for _, _, model in networks
    ]
    generator = torch.Generator().manual_seed(config.seed)
    own = [_gain(model, inputs, adv) for (_, _, model), adv in zip(networks, adv_inputs, strict=True)]
    noise = [
        float((_gain(model, inputs, same_norm_noise(inputs, adv, generator=generator)) / gain).nanmean())
        for (_, _, model), adv, gain in zip(networks, adv_inputs, own, strict=True)
    ]
    pairs = []
    for i, j in permutations(range(len(networks)), 2):
        cosine = perturbation_cosine(inputs, adv_inputs[i], adv_inputs[j])
        share = _gain(networks[j][2], inputs, adv_inputs[i]) / own[j]
        pairs.append(
            {
                "source": networks[i][0],
                "target": networks[j][0],
                "cosine": float(cosine.nanmean()),
                **cosines_of_other_images(inputs, adv_inputs[i], adv_inputs[j], labels, targets),
                "share_of_own_gain": float(share.nanmean()),
            }
        )
    return Result(
        {
            "pairs": pairs,
            "num_images": len(labels),
            "noise_share": {
                kind: float(np.mean([x for (name, _, _), x in zip(networks, noise, strict=True) if name == kind]))
                for kind in ("FC", "Conv")
            },
        }
    )


@torch.no_grad()
def _gain(model: LayeredModel, inputs: torch.Tensor, moved: torch.Tensor) -> torch.Tensor:
    """‖φ(x + r) − φ(x)‖ / ‖r‖ of the logits, image by image; nan where nothing moved."""
    norm = (moved - inputs).flatten(1).norm(dim=1)
    return (model(moved) - model(inputs)).norm(dim=1) / torch.where(norm > 0, norm, torch.nan)


def pair_values(records: Sequence[Record], source: str, target: str, measure: str) -> np.ndarray:
    """Return a measure of every ordered pair of networks of these two architectures."""
    return np.array(
        [
            pair[measure]
            for record in records
            for pair in record.values["pairs"]
            if (pair["source"], pair["target"]) == (source, target)
        ]
    )


def render(records: Sequence[Record], output: Renderer) -> None:
    """Write a row for each pair of architectures."""
    rows = []
    for source, target in (("FC", "FC"), ("Conv", "Conv"), ("FC", "Conv"), ("Conv", "FC")):
        cells = []
        for measure in ("cosine", "cosine_of_same_class_and_target", "cosine_of_other_images", "share_of_own_gain"):
            found = pair_values(records, source, target, measure)
            mean, least, most = (number(float(pick(found))) for pick in (np.mean, np.min, np.max))
            output.value(f"{source}.{target}.{measure}", mean)
            cells.append(f"{mean}<br><small>{least}&nbsp;to&nbsp;{most}</small>")
        noise = float(np.mean([record.values["noise_share"][target] for record in records]))
        rows.append([f"{source} → {target}{', other seeds' if source == target else ''}", *cells, f"{noise:.2f}"])
    output.value("num_images", f"{records[0].values['num_images']:,}")
    output.table(
        "pairs",
        [
            "made for → measured on",
            "cosine, same image",
            "same class and target",
            "any image",
            "share of own gain",
            "noise's share",
        ],
        rows,
        caption="**Whose directions are unstable?** Perturbations of the same images towards the same classes, found "
        "on one network and laid on another: their cosine with the other's own perturbation for the same image, for "
        "another image of the same class led to the same target, and for any other image; and the gain along them as "
        "a share of the gain along its own. Mean over pairs of networks, with the smallest and largest pair.",
    )


CONFIGS = {
    "quick": Config(dataset="digits", num_images=60, num_networks=2, epochs=30, conv_epochs=1),
    "laptop": Config(),
}
CONFIGS["paper"] = replace(CONFIGS["laptop"], num_images=2000, num_networks=5, epochs=300)

EXPERIMENT = Experiment(
    name="unstable_directions",
    title="Do unstable directions belong to the architecture or to the weights?",
    section="4.3",
    configs=CONFIGS,
    cells=cells,
    run=run,
    render=render,
)
