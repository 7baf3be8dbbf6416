"""Attacks: the minimum-distortion attack of section 4.1, its optimiser, and the noise it is compared with."""

from tutorial_pkg.attacks.distortion import MinimumDistortion, minimum_distortion
from tutorial_pkg.attacks.lbfgs import box_lbfgs
from tutorial_pkg.attacks.noise import gaussian_noise

__all__ = ["minimum_distortion", "MinimumDistortion", "box_lbfgs", "gaussian_noise"]
