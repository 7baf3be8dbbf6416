"""The numbers that the paper prints, for the columns beside ours."""

from __future__ import annotations

TABLE1 = {
    "softmax1": (6.7, 7.4, 0.062),
    "softmax2": (10.0, 9.4, 0.1),
    "softmax3": (21.2, 20.0, 0.14),
    "N100-100-10": (0.0, 1.64, 0.058),
    "N200-200-10": (0.0, 1.54, 0.065),
    "AE400-10": (0.57, 1.9, 0.086),
}
"""Table 1: training error in %, test error in %, average minimum distortion."""

TABLE2 = {
    "softmax1": (100, 11.7, 22.7, 2, 3.9, 2.7),
    "softmax2": (87.1, 100, 35.2, 35.9, 27.3, 9.8),
    "softmax3": (71.9, 76.2, 100, 48.1, 47, 34.4),
    "N100-100-10": (28.9, 13.7, 21.1, 100, 6.6, 2),
    "N200-200-10": (38.2, 14, 23.8, 20.3, 100, 2.7),
    "AE400-10": (23.4, 16, 24.8, 9.4, 6.6, 100),
    "gaussian-0.1": (5.0, 10.1, 18.3, 0, 0, 0.8),
    "gaussian-0.3": (15.6, 11.3, 22.7, 5, 4.3, 3.1),
}
"""Table 2: error in % of the column's model on examples distorted for the row's."""

TABLE3 = {
    "M1": (0.0, 2.4, 2.0, 0.062),
    "M1'": (0.0, 2.5, 2.1, 0.059),
    "M2": (2.3, 0.0, 2.1, 0.058),
}
"""Table 3: error in % on P1, on P2 and on the test set, and minimum average distortion."""

TABLE4 = {
    "M1": (100, 26.2, 5.9),
    "M1'": (6.25, 100, 5.1),
    "M2": (8.2, 8.2, 100),
    "gaussian-0.06": (2.2, 2.6, 2.4),
    "M1 amplified": (100, 98, 43),
    "M1' amplified": (96, 100, 22),
    "M2 amplified": (27, 50, 100),
    "gaussian-0.1": (2.6, 2.8, 2.7),
}
"""Table 4: error in % of the column's model on the test set distorted for the row's."""

TABLE5 = {
    "conv1": (0.1, 20.0),
    "conv2": (0.06, 10.0),
    "conv3": (0.01, 7.0),
    "conv4": (5e-5, 7.3),
    "conv5": (0.03, 11.0),
    "fc1": (0.09, 3.12),
    "fc2": (1e-4, 4.0),
    "fc3": (0.25, 4.0),
}
"""Table 5: lower and upper frame bound of AlexNet's layers."""

FIGURE5_DISTORTION = 0.006508
"""Average distortion of the 64 AlexNet examples of Figure 5."""

FIGURE5_L2_NORM = FIGURE5_DISTORTION * (3 * 224 * 224) ** 0.5
"""The norm ‖r‖₂ of that distortion at AlexNet's own size, 224 × 224 pixels of three colours; the paper's images are
not known to us."""

FIGURE7_DISTORTION = {"softmax1": 0.06, "N200-200-10": 0.063}
"""Figure 7's "stddev" of the examples for a linear classifier, which the paper does not name, and a 200-200-10 one."""

FIGURE7_NOISE_ACCURACY = 51.0
"""Accuracy in % under Gaussian noise of stddev 1, from Figure 7's caption."""

ADVERSARIAL_TRAINING = {"pools": 1.2, "weight_decay": 1.6, "dropout": 1.3}
"""Section 4.2's test errors in %: "below 1.2 %", "1.6 %", "around 1.3 %"."""
