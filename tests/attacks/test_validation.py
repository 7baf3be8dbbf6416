"""What a caller got wrong is said, with what came and what to do."""

import pytest
import torch
from torch import nn

from tutorial_pkg.attacks import minimum_distortion
from tutorial_pkg.attacks.validation import check_options

X = torch.full((2, 4), 0.5)
T = torch.tensor([0, 1])
MODEL = nn.Linear(4, 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"inputs": X + 1}, r"in the box \[0.0, 1.0\], got values in \[1.5, 1.5\]; scale"),
        ({"inputs": X * float("nan")}, "finite inputs, got NaN"),
        ({"inputs": X.half()}, "float32 or float64, got torch.float16"),
        ({"inputs": (255 * X).byte()}, "float32 or float64, got torch.uint8"),
        ({"inputs": X[0]}, r"batch of inputs \[N, ...\], got shape \(4,\)"),
        ({"inputs": X.to_sparse()}, "a dense tensor of inputs, got one of layout torch.sparse_coo"),
        ({"inputs": X[:0], "targets": T[:0]}, r"non-empty batch.*got shape \(0, 4\)"),
        ({"inputs": X.double()}, "model's dtype torch.float32, got torch.float64"),
        ({"targets": None}, r"targets .* or labels .*, got neither; pass one"),
        ({"labels": T}, "got both; pass one"),
        ({"targets": T.float()}, "targets as int64 class indices, got torch.float32"),
        ({"targets": T[:1]}, r"targets of shape \(2,\).*got \(1,\)"),
        ({"targets": T + 2}, r"class indices in 0..2, got 2..3"),
        ({"targets": T - 1}, r"class indices in 0..2, got -1..0"),
        ({"model": lambda x: x[:, 0]}, r"logits of shape \(2, K\) with K >= 2, got \(2,\)"),
        ({"model": lambda x: x[:, :1]}, r"K >= 2, got \(2, 1\)"),
        ({"model": lambda x: x[:1]}, r"logits of shape \(2, K\).*got \(1, 4\)"),
        ({"model": lambda x: (x, x)}, r"logits of shape \(2, K\).*got tuple"),
        ({"model": lambda x: x / 0}, "finite logits, the model returned NaN or infinity"),
        ({"model": lambda x: x.double()}, r"logits of the inputs' dtype torch.float32, got torch.float64"),
        ({"model": lambda x: x.detach() * 2}, "logits with a gradient in the inputs, and they have none"),
        ({"model": torch.no_grad()(MODEL)}, "logits with a gradient in the inputs, and they have none"),
        ({"box": (1.0, 0.0)}, r"lower < upper, got \(1.0, 0.0\)"),
        ({"box": (0.5, 0.5)}, "lower < upper"),
        ({"box": (0.1, 0.1 + 1e-12)}, r"a box wider than rounding in torch.float32"),
        ({"loss": "hinge"}, "'margin', 'cross_entropy', got 'hinge'"),
        ({"max_iter": 0}, "max_iter of at least 1, got 0"),
        ({"max_iter": True}, "max_iter of at least 1, got True"),
        ({"num_search_steps": 0}, "num_search_steps of at least 1, got 0"),
        ({"batch_size": 0}, "batch_size of at least 1, got 0"),
    ],
)
def test_message(change, message):
    arguments = {"model": MODEL, "inputs": X, "targets": T} | change
    with pytest.raises(ValueError, match=message):
        minimum_distortion(arguments.pop("model"), arguments.pop("inputs"), **arguments)


def test_a_class_out_of_range_is_found_before_any_time_is_spent():
    asked = []

    def model(x: torch.Tensor) -> torch.Tensor:
        asked.append(len(x))
        return MODEL(x)

    targets = torch.tensor([1, 2, 9])
    with pytest.raises(ValueError, match=r"class indices in 0..2, got 1..9"):
        minimum_distortion(model, X[:1].repeat(3, 1), targets=targets, batch_size=1)
    assert asked == [1]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("batch_size", [1, 2])
def test_logits_that_are_not_finite_are_no_class_whatever_the_batch_size(value, batch_size):
    def model(x: torch.Tensor) -> torch.Tensor:
        return torch.where(x[:, :1] > 0.9, value, MODEL(x))

    inputs = torch.stack([X[0], torch.full((4,), 0.95)])
    for goal in ("targets", "labels"):
        with pytest.raises(ValueError, match="NaN or infinity for 1 of 2 inputs"):
            minimum_distortion(model, inputs, **{goal: torch.zeros(2).long()}, batch_size=batch_size)


def test_what_is_no_model_and_no_flag():
    with pytest.raises(ValueError, match=r"a function of \[N, ...\] that returns logits \[N, K\], got 'net'"):
        check_options("net", "margin", True, None, 12, None)
    with pytest.raises(ValueError, match="polish to be True or False, got 'no'"):
        check_options(MODEL, "margin", "no", None, 12, None)


def test_under_autocast_clean_and_altered_inputs_are_classified_alike():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 64), nn.Linear(64, 3))
    inputs = torch.rand(200, 4)
    labels = net(inputs).argmax(1)
    with torch.autocast("cpu", torch.bfloat16):
        result = minimum_distortion(lambda x: net(x).float(), inputs, labels=labels)
    assert (result.l2_norm > 0).all()
    assert (net(result.adv_inputs).argmax(1) != labels)[result.success].all()
