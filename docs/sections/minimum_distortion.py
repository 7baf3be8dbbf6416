# %% [markdown]
# # Minimum distortion
#
# > **The claim.** For every image that a network classifies correctly, a simple optimisation finds another image,
# > too close to tell apart, that the network assigns to a class of our choice. (Paper, §4 and §4.1)
#
# **What comes out.** Of {{ table1.num_examples }} searches for [Table 1](framework.py#table-1), for a random other class or for
# the nearest, {{ table1.missed }} ended at an image that the model does not take for it ([B1](../claims.md#b1)). For N100-100-10
# that image is at a distortion of {{ table1.N100-100-10.distortion_random_target_mean }} on average if the class is random and
# {{ table1.N100-100-10.distortion_nearest_mean }} if it is the nearest; some images need far more than the average
# ([B2](../claims.md#b2)).
#
# Learning algorithms are often trusted to be *smooth*: what is very close to a training image should get that image's
# class. The paper tests this trust by looking for the closest image that breaks it. This page sets up the search as
# the paper does, carries it out for one image step by step, and says what the distortions in the tables mean. How close
# to the true answer the search comes is [the next page's](exactness.py) subject, and whether what it finds are rare "pockets"
# that of [the one after](pockets.py).
#
# ## The problem
#
# A classifier $f$ takes an image $x$, that is $m$ pixels, to one of $k$ classes. Given an image and a target class
# $l$, the paper asks for the smallest perturbation $r$ that makes the network answer $l$:
#
# $$
# \begin{aligned} \min_r\; & \|r\|_2 \\ \text{subject to } & f(x + r) = l, \\ & x + r \in [0, 1]^m. \end{aligned}
# $$
#
# The second constraint says that $x + r$ is still an image: its pixels stay between black and white. The solution
# $x + r$ is called $D(x, l)$. If the network already answers $l$, it is $x$ itself.[^typo]
#
# | in the paper | in the code | meaning |
# | --- | --- | --- |
# | $x$ | `inputs` | images, one a row, values in [0, 1] |
# | $f(x)$ | `model(inputs).argmax(1)` | the class with the largest logit |
# | $l$ | `targets` | the class to reach |
# | $r$ | `perturbation` | the change |
# | $D(x, l)$ | `minimum_distortion(model, inputs, targets=targets).adv_inputs` | the nearest image of class $l$ |
# | $\mathrm{loss}_f(x, l)$ | `cross_entropy(model(inputs), targets)` | small when the network is sure of $l$ |
# | $c$ | `c` | the weight of the distance against the loss |
# | $\sqrt{\sum_i r_i^2 / n}$ | `rms_distortion(perturbation)` | the distortion that the tables report, $n = m$ |
#
# [^typo]: The paper writes $D(x, f(x)) = f(x)$, an image on the left and a class on the right; it must be $x$.
#
# Finding $D(x, l)$ exactly is hard: the set of images that a network calls $l$ is in general not convex, and may be in
# several pieces. The paper replaces the constraint with a penalty. It minimises
#
# $$
# c\,|r| + \mathrm{loss}_f(x + r, l) \quad \text{subject to } x + r \in [0, 1]^m
# $$
#
# by a *box-constrained L-BFGS*, a quasi-Newton method that respects lower and upper limits, and searches along a
# line for the right $c$.
#
# ## One image, line by line
#
# First a network to attack: the paper's 100-100-10, two hidden layers of 100 sigmoid units, trained on the digits
# that come with scikit-learn.

# %%
from copy import deepcopy

import matplotlib.pyplot as plt
import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from tutorial_pkg.attacks import minimum_distortion
from tutorial_pkg.data import load_digits
from tutorial_pkg.metrics import rms_distortion
from tutorial_pkg.training import TABLE1_RECIPES, train

digits = load_digits()
model, _ = train(TABLE1_RECIPES["N100-100-10"].shortened(60), digits, seed=0)


def predict(images: Tensor, network: nn.Module = model) -> Tensor:
    """f: the class with the largest logit."""
    with torch.no_grad():
        return network(images).argmax(1)


right = predict(digits.test_inputs) == digits.test_labels
inputs, labels = digits.test_inputs[right], digits.test_labels[right]
print(f"{len(inputs)} of {len(right)} test images are classified correctly")

# %% [markdown]
# We take one of them. SciPy has the optimiser that the paper names, L-BFGS-B; it wants a function that returns
# the value and the gradient, as one flat vector of 64-bit numbers. The distance enters squared, as $c\,\|r\|_2^2$;
# a note below says why.

# %%
# SciPy's line search needs the digits that 32 bits do not have
exact_model = deepcopy(model).double()
# jac: what it minimises returns the value and the gradient
lbfgs = {"method": "L-BFGS-B", "jac": True}
chosen = 2
x, label = inputs[chosen].double().flatten(), int(labels[chosen])
target = (label + 3) % 10


def penalty(
    pixels: np.ndarray, x: Tensor, target: int, c: float
) -> tuple[float, np.ndarray]:
    """c‖r‖² + loss(x + r, l), and its gradient."""
    image = torch.from_numpy(pixels).requires_grad_()
    logits = exact_model(image.reshape(1, 1, 28, 28))
    loss = cross_entropy(logits, torch.tensor([target]))
    value = c * (image - x).square().sum() + loss
    value.backward()
    return value.item(), image.grad.numpy()


def penalty_minimum(x: Tensor, target: int, c: float) -> Tensor:
    """The image x + r that minimises the penalty in the box."""
    box = [(0, 1)] * len(x)
    args = (x, target, c)
    solution = minimize(penalty, x.numpy(), args, bounds=box, **lbfgs)
    return torch.from_numpy(solution.x)


def predict_one(image: Tensor) -> int:
    """f of a single flat image."""
    return int(predict(image.reshape(1, 1, 28, 28), exact_model))


print(f"class {label}, to become class {target}")
for c in (0.01, 1.0, 100.0):
    image = penalty_minimum(x, target, c)
    distortion = rms_distortion(image - x[None]).item()
    answer = predict_one(image)
    print(f"c = {c:<6g}  distortion {distortion:.4f}  classified as {answer}")

# %% [markdown]
# ## Which way to search
#
# A small $c$ makes distance cheap: the minimiser goes far, until the network is nearly certain of $l$. A large $c$
# makes distance dear: it hardly moves. Here is everything in between.

# %% tags=["hide-input"] alt="Distortion and the target's probability against c: both fall as c grows, and the attack succeeds only left of a threshold" caption="Each point is the minimiser of the penalty for one c. Filled: the network answers the target. Hollow: it does not. The smallest successful distortion is the rightmost filled point."
weights = np.logspace(-3, 2, 41)
path = [penalty_minimum(x, target, c) for c in weights]
distortions = np.array(
    [rms_distortion((image - x)[None]).item() for image in path]
)
succeeded = np.array([predict_one(image) == target for image in path])
with torch.no_grad():
    probability = (
        exact_model(torch.stack(path).reshape(-1, 1, 28, 28))
        .softmax(1)[:, target]
        .numpy()
    )

figure, axes = plt.subplots(2, 1, figsize=(5.4, 4.6), sharex=True)
curves = {"distortion": distortions, "probability of the target": probability}
for axis, (name, values) in zip(axes, curves.items(), strict=True):
    line = axis.plot(weights, values, linewidth=0.8)[0]
    axis.plot(
        weights[succeeded],
        values[succeeded],
        "o",
        color=line.get_color(),
        markersize=4,
    )
    axis.plot(
        weights[~succeeded],
        values[~succeeded],
        "o",
        color=line.get_color(),
        markersize=4,
        fillstyle="none",
    )
    axis.axvline(
        weights[succeeded].max(),
        color=plt.rcParams["axes.edgecolor"],
        linestyle=":",
        linewidth=1,
    )
    axis.set_ylabel(name)
axes[0].text(
    1.2 * weights[succeeded].max(),
    distortions.max(),
    "largest c that succeeds",
    fontsize=9,
    va="top",
)
axes[1].set_xscale("log")
axes[1].set_xlabel("c")
plt.show()

# %% [markdown]
# The paper searches for "the minimum $c > 0$ for which the minimizer $r$ … satisfies $f(x + r) = l$". The figure
# shows that this is the wrong way round. Every small enough $c$ succeeds, so there is no smallest one, and as $c$
# goes to zero the distortion is at its *worst*. What is wanted is the **largest** $c$ that still succeeds: there the
# minimiser has just crossed into class $l$. (Had $c$ multiplied the loss instead of the distance, as in many later
# programs, "minimum" would be right.) The same image at three places of the curve:

# %% tags=["hide-input"] alt="Five small images: the digit, and the minimisers for a small c, the largest successful c and a larger c" caption="Left, the image. Then what the penalty's minimiser looks like when c is small, the largest that succeeds, and a little larger; the arrow gives the network's answer. Right, the perturbation at the largest successful c, grey is no change."
last = int(np.flatnonzero(succeeded)[-1])
panels = [(x, f"{label}")] + [
    (path[i], f"c = {weights[i]:.2g}\n→ {predict_one(path[i])}")
    for i in (0, last, last + 2)
]
figure, axes = plt.subplots(1, 5, figsize=(6.4, 1.7))
for axis, (image, title) in zip(axes, panels, strict=False):
    axis.imshow(
        image.reshape(28, 28),
        cmap="gray",
        vmin=0,
        vmax=1,
        interpolation="none",
    )
    axis.set_title(title, fontsize=10, fontweight="normal")
difference = (path[last] - x).reshape(28, 28)
limit = float(difference.abs().max())
axes[4].imshow(
    difference, cmap="gray", vmin=-limit, vmax=limit, interpolation="none"
)
axes[4].set_title("change", fontsize=10, fontweight="normal")
for axis in axes:
    axis.set_axis_off()
plt.show()

# %% [markdown]
# Success flips once along this curve, so the threshold can be found by bisection. $c$ spans orders of magnitude, so we
# halve the interval of its logarithm.


# %%
def largest_c(x: Tensor, target: int, steps: int = 14) -> tuple[float, Tensor]:
    """The largest c that succeeds, by bisecting log c, and its minimiser."""
    low, high, best = 1e-3, 1e2, penalty_minimum(x, target, 1e-3)
    for _ in range(steps):
        c = float(np.sqrt(low * high))
        image = penalty_minimum(x, target, c)
        if predict_one(image) == target:
            low, best = c, image
        else:
            high = c
    return low, best


c, ours = largest_c(x, target)
by_hand = rms_distortion((ours - x)[None]).item()
print(
    f"largest c: {c:.4f}   distortion: {by_hand:.5f}   "
    f"classified as {predict_one(ours)}"
)

# %% [markdown]
# ??? note "Why squared?"
#
#     The paper writes $c\,|r|$ without saying which norm the bars are. Take them as $\|r\|_2$, or as its square with a
#     weight $c'$. Inside the box, the gradient of the one penalty and of the other vanishes where
#
#     $$
#     \begin{aligned}
#     c\,\frac{r}{\|r\|_2} & = -\nabla \mathrm{loss}_f(x + r, l) \quad\text{or} \\
#     2c'\,r & = -\nabla \mathrm{loss}_f(x + r, l),
#     \end{aligned}
#     $$
#
#     and with $c = 2c'\|r\|_2$ the two conditions are one: other than at $r = 0$, the candidates are the same images under
#     other names. Which of them are minima can differ. Along $r$ itself the square bends upwards and the norm does not, so
#     that every minimum $r \ne 0$ of the one with the norm is one of the square, but not the other way round. And the norm
#     has a kink at $r = 0$, just where a search starts. At the latest when $c$ exceeds the slope of the loss there, $r = 0$
#     is a minimum, and the search never leaves it, although another may lie farther off. So the square is easier for the
#     optimiser and loses no minimum but $r = 0$, and we, like most programs since, take it. (Exercise 4 tries both.)
#
# ## Many images at once
#
# The loop above solves one image in some hundreds of network evaluations, each for a batch of one. The library runs
# the same search for a whole batch: every image has its own $c$, its own line search and its own stopping, and leaves
# the batch when it has converged. The options `loss="cross_entropy", polish=False` ask for the paper's method and
# nothing else.

# %%
few = 6
targets = (labels[:few] + 3) % 10
paper_method = minimum_distortion(
    model, inputs[:few], targets=targets, loss="cross_entropy", polish=False
)
for i in range(few):
    clean = inputs[i].double().flatten()
    _, image = largest_c(clean, int(targets[i]))
    scipy_distortion = rms_distortion((image - clean)[None]).item()
    print(
        f"{labels[i]} → {targets[i]}   SciPy {scipy_distortion:.5f}   "
        f"library {paper_method.rms_distortion[i]:.5f}"
    )

# %% [markdown]
# Some agree up to what the tolerances leave open. The others do not, because the loss of a network is not convex and the
# penalty can have several minima. Which one a search ends in depends on its start: ours is always $x$, the library's is its
# last success. Where a search misses the minimum of class $l$, bisection ends at too small a $c$ and the image is farther
# away.
#
# ## How close to the truth?
#
# Nothing so far says that the largest successful $c$ gives the *smallest* perturbation, and it does not quite: once the
# target leads, the cross-entropy goes on to push down classes that are no longer in the way, and pays for that with
# distance. By default `minimum_distortion` therefore uses no penalty: it walks from $x$ to the nearest point of the
# boundary itself. [Is the method exact?](exactness.py) measures the gap, for a linear classifier against a proof, and
# explains the walk.
#
# ## What "average minimum distortion" means
#
# The tables report "the minimum average pixel level distortion necessary to reach 0% accuracy". The formula
# $\sqrt{\sum_i (x'_i - x_i)^2 / n}$ is for one image. Three things are left open: which target, which average, and whether
# the minimum is meant or what the penalty finds.
#
# - **Random target, mean.** Each image gets a target at random among the other nine classes; the distortions are
#   averaged.
# - **Random target, root mean square.** The same, but squares are averaged before the root is taken: the sum in the
#   formula then runs over all pixels of all images. It is never less than the mean.
# - **The paper's method, root mean square.** The same again, of what the penalty finds, and not of the minimum.
# - **Nearest class, mean.** The smallest over the nine targets, which is what "minimum … necessary to reach 0 %
#   accuracy" says if it is taken literally. In the code: `labels=labels` in place of `targets=`.

# %%
inputs, labels = inputs[:60], labels[:60]
generator = torch.Generator().manual_seed(0)
shift = torch.randint(1, 10, labels.shape, generator=generator)
targets = (labels + shift) % 10
penalised = minimum_distortion(
    model, inputs, targets=targets, loss="cross_entropy", polish=False
)
nearest = minimum_distortion(model, inputs, targets=targets)
any_class = minimum_distortion(model, inputs, labels=labels)
minimum, by_penalty = nearest.rms_distortion, penalised.rms_distortion
readings = {
    "random target, mean": minimum.mean(),
    "random target, root mean square": minimum.square().mean().sqrt(),
    "the paper's method, root mean square": by_penalty.square().mean().sqrt(),
    "nearest class, mean": any_class.rms_distortion.mean(),
}
for name, distortion in readings.items():
    print(f"{name:<38} {distortion:.4f}")

# %% [markdown]
# The last is far below the others: the paper's numbers are not the smallest changes that fool its networks, unless its
# networks were unlike ours. [Table 1](framework.py#table-1) gives all four beside the paper's column.
#
# An average hides the images that are far from every other class. For the linear model with $\lambda = 1$ the farthest needs
# {{ table1.softmax3.distortion_nearest_max }} even to the nearest one, more than the standard deviation of the noise, 0.1, that
# the paper compares its examples with. That every image has an adversarial one holds; that each is "very close" holds for most
# ([B2](../claims.md#b2)).
#
# ## Figure 7
#
# The paper's own illustration: digits, the nearest images that a linear classifier and a network take for another class, and
# the same digits under Gaussian noise of standard deviation 1. The class is one of the others, drawn at random; the paper
# does not say which it was.
#
# --8<-- "figure7/pairs-softmax1.md" if present
#
# --8<-- "figure7/pairs-N200-200-10.md" if present
#
# --8<-- "figure7/noise.md" if present
#
# --8<-- "figure7/accuracy.md" if present
#
# The mean distortion is {{ figure7.softmax1.distortion_mean }} for the linear model, where the paper has
# {{ figure7.softmax1.paper_distortion }}, and {{ figure7.N200-200-10.distortion_mean }} for the network, where it has
# {{ figure7.N200-200-10.paper_distortion }}: its method ends [farther away](exactness.py), and how it averages it does not
# say. The attack succeeded on {{ figure7.softmax1.success }} of the {{ figure7.softmax1.num_attacked }}
# digits that the linear model gets right, and on {{ figure7.N200-200-10.success }} of the
# {{ figure7.N200-200-10.num_attacked }} that the network does. Under the noise, where a person can hardly read a
# digit, the linear model is right on {{ figure7.softmax1.accuracy_noise }} of these
# ({{ figure7.softmax1.accuracy_noise_clipped }} if pixels are clipped to the range of an image) and the network on
# {{ figure7.N200-200-10.accuracy_noise }} ({{ figure7.N200-200-10.accuracy_noise_clipped }}). The paper reports 51 %
# without saying for which of the two, or whether it clipped; its number is closer to ours without clipping. The point
# it makes holds: strong noise leaves both models right on many digits, fewer if it is clipped, and the far smaller
# aimed change on none.
#
# ## Differences from the paper
#
# 1. **$c$.** We search the largest $c$ that succeeds; the paper's text says the minimum.
# 2. **$|r|$.** Read as $\|r\|_2^2$ in the penalty. What is reported is the paper's $\sqrt{\sum_i r_i^2 / n}$.
# 3. **The walk.** Unless a row or a column says otherwise, the numbers on this site come from the default attack, which
#    looks for the nearest point of the boundary. The paper's own method, `loss="cross_entropy", polish=False`, reaches the
#    boundary [at a point farther away](exactness.py).
# 4. **Targets.** The paper does not say how it chose $l$. We draw it at random among the other classes, with a fixed
#    seed, and report the nearest class too.
# 5. **Which images.** The paper distorts "the training set". We attack the images that the network gets right: where
#    it is already wrong, no change is needed to fool it.
# 6. **Noise.** Added without clipping, so that its standard deviation is what it says, and with clipping beside it.
#
# ## What later work found
#
# - **A few months earlier**, [Biggio et al. (2013)](../references.md#biggio2013) had attacked support vector machines
#   and small networks by gradient descent; the paper made the effect known for deep networks.
# - **One step is enough.** [Goodfellow et al. (2015)](../references.md#goodfellow2015) took a single step along the
#   sign of the gradient (FGSM). It is cheap enough to train on, and that it works at all suggests that networks are close
#   to linear around most images.
# - **Better searches.** [The next page](exactness.py#what-later-work-found) has DeepFool, Carlini and Wagner's attack, DDN
#   and FMN.
# - **Defences.** [Madry et al. (2018)](../references.md#madry2018) train on the worst perturbation within a radius,
#   the defence that has held up best, at a price in accuracy ([Tsipras et al.,
#   2019](../references.md#tsipras2019)).
#
# ## Exercises
#
# 1. In `penalty_minimum`, make the box $[-10, 10]$, so that it never binds. How much shorter do the perturbations become?
# 2. Start `penalty_minimum` from a random image instead of from $x$. Does the search still find the same distortion?
# 3. Plot the distortion against the target's place in the network's ranking of the ten classes. Which of the nine is
#    nearest?
# 4. Give `penalty` the norm in place of its square (its gradient is $c\,r / \|r\|_2$, and 0 at $r = 0$). Search from $x$
#    and from `penalty_minimum(x, target, 1e-3)`, with $c$ from half to twice $2c'\|r\|_2$. When do both starts find the same
#    image as the square, and when none but $x$?
