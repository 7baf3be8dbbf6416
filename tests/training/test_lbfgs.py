import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from torch import nn

from tutorial_pkg.training import train_classifier
from tutorial_pkg.training.lbfgs import quadratic_decay


@pytest.fixture
def blobs():
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(90) % 3
    centres = torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0]])
    return centres[labels] + torch.randn(90, 2, generator=generator), labels


def linear_model():
    torch.manual_seed(0)
    return nn.Linear(2, 3)


def test_reaches_the_optimum_of_a_convex_problem(blobs):
    """Softmax regression with decay on everything is strictly convex: any two solvers must agree."""
    inputs, labels = blobs
    model = linear_model()
    train_classifier(model, inputs, labels, weight_decay=(0.1,), decay_biases=True)
    x, one_hot = inputs.double().numpy(), np.eye(3)[labels.numpy()]

    def objective(flat):
        weight, bias = flat[:6].reshape(3, 2), flat[6:]
        logits = x @ weight.T + bias
        logits = logits - logits.max(1, keepdims=True)
        log_softmax = logits - np.log(np.exp(logits).sum(1, keepdims=True))
        return -(one_hot * log_softmax).sum(1).mean() + 0.05 * (flat**2).sum()

    expected = minimize(objective, np.zeros(9), method="BFGS", options={"gtol": 1e-9}).x
    found = torch.cat([model.weight.flatten(), model.bias]).detach().numpy()
    np.testing.assert_allclose(found, expected, atol=2e-4)


def test_conventions_differ_by_their_factors():
    model = nn.Linear(4, 5)
    squares, bias = (float(p.detach().square().sum()) for p in (model.weight, model.bias))

    def decay(convention, biases=False):
        return float(quadratic_decay(model, (0.3,), convention=convention, decay_biases=biases)().detach())

    assert decay("sum") == pytest.approx(0.3 * squares, rel=1e-6)
    assert decay("half_sum") == pytest.approx(0.15 * squares, rel=1e-6)
    assert decay("sum_over_units") == pytest.approx(0.3 * squares / 5, rel=1e-6)
    assert decay("sum", biases=True) == pytest.approx(0.3 * (squares + bias), rel=1e-6)


def test_reports_what_it_did(blobs):
    inputs, labels = blobs
    short = train_classifier(linear_model(), inputs, labels, weight_decay=(0.1,), max_iter=2)
    full = train_classifier(linear_model(), inputs, labels, weight_decay=(0.1,))
    assert not short.converged
    assert short.iterations == 2
    assert full.converged
    assert full.loss < short.loss


def test_frozen_parameters_stay(blobs):
    inputs, labels = blobs
    model = nn.Sequential(nn.Linear(2, 4), nn.Sigmoid(), nn.Linear(4, 3))
    model[0].requires_grad_(False)
    before = model[0].weight.clone()
    train_classifier(model, inputs, labels, weight_decay=(0.1,), max_iter=5)
    assert torch.equal(model[0].weight, before)


def test_not_finite_stops_with_a_word(blobs):
    inputs, labels = blobs
    model = linear_model()
    with torch.no_grad():
        model.weight.fill_(float("inf"))
    with pytest.raises(FloatingPointError, match="training loss is nan"):
        train_classifier(model, inputs, labels, weight_decay=(0.1,))


def test_bad_arguments_say_what_was_expected(blobs):
    inputs, labels = blobs
    with pytest.raises(ValueError, match=r"unknown convention 'l2'.*half_sum"):
        train_classifier(linear_model(), inputs, labels, weight_decay=(0.1,), convention="l2")
    with pytest.raises(ValueError, match="one weight decay for each of the 1 trained layers, got 2"):
        train_classifier(linear_model(), inputs, labels, weight_decay=(0.1, 0.1))


def test_a_negative_decay_is_refused():
    with pytest.raises(ValueError, match="weight decay of at least 0"):
        quadratic_decay(torch.nn.Linear(2, 2), (-1.0,), convention="half_sum", decay_biases=False)
