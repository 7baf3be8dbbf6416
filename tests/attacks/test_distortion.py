import torch

from tutorial_pkg.attacks import minimum_distortion
from tutorial_pkg.models import build_model


def test_every_mode_succeeds_under_a_fresh_forward_pass():
    torch.manual_seed(0)
    model = build_model("fc20-20-10").eval()
    model.layers["logits"][0].weight.data *= 10
    inputs = torch.rand(6, 1, 28, 28)
    targets = (model(inputs).argmax(1) + 1) % 10
    for loss in ("margin", "cross_entropy"):
        for polish in (True, False):
            result = minimum_distortion(model, inputs, targets=targets, loss=loss, polish=polish)
            assert result.success.all()
            assert torch.equal(model(result.adv_inputs).argmax(1), targets)
            assert result.adv_inputs.min() >= 0
            assert result.adv_inputs.max() <= 1
