import pytest
import torch

from tutorial_pkg.metrics import error_rate, l2_norm, rms_distortion


def test_norms_are_per_image_and_differ_by_the_root_of_the_pixels():
    perturbation = torch.zeros(2, 1, 28, 28, dtype=torch.float64)
    perturbation[1] += 0.5
    assert torch.equal(rms_distortion(perturbation), torch.tensor([0.0, 0.5], dtype=torch.float64))
    assert torch.equal(l2_norm(perturbation), torch.tensor([0.0, 14.0], dtype=torch.float64))


def test_error_rate_counts_wrong_rows():
    logits = torch.eye(4)
    assert error_rate(logits, torch.arange(4)) == 0.0
    assert error_rate(logits, torch.tensor([0, 1, 2, 0])) == 0.25


@pytest.mark.parametrize("shapes", [((4, 3), (4, 1)), ((4, 3), (3,)), ((4,), (4,)), ((0, 3), (0,))])
def test_an_error_rate_of_other_shapes_is_refused(shapes):
    logits, labels = torch.zeros(shapes[0]), torch.zeros(shapes[1], dtype=torch.long)
    with pytest.raises(ValueError, match=r"logits \[N, K\] and labels \[N\]"):
        error_rate(logits, labels)
