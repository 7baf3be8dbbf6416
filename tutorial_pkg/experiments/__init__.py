"""One module per table or figure, and the registry that `scripts/build_figures.py` runs from.

To add an experiment: write its module with an `EXPERIMENT`, add it here, show its fragments on a page.
"""

from tutorial_pkg.experiments import (
    adversarial_ablation,
    adversarial_robustness,
    adversarial_search,
    adversarial_training,
    alexnet,
    conventions,
    figure5,
    figure6,
    figure7,
    figures1_2,
    figures3_4,
    kernel_machine,
    layer_gains,
    quocnet,
    quocnet_full_size,
    spectral_checks,
    table1,
    table2,
    table5,
    table5_trained,
    tables3_4,
    transfer_curve,
    units,
    unstable_directions,
)
from tutorial_pkg.experiments.base import PROFILES, Context, Experiment, Result, run_cell

EXPERIMENTS: dict[str, Experiment] = {
    module.EXPERIMENT.name: module.EXPERIMENT
    for module in (
        figures1_2,
        units,
        conventions,
        table1,
        table2,
        tables3_4,
        transfer_curve,
        figure7,
        table5,
        layer_gains,
        kernel_machine,
        spectral_checks,
        adversarial_search,
        adversarial_training,
        adversarial_ablation,
        adversarial_robustness,
        unstable_directions,
        alexnet,
        figures3_4,
        figure5,
        table5_trained,
        quocnet,
        quocnet_full_size,
        figure6,
    )
}

__all__ = ["EXPERIMENTS", "PROFILES", "Context", "Experiment", "Result", "run_cell"]
