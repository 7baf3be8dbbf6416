# %% [markdown]
# # Spectral analysis
#
# > **The claim.** That a network is unstable can be partly explained by how much its layers can amplify. The most that a
# > layer can is its largest singular value, and a convolution's can be computed frequency by frequency. In AlexNet
# > "instabilities can appear as soon as in the first convolutional layer". (Paper, §4.3)
#
# **What comes out.** On a map that wraps around, a convolution's largest and smallest singular value can be computed exactly,
# for any stride; the paper's printed formula gives them only without one ([S1](../claims.md#s1)). The product over the layers bounds what a network
# can amplify, and the worst that an attack finds is {{ layer_gains.N100-100-10.logits.times_loose }} times (a network of three layers) or
# {{ layer_gains.Conv.logits.times_loose }} times (a convolutional one) smaller: large norms allow instability and do not prove
# it. And whether two networks share their unstable directions depends on the kind of network ([S5](../claims.md#s5)).
#
# ## What is computed
#
# A layer $\phi_k(x) = \max(0, W_k x + b_k)$ changes by at most $L_k = \lVert W_k \rVert$ times as much as its input,
# since $\max(0, \cdot)$ changes by no more than its argument. The *frame bounds* of $W$ are the best constants in
#
# $$
# \lambda_-(W)\, \lVert x \rVert \;\leq\; \lVert W x \rVert \;\leq\; \lambda_+(W)\, \lVert x \rVert ,
# $$
#
# its smallest and largest singular values (the smallest of a $W$ with more columns than rows is read in
# [another sense](#table-5)). A convolution of AlexNet is a matrix with hundreds of thousands of rows, but it
# does the same everywhere. On a map that wraps around at its edges, the Fourier transform therefore takes it apart into
# one small matrix $A(\omega)$ a frequency $\omega$, which has two components, one an axis of the image. It has a row for each
# output channel $f$ and a column for each input channel $c$. With a stride $\Delta$ every $\Delta$-th pixel meets the same
# taps, so each input channel counts as $\Delta^2$ channels, one for each offset $r$; $t$ then counts the taps $w_{f,c}$ in
# steps of the stride:
#
# $$
# A(\omega)_{f,(c,r)} = \sum_t w_{f,c}[\Delta t + r]\, e^{-i \omega \cdot t},
# $$
#
# $$
# \lambda_+ = \max_\omega \sigma_1(A(\omega)), \quad \lambda_- = \min_\omega \sigma_{\min}(A(\omega)).
# $$
#
# | symbol | in the code |
# | --- | --- |
# | $w$, $\Delta$ | `weight`, `stride` |
# | $A(\omega)$ | `polyphase_symbol(weight, frequencies, …)` |
# | $\omega = 2\pi j / m$ on an $m \times m$ grid | `grid=m` |
# | $\lambda_-,\ \lambda_+$ | `bounds.lower`, `bounds.upper` |
# | $\sup_\omega \sigma_1(A(\omega))$, every map size | at most `bounds.certificate` |
#
# ## The printed formula, and the matrix itself
#
# The paper takes the columns of $A(\omega)$ from $\hat w(\omega + l\pi\Delta^{-1})$, where $\hat w$ is the Fourier transform
# of the taps and each component of $l$ runs from 0 to $\Delta - 1$. Two things are wrong with it when
# $\Delta > 1$. The frequencies that a stride mixes up are $2\pi/\Delta$ apart, not $\pi/\Delta$; and a factor
# $1/\sqrt\Delta$ an axis, $1/\Delta$ in all, is missing. The smallest example is a difference of neighbours, taken at
# every other pixel: no pixel is used twice, so that its norm is $\sqrt 2$. We write the operator out as a matrix to be
# sure.

# %%
import math

import matplotlib.pyplot as plt
import torch
from torch import nn

from tutorial_pkg.attacks import minimum_distortion
from tutorial_pkg.data import load_digits
from tutorial_pkg.experiments.spectral_checks import printed_norm
from tutorial_pkg.paper import TABLE5
from tutorial_pkg.spectral import (
    conv_frame_bounds,
    layer_gains,
    padded_frame_bounds,
)
from tutorial_pkg.training import TABLE1_RECIPES, train
from tutorial_pkg.transfer import same_norm_noise

difference = torch.tensor([[[[1.0, -1.0]]]])
layer = nn.Conv2d(1, 1, (1, 2), stride=2, bias=False)
layer.weight.data = difference
basis = torch.eye(16 * 16).reshape(-1, 1, 16, 16)
matrix = layer(basis).flatten(1).T.detach()

omega = torch.linspace(0, 2 * math.pi, 1001)
shifts = [l2 * math.pi / 2 for l1 in (0, 1) for l2 in (0, 1)]
columns = [1 - torch.exp(-1j * (omega + shift)) for shift in shifts]
printed = torch.stack(columns).norm(dim=0)
norm = torch.linalg.matrix_norm(matrix, 2)
bounds = conv_frame_bounds(difference, stride=2, grid=8)
print(f"matrix {tuple(matrix.shape)}:   {norm:.4f}")
print(f"conv_frame_bounds:  {bounds.upper:.4f}")
print(f"printed formula:    {printed.max():.4f}")

# %% [markdown]
# Random layers say the same at every stride above 1; without a stride the printed formula is right:
#
# --8<-- "spectral_checks/norms.md"
#
# Only conv1 of AlexNet has a stride, and it is the layer that the claim is about. With random weights of its shape:

# %%
conv1 = torch.randn(96, 3, 11, 11, generator=torch.Generator().manual_seed(0))
true_norm = conv_frame_bounds(conv1, stride=4, grid=14).upper
ratio = printed_norm(conv1, stride=4, maps=14) / true_norm
paper_upper = TABLE5["conv1"][1]
print(f"printed formula / norm: {ratio:.1f}")
print(f"the paper's {paper_upper:g} / this: {paper_upper / ratio:.1f}")

# %% [markdown]
# Whether the paper computed its {{ table5.conv1.paper_upper }} as printed is not said. If it did, the norm of its conv1 is
# at most {{ table5.conv1.paper_upper_at_most }}. For all frequencies that a stride of 4 mixes lie in four of the printed
# sets, which start at $\omega$ and half a turn away in either component or in both. The largest singular value of four
# sets side by side is at most $\sqrt 4$ times that of one, and the missing factor is $1/4$: together a half. If the ratio
# is that of random weights, the norm is as small as the last line above. In both cases conv1 is not the layer with the
# largest bound, since conv5 has {{ table5.conv5.paper_upper }}. If the paper computed something else than it printed, and
# that was right, conv1 is.
#
# ## Table 5
#
# The paper's numbers are those of a trained network whose weights we do not have. Ours are of the
# same shapes with the weights that training starts from.
#
# --8<-- "table5/table5.md"
#
# ??? note "On maps of any size, and the lower bound read strictly"
#
#     --8<-- "table5/table5-continuous.md"
#
# conv2, conv4 and conv5 consist of two separate halves (*groups*). One half of conv4 maps 192 channels to 192, so that it
# is square; one of conv5 maps 192 to 128, and must send some inputs to zero.
#
# The ratio $\lambda_+ / \lambda_-$ is the part that does not depend on the scale of the weights. It is larger in the paper's
# column for every layer, so that training seems to stretch what starts out rather even. The square layers conv4 and
# fc2, which stand out in both columns, say little about that: how small their lower bound is depends on chance, as we are
# about to see. Three things about the lower bound cannot be read off the paper's table, and each of them decides its
# value.
#
# **It must be read thin.** fc1 maps 9216 numbers to 4096. It must send some inputs to zero, and its lower bound in the
# strict sense is {{ table5.fc1.strict_lower }}; the paper prints {{ table5.fc1.paper_lower }}. So the paper's must be the
# smallest of the $\min(\text{rows}, \text{columns})$ singular values, those of the *thin* singular value decomposition, for
# which our random weights give {{ table5.fc1.lower }}.
#
# **Of a square layer it is a property of the grid.** Where $A(\omega)$ is square, it is singular where
# $\det A(\omega) = 0$. That is two real equations in the two components of $\omega$, and it usually has
# solutions. Between the grid points the lower bound is then *zero*, and what one reads is how close a
# grid point happens to lie:

# %% alt="Lower bound against the size of the grid: scattered for a square layer, level for a tall one" caption="λ₋ as a share of λ₊, of two random 3×3 convolutions, against the grid it is read on. The square layer's depends on how near a grid point comes to a zero; the other's hardly moves."
torch.manual_seed(0)
square, tall = torch.randn(24, 24, 3, 3), torch.randn(48, 24, 3, 3)
sizes = range(4, 41, 3)
for name, weight in (("24 → 24 channels", square), ("24 → 48 channels", tall)):
    found = [conv_frame_bounds(weight, grid=m) for m in sizes]
    ratios = [bounds.lower / bounds.upper for bounds in found]
    plt.semilogy(sizes, ratios, marker=".", label=name)
plt.xlabel("grid m")
plt.ylabel("λ₋ / λ₊")
plt.legend()
plt.show()

refined = conv_frame_bounds(square, grid=13, refine=True)
print("24 → 24 channels".ljust(29), "  λ₋       λ₋ / λ₊")
for where, lower in (
    ("on the 13×13 grid", refined.lower),
    ("searched over all frequencies", refined.infimum),
):
    print(f"{where:<29} {lower:.1e}  {lower / refined.upper:.1e}")

# %% [markdown]
# (The search is a local one, from the grid's smallest points. It can only miss a smaller value, never invent one.)
#
# The paper's {{ table5.conv4.paper_lower }} for conv4 is such a number, and so is our {{ table5.conv4.lower }}. fc2 is square too,
# but it has no frequencies: its small lower bound is what square random $n \times n$ matrices have, of the order of
# $1/n$ of the upper one.
#
# **It is not that of the layer as used.** Real layers do not wrap around; they pad with zeros.
#
# ## Circular maps and zero padding
#
# Padding with zeros restricts the convolution on the infinite plane to fewer pixels. That cannot increase the norm
# beyond $\sup_\omega \lVert A(\omega) \rVert$, and a grid is below this supremum by a known factor at most: with
# $d + 1$ taps an axis, in steps of the stride, and $m > d$,
#
# $$
# \max_{\text{grid}} \lVert A \rVert \;\leq\; \sup_\omega \lVert A(\omega) \rVert \;\leq\;
# \frac{\max_{\text{grid}} \lVert A \rVert}{\cos^2(\pi d / 2m)} ,
# $$
#
# by a theorem of M. Riesz on trigonometric polynomials. The right side is `bounds.certificate`, and it holds with
# zero padding too, on a map of any size. $\lambda_+$ itself need not: on three pixels the taps $(-1, 2, -1)$ have norm 3
# when the map wraps around, and $2 + \sqrt 2$ when it is padded with zeros. The lower bound of a padded layer is not
# controlled by anything here.

# %%
layer = nn.Conv2d(3, 6, 5, padding=2).requires_grad_(False)
print("map      circular λ₋, λ₊     zero-padded λ₋, λ₊   certificate")
for m in (4, 6, 8, 12):
    circular = conv_frame_bounds(layer.weight, grid=m)
    padded = padded_frame_bounds(layer, (3, m, m))
    print(
        f"{m:2d}×{m:<2d} {circular.lower:10.3f} {circular.upper:7.3f}"
        f" {padded.lower:12.3f} {padded.upper:7.3f}"
        f" {circular.certificate:15.3f}"
    )

# %% [markdown]
# On a 4×4 map the kernel is larger than the map and wraps onto itself. The bounds on that grid are still exact,
# but it is too coarse to certify anything.
#
# ## Pooling does not always contract
#
# The paper says that max pooling is contractive. It is, if the windows do not overlap: each pixel then belongs to one
# window only. AlexNet pools 3×3 windows two pixels apart, and a pixel can be the largest in four:

# %%
pixel = torch.zeros(1, 1, 7, 7)
pixel[..., 2, 2] = 1
for pooling in (nn.MaxPool2d(2), nn.MaxPool2d(3), nn.MaxPool2d(3, stride=2)):
    gain = float(pooling(pixel).norm() / pixel.norm())
    size, stride = pooling.kernel_size, pooling.stride
    print(f"windows {size}×{size}, stride {stride}: gain {gain:g}")

# %% [markdown]
# No change does worse. The largest value of a window changes by at most the norm of the change inside it; the squares
# summed over the windows count each pixel as often as there are windows that see it, here at most four times. So the
# constant is at most $\sqrt 4 = 2$, and the single pixel above reaches it. A search agrees:
#
# --8<-- "spectral_checks/gains.md"
#
# AlexNet has three such layers. `lipschitz_bound` counts each with 2.
#
# ## What the bounds allow, and what an attack finds
#
# The product of the layers' bounds is a Lipschitz constant $L$ of the network. If $z_1$ and $z_2$ are the two largest
# logits, no perturbation with $\lVert r \rVert < (z_1 - z_2) / (\sqrt 2\, L)$ changes the class. That is a proof of
# stability, the only kind of proof that these bounds can give. A large $L$ proves nothing: it is reached only by a change
# that *every* layer amplifies as much as it can, and there need be no such change. We follow the smallest perturbations
# that change the class of test images ({{ layer_gains.num_attacked }} a network), and noise of the same norms, through
# trained networks of three kinds.
#
# --8<-- "layer_gains/gains.md"
#
# --8<-- "layer_gains/gains-figure.md"
#
# For N100-100-10 the largest gain that the attack reaches at the logits is {{ layer_gains.N100-100-10.logits.largest }}, and
# the bound is {{ layer_gains.N100-100-10.logits.times_loose }} times that; for Conv it is
# {{ layer_gains.Conv.logits.times_loose }} times. The smallest perturbation that does change the class is, at the median,
# {{ layer_gains.N100-100-10.times_safe_radius_median }} and {{ layer_gains.Conv.times_safe_radius_median }} times the
# length that is proven to be safe. For the linear model, where only one layer has to be amplified, it is
# {{ layer_gains.softmax1.times_safe_radius_median }} times. So the bound is true and far from tight: the
# attack finds gains well above those of noise ({{ layer_gains.N100-100-10.logits.mean }} on average against
# {{ layer_gains.N100-100-10.logits.noise_mean }}), but well below what the layers' worst cases multiply to.
#
# **Does the first layer's worst direction fool the network?** If a large $\lambda_+$ of the first layer were what makes
# the network unstable, moving an image along the singular vector that belongs to it should do. We move each image as far as
# its smallest adversarial perturbation goes.

# %%
digits = load_digits()
model, _ = train(TABLE1_RECIPES["N100-100-10"].shortened(60), digits, seed=0)
inputs, labels = digits.test_inputs[:100], digits.test_labels[:100]
with torch.no_grad():
    right = model(inputs).argmax(1) == labels
inputs, labels = inputs[right], labels[right]
attack = minimum_distortion(model, inputs, labels=labels)

first = next(part for part in model.modules() if isinstance(part, nn.Linear))
weight = first.weight.detach()
_, singular_values, directions = torch.linalg.svd(weight, full_matrices=False)
length = attack.l2_norm[:, None, None, None]
worst = directions[0].reshape(1, *inputs.shape[1:])
generator = torch.Generator().manual_seed(0)
noisy = same_norm_noise(inputs, attack.adv_inputs, generator=generator)
changed = {
    "attack": attack.adv_inputs,
    "first layer's worst direction, +": inputs + length * worst,
    "first layer's worst direction, −": inputs - length * worst,
    "noise": noisy,
}
print(f"λ₊ of the first layer: {singular_values[0]:.2f}\n")
print("mean gain of".ljust(36), "W₁x  hidden1   logits   fooled")
for name, moved in changed.items():
    gains = layer_gains(model, inputs, moved)
    change = (moved - inputs).flatten(1)
    linear = (change @ weight.T).norm(dim=1) / change.norm(dim=1)
    with torch.no_grad():
        fooled = (model(moved).argmax(1) != labels).double().mean()
    print(
        f"{name:34} {linear.mean():5.2f} {gains[0].mean:8.2f}"
        f" {gains[-1].mean:8.2f} {100 * fooled:6.0f} %"
    )

# %% [markdown]
# Before its sigmoid, the first layer amplifies its worst direction by $\lambda_+$, more than it does the attack's. But
# behind the sigmoid the attack is ahead: of its change a larger part comes through. A sigmoid's slope is at most 1/4, and
# less the more a unit is saturated, so the attack moves units that are less so. The worst direction still reaches the
# logits with about half of the attack's gain, far more than noise, and yet fools the network on no image or hardly any. A
# gain says how much the output changes, not which way.
#
# Which layer amplifies differs between networks. In the table above, N100-100-10's first layer makes the attack smaller
# ({{ layer_gains.N100-100-10.hidden1.mean }}), and its last layer does nearly all: a factor of
# {{ layer_gains.N100-100-10.logits.times_below }}, where its own bound allows
# {{ layer_gains.N100-100-10.logits.layer_bound }}. In Conv the convolution amplifies the attack
# {{ layer_gains.Conv.conv.mean }} times, pooling leaves {{ layer_gains.Conv.pool.times_below }} of that, and the hidden layer
# amplifies it another {{ layer_gains.Conv.hidden.times_below }} times, which makes {{ layer_gains.Conv.hidden.mean }} from the
# input to there; the last layer multiplies it by {{ layer_gains.Conv.logits.times_below }}. So instability can appear in the first convolutional layer, as the paper says. But noise grows there too,
# {{ layer_gains.Conv.conv.noise_mean }} times; most of what sets the attack apart comes later
# ({{ layer_gains.Conv.logits.mean }} against {{ layer_gains.Conv.logits.noise_mean }} at the logits).
#
# A large spectral bound of the first layer, {{ table5.conv1.paper_upper }} or less, therefore *allows* small changes to become
# large, and whoever keeps all the bounds small can prove stability. It does not show that an attack exists, and its size
# does not say how near one is.
#
# ## Do the unstable directions belong to the architecture?
#
# The paper opens §4.3 by blaming the architecture: the unstable directions should be a property of the layers and their
# sizes, and not of the particular values that training gives to the weights. If so, networks of one architecture and different
# seeds should be unstable in the same directions. We attack the same {{ unstable_directions.num_images }} test images,
# towards the same classes, on networks that differ in their seed only, and on networks of another architecture, which
# are also trained in another way.
#
# --8<-- "unstable_directions/pairs.md"
#
# Two seeds of the fully connected network share a cosine of {{ unstable_directions.FC.FC.cosine }}, two seeds of the
# convolutional one {{ unstable_directions.Conv.Conv.cosine }}, and one of each {{ unstable_directions.FC.Conv.cosine }}. With
# the perturbation for *another* image of the same class, led to the same target, it is
# {{ unstable_directions.FC.FC.cosine_of_same_class_and_target }},
# {{ unstable_directions.Conv.Conv.cosine_of_same_class_and_target }} and
# {{ unstable_directions.FC.Conv.cosine_of_same_class_and_target }}; with that for any other image about
# {{ unstable_directions.FC.FC.cosine_of_other_images }}. So one part of a direction comes from the two classes, and most of
# what two fully connected networks share is of this part. Another comes from the image, and it is most of what two
# convolutional networks share. Between networks of different kinds that part is smaller than within either kind. What is
# left depends on the weights themselves, which the paper denies.
#
# ## Differences from the paper
#
# 1. **Weights.** Table 5 is of random weights in AlexNet's shapes, Gaussian with standard deviation 0.01 as in
#    [Krizhevsky et al. (2012)](../references.md#krizhevsky2012), not of a trained network; of a small trained one there is
#    [a table](alexnet.py#table-5-from-trained-weights).
# 2. **The formula.** Shifts of $2\pi l/\Delta$ and a factor $1/\Delta$, in the equivalent polyphase form.
# 3. **Groups.** AlexNet was split over two GPUs, so that conv2, conv4 and conv5 consist of two separate halves. The bounds are
#    the largest and the smallest over both. The paper's sizes, such as 384×3×3×384, leave the groups out.
# 4. **The grid.** The paper does not state any. We take the size of each layer's output map, for conv1 56×56, which 224
#    pixels that wrap around give (55×55 in the network).
# 5. **Pooling** is given the constant that it has with overlapping windows.
# 6. **The lower bound** is thin, with the strict one beside it, and the smallest over continuous frequencies that a local
#    search finds.
#
# ## What later work found
#
# [Sedghi, Gupta and Long (2019)](../references.md#sedghi2019) gave the singular values of convolutions without stride by the
# same Fourier transform and clipped them during training. [Yoshida and Miyato (2017)](../references.md#yoshida2017)
# tried the regulariser that the published version of this section suggests, a penalty on each layer's largest singular value;
# [Miyato et al. (2018)](../references.md#miyato2018) divided every layer of a discriminator by it, which steadied the
# training of generative networks (for a convolution they take the matrix of its taps, one row an output channel, whose
# norm can be smaller than the layer's: for $[1, -1]$ it is $\sqrt 2$, and the layer's is 2); [Cissé et al. (2017)](../references.md#cisse2017) kept layers close to tight frames,
# where $\lambda_- \approx \lambda_+$, and found networks that resisted small perturbations better. All four work with bounds a layer
# at a time, whose product, as seen above, is loose.
#
# ## Exercises
#
# 1. Show that a grid with $m \leq d$ can miss the supremum altogether: find taps $w$ with $A(\omega) = 0$ on the
#    whole grid. What does `conv_frame_bounds` say about it?
# 2. Compute `model_frame_bounds` of a network of your own, with `inputs` so that every layer is read on its own map. Which
#    layer has the largest ratio of $\lambda_+$ to $\lambda_-$?
# 3. In the last cell, use the worst direction of the *linearised* network at each image, the top singular vector of
#    the Jacobian of the logits. How much of the attack's gain does it reach, and how many images does it fool?
# 4. Train with a penalty on each layer's norm. (`upper` carries no gradient: take `torch.linalg.matrix_norm(…, 2)` of a
#    fully connected layer's weight.) How do the smallest perturbation found and the test error change?
