"""How each of the paper's MNIST systems is trained: the rows of Tables 1 and 3."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from tutorial_pkg.data import Dataset
from tutorial_pkg.models import LayeredModel
from tutorial_pkg.models.mnist import build_mnist_model
from tutorial_pkg.training.autoencoder import pretrain_autoencoder
from tutorial_pkg.training.lbfgs import TrainingResult, train_classifier
from tutorial_pkg.training.randomness import seeded


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a trained model besides the data and the seed.

    Attributes:
        model: a name for `models.build_model`.
        weight_decay: λ of each layer.
        convention: how λ enters the loss, see `lbfgs.DECAY_CONVENTIONS`.
        biases: "none" (they stay zero), "free" (they do not decay) or "decayed" (as the weights do).
        max_iter: L-BFGS iterations at most.
        pretrain_iter: of the autoencoder's, for models that have one.
    """

    model: str
    weight_decay: tuple[float, ...]
    convention: str = "half_sum"
    biases: str = "none"
    max_iter: int = 1000
    pretrain_iter: int = 300

    def shortened(self, max_iter: int) -> Recipe:
        """Return the recipe with at most this many iterations in each phase."""
        return replace(self, max_iter=min(self.max_iter, max_iter), pretrain_iter=min(self.pretrain_iter, max_iter))


def limited(recipe: Recipe, max_iter: int | None) -> Recipe:
    """Return a recipe shortened to this many iterations; where there is no limit, None, as it is."""
    return recipe if max_iter is None else recipe.shortened(max_iter)


BIASES = ("none", "free", "decayed")

TABLE1_RECIPES = {
    "softmax1": Recipe("softmax", (1e-4,)),
    "softmax2": Recipe("softmax", (1e-2,)),
    "softmax3": Recipe("softmax", (1.0,)),
    "N100-100-10": Recipe("fc100-100-10", (1e-5, 1e-5, 1e-6)),
    "N200-200-10": Recipe("fc200-200-10", (1e-5, 1e-5, 1e-6)),
    "AE400-10": Recipe("ae400-10", (1e-6,)),
}
"""Table 1's models under the paper's names."""


def train(
    recipe: Recipe,
    dataset: Dataset,
    *,
    seed: int,
    device: str = "cpu",
    progress: bool = False,
) -> tuple[LayeredModel, TrainingResult]:
    """Build and train a model; the same arguments give the same weights on the same machine.

    The global random state is left as it was.

    Args:
        recipe: the model and its training, such as one of `TABLE1_RECIPES`.
        dataset: its training part is used, inputs `[N, 1, 28, 28]` in [0, 1].
        seed: decides the initial weights.
        device: "cpu", "cuda" or "mps"; where the model is left, too.
        progress: show a progress bar.

    Returns:
        The model in evaluation mode, and how training went.

    Raises:
        ValueError: the recipe is not understood.
        FloatingPointError: the loss is not finite.
    """
    if recipe.biases not in BIASES:
        raise ValueError(f"unknown biases {recipe.biases!r}; expected one of {', '.join(BIASES)}")
    inputs, labels = dataset.train_inputs.to(device), dataset.train_labels.to(device)
    with seeded(seed):
        model = build_mnist_model(recipe.model).to(device)
        if "code" in model.layer_names:
            pretrain_autoencoder(model, inputs, max_iter=recipe.pretrain_iter, progress=progress)
    # Above frozen layers the features never change: compute them once.
    trained = model
    if "code" in model.layer_names:
        with torch.no_grad():
            inputs = model.features(inputs, "code")
        trained = model.above("code")
    if recipe.biases == "none":
        for name, parameter in trained.named_parameters():
            parameter.requires_grad_(not name.endswith("bias"))
    result = train_classifier(
        trained,
        inputs,
        labels,
        weight_decay=recipe.weight_decay,
        convention=recipe.convention,
        decay_biases=recipe.biases == "decayed",
        max_iter=recipe.max_iter,
        progress=progress,
    )
    return model.eval(), result
