import numpy as np
import torch
from sklearn.kernel_ridge import KernelRidge

from tutorial_pkg.training.kernel import fit_kernel_classifier


def test_logits_are_those_of_scikit_learn(digits):
    inputs, labels = digits.train_inputs[:200], digits.train_labels[:200]
    model = fit_kernel_classifier(inputs, labels, gamma=0.02, ridge=0.1)
    signs = 2 * np.eye(10)[labels.numpy()] - 1
    peer = KernelRidge(kernel="rbf", gamma=0.02, alpha=0.1).fit(inputs.flatten(1).double().numpy(), signs)
    expected = peer.predict(digits.test_inputs.flatten(1).double().numpy())
    np.testing.assert_allclose(model(digits.test_inputs).numpy(), expected, atol=1e-3)


def test_smoothness_bounds_the_gradient(digits):
    """Each bump's slope is at most √(2γ/e), so the gradient of a logit is at most √(2γ/e) Σ|α|."""
    gamma = 0.02
    model = fit_kernel_classifier(digits.train_inputs[:200], digits.train_labels[:200], gamma=gamma)
    inputs = digits.test_inputs[:50].clone().requires_grad_()
    (gradient,) = torch.autograd.grad(model(inputs)[:, 3].sum(), inputs)
    bound = (2 * gamma / np.e) ** 0.5 * float(model.coefficients[:, 3].abs().sum())
    assert float(gradient.flatten(1).norm(dim=1).max()) <= bound
