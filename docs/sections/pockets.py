# %% [markdown]
# # Are they pockets?
#
# > **The claim.** Adversarial examples lie in low-probability "pockets", hard to find by sampling around an image, and yet
# > dense: near virtually every image. A smooth classifier cannot have any, "by their definition". (Paper, §4 and §5)
#
# **What comes out.** Guessing does not find them: noise of the very length at which an aimed change always succeeds fools a
# model on at most {{ table2.own_noise }} of the images ([B3](../claims.md#b3)), and yet {{ table1.close_share }} of the images
# attacked have an example within a distortion of 0.1 ([D1](../claims.md#d1)). But a pocket is not needed for that: guessing
# finds the far side of a *plane* no better. And smooth classifiers, kernel machines, have such examples, too
# ([B4](../claims.md#b4)).
#
# ## What guessing would need
#
# Let $r$ be the smallest perturbation that changes the class of an image $x$ with $n$ pixels, and suppose that the boundary
# is nothing but a plane: the one through $x + r$ at right angles to $r$. All of space beyond it, half of everything, is then
# adversarial; no one would call that a pocket. How often does a guess $u$ of a random direction, $t$ times as long as $r$, end
# there? It has to go as far as $r$ in the direction of $r$,
#
# $$
# \langle u, r \rangle \geq \lVert r \rVert_2^2 \quad \Longleftrightarrow \quad \cos\angle(u, r) \geq \frac{1}{t} ,
# $$
#
# and in $n$ dimensions a random direction makes almost a right angle with any given one: its cosine is about normal with mean
# 0 and variance $1 / n$. With $\Phi$ for the distribution function of the normal distribution,
#
# $$
# \Pr\Big[\cos\angle(u, r) \geq \frac{1}{t}\Big] \approx \Phi\Big(-\frac{\sqrt n}{t}\Big) .
# $$
#
# For $n = 784$ pixels a guess as long as $r$ would have to lie twenty-eight standard deviations out.
#
# | symbol | in the code |
# | --- | --- |
# | $r$, to the nearest of all other classes | `attack.adv_inputs - inputs`, `attack = minimum_distortion(model, inputs, labels=labels)` |
# | $t$ | `factor` |
# | $x + u$ | `inputs + factor * noise` |
# | $\Phi$ | `norm.cdf` |
#
# ## Why not guess?
#
# We replace each perturbation by random noise of the same length, fifty times, count how often the class is wrong, and make
# the noise longer. We do so for the paper's 100-100-10 on the bundled digits, and for a linear classifier. Its boundaries *are*
# planes, and what it takes for one class is a single convex region: it has no pockets to fall into.

# %%
import matplotlib.pyplot as plt
import numpy as np
import torch
from scipy.stats import norm
from torch import Tensor, nn

from tutorial_pkg.attacks import minimum_distortion
from tutorial_pkg.data import load_digits
from tutorial_pkg.metrics import l2_norm
from tutorial_pkg.training import TABLE1_RECIPES, train

digits = load_digits()


def images_right(network: nn.Module, count: int) -> tuple[Tensor, Tensor]:
    """Test images that the network has right, with their classes."""
    with torch.no_grad():
        right = network(digits.test_inputs).argmax(1) == digits.test_labels
    return digits.test_inputs[right][:count], digits.test_labels[right][:count]


def share_wrong(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Percentage of these images that the network has wrong."""
    with torch.no_grad():
        return 100 * float(
            (network(images).argmax(1) != labels).float().mean()
        )


factors = (1, 2, 4, 8, 16, 32)
networks, attacks, curves = {}, {}, {}
generator = torch.Generator().manual_seed(0)
for name in ("softmax1", "N100-100-10"):
    recipe = TABLE1_RECIPES[name].shortened(60)
    networks[name], _ = train(recipe, digits, seed=0)
    inputs, labels = images_right(networks[name], 60)
    attack = minimum_distortion(networks[name], inputs, labels=labels)
    attacks[name] = inputs, labels, attack

    length = l2_norm(attack.adv_inputs - inputs)[:, None, None, None]
    noise = torch.randn((50, *inputs.shape), generator=generator)
    noise *= length / noise.flatten(2).norm(dim=2)[..., None, None, None]
    curves[name] = [
        share_wrong(
            networks[name],
            (inputs + factor * noise).flatten(0, 1),
            labels.repeat(50),
        )
        for factor in factors
    ]
    aimed = share_wrong(networks[name], attack.adv_inputs, labels)
    print(f"{name:<12} aimed {aimed:.0f} %, noise {curves[name][0]:.1f} %")

# %% tags=["hide-input"] alt="Three curves against the length of the noise: a linear classifier, a network, and a single plane; near zero at the length of the perturbation, they rise only where the noise is many times as long" caption="Share of guesses that change the class, against their length as a multiple of the smallest perturbation. Dotted: the formula for one plane."
lengths = np.logspace(0, 5, 100, base=2)
figure, axis = plt.subplots(figsize=(5.4, 3.4))
for (name, curve), style in zip(curves.items(), ("o-", "s--"), strict=True):
    axis.plot(factors, curve, style, markersize=4, label=name)
plane = 100 * norm.cdf(-np.sqrt(784) / lengths)
ink = plt.rcParams["axes.edgecolor"]
axis.plot(lengths, plane, ":", color=ink, label="one plane")
axis.set_xscale("log", base=2)
axis.set_xticks(factors, [str(factor) for factor in factors])
axis.set_xlabel("length of the noise ÷ length of the perturbation")
axis.set_ylabel("class changed, %")
axis.legend()
plt.show()

# %% [markdown]
# At the length that always suffices when aimed, noise almost never does, for the network and for the linear classifier alike.
# (Where the noise is long the measured curves are above the formula: it counts one plane, and there are nine other classes. At
# that length noise has left the images' range, too.) So the claim's premise holds, and does not lead to its conclusion: what
# is hard to find by sampling need not be a pocket.
#
# On MNIST, at the paper's size, noise of the same norm, one draw for each image, fools a model on at most
# {{ table2.own_noise }} of the images that it had right (95 % limit {{ table2.own_noise_limit }}; the worst of all models and
# seeds). [Transfer](transfer.py#across-models-table-2) has the models one by one.
#
# ## Does one come out again?
#
# A pocket has an end. Go on beyond the adversarial image, along the same line, and the right class should return; or go half as
# far again and turn aside by a random step as long as $r$.

# %%
print("still wrong, %  1.1r  1.5r    2r    4r  aside")
for name, (inputs, labels, attack) in attacks.items():
    r = attack.adv_inputs - inputs
    aside = torch.randn(r.shape, generator=generator)
    aside *= (l2_norm(r) / l2_norm(aside))[:, None, None, None]
    changes = 1.1 * r, 1.5 * r, 2 * r, 4 * r, 1.5 * r + aside
    shares = [
        share_wrong(networks[name], inputs + change, labels)
        for change in changes
    ]
    print(f"{name:<14}", "".join(f"{share:5.0f} " for share in shares))

# %% [markdown]
# The perturbed images lie on the near edge of a large region and not in a hole. (At four times $r$ many pixels are
# outside the range, so that these points are no images any more.)
#
# ## How dense are they?
#
# "Dense (much like the rational numbers)", says the paper's last section: "found near … virtually every test case". For each
# image of Table 1's training sample that the model had right, here is the nearest example of any other class:
#
# --8<-- "table1/density.md"
#
# *Near virtually every image* is a matter of what near means: {{ table1.close_share }} of the images, over all models, have one
# within 0.1. For the linear model with $\lambda = 1$ the farthest image needs {{ table1.softmax3.distortion_nearest_max }}.
# *Dense* in the sense of the rational numbers they are not: a dense set comes as close to a point as one likes, and around
# each of these images there is a distance within which we find none. For linear classifiers that there is none can be proven
# ([certificate](exactness.py#how-much-is-lost-a-certificate)), for networks within a smaller distance
# ([spectral bounds](spectral.py#what-the-bounds-allow-and-what-an-attack-finds)).
#
# ## Is a smooth classifier immune?
#
# Section 4 of the paper contrasts networks with kernel methods: it says that smooth classifiers cannot have such
# examples, "by their definition". A classifier that is immune by definition cannot be tested; so we take a common reading of
# it. The attack needs nothing but logits, and a Gaussian kernel machine scores an image by
# $z(x) = \sum_i \alpha_i e^{-\gamma \|x - x_i\|^2}$, a sum of bumps on the training images $x_i$; the
# smaller $\gamma$, the wider the bumps. (That does not make $z$ flatter: the coefficients come from ridge regression on the
# classes, which makes up for wider bumps by larger $\alpha$.)
#
# How smooth it is has a number: the slope of the margin $m$, by which the right class leads the second. If
# $m$ changes by at most $L$ times the change of the image, $\lVert r \rVert_2 \geq m(x) / L$; and where $m$ is nearly linear,
# $\lVert r \rVert_2 \approx m(x) / \lVert \nabla m(x) \rVert_2$.

# %%
from tutorial_pkg.training.kernel import fit_kernel_classifier

machine = fit_kernel_classifier(
    digits.train_inputs[:500], digits.train_labels[:500], gamma=0.01
)


def margin_and_slope(
    classifier: nn.Module, images: Tensor, labels: Tensor
) -> tuple[Tensor, Tensor]:
    """Lead of the right class over the second, and the gradient's norm."""
    images = images.clone().requires_grad_()
    logits = classifier(images)
    rivals = logits.scatter(1, labels[:, None], -torch.inf)
    margins = logits.gather(1, labels[:, None])[:, 0] - rivals.amax(1)
    (gradient,) = torch.autograd.grad(margins.sum(), images)
    return margins.detach(), l2_norm(gradient)


classifiers = {
    "kernel machine": machine,
    "100-100-10": networks["N100-100-10"],
}
print("medians".ljust(16), "margin   slope   ratio   length of r")
for name, classifier in classifiers.items():
    inputs, labels = images_right(classifier, 40)
    attack = minimum_distortion(classifier, inputs, labels=labels)
    margins, slopes = margin_and_slope(classifier, inputs, labels)
    columns = margins, slopes, margins / slopes, attack.l2_norm
    numbers = "".join(f"{column.median():8.2f}" for column in columns)
    fooled = int(attack.success.sum())
    print(f"{name:<15}{numbers}   ({fooled} of {len(inputs)} fooled)")

# %% [markdown]
# The machine is the smoother of the two by far, and it helps little, because its margins are smaller, too. (Halve all logits of a
# network: it is twice as smooth, and no image moves.) What counts is the ratio. On MNIST:
#
# --8<-- "kernel_machine/kernel_machine.md"
#
# The lowest success of the attack is {{ kernel_machine.success }}; the mean distortion goes from
# {{ kernel_machine.distortion.least }} to {{ kernel_machine.distortion.most }}. Noise of that distortion makes at most
# {{ kernel_machine.error_under_noise }} of the images go wrong.
#
# Smoothness bounds how fast the scores change. It does not say how far they have to change: where the scores of two
# classes are close, a small step is enough however smooth they are.
#
# ## The verdict
#
# - *Are they hard to find by sampling around an image?* Yes ([B3](../claims.md#b3)).
# - *So do they lie in pockets?* That does not follow. Half of space, seen from close by, is as hard to find; and
#   linear classifiers, whose regions have no pockets, have such examples, too.
# - *Are they near virtually every image?* Within a distortion of 0.1, {{ table1.close_share }} of the images have one
#   ([D1](../claims.md#d1)). Dense like the rational numbers they are not.
# - *Are smooth classifiers immune?* Not the ones tried here ([B4](../claims.md#b4)).
# - *Are they of low probability among natural images?* Nothing here measures that. The paper infers it from a
#   network's small test error: if they were common, test sets would hold some.
#
# ## Differences from the paper
#
# 1. **Noise.** The paper gives no number for sampling around an image. Ours is Gaussian and scaled to the perturbation's length,
#    so that only its direction is random; it is not clipped to the images' range.
# 2. **Which images.** In the density figure, training images that the model has right. The paper speaks of test cases.
# 3. **The smooth classifiers** are our choice: kernel ridge regression on the classes, with a Gaussian kernel of
#    {{ kernel_machine.num_widths }} widths. The paper names no classifier and gives no measure of smoothness.
#
# ## What later work found
#
# - **Not pockets.** [Goodfellow et al. (2015)](../references.md#goodfellow2015) went along the direction of an adversarial step and
#   found wrong answers in whole intervals of it, "not in fine pockets". Linear models, which have no pockets, have adversarial
#   examples for the same reason: many small changes that add up.
# - **Test error is enough.** [Ford et al. (2019)](../references.md#ford2019) and [Gilmer et al.
#   (2018)](../references.md#gilmer2018) argue that a small error rate under noise already implies, in many
#   dimensions, an error close to almost every image. Then the errors are not in odd pockets: they are what a few
#   percent of volume look like from close by.
# - **Smoothness with a number.** Bounds on the slope, relative to the margin, do give a proof of stability
#   ([§4.3](spectral.py)); [Cissé et al. (2017)](../references.md#cisse2017) trained networks to have small ones.
#
# ## Exercises
#
# 1. Which error under noise $t$ times as long as $r$ would a *slab* give, adversarial between $\lVert r \rVert_2$ and
#    $2\,\lVert r \rVert_2$ along $r$ only? For which $t$ can noise tell it from half of space?
# 2. Clip the noisy images to $[0, 1]$. Which part of the curves changes, and why?
# 3. Fit kernel machines with `gamma` from 0.001 to 0.1. How do margin, slope and their ratio change?
# 4. Let $r$ lead to a class at random instead of the nearest. It is longer; is noise of that length still harmless?
