"""QuocNet's layers against dense formulas, and its sizes against the paper's."""

from dataclasses import replace

import pytest
import torch
from torch.nn.functional import conv2d, fold, unfold

from tutorial_pkg.models import QUOCNETS, QuocNetConfig, StageConfig, build_model, quocnet
from tutorial_pkg.models.quocnet import QUOCNET_FULL, ContrastNormalization, L2Pooling, LocalFilters, _Overlay, _Patches


@pytest.fixture
def filters():
    torch.manual_seed(0)
    layer = LocalFilters(3, 9, 5, size=3, stride=2).double()
    torch.nn.init.normal_(layer.weight)
    return layer


def images(count=2, channels=3, side=9, seed=1):
    return torch.randn(count, channels, side, side, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_filters_are_a_different_matrix_at_every_place(filters):
    x = images()
    patches = unfold(x, 3, stride=2)
    dense = torch.einsum("nkl,lkm->nml", patches, filters.weight).unflatten(2, (4, 4))
    torch.testing.assert_close(filters(x), dense)


def test_with_the_same_filters_everywhere_it_is_a_convolution(filters):
    with torch.no_grad():
        filters.weight.copy_(filters.weight[:1].expand_as(filters.weight))
    x = images()
    kernel = filters.weight[0].T.reshape(5, 3, 3, 3)
    torch.testing.assert_close(filters(x), conv2d(x, kernel, stride=2))


def test_fresh_filters_are_alike_everywhere_and_free_to_part():
    layer = LocalFilters(3, 9, 5, size=3)
    assert (layer.weight == layer.weight[:1]).all()
    layer.weight.data[0] += 1
    assert not (layer.weight == layer.weight[:1]).all()


def test_decoding_is_the_adjoint_of_filtering(filters):
    x = images()
    a = torch.randn(2, 5, 4, 4, dtype=torch.float64)
    torch.testing.assert_close((filters(x) * a).sum(), (x * filters.decode(a, filters.weight)).sum())
    patches = torch.einsum("nml,lkm->nkl", a.flatten(2), filters.weight)
    torch.testing.assert_close(filters.decode(a, filters.weight), fold(patches, (9, 9), 3, stride=2))


def test_gradients_of_patches_and_overlay():
    x = torch.randn(2, 7, 7, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: _Patches.apply(x, 3, 2), x)
    patches = torch.randn(9, 18, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda p: _Overlay.apply(p, 7, 3, 2), patches)


def test_pooling_is_the_root_of_a_sum_of_squares():
    a = images(side=6)
    pooled = L2Pooling(3, stride=2, epsilon=0.01)(a)
    assert pooled.shape == (2, 3, 2, 2)
    assert float(pooled[1, 2, 1, 0]) == pytest.approx(float((0.01 + a[1, 2, 2:5, 0:3].square().sum()).sqrt()))


def test_normalisation_by_hand():
    h = images(count=1, channels=2, side=5)
    layer = ContrastNormalization(3, floor=1e-6)
    window = layer.window[0, 0].double()

    def local_mean(values, row, column):
        total = mass = 0.0
        for i in (-1, 0, 1):
            for j in (-1, 0, 1):
                if 0 <= row + i < 5 and 0 <= column + j < 5:
                    weight = float(window[i + 1, j + 1])
                    total += weight * float(values[0, :, row + i, column + j].mean())
                    mass += weight
        return total / mass

    means = torch.tensor([[local_mean(h, i, j) for j in range(5)] for i in range(5)], dtype=torch.float64)
    g = h - means
    contrasts = torch.tensor([[local_mean(g.square(), i, j) for j in range(5)] for i in range(5)], dtype=torch.float64)
    torch.testing.assert_close(layer(h), g / contrasts.sqrt())


def test_normalisation_ignores_brightness_and_contrast():
    x = images(count=1, side=12)
    layer = ContrastNormalization(5, floor=1e-3)
    torch.testing.assert_close(layer(3 * x + 0.7), layer(x))
    flat = torch.full((1, 3, 12, 12), 0.4)
    assert layer(flat).abs().max() < 1e-3


def test_full_size_has_a_billion_weights():
    with torch.device("meta"):
        model = quocnet(QUOCNET_FULL)
        features = model.features(torch.empty(2, 3, 200, 200), "stage3")
        logits = model(torch.empty(2, 3, 200, 200))
    weights = {name: layer.weight.numel() for name, layer in model.layers.items() if name.startswith("filters")}
    assert weights == {
        "filters1": 183**2 * 18**2 * 3 * 8,
        "filters2": 162**2 * 18**2 * 8 * 8,
        "filters3": 141**2 * 18**2 * 8 * 8,
    }
    assert 1e9 <= sum(weights.values()) <= 1.3e9
    assert features.shape == (2, 8, 137, 137)
    assert logits.shape == (2, 2)


@pytest.mark.parametrize("name", ["quocnet", "quocnet-tiny"])
def test_models_by_name_give_two_logits_from_pixels(name):
    model = build_model(name)
    x = torch.rand(2, 3, 64, 64, requires_grad=True)
    logits = model(x)
    assert logits.shape == (2, QUOCNETS[name].num_classes)
    logits.sum().backward()
    assert x.grad.abs().max() > 0
    assert model.layer_names[-2:] == ("stage3", "logits")


def test_initialisation_follows_the_random_state():
    torch.manual_seed(5)
    first = build_model("quocnet-tiny").layers["filters2"].weight
    torch.manual_seed(5)
    assert torch.equal(first, build_model("quocnet-tiny").layers["filters2"].weight)
    assert not torch.equal(first, build_model("quocnet-tiny").layers["filters2"].weight)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"stage 2 does not fit: its input is 2 pixels wide"):
        QuocNetConfig(stages=(StageConfig(8), StageConfig(3)), image_size=13)
    with pytest.raises(ValueError, match="odd norm_size"):
        StageConfig(8, norm_size=4)
    with pytest.raises(ValueError, match="at least one stage"):
        QuocNetConfig(stages=())
    with pytest.raises(ValueError, match="odd input_norm_size"):
        replace(QUOCNET_FULL, input_norm_size=4)
    with pytest.raises(ValueError, match="epsilon and norm_floor > 0"):
        replace(QUOCNET_FULL, epsilon=0.0)
