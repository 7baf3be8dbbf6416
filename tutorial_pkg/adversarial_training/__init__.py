"""Training on pools of adversarial examples, one pool a layer: section 4.2."""

from tutorial_pkg.adversarial_training.examples import SOURCES, make_examples
from tutorial_pkg.adversarial_training.pools import Pool, PoolRecipe
from tutorial_pkg.adversarial_training.trainer import AdversarialRecipe, train_adversarially

__all__ = [
    "SOURCES",
    "AdversarialRecipe",
    "Pool",
    "PoolRecipe",
    "make_examples",
    "train_adversarially",
]
