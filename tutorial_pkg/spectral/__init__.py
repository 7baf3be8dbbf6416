"""Frame bounds of a network's layers, and what they prove about the whole (section 4.3)."""

from tutorial_pkg.spectral.bounds import FrameBounds
from tutorial_pkg.spectral.circular import conv_frame_bounds
from tutorial_pkg.spectral.linear import linear_frame_bounds
from tutorial_pkg.spectral.lipschitz import LayerGain, layer_gains, lipschitz_bound
from tutorial_pkg.spectral.network import LayerBounds, model_frame_bounds
from tutorial_pkg.spectral.symbol import polyphase_symbol
from tutorial_pkg.spectral.zero_padded import padded_frame_bounds

__all__ = [
    "FrameBounds",
    "LayerBounds",
    "LayerGain",
    "conv_frame_bounds",
    "layer_gains",
    "linear_frame_bounds",
    "lipschitz_bound",
    "model_frame_bounds",
    "padded_frame_bounds",
    "polyphase_symbol",
]
