"""Section 3: which images excite a unit or another direction, and what those images have in common."""

from tutorial_pkg.units.analysis import (
    OF_DIRECTIONS,
    STATISTICS,
    STYLE,
    ImageSet,
    Profile,
    class_matched_sets,
    joint_readout,
    scores_by_kind,
    set_statistics,
)
from tutorial_pkg.units.comparison import NEGLIGIBLE, Comparison, cliffs_delta, compare, pooled, verdict
from tutorial_pkg.units.directions import (
    effective_dimension,
    layer_features,
    live_units,
    principal_directions,
    random_directions,
    top_activations,
    top_sets,
)
from tutorial_pkg.units.sets import (
    class_auc,
    class_share,
    entropy,
    mean_pairwise_distance,
    purity,
    rank_correlation,
    relative_spread,
    without_class_means,
)
from tutorial_pkg.units.strokes import StrokeStatistics, stroke_statistics

__all__ = [
    "Comparison",
    "ImageSet",
    "Profile",
    "NEGLIGIBLE",
    "OF_DIRECTIONS",
    "STATISTICS",
    "STYLE",
    "StrokeStatistics",
    "class_auc",
    "class_matched_sets",
    "class_share",
    "cliffs_delta",
    "compare",
    "effective_dimension",
    "entropy",
    "joint_readout",
    "layer_features",
    "live_units",
    "mean_pairwise_distance",
    "pooled",
    "principal_directions",
    "purity",
    "random_directions",
    "rank_correlation",
    "relative_spread",
    "scores_by_kind",
    "set_statistics",
    "stroke_statistics",
    "top_activations",
    "top_sets",
    "verdict",
    "without_class_means",
]
