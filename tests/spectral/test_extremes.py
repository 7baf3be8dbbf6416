"""Pruned search against the singular values of every matrix."""

import pytest
import torch

from tutorial_pkg.spectral.extremes import TOLERANCE, Batch, extreme_singular_values


def gaussian(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.complex128)


CASES = {
    "tall": gaussian(90, 24, 16),
    "wide": gaussian(90, 16, 24),
    "square": gaussian(120, 20, 20),
    "one": gaussian(1, 5, 3),
    "columns": gaussian(50, 7, 1),
    "all equal": gaussian(1, 12, 12).expand(70, 12, 12),
    "almost equal": gaussian(1, 12, 9) + 1e-9 * gaussian(70, 12, 9),
    "rank deficient": gaussian(40, 12, 3) @ gaussian(40, 3, 8),
    "graded": gaussian(60, 10, 10) * torch.logspace(0, -9, 10, dtype=torch.float64),
    "zero": torch.zeros(30, 4, 6, dtype=torch.complex128),
}


@pytest.mark.parametrize("split", [1000, 33, 7])
@pytest.mark.parametrize("name", CASES)
def test_agrees_with_a_full_decomposition(name, split):
    matrices = CASES[name]
    values = torch.linalg.svdvals(matrices)
    found = extreme_singular_values(map(Batch.of, matrices.split(split)))
    allowed = 1.1 * TOLERANCE * values.max().item()
    assert found.largest == pytest.approx(values.max().item(), abs=allowed)
    assert found.smallest == pytest.approx(values.min().item(), abs=allowed)


def test_few_matrices_are_decomposed(monkeypatch):
    decomposed = []
    svdvals = torch.linalg.svdvals
    monkeypatch.setattr(torch.linalg, "svdvals", lambda a: decomposed.append(len(a)) or svdvals(a))
    extreme_singular_values(map(Batch.of, gaussian(400, 30, 20).split(100)))
    assert sum(decomposed) < 8  # 3; of guesses at random which are promising, 10
