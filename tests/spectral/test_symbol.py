"""The Gram matrices' polynomial against the matrices themselves."""

import pytest
import torch

from tutorial_pkg.spectral.symbol import GramSymbol, polyphase_symbol


@pytest.mark.parametrize(
    ("shape", "stride", "dilation"),
    [
        ((5, 3, 4), (1,), (1,)),
        ((3, 5, 4), (2,), (1,)),
        ((4, 4, 1), (3,), (2,)),
        ((6, 2, 3, 5), (1, 1), (1, 1)),
        ((2, 6, 5, 2), (2, 1), (1, 3)),
        ((7, 1, 11, 11), (4, 4), (1, 1)),
        ((3, 2, 2, 3, 2), (1, 2, 1), (2, 1, 1)),
    ],
)
def test_gram_polynomial_is_the_product_of_the_symbol_with_itself(shape, stride, dilation):
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(shape, generator=generator, dtype=torch.float64)
    frequencies = 7 * torch.rand(20, len(stride), generator=generator, dtype=torch.float64)
    symbol = polyphase_symbol(weight, frequencies, stride=stride, dilation=dilation)
    wide = symbol.shape[1] < symbol.shape[2]
    expected = (symbol @ symbol.mH).conj() if wide else symbol.mH @ symbol
    found = GramSymbol.of(weight, stride=stride, dilation=dilation).at(frequencies)
    assert found.shape == expected.shape
    assert (found - expected).abs().max() <= 1e-13 * expected.abs().max()
