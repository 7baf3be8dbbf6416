"""Training as the paper does it: full-batch L-BFGS to convergence, quadratic weight decay."""

from tutorial_pkg.training.autoencoder import pretrain_autoencoder
from tutorial_pkg.training.checkpoints import trained_model
from tutorial_pkg.training.lbfgs import DECAY_CONVENTIONS, TrainingResult, train_classifier
from tutorial_pkg.training.recipes import TABLE1_RECIPES, Recipe, train

__all__ = [
    "DECAY_CONVENTIONS",
    "TABLE1_RECIPES",
    "Recipe",
    "TrainingResult",
    "pretrain_autoencoder",
    "train",
    "train_classifier",
    "trained_model",
]
