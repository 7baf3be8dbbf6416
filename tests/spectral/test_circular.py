"""Frame bounds of circular convolutions against the dense matrix's SVD."""

import math
import random

import numpy as np
import pytest
import torch

from tests.spectral.dense import circular_matrix, extremes
from tutorial_pkg.spectral import circular, conv_frame_bounds, polyphase_symbol
from tutorial_pkg.spectral.symbol import half_grid

CHUNKS = 8


def random_case(rng: random.Random) -> dict:
    """Draw a layer whose dense matrix stays small enough to decompose."""
    while True:
        n, stride, groups = rng.randint(4, 12), rng.randint(1, 4), rng.choice((1, 1, 2, 4))
        inputs, outputs = groups * rng.randint(1, 3), groups * rng.randint(1, 6)
        if n % stride == 0 and inputs * n**2 <= 600 and outputs * (n // stride) ** 2 <= 800:
            break
    shape = (outputs, inputs // groups, rng.randint(1, 9), rng.randint(1, 9))
    generator = torch.Generator().manual_seed(rng.getrandbits(32))
    weight = torch.randn(shape, generator=generator, dtype=torch.float64)
    return {"weight": weight, "stride": stride, "groups": groups, "grid": n // stride}


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_random_layers_agree_with_the_dense_matrix(chunk):
    rng = random.Random(chunk)
    for _ in range(320 // CHUNKS):
        case = random_case(rng)
        weight, stride, groups, grid = case.values()
        lower, upper = extremes(circular_matrix(weight, (grid, grid), (stride, stride), groups))
        bounds = conv_frame_bounds(**case)
        assert abs(bounds.upper - upper) <= 1e-10 * upper, case
        assert abs(bounds.lower - lower) <= 1e-10 * upper, case
        single = conv_frame_bounds(weight.float(), stride=stride, groups=groups, grid=grid)
        assert abs(single.upper - upper) <= 1e-5 * upper
        assert abs(single.lower - lower) <= 1e-5 * upper


@pytest.mark.parametrize("batch_bytes", [2**14, 2**23])
@pytest.mark.parametrize("seed", [0, 4])
def test_taps_that_cancel_at_the_first_frequencies_spoil_no_bound(monkeypatch, seed, batch_bytes):
    """Rounding of what cancels is not small beside what is left; a bound found at ω = 0 first must not hide it."""
    monkeypatch.setattr(circular, "_BATCH_BYTES", {"cpu": batch_bytes})
    generator = torch.Generator().manual_seed(seed)
    edge = torch.tensor([[1, 0.5, 0], [-1, -0.5, 0], [0, 0, 0]], dtype=torch.float64)
    weight = edge * torch.randn(16, 16, 1, 1, generator=generator, dtype=torch.float64)
    weight += 3e-7 * torch.randn(16, 16, 3, 3, generator=generator, dtype=torch.float64)
    frequencies = half_grid((32, 16), weight.device)
    values = torch.linalg.svdvals(polyphase_symbol(weight, frequencies, stride=(1, 1), dilation=(1, 1)))
    lower, upper = values.min().item(), values.max().item()
    bounds = conv_frame_bounds(weight, grid=(32, 16))
    assert (bounds.lower, bounds.upper) == pytest.approx((lower, upper), abs=1e-11 * upper)


@pytest.mark.parametrize("scale", [1e-250, 1e-3, 1e200])
def test_the_scale_of_a_kernel_does_not_matter(scale):
    weight = torch.randn(3, 2, 3, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    one, other = (conv_frame_bounds(factor * weight, grid=5, refine=True) for factor in (1, scale))
    for name in ("lower", "upper", "certificate", "supremum", "infimum"):
        assert getattr(other, name) / scale == pytest.approx(getattr(one, name), rel=1e-9)


@pytest.mark.parametrize(
    ("shape", "outputs", "stride", "dilation"),
    [
        ((3, 2, 5), (7,), (2,), (1,)),
        ((2, 3, 4), (6,), (3,), (2,)),
        ((4, 2, 3, 2), (5, 4), (1, 3), (2, 1)),
        ((3, 2, 3, 5), (4, 3), (2, 1), (3, 2)),
        ((2, 2, 2, 3, 2), (3, 2, 4), (1, 2, 1), (1, 1, 2)),
    ],
)
def test_other_dimensions_dilation_and_uneven_axes(shape, outputs, stride, dilation):
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    expected = extremes(circular_matrix(weight, outputs, stride, dilation=dilation))
    bounds = conv_frame_bounds(weight, stride=stride, dilation=dilation, grid=outputs)
    assert (bounds.lower, bounds.upper) == pytest.approx(expected, abs=1e-10 * expected[1])
    assert bounds.grid == outputs


def test_the_printed_formula_is_wrong_for_a_stride():
    """[1, −1] with Δ = 2 takes disjoint differences: its norm is √2, but the printed A(ω)'s is 3.6955."""
    weight = torch.tensor([[[[1.0, -1.0]]]])
    bounds = conv_frame_bounds(weight, stride=2, grid=8)
    assert bounds.upper == pytest.approx(math.sqrt(2), abs=1e-12)
    assert extremes(circular_matrix(weight, (8, 8), (2, 2)))[1] == pytest.approx(math.sqrt(2), abs=1e-12)
    omega = np.linspace(0, 2 * np.pi, 1 + 2**12)
    shifts = [l2 * np.pi / 2 for _, l2 in np.ndindex(2, 2)]
    printed = [np.linalg.norm([1 - np.exp(-1j * (w + shift)) for shift in shifts]) for w in omega]
    assert max(printed) == pytest.approx(3.6955, abs=1e-4)


def test_thin_and_strict_lower_bounds_differ_for_a_wide_layer():
    wide = torch.eye(2, 3)[:, :, None, None]
    bounds = conv_frame_bounds(wide, grid=4)
    assert (bounds.lower, bounds.strict_lower) == (pytest.approx(1.0), 0.0)
    tall = conv_frame_bounds(wide.transpose(0, 1), grid=4)
    assert (tall.lower, tall.strict_lower) == (pytest.approx(1.0), pytest.approx(1.0))
    strided = conv_frame_bounds(torch.ones(3, 1, 2, 2), stride=2, grid=4)
    assert (strided.rows, strided.cols, strided.strict_lower) == (3, 4, 0.0)


def test_a_matrix_of_many_equal_blocks_is_not_decomposed_block_by_block(monkeypatch):
    decomposed = []
    svdvals = torch.linalg.svdvals
    monkeypatch.setattr(torch.linalg, "svdvals", lambda a: decomposed.append(a.shape[0]) or svdvals(a))
    delta = torch.nn.init.dirac_(torch.empty(24, 24, 3, 3))
    bounds = conv_frame_bounds(delta, grid=16)
    assert (bounds.lower, bounds.upper) == (pytest.approx(1, abs=1e-11), pytest.approx(1, abs=1e-11))
    assert sum(decomposed) <= 4


@pytest.mark.parametrize("scale", [0.0, 1e-30, 1e30])
def test_zero_and_extreme_scales(scale):
    weight = scale * torch.randn(4, 4, 3, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    bounds = conv_frame_bounds(weight, grid=5)
    expected = extremes(circular_matrix(weight, (5, 5), (1, 1)))
    assert (bounds.lower, bounds.upper) == pytest.approx(expected, rel=1e-9, abs=0)


def test_a_large_weight_may_be_negative():
    bounds = conv_frame_bounds(torch.tensor([[[-1e200, 0.0]]], dtype=torch.float64), grid=4)
    assert (bounds.lower, bounds.upper) == pytest.approx((1e200, 1e200))


def test_a_layer_of_zeros_is_certified_on_any_grid_and_only_such_a_layer():
    assert conv_frame_bounds(torch.zeros(1, 1, 3, 3), grid=2).certificate == 0
    difference = conv_frame_bounds(torch.tensor([[[1.0, -1.0]]]), grid=1)
    assert (difference.upper, difference.certificate) == (0, math.inf)


def test_a_tiny_lower_bound_keeps_its_digits():
    """Squared, 1e-9 is below float64's resolution next to 1."""
    diagonal = torch.diag(torch.tensor([1.0, 0.5, 1e-9], dtype=torch.float64))
    weight = diagonal[:, :, None, None] * torch.tensor([1.0, 0.25], dtype=torch.float64)
    bounds = conv_frame_bounds(weight, grid=7)
    expected = extremes(circular_matrix(weight, (7, 7), (1, 1)))
    assert bounds.lower == pytest.approx(expected[0], abs=1e-11)


def test_the_weight_and_the_random_state_are_left_alone():
    weight = torch.randn(3, 3, 3, 3, requires_grad=True)
    before, state = weight.detach().clone(), torch.get_rng_state()
    conv_frame_bounds(weight, grid=4, refine=True)
    assert torch.equal(weight, before)
    assert weight.grad is None
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("weight", "options", "message"),
    [
        (torch.ones(4, 4), {}, r"expected \[F, C / groups, \*kernel\].*got shape \(4, 4\)"),
        (torch.ones(4, 4, 3, 3, dtype=torch.long), {}, r"got torch.int64; call \.float\(\) first"),
        (torch.ones(4, 4, 3, 3, dtype=torch.cfloat), {}, "real floating-point"),
        (torch.ones(4, 0, 3, 3), {}, "no empty axis"),
        (torch.full((4, 4, 3, 3), torch.nan), {}, "got NaN or infinity"),
        (torch.ones(4, 4, 3, 3, dtype=torch.complex64), {}, "got torch.complex64; a complex layer is not supported"),
        (torch.ones(4, 4, 3, 3), {"groups": 3}, "expected a divisor of the 4 output channels .* got 3"),
        (torch.ones(4, 4, 3, 3), {"groups": 0}, "got 0"),
        (torch.ones(4, 4, 3, 3), {"groups": True}, "got True"),
        (torch.ones(4, 4, 3, 3), {"stride": 0}, "stride: expected integers of at least 1, got 0"),
        (torch.ones(4, 4, 3, 3), {"stride": (1, True)}, r"at least 1, got \(1, True\)"),
        (torch.ones(4, 4, 3, 3), {"dilation": -1}, "dilation: expected integers"),
        (torch.ones(4, 4, 3, 3), {"grid": 0}, "grid: expected integers of at least 1, got 0"),
        (torch.ones(4, 4, 3, 3), {"grid": (4, 4, 4)}, "grid: expected one integer or 2 of them"),
    ],
)
def test_bad_input_says_what_to_do(weight, options, message):
    with pytest.raises(ValueError, match=message):
        conv_frame_bounds(weight, **options)


def test_refined_in_inference_mode():
    weight = torch.randn(3, 2, 3, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        there = conv_frame_bounds(weight.clone(), grid=6, refine=True)
    assert there == conv_frame_bounds(weight, grid=6, refine=True)
