"""A pool of adversarial examples for one layer, a part of which is replaced again and again."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from tutorial_pkg.adversarial_training.examples import SOURCES, make_examples
from tutorial_pkg.models import LayeredModel

INPUT = "input"
"""The layer below the first: the images themselves."""


@dataclass(frozen=True)
class PoolRecipe:
    """What one pool holds and how it is kept up.

    Attributes:
        layer: whose output the examples are: "input", or the name of a layer, "hidden1".
        source: how an example is made; see `make_examples`.
        capacity: examples held.
        replaced: the share of them replaced in a round.
        period: training steps from one round to the next.
        stretch: the examples' distance, as a multiple of the distance to the boundary.
        max_norm: the largest ‖r‖₂ of an example.
        box: range of the layer's output; a layer of rectifiers has (0, inf).
        weight: of the pool's mean loss, beside the clean images' 1.
        trains_below: False is the paper's: an example is a point of the layer's output and trains the layers above it.
            True stores r alone and adds it to the image's present features, so that the layers below are trained too.
    """

    layer: str = INPUT
    source: str = "minimum_distortion"
    capacity: int = 10_000
    replaced: float = 0.1
    period: int = 40
    stretch: float = 1.0
    max_norm: float = math.inf
    box: tuple[float, float] = (0.0, 1.0)
    weight: float = 1.0
    trains_below: bool = False

    def __post_init__(self) -> None:
        if self.source not in SOURCES:
            raise ValueError(f"unknown source of examples {self.source!r}; expected one of {', '.join(SOURCES)}")
        if self.capacity < 1 or self.period < 1 or not 0 < self.replaced <= 1:
            raise ValueError(
                "a pool needs capacity ≥ 1, period ≥ 1 and 0 < replaced ≤ 1, "
                f"got {self.capacity}, {self.period} and {self.replaced}"
            )
        if not (self.stretch > 0 and self.max_norm > 0 and self.weight >= 0):
            raise ValueError(
                "a pool needs stretch > 0, max_norm > 0 and weight ≥ 0, "
                f"got {self.stretch}, {self.max_norm} and {self.weight}"
            )
        if not self.box[0] < self.box[1]:
            raise ValueError(f"a pool's box needs its lower end below its upper one, got {self.box}")


class Pool:
    """Examples of one layer, with the images that they come from.

    Args:
        recipe: see `PoolRecipe`.
        inputs: training images, on the training device.
        labels: their classes.
        generator: decides, on the CPU, which images come in, which examples go and which are drawn.
    """

    def __init__(
        self,
        recipe: PoolRecipe,
        inputs: Float[Tensor, "n *shape"],
        labels: Int[Tensor, " n"],
        generator: torch.Generator,
    ) -> None:
        self.recipe = recipe
        self._inputs, self._labels, self._generator = inputs, labels, generator
        self._images = torch.empty(0, dtype=torch.long)  # in a slot: which image its example comes from
        self._stored = torch.empty(0)  # in a slot: the example, or its change where the layers below are trained

    def __len__(self) -> int:
        return len(self._images)

    def refresh(self, model: LayeredModel) -> None:
        """Fill an empty pool, or replace a random share of it by examples against the present `model`.

        Raises:
            ValueError: the layer's output is not in the recipe's box.
        """
        recipe = self.recipe
        if not len(self):
            slots = torch.arange(recipe.capacity)
            self._images = self._draw_images(recipe.capacity)
        else:
            count = max(1, round(recipe.replaced * recipe.capacity))
            slots = torch.randperm(recipe.capacity, generator=self._generator)[:count]
            self._images[slots] = self._draw_images(count)
        images = self._images[slots].to(self._inputs.device)
        with torch.no_grad():
            features = features_at(model, self._inputs[images], recipe.layer)
        self._check_range(features)
        examples = make_examples(
            model if recipe.layer == INPUT else model.above(recipe.layer),
            features,
            self._labels[images],
            source=recipe.source,
            generator=self._generator,
            stretch=recipe.stretch,
            max_norm=recipe.max_norm,
            box=recipe.box,
        )
        new = examples - features if recipe.trains_below else examples
        if not len(self._stored):
            self._stored = torch.empty_like(new)
        self._stored[slots.to(new.device)] = new

    def draw(self, model: LayeredModel, count: int) -> tuple[Float[Tensor, "m *features"], Int[Tensor, " m"]]:
        """Return `count` examples at random, all different, and their labels; all of a pool no larger than that."""
        slots = torch.randperm(len(self), generator=self._generator)[:count].to(self._stored.device)
        images = self._images.to(slots.device)[slots].to(self._inputs.device)
        examples = self._stored[slots]
        if self.recipe.trains_below:
            examples = (features_at(model, self._inputs[images], self.recipe.layer) + examples).clamp(*self.recipe.box)
        return examples, self._labels[images]

    def _check_range(self, features: Tensor) -> None:
        low, high = (float(end) for end in features.aminmax())
        if low < self.recipe.box[0] or high > self.recipe.box[1]:
            raise ValueError(
                f"layer {self.recipe.layer!r} gives values from {low:.3g} to {high:.3g}, outside its pool's box "
                f"{self.recipe.box}; give the pool the layer's range, for rectifiers box=(0, inf)"
            )

    def _draw_images(self, count: int) -> Int[Tensor, " count"]:
        return torch.randint(len(self._labels), (count,), generator=self._generator)


def features_at(model: LayeredModel, inputs: Tensor, layer: str) -> Tensor:
    """Return a layer's output, or the images for "input"."""
    return inputs if layer == INPUT else model.features(inputs, layer)
