"""A recipe decides what is minimised: the gradient vanishes where its own decay says."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from tutorial_pkg.training import TABLE1_RECIPES, Recipe, train


@pytest.mark.parametrize(
    ("biases", "convention", "pull", "pull_of_biases"),
    [
        ("none", "half_sum", 1.0, None),
        ("free", "half_sum", 1.0, 0.0),
        ("decayed", "half_sum", 1.0, 1.0),
        ("free", "sum", 2.0, 0.0),
        ("decayed", "sum_over_units", 0.2, 0.2),
    ],
)
def test_the_cross_entropy_pulls_as_hard_as_the_decay(digits, biases, convention, pull, pull_of_biases):
    """At the optimum of mean cross-entropy plus decay the one's gradient is minus the other's, kλw."""
    recipe = Recipe("softmax", (0.1,), convention=convention, biases=biases)
    model, result = train(recipe, digits, seed=0)
    assert result.converged
    assert not model.training
    weight, bias = (parameter.requires_grad_() for parameter in model.parameters())
    loss = cross_entropy(model(digits.train_inputs), digits.train_labels)
    of_weight, of_bias = torch.autograd.grad(loss, (weight, bias))
    torch.testing.assert_close(of_weight, -0.1 * pull * weight.detach(), rtol=0, atol=2e-4)
    if pull_of_biases is None:
        assert (bias == 0).all()
    else:
        assert bias.detach().norm() > 0.01
        torch.testing.assert_close(of_bias, -0.1 * pull_of_biases * bias.detach(), rtol=0, atol=2e-4)


def test_a_recipe_is_shortened_and_never_lengthened():
    recipe = TABLE1_RECIPES["AE400-10"]
    short, same = recipe.shortened(7), recipe.shortened(10**6)
    assert (short.max_iter, short.pretrain_iter) == (7, 7)
    assert same == recipe


def test_unknown_biases_are_refused(digits):
    with pytest.raises(ValueError, match="unknown biases 'some'; expected one of none, free, decayed"):
        train(Recipe("softmax", (0.1,), biases="some"), digits, seed=0)
