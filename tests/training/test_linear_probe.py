"""The linear classifier on fixed features: what it finds, and that the network computes the same."""

import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from tutorial_pkg.roc import auc
from tutorial_pkg.training import fit_linear_probe


def features(count=400, seed=0):
    """Twelve features of different scale and offset, a third of the images positive; one tells the classes apart."""
    generator = torch.Generator().manual_seed(seed)
    labels = (torch.arange(count) % 3 == 0).long()
    x = torch.randn(count, 12, generator=generator)
    x[:, 0] += 2 * labels
    x[:, 5] = 0.25  # a feature that never changes
    return x * torch.logspace(-2, 2, 12) + 3, labels


def fitted(**options):
    x, labels = features()
    return fit_linear_probe(x, labels, generator=torch.Generator().manual_seed(0), **options)


def test_it_is_scikit_learns_classifier_on_standardised_features():
    x, labels = features()
    probe = fitted(strengths=(0.01,))
    scaled = (x - x.mean(0)) / x.std(0)
    scaled[:, 5] = 0
    theirs = LogisticRegression(C=0.01, class_weight="balanced", max_iter=300).fit(scaled.numpy(), labels.numpy())
    expected = torch.from_numpy(theirs.decision_function(scaled.numpy())).double()
    torch.testing.assert_close(probe.scores(x), expected, atol=1e-3, rtol=1e-3)


def test_it_generalises_and_ignores_what_never_changes():
    probe = fitted()
    x, labels = features(seed=1)
    x[:, 5] += 100
    assert auc(probe.scores(x).numpy(), labels.numpy()).value > 0.85
    assert probe.weight[5] == 0


def test_the_strength_is_chosen_on_images_held_out():
    probe = fitted(strengths=(1e-9, 1e-2))
    assert probe.strength in (1e-9, 1e-2)
    assert probe.held_out_auc == max(fitted(strengths=(c,)).held_out_auc for c in (1e-9, 1e-2))


def test_what_is_held_out_is_not_fitted_to():
    """More features than images, none of which says anything: images that were seen would all be told apart."""
    generator = torch.Generator().manual_seed(0)
    noise, labels = torch.randn(200, 300, generator=generator), torch.arange(200) % 2
    assert fit_linear_probe(noise, labels, strengths=(1.0,), generator=generator).held_out_auc < 0.8


def test_logits_are_half_the_score_each_way():
    probe = fitted(strengths=(0.01,))
    layer = nn.Linear(12, 2)
    probe.write_to(layer)
    x, _ = features(seed=2)
    logits = layer.double()(x.double())
    torch.testing.assert_close(logits[:, 1] - logits[:, 0], probe.scores(x), atol=1e-4, rtol=1e-4)
    assert torch.equal(logits.argmax(1) == 1, probe.scores(x) > 0)
    with pytest.raises(ValueError, match="a layer of 2 × 12 weights"):
        probe.write_to(nn.Linear(11, 2))


def test_too_few_images_are_refused():
    x, labels = features()
    with pytest.raises(ValueError, match="at least four images of each"):
        fit_linear_probe(x, torch.zeros_like(labels), generator=torch.Generator())
    with pytest.raises(ValueError, match=r"four images of each of the classes 0 and 1, got \[397, 3\]"):
        fit_linear_probe(x, (torch.arange(400) < 3).long(), generator=torch.Generator())
