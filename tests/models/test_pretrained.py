"""Torchvision's AlexNet, as it comes and when it cannot come."""

import pytest
import torch
import torchvision.models

from tutorial_pkg.models.pretrained import as_layered, load_pretrained_alexnet


def test_layered_it_is_the_same_function_of_a_normalised_image():
    torch.manual_seed(0)
    network = torchvision.models.alexnet(weights=None, num_classes=10).eval()
    model = as_layered(network).eval()
    x = torch.rand(1, 3, 224, 224)
    normalise = torchvision.models.AlexNet_Weights.IMAGENET1K_V1.transforms()
    mean, std = (torch.tensor(v)[:, None, None] for v in (normalise.mean, normalise.std))
    with torch.no_grad():
        torch.testing.assert_close(model(x), network((x - mean) / std))
        assert model.features(x, "pool5").shape == (1, 256, 6, 6)
        assert model.features(x, "fc2").shape == (1, 4096)


def test_without_a_network_the_error_names_the_file_and_the_alternative(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    def refuse(*args, **kwargs):
        raise OSError("no network")

    monkeypatch.setattr("torch.hub.download_url_to_file", refuse)
    with pytest.raises(
        FileNotFoundError, match=r"\(no network\)\. Put alexnet-owt-7be5be79\.pth into .*--only alexnet"
    ):
        load_pretrained_alexnet()
