"""Claims whose experiments are still to be written: in the ledger from the start, so that none is forgotten."""

from tutorial_pkg.claims.base import Claim

CLAIMS: tuple[Claim, ...] = (
    Claim(
        "A1",
        "4.2",
        "Training with pools of adversarial examples gives a 100-100-10 network below 1.2 % test error.",
        "mean test error over at least five seeds at most 1.2 %",
    ),
    Claim(
        "A2",
        "4.2",
        "Weight decay alone gives such a network 1.6 %, careful dropout about 1.3 %.",
        "both baselines with the same training budget",
    ),
    Claim(
        "A3",
        "4.2",
        "Adversarial examples for the higher layers are more useful than those for the input or lower layers.",
        "the ablation over layers, with intervals",
    ),
    Claim(
        "A4",
        "4",
        "Input deformations are statistically inefficient next to adversarial examples.",
        "the same training budget spent on deformations",
    ),
    Claim(
        "Q2",
        "4.2",
        "On QuocNet, cars that are recognised become unrecognised by a change too small to see.",
        "success on at least 100 recognised cars",
    ),
)
