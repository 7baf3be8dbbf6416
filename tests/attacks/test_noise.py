import pytest
import torch

from tutorial_pkg.attacks import gaussian_noise
from tutorial_pkg.metrics import rms_distortion


def test_noise_has_its_stddev_and_comes_from_the_generator():
    inputs = torch.full((4, 1, 100, 100), 0.5)
    state = torch.random.get_rng_state()
    first, again = (
        gaussian_noise(inputs, stddev=0.3, generator=torch.Generator().manual_seed(1), box=None) for _ in range(2)
    )
    assert torch.equal(first, again)
    assert torch.allclose(rms_distortion(first - inputs), torch.tensor(0.3), atol=0.01)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_clipping_is_asked_for():
    inputs = torch.zeros(2, 50, dtype=torch.float64)
    clipped = gaussian_noise(inputs, stddev=2.0, generator=torch.Generator().manual_seed(0), box=(0, 1))
    assert clipped.dtype == torch.float64
    assert clipped.min() == 0
    assert clipped.max() == 1


def test_bad_arguments_are_named():
    generator = torch.Generator()
    with pytest.raises(ValueError, match="stddev of at least 0, got -1"):
        gaussian_noise(torch.zeros(1, 2), stddev=-1, generator=generator, box=None)
    with pytest.raises(ValueError, match="finite stddev of at least 0, got inf"):
        gaussian_noise(torch.zeros(1, 2), stddev=float("inf"), generator=generator, box=None)
    with pytest.raises(ValueError, match="lower < upper"):
        gaussian_noise(torch.zeros(1, 2), stddev=1, generator=generator, box=(1, 0))
    with pytest.raises(ValueError, match="float32 or float64"):
        gaussian_noise(torch.zeros(1, 2, dtype=torch.long), stddev=1, generator=generator, box=None)
