"""Batches of problems that leave when they are done.

Fresh memory is not free: the operating system finds and clears each page of it, which shows in the time of small
networks. So the batch's large arrays are allocated once, `scratch` for what a step computes from `vectors`, and stay
where they are when problems leave.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any, TypeVar

import torch
from jaxtyping import Bool
from torch import Tensor

State = TypeVar("State", bound=Any)
KEPT_IN_PLACE = ("vectors", "scratch")


def without(state: State, done: Bool[Tensor, " n"]) -> State:
    """Return a dataclass of tensors, a row a problem, without these rows; the last rows take their places.

    The tensors of the argument are not changed, but for `vectors` and `scratch`, whose memory both share.
    """
    count = int((~done).sum())
    holes, last = done[:count].nonzero()[:, 0], (~done[count:]).nonzero()[:, 0] + count
    order = torch.arange(count, device=done.device).index_put((holes,), last)
    state.vectors[holes] = state.vectors[last]
    kept = {name: getattr(state, name)[:count] for name in KEPT_IN_PLACE}
    others = {f.name: getattr(state, f.name)[order] for f in fields(state) if f.name not in kept}
    return replace(state, **others, **kept)
