"""The certificate and the search, against far finer grids."""

import math
import random

import pytest
import torch

from tests.spectral.dense import circular_matrix, extremes
from tutorial_pkg.spectral import conv_frame_bounds


def random_layer(seed):
    rng = random.Random(seed)
    stride, dilation = rng.choice(((1, 1), (2, 1), (3, 1), (1, 2)))
    shape = (rng.randint(1, 4), rng.randint(1, 4), rng.randint(1, 7), rng.randint(1, 7))
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return weight, {"stride": stride, "dilation": dilation}


@pytest.mark.parametrize("seed", range(20))
def test_the_certificate_holds_on_finer_grids(seed):
    weight, layer = random_layer(seed)
    degree = max(layer["dilation"] * (k - 1) // layer["stride"] for k in weight.shape[2:])
    bounds = conv_frame_bounds(weight, **layer, grid=max(1, degree + seed % 4), refine=True)
    fine = conv_frame_bounds(weight, **layer, grid=67)
    assert fine.upper <= bounds.certificate * (1 + 1e-12)
    assert bounds.lower <= bounds.upper <= bounds.supremum <= bounds.certificate * (1 + 1e-12)
    assert bounds.infimum <= bounds.lower


@pytest.mark.parametrize(
    ("taps", "layer"),
    [
        ([0.25, 0.0, -0.25], {}),
        ([0.25, -0.25], {"dilation": 2}),
        ([0.25, 0.0, 0.0, 0.0, -0.25], {"stride": 2}),
    ],
)
def test_the_certificate_is_tight_for_a_cosine(taps, layer):
    """|A(ω)| = |sin ω| / 2 and a grid that misses both of its peaks by π/m."""
    bounds = conv_frame_bounds(torch.tensor([[taps]], dtype=torch.float64), grid=6, **layer)
    assert bounds.upper == pytest.approx(0.5 * math.sin(math.pi / 3))
    assert bounds.certificate == pytest.approx(0.5 * math.sin(math.pi / 3) / math.cos(math.pi / 6))


def test_a_grid_too_coarse_for_a_certificate_still_gives_its_exact_bounds():
    weight = torch.randn(3, 2, 7, 5, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    bounds = conv_frame_bounds(weight, grid=(6, 9))
    expected = extremes(circular_matrix(weight, (6, 9), (1, 1)))
    assert (bounds.lower, bounds.upper) == pytest.approx(expected, abs=1e-10 * expected[1])
    assert bounds.certificate == math.inf


@pytest.mark.parametrize("seed", range(3))
def test_a_square_symbol_is_singular_somewhere_between_the_grid_points(seed):
    """det A(ω) = 0 is two equations in two unknowns."""
    weight = torch.randn(6, 6, 3, 3, generator=torch.Generator().manual_seed(seed))
    bounds = conv_frame_bounds(weight, grid=13, refine=True)
    assert bounds.lower > 1e-4 * bounds.upper
    assert bounds.infimum <= 1e-6 * bounds.upper


def test_the_search_reaches_the_supremum_of_a_much_finer_grid():
    weight = torch.randn(8, 4, 5, 5, generator=torch.Generator().manual_seed(5))
    bounds = conv_frame_bounds(weight, grid=9, groups=2, refine=True)
    fine = conv_frame_bounds(weight, grid=160, groups=2)
    assert bounds.supremum >= fine.upper * (1 - 1e-9)
    assert bounds.infimum <= fine.lower * (1 + 1e-9)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_the_search_leaves_a_stationary_grid_point_and_looks_at_every_group(sign, order):
    """|1 ± exp(−iω) / 2| is 3/2 or 1/2 at ω = 0, the grid's only point, and the other of them at π."""
    weight = torch.tensor([[[1.0, 0.0]], [[1.0, 0.5 * sign]]], dtype=torch.float64)
    bounds = conv_frame_bounds(weight[order], grid=1, groups=2, refine=True)
    assert (bounds.lower, bounds.upper) == pytest.approx((1, 1.5) if sign > 0 else (0.5, 1))
    assert (bounds.infimum, bounds.supremum) == pytest.approx((0.5, 1.5), abs=1e-8)
