import torch

from tutorial_pkg.models import build_model
from tutorial_pkg.training import pretrain_autoencoder


def mean_activity(model, inputs):
    with torch.no_grad():
        return model.features(inputs, "code").mean(0)


def test_units_become_sparse(digits):
    inputs = digits.train_inputs[:300]
    torch.manual_seed(0)
    model = build_model("ae50-10")
    assert float(mean_activity(model, inputs).mean()) > 0.3
    pretrain_autoencoder(model, inputs, sparsity=0.05, sparsity_weight=3.0, max_iter=60)
    assert abs(float(mean_activity(model, inputs).mean()) - 0.05) < 0.03


def test_the_code_keeps_enough_to_reconstruct(digits):
    """A least-squares readout from the trained code explains most of the pixels' variance."""
    inputs = digits.train_inputs[:600]
    torch.manual_seed(0)
    model = build_model("ae100-10")
    pretrain_autoencoder(model, inputs, max_iter=80)
    with torch.no_grad():
        code = model.features(inputs, "code")
    design = torch.cat([code, torch.ones(len(code), 1)], 1).double()
    pixels = inputs.flatten(1).double()
    fitted = design @ torch.linalg.lstsq(design, pixels).solution
    residual = (pixels - fitted).square().sum() / (pixels - pixels.mean(0)).square().sum()
    assert float(residual) < 0.15


def test_weights_decay(digits):
    inputs = digits.train_inputs[:300]
    norms = []
    for weight_decay in (0.0, 0.1):
        torch.manual_seed(0)
        model = build_model("ae50-10")
        pretrain_autoencoder(model, inputs, weight_decay=weight_decay, max_iter=40)
        norms.append(max(float(p.norm()) for p in model.layers["code"].parameters() if p.ndim == 2))
    assert norms[1] < 0.5 * norms[0]
