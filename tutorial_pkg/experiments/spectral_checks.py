"""Two statements of section 4.3 that a matrix can check: the norm's printed formula, and contractive layers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, max_pool2d, pad

from tutorial_pkg.experiments.base import Context, Experiment, Result
from tutorial_pkg.figures import Renderer
from tutorial_pkg.records import Record
from tutorial_pkg.spectral import conv_frame_bounds

NONLINEARITIES: dict[str, Callable[[Tensor], Tensor]] = {
    "ReLU": torch.relu,
    "max pooling 2×2, stride 2": lambda x: max_pool2d(x, 2),
    "max pooling 3×3, stride 2": lambda x: max_pool2d(x, 3, stride=2),
}


@dataclass(frozen=True)
class Config:
    """Size of the experiment; no image is used, every record names a data set.

    Attributes:
        strides: Δ of the layers checked.
        num_layers: random layers a stride.
        maps: reduced frequencies an axis.
    """

    dataset: str = "digits"
    strides: tuple[int, ...] = (1, 2, 3, 4)
    num_layers: int = 5
    maps: int = 4
    seed: int = 0


def cells(config: Config) -> dict[str, Config]:
    """Return the one cell."""
    return {f"seed{config.seed}": config}


def run(config: Config, context: Context) -> Result:
    """Compare norms with the dense matrix's, and look for pairs that a layer called contractive drives apart."""
    generator = torch.Generator().manual_seed(config.seed)
    norms = []
    for stride in config.strides:
        for _ in range(config.num_layers):
            weight = torch.randn(3, 2, 3, 3, generator=generator, dtype=torch.float64)
            dense = float(torch.linalg.matrix_norm(circular_matrix(weight, stride, config.maps), 2))
            ours = conv_frame_bounds(weight, stride=stride, grid=config.maps).upper
            norms.append(
                {"stride": stride, "ours": ours / dense, "printed": printed_norm(weight, stride, config.maps) / dense}
            )
    gains = {name: largest_gain(layer, generator) for name, layer in NONLINEARITIES.items()}
    return Result({"norms": norms, "gains": gains})


def circular_matrix(weight: Tensor, stride: int, maps: int) -> Tensor:
    """Return the matrix of a convolution on circular maps, a column for each input pixel set to one."""
    side = maps * stride
    channels = weight.shape[1]
    pixels = torch.eye(channels * side * side, dtype=weight.dtype).reshape(-1, channels, side, side)
    reach = max(0, weight.shape[-1] - 1)
    wrapped = pad(pixels, (0, reach, 0, reach), mode="circular")
    return conv2d(wrapped, weight, stride=stride)[..., :maps, :maps].flatten(1).T


def printed_norm(weight: Tensor, stride: int, maps: int) -> float:
    """Return the norm by the formula as the paper prints it: shifts of lπ/Δ, and no factor."""
    size = weight.shape[-1]
    taps = torch.arange(size, dtype=weight.dtype)
    largest = 0.0
    for j in product(range(maps), repeat=2):
        columns = []
        for shift in product(range(stride), repeat=2):
            omega = [2 * math.pi * a / maps + s * math.pi / stride for a, s in zip(j, shift, strict=True)]
            waves = torch.exp(-1j * (omega[0] * taps[:, None] + omega[1] * taps[None, :]))
            columns.append((weight * waves).sum((-2, -1)))
        symbol = torch.cat(columns, dim=1)
        largest = max(largest, float(torch.linalg.matrix_norm(symbol, 2)))
    return largest


def largest_gain(layer: Callable[[Tensor], Tensor], generator: torch.Generator) -> float:
    """Return the largest ‖g(x) − g(x′)‖ / ‖x − x′‖ found by gradient ascent from 64 random pairs."""
    clean = torch.rand(64, 1, 9, 9, generator=generator, dtype=torch.float64)
    other = (clean + torch.randn(clean.shape, generator=generator, dtype=torch.float64)).requires_grad_()
    optimizer = torch.optim.Adam([other], lr=0.05)

    def gains() -> Tensor:
        out = (layer(other) - layer(clean)).flatten(1).norm(dim=1)
        return out / (other - clean).flatten(1).norm(dim=1).clamp(min=1e-9)

    for _ in range(300):
        optimizer.zero_grad()
        (-gains().sum()).backward()
        nn.utils.clip_grad_norm_([other], 10.0)
        optimizer.step()
    return float(gains().detach().max())


def render(records: Sequence[Record], output: Renderer) -> None:
    """Write both checks as tables."""
    output.note_no_data()
    values = records[0].values
    rows = []
    for stride in dict.fromkeys(norm["stride"] for norm in values["norms"]):
        found = [norm for norm in values["norms"] if norm["stride"] == stride]
        spread = [[norm[kind] for norm in found] for kind in ("printed", "ours")]
        rows.append([f"Δ = {stride}", *(f"{min(s):.4f} to {max(s):.4f}" for s in spread)])
    output.table(
        "norms",
        ["stride", "printed formula / norm of the matrix", "ours / norm of the matrix"],
        rows,
        caption=f"**The formula against the matrix.** {len(values['norms'])} random 3×3 convolutions, 2 channels to 3.",
    )
    gains = [[name, f"{gain:.4f}"] for name, gain in values["gains"].items()]
    output.table(
        "gains",
        ["layer", "largest gain found"],
        gains,
        caption="**Are they contractive?** The largest ratio of distances after and before the layer that gradient "
        "ascent finds.",
    )


CONFIGS = {"quick": Config(), "laptop": Config(num_layers=20), "paper": Config(num_layers=20)}

EXPERIMENT = Experiment(
    name="spectral_checks",
    title="The printed formula against the matrix, and contractive layers",
    section="4.3",
    configs=CONFIGS,
    cells=cells,
    run=run,
    render=render,
)
