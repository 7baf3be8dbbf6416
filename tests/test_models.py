import math

import pytest
import torch

from tutorial_pkg.adversarial_training.examples import make_examples
from tutorial_pkg.models import LayeredModel, batched_logits, build_model
from tutorial_pkg.units.directions import layer_features

NAMES = ["softmax", "fc100-100-10", "fc123-456-10", "fc200-200-10", "ae400-10", "conv"]


@pytest.mark.parametrize("name", NAMES)
def test_above_continues_where_features_stop(name):
    torch.manual_seed(0)
    model = build_model(name).eval()
    inputs = torch.rand(3, 1, 28, 28)
    logits = model(inputs)
    assert logits.shape == (3, 10)
    for layer in model.layer_names[:-1]:
        assert torch.equal(model.above(layer)(model.features(inputs, layer)), logits)
    assert torch.equal(model.features(inputs, model.layer_names[-1]), logits)


def test_logits_are_not_probabilities():
    torch.manual_seed(0)
    logits = build_model("fc100-100-10")(torch.rand(5, 1, 28, 28))
    assert not torch.allclose(logits.sum(1), torch.ones(5))


def test_widths_come_from_the_name():
    model = build_model("fc123-456-10")
    shapes = [tuple(p.shape) for p in model.parameters() if p.ndim == 2]
    assert shapes == [(123, 784), (456, 123), (10, 456)]


def test_above_shares_weights_and_mode():
    model = build_model("fc100-100-10").eval()
    top = model.above("hidden1")
    assert not top.training
    assert next(top.parameters()) is model.layers["hidden2"][0].weight


def test_unknown_names_say_what_there_is():
    with pytest.raises(ValueError, match=r"unknown model 'resnet'.*fc100-100-10.*alexnet-small.*quocnet-full"):
        build_model("resnet")
    model = build_model("softmax")
    with pytest.raises(ValueError, match=r"unknown layer 'conv9'; this model has logits"):
        model.features(torch.rand(1, 1, 28, 28), "conv9")
    with pytest.raises(ValueError, match="nothing is above"):
        model.above("logits")


def test_above_leaves_the_modes_of_the_layers_it_shares():
    model = build_model("conv").train()
    model.layers["dropout"].eval()
    before = [module.training for module in model.modules()]
    rest = model.above(model.layer_names[0])
    assert rest.training
    assert [module.training for module in model.modules()] == before


def test_a_first_layer_in_place_leaves_the_inputs():
    layers = {"relu": torch.nn.ReLU(inplace=True), "logits": torch.nn.Linear(6, 3)}
    model, inputs = LayeredModel(layers), torch.randn(4, 6)
    before = inputs.clone()
    batched_logits(model, inputs)
    layer_features(model, inputs, "logits")
    for source in ("linearised", "minimum_distortion"):
        options = {"source": source, "generator": torch.Generator(), "box": (-math.inf, math.inf)}
        make_examples(model, inputs, torch.zeros(4, dtype=torch.long), **options)
    assert torch.equal(inputs, before)
