"""Frame bounds of matrices against a full SVD, on both sides of the size where Lanczos takes over."""

import math

import pytest
import torch

from tutorial_pkg.spectral import linear, linear_frame_bounds
from tutorial_pkg.spectral.checks import checked_weight


def gaussian(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def with_values(values: torch.Tensor, num_columns: int) -> torch.Tensor:
    left, right = gaussian(len(values), len(values)), gaussian(num_columns, len(values))
    return torch.linalg.qr(left).Q @ torch.diag(values) @ torch.linalg.qr(right).Q.T


@pytest.mark.parametrize("shape", [(3, 5), (5, 3), (60, 60), (560, 700), (700, 560), (600, 600)])
def test_random_matrices_agree_with_a_full_decomposition(shape):
    weight = gaussian(*shape)
    values = torch.linalg.svdvals(weight)
    bounds = linear_frame_bounds(weight)
    assert bounds.upper == pytest.approx(values[0].item(), rel=1e-10)
    assert bounds.lower == pytest.approx(values[-1].item(), abs=1e-10 * bounds.upper)
    assert (bounds.rows, bounds.cols, bounds.grid, bounds.certificate) == (*shape, (), bounds.upper)
    assert bounds.strict_lower == (bounds.lower if shape[0] >= shape[1] else 0)


@pytest.mark.parametrize("num_columns", [600, 640])
@pytest.mark.parametrize("smallest", [1e-3, 1e-5, 1e-9, 1e-14, 0.0])
def test_a_tiny_lower_bound_keeps_its_digits(smallest, num_columns):
    values = torch.linspace(1, 2, 600, dtype=torch.float64)
    values[0] = smallest
    bounds = linear_frame_bounds(with_values(values, num_columns))
    assert bounds.lower == pytest.approx(smallest, abs=1e-11)
    assert bounds.upper == pytest.approx(2, rel=1e-11)


@pytest.mark.parametrize("shape", [(600, 600), (600, 640)])
def test_a_row_of_zeros_makes_the_lower_bound_zero(shape):
    weight = gaussian(*shape)
    weight[17] = 0
    assert linear_frame_bounds(weight).lower == pytest.approx(0, abs=1e-12)
    zero = linear_frame_bounds(torch.zeros(shape))
    assert (zero.lower, zero.upper) == (0, 0)


def test_repeated_extreme_values_are_found():
    values = torch.ones(600, dtype=torch.float64)
    values[:3], values[3:9] = 0.5, 3.0
    bounds = linear_frame_bounds(with_values(values, 640))
    assert (bounds.lower, bounds.upper) == pytest.approx((0.5, 3.0), rel=1e-10)


@pytest.mark.parametrize("num_columns", [600, 640])
def test_an_orthogonal_matrix_has_both_bounds_one(num_columns):
    bounds = linear_frame_bounds(with_values(torch.ones(600, dtype=torch.float64), num_columns))
    assert (bounds.lower, bounds.upper) == pytest.approx((1, 1), abs=1e-10)


SPECTRA = {
    "graded": lambda u: torch.logspace(0, -14 * u, 60, dtype=torch.float64),
    "two almost equal above": lambda u: (
        torch.cat([torch.linspace(1, 2, 59), torch.tensor([2.0])]).double()
        + torch.eye(60, dtype=torch.float64)[-1] * 10 ** (-6 * u)
    ),
    "one far above": lambda u: torch.linspace(1, 2, 60, dtype=torch.float64) + torch.eye(60)[7] * 10 ** (8 * u),
    "all almost equal": lambda u: 1 + 10 ** (-14 * u) * torch.linspace(0, 1, 60, dtype=torch.float64),
    "clusters at both ends": lambda u: (
        torch.cat([torch.full((3,), x) for x in (0.1, 2.0)] + [torch.linspace(1, 1.5, 54)]).double()
        * (1 + 10 ** (-16 * u) * torch.linspace(0, 1, 60, dtype=torch.float64))
    ),
}


@pytest.mark.parametrize("num_columns", [60, 61, 150])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("spectrum", SPECTRA)
def test_any_spectrum_agrees_with_a_full_decomposition(monkeypatch, spectrum, dtype, num_columns):
    monkeypatch.setattr(linear, "_DENSE", 0)
    for u in torch.linspace(0, 1, 9).tolist():
        weight = with_values(SPECTRA[spectrum](u), num_columns).to(dtype)
        values = torch.linalg.svdvals(weight.double())
        bounds = linear_frame_bounds(weight)
        assert abs(bounds.upper - values[0].item()) <= 1.1e-10 * values[0].item(), u
        assert abs(bounds.lower - values[-1].item()) <= 1.1e-10 * values[0].item(), u


@pytest.mark.parametrize("num_columns", [520, 540])
@pytest.mark.parametrize("scale", [1e-200, 1e-30, 1e-7, 1e12, 1e300])
def test_the_scale_of_a_matrix_does_not_matter(scale, num_columns):
    weight = with_values(torch.linspace(1, 2, 520, dtype=torch.float64), num_columns)
    bounds, scaled = linear_frame_bounds(weight), linear_frame_bounds(scale * weight)
    assert (scaled.lower / scale, scaled.upper / scale) == pytest.approx((bounds.lower, bounds.upper), rel=1e-9)
    assert scaled.certificate == scaled.upper


@pytest.mark.parametrize("shape", [(600, 900), (600, 600), (900, 600)])
def test_an_ordinary_large_matrix_is_found_in_float32_alone(monkeypatch, shape):
    dtypes = []
    by_lanczos = linear._by_lanczos
    monkeypatch.setattr(linear, "_by_lanczos", lambda *args: dtypes.append(args[-1].dtype) or by_lanczos(*args))
    monkeypatch.setattr(torch.linalg, "svdvals", None)
    linear_frame_bounds(gaussian(*shape).float())
    assert dtypes == [torch.float32]


def test_float32_weights_are_decided_in_float64():
    weight = gaussian(600, 600).float()
    expected = torch.linalg.svdvals(weight.double())[-1].item()
    assert linear_frame_bounds(weight).lower == pytest.approx(expected, rel=1e-9)


def test_floats_of_8_bits():
    weight = torch.tensor([[1.0, 2.0], [-0.5, 4.0]])
    assert linear_frame_bounds(weight.to(torch.float8_e4m3fn)) == linear_frame_bounds(weight)


@pytest.mark.parametrize("shape", [(520, 520), (520, 540)])
def test_the_same_matrix_has_the_same_bounds_every_time(shape):
    weight = gaussian(*shape)
    assert linear_frame_bounds(weight) == linear_frame_bounds(weight)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (torch.ones(3), r"expected \[out, in\], got shape \(3,\)"),
        (torch.ones(3, 0), "no empty axis"),
        (torch.tensor([[1.0, math.inf]]), "NaN or infinity"),
        (torch.ones(2, 2, dtype=torch.int32), "got torch.int32"),
    ],
)
def test_bad_input_says_what_to_do(weight, message):
    with pytest.raises(ValueError, match=message):
        linear_frame_bounds(weight)


def test_a_weight_that_is_no_tensor_is_named():
    with pytest.raises(ValueError, match=r"got list; pass layer\.weight"):
        checked_weight([[1.0]], (2,), "[out, in]")


@pytest.mark.parametrize("kind", ["triangular", "pivot growth"])
def test_square_matrices_on_which_the_fast_way_fails(kind):
    torch.manual_seed(0)
    if kind == "triangular":
        matrix = torch.triu(torch.randn(600, 600, dtype=torch.float64)) / 600**0.5
    else:  # Wilkinson's: elimination doubles the last column in every step
        matrix = torch.eye(600, dtype=torch.float64) - torch.tril(torch.ones(600, 600, dtype=torch.float64), -1)
        matrix[:, -1] = 1
    bounds, values = linear_frame_bounds(matrix), torch.linalg.svdvals(matrix)
    assert bounds.upper == pytest.approx(values[0].item(), rel=1e-9)
    assert bounds.lower == pytest.approx(values[-1].item(), abs=1e-9 * values[0].item())


@pytest.mark.parametrize("shape", [(600, 900), (600, 600)])
def test_where_a_solution_takes_as_long_as_an_inverse_the_bounds_are_the_same(shape, monkeypatch):
    weight = gaussian(*shape)
    expected = linear_frame_bounds(weight)
    monkeypatch.setattr(linear, "_solves_slowly", lambda matrix: True)
    bounds = linear_frame_bounds(weight)
    assert (bounds.lower, bounds.upper) == pytest.approx((expected.lower, expected.upper), abs=1e-10 * expected.upper)
