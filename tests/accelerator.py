"""A stand-in for an accelerator: a device that is not the CPU, although the CPU does its arithmetic.

It refuses what a GPU refuses: an operation that mixes its tensors with the CPU's, a generator of the CPU, products of
integer matrices; and on request float64, which Apple's MPS does not have. So code that runs on it keeps its tensors
where they belong, and its results can be compared with the CPU's digit by digit. It says nothing about speed, nor about
operations that a real device may lack.

PyTorch keeps a place for backends from outside, PrivateUse1, which can be filled from Python.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import pytest
import torch
from torch.utils import backend_registration
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_iter, tree_map_only

NAME = "standin"
AVAILABLE = hasattr(backend_registration, "_setup_privateuseone_for_python_backend")
aten = torch.ops.aten
# These take tensors of two devices on a GPU too.
COPIES = {aten._to_copy.default, aten.copy_.default}
INDEXING = {aten.index.Tensor, aten.index_put.default, aten.index_put_.default, aten._index_put_impl_.default}
PRODUCTS = {aten.mm.default, aten.bmm.default, aten.addmm.default, aten.mv.default}
# What returns numbers, or tensors whose shape depends on numbers: the host has to wait for the device.
READS = {aten._local_scalar_dense.default, aten.nonzero.default, aten.equal.default, aten.masked_select.default}


class DeviceTensor(torch.Tensor):
    """A tensor on the device; `held` is the CPU's tensor that has its numbers."""

    held: torch.Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, held: torch.Tensor) -> DeviceTensor:
        place = {"strides": held.stride(), "storage_offset": held.storage_offset(), "device": torch.device(NAME, 0)}
        return torch.Tensor._make_wrapper_subclass(cls, held.size(), dtype=held.dtype, **place)

    def __init__(self, held: torch.Tensor) -> None:
        self.held = held

    def __repr__(self) -> str:
        return f"{self.held!r} on {NAME}"

    def tolist(self) -> Any:
        return self.held.tolist()

    @classmethod
    def __torch_dispatch__(cls, operation, kinds, args=(), kwargs=None):
        return _run(operation, args, kwargs or {})


class Device(TorchDispatchMode):
    """What happens on the device while the mode is on.

    Attributes:
        float64: whether the device has it.
        reads: how often the host had to wait for numbers from the device.
    """

    def __init__(self, float64: bool) -> None:
        super().__init__()
        self.float64 = float64
        self.reads = 0

    def __torch_dispatch__(self, operation, kinds, args=(), kwargs=None):
        kwargs = kwargs or {}
        if not (_names_device(kwargs) or any(isinstance(t, DeviceTensor) for t in tree_iter((args, kwargs)))):
            return operation(*args, **kwargs)
        self.reads += operation in READS or _leaves(operation, args, kwargs)
        out = _run(operation, args, kwargs)
        for tensor in tree_iter(out):
            if not self.float64 and isinstance(tensor, DeviceTensor) and tensor.dtype in (torch.float64, torch.cdouble):
                raise TypeError(f"{operation}: no {tensor.dtype} on {NAME}")
        return out


@contextmanager
def accelerator(*, float64: bool = True) -> Iterator[Device]:
    """Switch the device on; `tensor.to(NAME)` and `device=NAME` work inside."""
    if not AVAILABLE:
        pytest.skip("needs a PyTorch whose PrivateUse1 backend can be written in Python")
    # A module's conversion would otherwise give its parameters other numbers and leave what they hold.
    before = torch.__future__.get_overwrite_module_params_on_conversion()
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    try:
        with Device(float64) as device:
            yield device
    finally:
        torch.__future__.set_overwrite_module_params_on_conversion(before)


def _run(operation: Callable, args: tuple, kwargs: dict) -> Any:
    """Run an operation on the tensors held, after a GPU's checks."""
    leaves = [x for x in tree_iter((args, kwargs)) if isinstance(x, torch.Tensor | torch.Generator)]
    mine = [x for x in leaves if isinstance(x, DeviceTensor)]
    for other in leaves:
        if isinstance(other, torch.Generator):
            raise RuntimeError(f"{operation}: expected a generator of {NAME}, got one of {other.device}")
        if other.ndim and not isinstance(other, DeviceTensor) and operation not in COPIES | INDEXING:
            raise RuntimeError(f"{operation}: expected all tensors on {NAME}, got one on {other.device}")
    if operation in PRODUCTS and not (mine[0].is_floating_point() or mine[0].is_complex()):
        raise RuntimeError(f"{operation}: not implemented for {mine[0].dtype} on {NAME}")
    held_args, held_kwargs = tree_map_only(DeviceTensor, lambda t: t.held, (args, kwargs))
    if _names_device(kwargs):
        held_kwargs["device"] = torch.device("cpu")
    out = operation(*held_args, **held_kwargs)
    if _leaves(operation, args, kwargs):
        return args[0] if operation is aten.copy_.default else out
    known = {id(t.held): t for t in mine}
    wrapped = tree_map_only(torch.Tensor, lambda t: known[id(t)] if id(t) in known else DeviceTensor(t), out)
    return return_and_correct_aliasing(operation, args, kwargs, wrapped)


def _names_device(kwargs: dict) -> bool:
    return kwargs.get("device") is not None and torch.device(kwargs["device"]).type == NAME


def _leaves(operation: Callable, args: tuple, kwargs: dict) -> bool:
    """Say whether the operation copies from the device to the CPU."""
    if operation is aten.copy_.default:
        return not isinstance(args[0], DeviceTensor)
    device = kwargs.get("device")
    return operation is aten._to_copy.default and device is not None and torch.device(device).type == "cpu"


@cache
def register() -> torch.library.Library | None:
    """Fill PyTorch's place for the device, before the first backward pass of the process, which counts the devices.

    What is registered lives as long as the library object, so the cache keeps it.
    """
    if not AVAILABLE:
        return None
    module = types.ModuleType(f"torch.{NAME}")
    answers = {"is_available": True, "device_count": 1, "current_device": 0, "_is_in_bad_fork": False}
    for name, answer in answers.items():
        setattr(module, name, lambda answer=answer: answer)
    module.manual_seed_all = lambda seed: None
    module.get_rng_state = lambda device=None: torch.get_rng_state()
    module.set_rng_state = lambda state, device=None: None
    module.get_amp_supported_dtype = lambda: [torch.bfloat16]
    backend_registration._setup_privateuseone_for_python_backend(NAME, backend_module=module)
    library = torch.library.Library("aten", "IMPL")
    # `torch.tensor(…, device=…)` and the backward pass make tensors behind the mode's back.
    for operation in (aten.empty.memory_format, aten.empty_strided.default):
        library.impl(operation.name().removeprefix("aten::"), _factory(operation), "PrivateUse1")
    library.impl("_copy_from", lambda source, to, _=False: _run(aten.copy_.default, (to, source), {}), "PrivateUse1")
    return library


def _factory(operation: Callable) -> Callable:
    def make(*args, pin_memory=None, **kwargs):
        return _run(operation, args, {**kwargs, "device": torch.device(NAME, 0)})

    return make
