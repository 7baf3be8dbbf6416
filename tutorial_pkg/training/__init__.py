"""Training as the paper does it: full-batch L-BFGS to convergence, quadratic weight decay.

Mini-batches are for the others: Conv is trained with `train_sgd`, networks for photographs with `train_images`, QuocNet
without labels with `train_tica`, and networks on adversarial examples with `adversarial_training.train_adversarially`.
"""

from tutorial_pkg.training.autoencoder import pretrain_autoencoder
from tutorial_pkg.training.checkpoints import Trainer, trained_model
from tutorial_pkg.training.image_recipe import ImageRecipe, model_inputs, random_crops, ten_patches
from tutorial_pkg.training.images import ImageTraining, build_image_model, evaluate, train_images
from tutorial_pkg.training.lbfgs import DECAY_CONVENTIONS, TrainingResult, train_classifier
from tutorial_pkg.training.linear_probe import LinearProbe, fit_linear_probe
from tutorial_pkg.training.recipes import TABLE1_RECIPES, Recipe, limited, train
from tutorial_pkg.training.sgd import SgdRecipe, train_sgd
from tutorial_pkg.training.tica import TicaRecipe, TicaResult, tica_cost, train_tica
from tutorial_pkg.training.tica_steps import measure_steps, step_memory

__all__ = [
    "DECAY_CONVENTIONS",
    "ImageRecipe",
    "ImageTraining",
    "LinearProbe",
    "TABLE1_RECIPES",
    "Recipe",
    "SgdRecipe",
    "TicaRecipe",
    "TicaResult",
    "Trainer",
    "TrainingResult",
    "build_image_model",
    "evaluate",
    "fit_linear_probe",
    "limited",
    "measure_steps",
    "model_inputs",
    "pretrain_autoencoder",
    "random_crops",
    "step_memory",
    "ten_patches",
    "tica_cost",
    "train",
    "train_classifier",
    "train_images",
    "train_sgd",
    "train_tica",
    "trained_model",
]
