"""The library behind an executable companion to *Intriguing properties of neural networks*.

Szegedy et al. (2013) found adversarial examples. This package implements the paper's models, its
box-constrained minimum-distortion attack, its unit and transfer analyses, and its frame bounds, and the
experiments that recompute each of its tables and figures.
"""

__version__ = "0.1.0"
