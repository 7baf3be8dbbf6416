"""The sparse autoencoder whose code AE400-10 classifies (section 4.2), trained with full-batch L-BFGS."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from tutorial_pkg.models.layered import LayeredModel
from tutorial_pkg.models.mnist import xavier_linear
from tutorial_pkg.precision import widest
from tutorial_pkg.training.lbfgs import TrainingResult, minimize_lbfgs


def pretrain_autoencoder(
    model: LayeredModel,
    inputs: Float[Tensor, "n *shape"],
    *,
    sparsity: float = 0.1,
    sparsity_weight: float = 3.0,
    weight_decay: float = 3e-3,
    max_iter: int = 400,
    progress: bool = False,
) -> TrainingResult:
    """Train the layer "code" of `model` to reconstruct its input from a sparse code; the paper trains it
    "until it got very high quality first layer filters". Then freeze it: it is not fine-tuned.

        ½ mean‖x̂ − x‖² + (λ/2)(‖W₁‖² + ‖W₂‖²) + β Σ_j KL(ρ ‖ ρ̂_j),   x̂ = sigmoid(W₂ code(x) + b₂)

    with ρ̂_j the mean of code unit j over the training set.

    Args:
        model: has a layer "code", a sigmoid one; changed in place.
        inputs: images in [0, 1].
        sparsity: ρ, the activity each unit should have on average, in (0, 1).
        sparsity_weight: β.
        weight_decay: λ, on weights and not on biases.
        max_iter: L-BFGS iterations at most.
        progress: show a progress bar.

    Source: Ng, *Sparse autoencoder* (CS294A lecture notes, 2011). The paper does not say which autoencoder.
    """
    code_layer = model.layers["code"]
    flat = inputs.flatten(1)
    code_size = model.features(inputs[:1], "code").shape[1]
    decoder = xavier_linear(code_size, flat.shape[1]).to(inputs.device, inputs.dtype)
    autoencoder = nn.ModuleDict({"code": code_layer, "decoder": decoder})
    encoder_weight = next(p for p in code_layer.parameters() if p.ndim == 2)

    def objective() -> Tensor:
        code = code_layer(inputs)
        reconstruction = torch.sigmoid(decoder(code))
        error = widest((reconstruction - flat).square().sum(1)).mean() / 2
        decay = weight_decay / 2 * (encoder_weight.square().sum() + decoder.weight.square().sum())
        # Saturated units would make the divergence infinite.
        activity = widest(code).mean(0).clamp(1e-6, 1 - 1e-6)
        divergence = sparsity * torch.log(sparsity / activity) + (1 - sparsity) * torch.log(
            (1 - sparsity) / (1 - activity)
        )
        return error + decay + sparsity_weight * divergence.sum()

    result = minimize_lbfgs(autoencoder, objective, max_iter=max_iter, progress=progress)
    code_layer.requires_grad_(False)
    return result
