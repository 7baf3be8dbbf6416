"""Training as the paper does it: full-batch L-BFGS to convergence, quadratic weight decay.

Conv alone is trained by mini-batches, with `train_sgd`.
"""

from tutorial_pkg.training.autoencoder import pretrain_autoencoder
from tutorial_pkg.training.checkpoints import Trainer, trained_model
from tutorial_pkg.training.lbfgs import DECAY_CONVENTIONS, TrainingResult, train_classifier
from tutorial_pkg.training.recipes import TABLE1_RECIPES, Recipe, train
from tutorial_pkg.training.sgd import SgdRecipe, train_sgd

__all__ = [
    "DECAY_CONVENTIONS",
    "TABLE1_RECIPES",
    "Recipe",
    "SgdRecipe",
    "Trainer",
    "TrainingResult",
    "pretrain_autoencoder",
    "train",
    "train_classifier",
    "train_sgd",
    "trained_model",
]
