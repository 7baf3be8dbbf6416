"""What a caller can get wrong, each as a ValueError that says what was expected, what came and what to do."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral

import torch
from torch import Tensor, nn

LOSSES = ("margin", "cross_entropy")


def check_box(box: tuple[float, float] | None) -> None:
    """Raise unless lower < upper."""
    if box is None:
        raise ValueError("expected a box (lower, upper), got None; use (-math.inf, math.inf) where there is none")
    try:
        lower, upper = (float(end) for end in box)
    except (TypeError, ValueError) as error:
        raise ValueError(f"expected a box of two numbers (lower, upper), got {box!r}") from error
    if not lower < upper:
        raise ValueError(f"expected a box (lower, upper) with lower < upper, got {box!r}; use (0, 1) for images")


def check_inputs(inputs: Tensor, box: tuple[float, float] | None) -> None:
    """Raise unless inputs are a non-empty batch of finite floats, in the box where there is one."""
    if not isinstance(inputs, Tensor) or inputs.dtype not in (torch.float32, torch.float64):
        advice = "inputs.float()" if isinstance(inputs, Tensor) else "torch.as_tensor(inputs)"
        raise ValueError(f"expected inputs of dtype float32 or float64, got {_kind(inputs)}; use {advice}")
    if inputs.layout is not torch.strided:
        raise ValueError(f"expected a dense tensor of inputs, got one of layout {inputs.layout}; use inputs.to_dense()")
    if inputs.ndim < 2 or inputs.numel() == 0:
        raise ValueError(
            f"expected a non-empty batch of inputs [N, ...], got shape {tuple(inputs.shape)}; "
            "add a batch dimension with inputs[None], or leave an empty batch out"
        )
    if not torch.isfinite(inputs).all():
        raise ValueError("expected finite inputs, got NaN or infinity; remove or repair those images")
    if box is None:
        return
    check_box(box)
    smallest, largest = inputs.min().item(), inputs.max().item()
    lower, upper = rounded_box(box, inputs.dtype)
    if smallest < lower or largest > upper:
        raise ValueError(
            f"expected inputs in the box {list(box)}, got values in [{smallest:.4g}, {largest:.4g}]; "
            "scale the inputs (divide bytes by 255) or pass the box they live in"
        )


def rounded_box(box: tuple[float, float], dtype: torch.dtype) -> tuple[float, float]:
    """Return the box as the inputs' dtype has it: 0.2 is a little more in float32."""
    lower, upper = torch.tensor([float(end) for end in box], dtype=dtype).tolist()
    if not lower < upper:
        raise ValueError(f"expected a box wider than rounding in {dtype}, got {list(box)}; use inputs.double()")
    return lower, upper


def check_goal(inputs: Tensor, targets: Tensor | None, labels: Tensor | None) -> None:
    """Raise unless exactly one of targets and labels was given, with one class index an input."""
    if (targets is None) == (labels is None):
        came = "neither" if targets is None else "both"
        raise ValueError(
            f"expected either targets (the class to reach) or labels (the class to leave), got {came}; pass one"
        )
    name, classes = ("targets", targets) if targets is not None else ("labels", labels)
    if not isinstance(classes, Tensor) or classes.dtype not in (torch.int64, torch.int32):
        advice = f"{name}.long()" if isinstance(classes, Tensor) else f"torch.as_tensor({name})"
        raise ValueError(f"expected {name} as int64 class indices, got {_kind(classes)}; use {advice}")
    if classes.shape != inputs.shape[:1]:
        raise ValueError(f"expected {name} of shape ({len(inputs)},), one class an input, got {tuple(classes.shape)}")


def check_dtype(model: object, inputs: Tensor) -> None:
    """Raise if the model's parameters are of another float type than the inputs."""
    parameters = model.parameters() if isinstance(model, nn.Module) else ()
    dtypes = {p.dtype for p in parameters if p.is_floating_point()}
    if dtypes and inputs.dtype not in dtypes:
        came = ", ".join(sorted(str(dtype) for dtype in dtypes))
        if not dtypes & {torch.float32, torch.float64}:
            raise ValueError(
                f"expected a model in float32 or float64, got {came}, whose rounding is larger than what an attack "
                "measures; use model.float(), or pass a function that converts its argument and result"
            )
        raise ValueError(
            f"expected inputs of the model's dtype {came}, got {inputs.dtype}; convert the inputs or the model"
        )


def check_shape(logits: object, inputs: Tensor) -> None:
    """Raise unless the model returned logits [N, K], K ≥ 2."""
    shape = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
    if not isinstance(logits, Tensor) or logits.ndim != 2 or len(logits) != len(inputs) or logits.shape[1] < 2:
        raise ValueError(
            f"expected the model to return logits of shape ({len(inputs)}, K) with K >= 2, got {shape}; "
            "wrap it so that it returns one row of class scores an input, whatever N is"
        )


def check_logits(logits: Tensor, inputs: Tensor, classes: Tensor) -> None:
    """Raise unless logits [N, K] are finite and of the inputs' dtype, and the class indices are below K."""
    if logits.dtype != inputs.dtype:
        raise ValueError(
            f"expected logits of the inputs' dtype {inputs.dtype}, got {logits.dtype}; wrap the model so that it "
            "converts them, and leave autocast out: its rounding is larger than what an attack measures"
        )
    finite = torch.isfinite(logits).all(dim=1)
    if not finite.all():
        raise ValueError(
            f"expected finite logits, the model returned NaN or infinity for {int((~finite).sum())} of {len(finite)} "
            "inputs; check its weights and inputs"
        )
    num_classes = logits.shape[1]
    if classes.min() < 0 or classes.max() >= num_classes:
        raise ValueError(
            f"expected class indices in 0..{num_classes - 1}, got {classes.min().item()}..{classes.max().item()}; "
            "the model decides how many classes there are"
        )


def check_gradient(model: Callable[[Tensor], Tensor], inputs: Tensor) -> None:
    """Raise unless the logits of one input have a gradient in it."""
    with torch.enable_grad():
        leaf = inputs[:1].detach().clone().requires_grad_(True)
        logits = model(leaf)
        if logits.requires_grad and torch.autograd.grad(logits.sum(), leaf, allow_unused=True)[0] is not None:
            return
    raise ValueError(
        "expected logits with a gradient in the inputs, and they have none; leave no_grad, detach, rounding and NumPy "
        "out of the model"
    )


def check_options(
    model: object, loss: str, polish: object, max_iter: int | None, num_search_steps: int, batch_size: int | None
) -> None:
    """Raise on a model that cannot be called, an unknown loss, a polish that is not a bool or a count below one."""
    if not callable(model):
        raise ValueError(f"expected a model, a function of [N, ...] that returns logits [N, K], got {model!r}")
    if not isinstance(polish, bool):
        raise ValueError(f"expected polish to be True or False, got {polish!r}")
    if loss not in LOSSES:
        raise ValueError(f"expected loss to be one of {', '.join(map(repr, LOSSES))}, got {loss!r}")
    counts = {"max_iter": max_iter, "batch_size": batch_size}
    given = {name: count for name, count in counts.items() if count is not None}
    for name, count in {**given, "num_search_steps": num_search_steps}.items():
        if not isinstance(count, Integral) or isinstance(count, bool) or count < 1:
            raise ValueError(f"expected an integer {name} of at least 1, got {count!r}")


def check_values(values: object, gradients: object, points: Tensor) -> None:
    """Raise unless these are the values and the gradients of problems at these points."""
    for name, tensor, shape in (("values", values, points.shape[:1]), ("gradients", gradients, points.shape)):
        if not isinstance(tensor, Tensor) or tensor.shape != shape:
            came = tuple(tensor.shape) if isinstance(tensor, Tensor) else type(tensor).__name__
            raise ValueError(
                f"expected value_and_grad to return {name} of shape {tuple(shape)}, got {came}; it returns one value a "
                "problem, and gradients like its argument"
            )


def check_problems(x0: Tensor, max_iter: int, history_size: int) -> None:
    """Raise unless `box_lbfgs` can start at x0 and has steps to take and to remember."""
    if x0.dtype not in (torch.float32, torch.float64) or x0.ndim < 2:
        raise ValueError(
            f"expected x0 [N, ...] of dtype float32 or float64, one problem a row, got {_kind(x0)} {tuple(x0.shape)}; "
            "use x0.float(), and x0[None] for a single problem"
        )
    if x0.isnan().any():
        raise ValueError("expected an x0 without NaN; start those problems elsewhere")
    if max_iter < 0 or history_size < 1:
        raise ValueError(f"expected max_iter ≥ 0 and history_size ≥ 1, got {max_iter} and {history_size}")


def _kind(value: object) -> str:
    return str(value.dtype) if isinstance(value, Tensor) else type(value).__name__
