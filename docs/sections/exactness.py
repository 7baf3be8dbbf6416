# %% [markdown]
# # Is the method exact?
#
# > **The claim.** A line search over $c$ with box-constrained L-BFGS approximates the nearest image of another class; for
# > a convex loss, says the published version, it finds it exactly. (Paper, §4.1)
#
# **What comes out.** Not even for a linear classifier, whose loss is convex: softmax3's images are
# {{ table1.softmax3.penalty_excess }} % farther than the nearest that we know, those of 100-100-10
# {{ table1.N100-100-10.penalty_excess }} % ([B5](../claims.md#b5)). A walk to the boundary itself does without the penalty; for a
# linear classifier a certificate says how little it can leave over, for networks nothing does.
#
# Everyone who quotes a "minimum distortion" trusts some search to have found the minimum. A search that stops too far
# away makes a network look more robust than it is. So it is worth knowing how far from the truth the paper's method
# ends, and that can be found out: for a linear classifier the nearest image can be computed, with a proof that none is
# nearer. This page does that, sees why the penalty misses it, and builds a search that does without it.
#
# ## The problem, and the paper's replacement
#
# [Minimum distortion](minimum_distortion.py) defines $D(x, l)$, the image nearest to $x$ that a classifier takes for class
# $l$, and the penalty that the paper minimises in its place:
#
# $$
# \begin{aligned}
# D(x, l) & = x + \operatorname*{arg\,min}_r \|r\|_2 \;\text{ where } f(x + r) = l, \\
# r_c & = \operatorname*{arg\,min}_r\; c\,\|r\|_2^2 + \mathrm{loss}_f(x + r, l),
# \end{aligned}
# $$
#
# both with $x + r$ in the box, every pixel from 0 to 1, and with the largest $c$ for which $x + r_c$ is still classified
# as $l$. The $z_j(x)$ below are the logits, one score a class, of which the largest decides.
#
# | here | in the code | meaning |
# | --- | --- | --- |
# | $z_j(x)$ | `model(inputs)[:, j]` | the logit of class $j$ |
# | $m_j = z_l - z_j$ | | the margin of the target over the rival $j$ |
# | $\mu_j$ | | how hard that margin pushes, its *multiplier* |
# | $x + r_c$ | `minimum_distortion(…, loss="cross_entropy", polish=False)` | what the paper's method finds |
# | $D(x, l)$ | `minimum_distortion(…)` | what the default finds |
#
# ## Two classes are easy, three are not
#
# For two classes and a linear classifier the largest successful $c$ gives the smallest perturbation: the loss then
# depends on $x + r$ only through the margin between the two, so lowering the loss and crossing the boundary are the same
# wish. With three classes or more they are not. The cross-entropy also rewards moving away from classes that are no longer
# in the way, and pays for it with distance.
#
# A plane with three classes is enough to see it. All three scores are linear; $x$ is the dot in class *i*, and the
# target is class *l*.

# %%
from copy import deepcopy

import matplotlib.pyplot as plt
import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor, nn

from tutorial_pkg.attacks import minimum_distortion
from tutorial_pkg.data import load_digits
from tutorial_pkg.training import TABLE1_RECIPES, train

# %% tags=["hide-input"] alt="A plane with three class regions; the path of the penalty's minimisers enters the target region beside the nearest point" caption="The curve is the penalty's minimiser for every c. It enters the target's region at the square, where c is the largest that succeeds. The nearest point of the region is the star."
scores = np.array([[0.0, 0.0], [1.6, 0.0], [0.4, 1.6]])  # classes i, l and j
offsets = np.array([1.6, 0.0, 0.4])


def toy_penalty(r: np.ndarray, c: float) -> tuple[float, np.ndarray]:
    """The same penalty in the plane, x = 0 and l = 1."""
    z = scores @ r + offsets
    p = np.exp(z - z.max())
    p /= p.sum()
    return c * r @ r - np.log(p[1]), 2 * c * r + scores.T @ p - scores[1]


toy_weights = np.logspace(-1.2, 1.5, 300)
toy_path = np.array(
    [
        minimize(toy_penalty, [0.0, 0.0], args=(c,), jac=True).x
        for c in toy_weights
    ]
)
inside = (toy_path @ scores.T + offsets).argmax(1) == 1
entry = toy_path[np.flatnonzero(inside)[-1]]

grid_u, grid_v = np.meshgrid(
    np.linspace(-0.4, 2.0, 400), np.linspace(-1.1, 0.9, 400)
)
classes = (np.stack([grid_u, grid_v], -1) @ scores.T + offsets).argmax(-1)
figure, axis = plt.subplots(figsize=(5.0, 4.0))
ink = plt.rcParams["axes.edgecolor"]
names = (
    ("class i", (-0.25, -0.95)),
    ("class l, the target", (1.15, -0.95)),
    ("class j", (0.85, 0.78)),
)
for which, (name, place) in enumerate(names):
    axis.contour(
        grid_u,
        grid_v,
        classes == which,
        levels=[0.5],
        colors=ink,
        linewidths=1,
    )
    axis.text(*place, name, fontsize=9)
axis.plot(*toy_path[toy_path[:, 0] < 1.9].T, linewidth=1.6)
axis.plot(0, 0, "o", color=ink)
axis.plot(*entry, "s", markersize=7)
axis.plot(1, 0, "*", markersize=11)
axis.annotate("x", (0, 0), (-10, 6), textcoords="offset points")
axis.annotate(
    f"largest c: length {np.linalg.norm(entry):.3f}",
    entry,
    (8, 4),
    textcoords="offset points",
    fontsize=9,
)
axis.annotate(
    "nearest: length 1",
    (1, 0),
    (8, 2),
    textcoords="offset points",
    fontsize=9,
)
axis.set_aspect("equal")
axis.set_xlim(-0.4, 2.0)
axis.set_ylim(-1.1, 0.9)
axis.grid(False)
axis.set_xticks([])
axis.set_yticks([])
axis.spines[:].set_visible(False)  # a frame would look like a boundary
plt.show()

# %% [markdown]
# The loss is convex here, and the method is not exact: convexity makes each $r_c$ the only minimum of its penalty, and says
# nothing about where on the boundary the last of them lies.
#
# ## How much is lost: a certificate
#
# With ten classes and a linear classifier the true answer can be computed. The target wins where
# $A r \ge b$, with a row $w_l - w_j$ of $A$ and an entry $z_j(x) - z_l(x)$ of $b$ for each other class $j$, and so
#
# $$
# \begin{aligned}
# & D(x, l) = x + \operatorname*{arg\,min}_r \tfrac12 \|r\|_2^2 \\
# & \quad \text{subject to } A r \ge b,\; 0 \le x + r \le 1 ,
# \end{aligned}
# $$
#
# is a convex quadratic programme. To bound it from below, give each other class $j$ a price $\mu_j \ge 0$ for not beating
# it: these nine numbers are the variables of its *dual*. For a given $\mu$ the best $r$ in the box is a clipped sum of rows,
#
# $$
# \begin{aligned}
# r(\mu) & = \mathrm{clip}\left(A^\top \mu,\; -x,\; 1 - x\right), \\
# g(\mu) & = \tfrac12 \|r(\mu)\|_2^2 - \mu^\top\left(A\,r(\mu) - b\right),
# \end{aligned}
# $$
#
# Why this helps: for a valid $r$ all entries of $A r - b$ are at least 0, so with $\mu \ge 0$ taking away
# $\mu^\top(A r - b)$ can only make $\tfrac12\|r\|_2^2$ smaller, and $g(\mu)$ is the smallest that what is left can get in
# the box. So for every $\mu \ge 0$ with $g(\mu) \ge 0$ no valid perturbation is shorter than $\sqrt{2 g(\mu)}$. Each such
# $\mu$ is a certificate, whatever attack it is held against; the largest $g$ is the best one.

# %%
digits = load_digits()
linear, _ = train(TABLE1_RECIPES["softmax2"], digits, seed=0)
weight = linear.layers["logits"][-1].weight.detach().double().numpy()
with torch.no_grad():
    fits = linear(digits.test_inputs).argmax(1) == digits.test_labels
linear_inputs = digits.test_inputs[fits][:50]
linear_targets = (digits.test_labels[fits][:50] + 3) % 10


def shortest_possible(image: Tensor, target: int) -> float:
    """A lower bound on ‖r‖ for the linear model: the dual's maximum."""
    pixels = image.double().flatten().numpy()
    with torch.no_grad():
        z = deepcopy(linear).double()(image[None].double())[0].numpy()
    others = [j for j in range(10) if j != target]
    A, b = weight[target] - weight[others], z[others] - z[target]

    def negative_dual(mu: np.ndarray) -> tuple[float, np.ndarray]:
        r = np.clip(A.T @ mu, -pixels, 1 - pixels)
        return -(r @ r / 2 - mu @ (A @ r - b)), A @ r - b

    limits, precise = [(0, None)] * 9, {"ftol": 1e-14, "gtol": 1e-10}
    dual = minimize(
        negative_dual,
        np.zeros(9),
        method="L-BFGS-B",
        jac=True,  # what it minimises returns the value and the gradient
        bounds=limits,
        options=precise,
    )
    return float(np.sqrt(-2 * dual.fun))


pairs = zip(linear_inputs, linear_targets, strict=True)
bounds = torch.tensor([shortest_possible(i, int(t)) for i, t in pairs])
paper_options = {"loss": "cross_entropy", "polish": False}
for name, options in (("the paper's penalty", paper_options), ("default", {})):
    result = minimum_distortion(
        linear, linear_inputs, targets=linear_targets, **options
    )
    excess = 100 * (result.l2_norm / bounds - 1)
    print(
        f"{name:<20} too long by {excess.mean():.3f} % on average, "
        f"{excess.max():.3f} % at most"
    )

# %% [markdown]
# ## What decides the gap
#
# At $r_c$ no change inside the box lowers the penalty. As with $r(\mu)$ above, that makes it a clipped sum,
#
# $$
# r_c = \mathrm{clip}\Big(\sum_{j \ne l} \frac{p_j}{2c}\,\nabla m_j,\; -x,\; 1 - x\Big),
# $$
#
# with $p_j$ the probability that the softmax gives class $j$ at $x + r_c$: the place of the multiplier $\mu_j$ is taken
# by $p_j / 2c$. At the nearest point only rivals that are *tied* with the target push, each as strongly as its constraint
# needs. The penalty shares the push by probability instead, also with rivals that are not tied. How much these get
# depends on how sharp the softmax is. Multiply all logits by a number $t$: no answer changes, and so no nearest image
# does, but the probabilities gather on the leaders as $t$ grows.


# %%
class Scaled(nn.Module):
    """The linear model with its logits multiplied by t."""

    def __init__(self, t: float) -> None:
        super().__init__()
        self.t = t

    def forward(self, images: Tensor) -> Tensor:
        """The same answers, from a flatter or a sharper softmax."""
        return self.t * linear(images)


for t in (0.1, 0.3, 1, 3, 10, 30):
    result = minimum_distortion(
        Scaled(t), linear_inputs, targets=linear_targets, **paper_options
    )
    excess = 100 * (result.l2_norm / bounds - 1).mean()
    print(f"logits × {t:<4g} the penalty is too long by {excess:6.3f} %")

# %% [markdown]
# For a linear classifier a sharp softmax makes the paper's method nearly exact, a flat one leaves it far off. Strong weight
# decay makes a softmax flat. (For a network a very sharp one also makes the penalty hard to minimise.)
#
# ## A walk to the boundary
#
# The loss looks at more than is asked for. So by default `minimum_distortion` uses no penalty. It starts at $x$ and
# treats a network as the certificate treats a linear model, one step at a time. (`loss="cross_entropy"` alone does both:
# the paper's search, then the walk from where that ends.)
#
# 1. **Margins instead of a loss.** Class $l$ wins when it beats each rival $j$:
#    $m_j(x + r) = z_l(x + r) - z_j(x + r) \ge 0$. Each rival is a constraint of its own, and one that is beaten
#    anyway has no say.
# 2. **Constraints instead of a penalty.** At the nearest point,
#    $r = \mathrm{clip}(\sum_j \mu_j \nabla m_j(x + r), -x, 1 - x)$ with multipliers $\mu_j \ge 0$, zero for every rival
#    that is not tied with $l$ there. They need not be searched: each iteration puts the gradients $\nabla m_j$ in the place of $w_l - w_j$,
#    solves the quadratic programme of the linear model, and they come out with the step.
# 3. **Curvature by L-BFGS.** Boundaries bend, and stepping to their tangents again and again may not settle. What has to
#    be known is the Hessian of $\tfrac12\|r\|_2^2 - \sum_j \mu_j m_j(x + r)$. Its first part is the identity; the
#    second is learned from the last few gradients, just as the paper's optimiser does it.
#
# This is known as *sequential quadratic programming*. Pixels that the box holds are left out of a step. The margin asked
# for rises to its final value over the first three steps (a *gradual approach*); from then until a first success a step
# aims beyond the boundary (*overshoot*); one that makes matters worse is halved, and later ones grow again by 1.41. The
# point that is returned is the nearest one that was *seen* to be classified as $l$, by a little more than rounding could
# undo.[^ties]
#
# For a network the true minimum is out of reach; what can be shown is how much shorter the perturbations become, and at
# what cost.
#
# [^ties]: The last digits of a logit depend on the size of the batch and on the device. So the smallest margin must
#     exceed 64 rounding units of the larger of the two logits that it compares, and also 64 times what rounding all pixels
#     changes it by; the second matters where both logits are near 0. Of the {{ table1.num_examples }}
#     examples behind [Table 1](framework.py#table-1), classified again in batches of another size, {{ table1.missed }} miss
#     their class.

# %%
model, _ = train(TABLE1_RECIPES["N100-100-10"].shortened(60), digits, seed=0)
with torch.no_grad():
    right = model(digits.test_inputs).argmax(1) == digits.test_labels
inputs, labels = digits.test_inputs[right][:60], digits.test_labels[right][:60]
generator = torch.Generator().manual_seed(0)
shift = torch.randint(1, 10, labels.shape, generator=generator)
targets = (labels + shift) % 10
penalised = minimum_distortion(model, inputs, targets=targets, **paper_options)
nearest = minimum_distortion(model, inputs, targets=targets)
excess = 100 * (penalised.l2_norm / nearest.l2_norm - 1)
both = (penalised, nearest)
success = [f"{100 * attack.success.float().mean():.0f} %" for attack in both]
points = [f"{attack.num_evals.float().mean():.0f}" for attack in both]
print("success:", " and ".join(success))
print(
    f"the penalty's perturbation is longer by {excess.mean():.2f} % "
    f"on average, {excess.max():.2f} % at most"
)
print("points evaluated for an image:", " and ".join(points))

# %% [markdown]
# A point costs the penalty one forward pass and one gradient, the walk one forward pass and up to a gradient for each of
# the nine rivals; [Performance](../performance.md) counts both.
#
# On MNIST, for the models of [Table 1](framework.py#table-1), each image to a random other class:
#
# --8<-- "table1/excess.md" if present
#
# The networks are trained until hardly an image is wrong. Their softmax is sharp, and what the penalty finds is
# {{ table1.N100-100-10.penalty_excess }} % (100-100-10) and {{ table1.N200-200-10.penalty_excess }} % (200-200-10) farther
# than the nearest image that we know. ([Performance](../performance.md#targeted-to-a-given-class) has the same comparison for a
# network that was trained otherwise.) The linear classifiers are the flatter the stronger their weight decay is, from softmax1
# to softmax3. So the method approximates $D(x, l)$, and for a linear model the better the sharper its softmax is
# ([B5](../claims.md#b5)). A convex loss does not make it exact, against what the published version says.
#
# [Performance](../performance.md#what-each-part-is-worth) takes the parts of the walk away one by one, and sets the
# attack beside others', in time and distance.

# %% [markdown]
# ## Where the boundary has corners
#
# In this part $r$ is where the walk stands, $x + r$ an image of $n$ pixels, and $m = \min_j m_j$ the smallest margin of the
# target over its rivals: class $l$ wins where $m \ge 0$.
#
# A walk like this needs a boundary that bends smoothly. With rectifiers (ReLU) or max pooling a network is linear in
# pieces, and an image's neighbourhood has many of them. A gradient says what the margin does in one piece; a step leads
# through dozens. The walk then stops in a corner that is not the nearest point, or takes ever smaller steps. So where
# it has not settled after thirty steps, it is given up for a *second start*, another walk from $x$.
#
# Many corners are seen before the first step. Take the gradient of $m$ at $x$ and at two points near it, a thousandth and
# a hundredth of the way to the boundary. On a smooth network the second differs from that at $x$ about ten times as much as the first. Among many
# kinks even the shortest step crosses some, and the longer one crosses others that undo part of the change: where it is not
# five times as large, the first walk is left out.
#
# 1. **A smoothed margin.** The average of the margin over noisy images, $\mathbb{E}\,m(x + r + \sigma u)$ with every entry
#    of $u$ drawn from a standard normal distribution, has no corners, and small dents are averaged away. It is another function, though, with another
#    boundary. So the noise, about $\sigma\sqrt{n}$ long, begins a little longer than $r$, at $1.2\,\|r\|_2$, and shrinks to nothing over seven
#    tenths of the walk's 200 steps; the point follows. (This is called *graduated optimisation*.)
# 2. **One gradient a step.** No step computes an average. It takes the gradient of the smallest margin at *one* noisy
#    image, and averages it with those of the steps before: $\bar g \leftarrow 0.7\,\bar g + 0.3\,\nabla m$.
# 3. **Shorter and shorter steps.** If the margin were linear with slope $\bar g$, the nearest point would be $r^* =
#    \mathrm{clip}(\nu\bar g, -x, 1 - x)$, with the multiplier $\nu \ge 0$ that makes $m = 0$. The step goes a share $s$ of the
#    way from $r$ to $r^*$, and then straight to $m = 0$. As $s$ falls from 1 to nearly 0, later noise counts less.
#
# Only what is seen in the last three tenths, without noise, can be the result. With other noise the walk may end in another
# valley. So each image takes two such walks, and the nearer result is kept. The noise is the same for each image, so an image's
# result does not depend on which others are attacked with it.


# %%
rectified = nn.Sequential(
    nn.Flatten(),
    nn.Linear(784, 100),
    nn.ReLU(),
    nn.Linear(100, 100),
    nn.ReLU(),
    nn.Linear(100, 10),
)
torch.manual_seed(0)
for layer in rectified[1::2]:
    nn.init.kaiming_normal_(layer.weight)
optimiser = torch.optim.Adam(rectified.parameters(), lr=2e-3)
for _ in range(300):
    optimiser.zero_grad()
    nn.functional.cross_entropy(
        rectified(digits.train_inputs), digits.train_labels
    ).backward()
    optimiser.step()
with torch.no_grad():
    right = rectified(digits.test_inputs).argmax(1) == digits.test_labels
inputs, labels = digits.test_inputs[right][:60], digits.test_labels[right][:60]
targets = (
    labels + torch.randint(1, 10, labels.shape, generator=generator)
) % 10
nearest = minimum_distortion(rectified, inputs, targets=targets)
second = nearest.num_evals > 200
print(f"{second.sum()} of {len(inputs)} images took a second start")
for loss in ("margin", "cross_entropy"):
    searched = minimum_distortion(
        rectified, inputs, targets=targets, loss=loss, polish=False
    )
    excess = 100 * (searched.l2_norm / nearest.l2_norm - 1)[searched.success]
    print(f"{loss}: a search over c ends {excess.mean():.2f} % farther")

# %% [markdown]
# [Performance](../performance.md#a-network-with-kinks) measures this on a convolutional network beside the attacks that
# others published, and what each part of it is worth. One walk of 400 steps gains less than two of 200. More than two gain a little more: with
# `max_iter=600` there are three, with 800 four.
#
# ## Differences from the paper
#
# 1. **The certificate.** The paper has none. It covers linear classifiers only; for networks "minimum" means the nearest
#    image that we could find.
# 2. **Rounding.** An example counts only if it is classified as the target by more than rounding could undo. The paper's
#    method and ours are held to the same rule.
#
# ## What later work found
#
# - **The linearised boundary.** DeepFool ([Moosavi-Dezfooli et al., 2016](../references.md#moosavi2016)) steps to the
#   nearest linearised boundary until it is crossed: the first of the three ideas above, a rival at a time and without
#   curvature.
# - **The margin as loss.** [Carlini and Wagner (2017)](../references.md#carlini2017) returned to the paper's problem
#   with $\max(0, -\min_j m_j)$ in place of the cross-entropy, and with the search over
#   $c$ the right way round. For years theirs was the attack to beat, and several proposed defences fell to it.
# - **No search over $c$.** DDN ([Rony et al., 2019](../references.md#rony2019)) and FMN ([Pintor et al.,
#   2021](../references.md#pintor2021)) adapt the norm itself while they descend, in a small part of the
#   passes that a search over $c$ takes. [Performance](../performance.md) has them beside ours.
# - **Smoothing.** Averages over noise make rough functions easy to descend ([Duchi et al.,
#   2012](../references.md#duchi2012)), and less and less noise leads to good minima ([Hazan et al.,
#   2016](../references.md#hazan2016)). The second start is their idea, on the boundary of a class.
#
# ## Exercises
#
# 1. Change `scores` and `offsets` of the plane so that the curve enters class $l$ at the nearest point. When does
#    that happen?
# 2. In `shortest_possible`, which classes $j$ get a $\mu_j > 0$ (`dual.x`)? What does that say about the point that was found?
# 3. Replace the cross-entropy by a loss that hears the strongest rival only (`loss="margin", polish=False`). Does $t$ still
#    matter?
