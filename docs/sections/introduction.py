# %% [markdown]
# # Introduction
#
# > **The claim.** A network that classifies well can still be made to fail on nearly any image by a change too small
# > to see; and inside it, single units mean no more than random combinations of units do. (Paper, §1)
#
# Szegedy and colleagues wrote this in 2013, a year after deep networks had begun to win at recognising images. Everyone
# could see *that* the networks worked. The paper looked at two common beliefs about *how* they work, and found both
# wanting.
#
# ## Two beliefs
#
# **That units are features.** Show a trained network thousands of images, pick one unit, and look at the images that
# excite it most. They tend to have something in common: a round stroke, a dog's face, a wheel. It is tempting to
# conclude that this unit stands for that thing. The paper points out a missing control. Take a *random* direction
# instead, a weighted sum of all the units in the layer with random weights, and look at the images that score highest
# along it. They, too, have something in common. If so, what is meaningful is the space in which the layer's activations
# lie, and not the axes that we happen to describe it with.
#
# **That classifiers are smooth.** Change an image by so little that nobody can tell, and the class should stay the same.
# It does if the change is random. But look for the worst change, by optimisation, and there is one: the network's
# answer can be moved to another class by a perturbation that a person would not notice. The paper called the results
# *adversarial examples*, and the name has stuck. Stranger still, an image altered to fool one network sometimes fools
# another, above all one trained on the same images, and often if the change is enlarged ([T4](../claims.md#t4),
# [T7](../claims.md#t7)). So it is not only an accident of one network's weights.
#
# ## The second claim in a few lines
#
# The simplest classifier already shows it. A linear classifier gives each class $k$ a score, its *logit*,
# $z_k(x) = w_k^\top x + b_k$, and answers with the class whose score is highest. We train one on the 8×8 digits that come
# with scikit-learn, resized to 28×28 pixels with values from 0 to 1.

# %%
import torch
from torch.nn.functional import cross_entropy

from tutorial_pkg.data import load_digits
from tutorial_pkg.metrics import error_rate, l2_norm, rms_distortion
from tutorial_pkg.models import build_model

torch.manual_seed(0)
digits = load_digits()
model = build_model("softmax")
optimizer = torch.optim.LBFGS(model.parameters(), max_iter=200)


def loss() -> torch.Tensor:
    """Cross-entropy with a little weight decay."""
    optimizer.zero_grad()
    decay = sum(p.square().sum() for p in model.parameters() if p.ndim == 2)
    logits = model(digits.train_inputs)
    value = cross_entropy(logits, digits.train_labels) + 1e-3 * decay
    value.backward()
    return value


optimizer.step(loss)
with torch.no_grad():
    error = error_rate(model(digits.test_inputs), digits.test_labels)
print(f"test error: {100 * error:.1f} %")

# %% [markdown]
# Take a test image of class $k$ that the model gets right, and a second class $l$. The model prefers $k$ by the margin
# $m = z_k(x) - z_l(x)$. Adding a perturbation $r$ changes the margin by $(w_k - w_l)^\top r$, so the shortest $r$ that
# brings it to zero points against $w_k - w_l$:
#
# $$
# \begin{aligned}
# r & = -\frac{m}{\|w_k - w_l\|_2^2}\,(w_k - w_l), \\
# \|r\|_2 & = \frac{m}{\|w_k - w_l\|_2}.
# \end{aligned}
# $$
#
# Of the nine classes that $l$ could be we take the one that is nearest, and go 2 % further, so as to end up on its
# side. The paper measures a perturbation of $n$ pixels by its *distortion*, the root mean square of the changes,
# $\sqrt{\sum_i r_i^2 / n}$: it is 0.1 when every pixel changes by a tenth of the way from black to white, or when a
# hundredth of them change all the way.

# %%
weight = model.layers["logits"][-1].weight.detach()
with torch.no_grad():
    right = model(digits.test_inputs).argmax(1) == digits.test_labels
inputs, labels = digits.test_inputs[right], digits.test_labels[right]

with torch.no_grad():
    logits = model(inputs)
margins = logits.gather(1, labels[:, None]) - logits
# w_k - w_l, for every image and every l
directions = weight[labels][:, None] - weight[None]
lengths = directions.norm(dim=2)
distances = (margins / lengths).where(lengths > 0, torch.inf)
nearest = distances.argmin(1)
rows = torch.arange(len(inputs))
steps = 1.02 * distances[rows, nearest] / lengths[rows, nearest]
perturbation = (-steps[:, None] * directions[rows, nearest]).reshape_as(inputs)


def share_wrong(changed: torch.Tensor) -> float:
    """Percentage now misclassified of the images, all right before."""
    with torch.no_grad():
        return 100 * float((model(changed).argmax(1) != labels).float().mean())


generator = torch.Generator().manual_seed(1)
noise = torch.randn(perturbation.shape, generator=generator)
noise *= (l2_norm(perturbation) / l2_norm(noise))[:, None, None, None]
distortion = rms_distortion(perturbation).mean()
aimed = share_wrong(inputs + perturbation)
random = share_wrong(inputs + noise)
print(f"mean distortion, with the 2 %:         {distortion:.3f}")
print(f"misclassified with the perturbation:   {aimed:.1f} %")
print(f"with random noise of the same length:  {random:.1f} %")

# %% [markdown]
# Every image can be pushed across, although noise of the same length does next to nothing: the perturbation is small but
# aims. One thing is not right yet. Some pixels have left the range from 0 to 1, and a sum with such pixels is not an
# image. The shortest change that stays within the range has no formula; an optimiser finds it, which is the subject of
# [§4.1](minimum_distortion.py).

# %%
from tutorial_pkg.attacks import minimum_distortion

changed = inputs + perturbation
outside = 100 * ((changed < 0) | (changed > 1)).double().mean()
clamped = share_wrong(changed.clamp(0, 1))
attack = minimum_distortion(model, inputs, labels=labels)
distortion = attack.rms_distortion.mean()
print(f"pixels outside the range:      {outside:.1f} %")
print(f"misclassified, clamped to it:  {clamped:.1f} %")
print(f"misclassified, found in it:    {share_wrong(attack.adv_inputs):.1f} %")
print(f"mean distortion, found in it:  {distortion:.3f}")

# %% [markdown]
# Staying in the range costs little. Here are four of these images, with the perturbation drawn in the middle (grey is no
# change) and the altered image on the right.

# %% tags=["hide-input"] alt="Four groups, in two rows, of a digit, its perturbation and the altered digit" caption="Four groups of three. In each, left: a digit the model gets right, under its class. Middle: the perturbation, the same scale for all. Right: their sum, every pixel in the range from 0 to 1, under the class that the model now gives."
import matplotlib.pyplot as plt

perturbation = attack.adv_inputs - inputs
figure, axes = plt.subplots(2, 6, figsize=(6.4, 2.5))
for i in range(4):
    row, left = i // 2, 3 * (i % 2)
    changed = attack.adv_inputs[i]
    panels = (inputs[i], perturbation[i], changed)
    titles = (
        f"{labels[i]}",
        "change",
        f"→ {model(changed[None]).argmax().item()}",
    )
    for axis, image, title in zip(
        axes[row, left : left + 3], panels, titles, strict=True
    ):
        limit = float(perturbation[:4].abs().max())
        low, high = (-limit, limit) if title == "change" else (0, 1)
        axis.imshow(
            image[0], cmap="gray", vmin=low, vmax=high, interpolation="none"
        )
        axis.set_title(title, fontsize=10, fontweight="normal")
        axis.set_axis_off()
plt.show()

# %% [markdown]
# A network with hidden layers has no formula even without the range, since its scores are not linear in $x$. The paper
# therefore poses a constrained optimisation problem and solves it numerically.
#
# ## Section by section
#
# | section | question | method |
# | --- | --- | --- |
# | [§2 Framework](framework.py) | which models and data? | softmax, fully connected, autoencoder and convolutional networks on MNIST; AlexNet on ImageNet; QuocNet on video frames |
# | [§3 Units](units.py) | do units mean more than random directions? | the images that excite each the most |
# | [§4.1 Minimum distortion](minimum_distortion.py) | how little does it take? | box-constrained L-BFGS |
# | [§4.1 Is the method exact?](exactness.py) | does it find the least? | a linear classifier, where the answer can be proven |
# | [§4, §5 Are they pockets?](pockets.py) | are they rare, dense, and a lack of smoothness? | noise of the same length; kernel machines |
# | [§4.2 Transfer](transfer.py) | does it fool other networks? | examples made for one, shown to another |
# | [§4.2 Adversarial training](adversarial_training.py) | does training on them help? | pools of examples, renewed as the network learns |
# | [§4.3 Spectral analysis](spectral.py) | how much can a layer amplify a change? | the largest singular value of each layer |
# | §3 and §4.2, on photographs | do the same things happen there? | [AlexNet](alexnet.py) and [QuocNet](quocnet.py) |
#
# ## What later work found
#
# That a *linear* model is so easily fooled is a hint that non-linearity is not to blame.
# [Goodfellow et al. (2015)](../references.md#goodfellow2015) followed it: in many dimensions a great many tiny changes,
# each in the direction that hurts, add up to a large change of the score. [Ilyas et al. (2019)](../references.md#ilyas2019)
# argued that the perturbations carry real signal, patterns that do predict the class in the training data and that people
# cannot see, which would explain why different networks share them. Training against the worst perturbation within a
# given radius ([Madry et al., 2018](../references.md#madry2018)) became the standard defence; it costs accuracy on
# unaltered images and leaves many altered ones misclassified. For single units, [Bau et al. (2017)](../references.md#bau2017) measured how
# well units match concepts that people have labelled, and found that they match better than random directions do: a
# challenge to the paper's first claim.
#
# ## Exercises
#
# 1. In the first cell with a perturbation, multiply it by 0.9 and by −1. What share is misclassified, and why?
# 2. Raise the weight decay from `1e-3` to `1e-1`. The error goes up; what happens to the distances?
# 3. Clamping brings some images back across the boundary. Go 5, 10 and 20 % beyond it instead of 2 %, and clamp. What share
#    is misclassified now? Why can some images not be saved by going further?
