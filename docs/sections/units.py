# %% [markdown]
# # Units
#
# > **The claim.** The images that excite a random direction in feature space have as much in common as the images that
# > excite a single unit. So it is the space of activations, and not its coordinates, that carries meaning. (Paper, §3)
#
# **What comes out.** On digits the claim holds in most of what can be measured. Of {{ units.num_of_images }} statistics that
# compare the *images* of units and of random directions {{ units.verdicts.images }}, and each kind has more in common than
# images at random. Of {{ units.num_of_directions }} statistics of the direction itself {{ units.verdicts.directions }}: one
# class explains more of a unit's variance than of a random direction's (δ = {{ units.hidden.units-uniform.class_share }}), while
# how well a direction tells its best class from the others differs by δ = {{ units.hidden.units-uniform.class_auc }}
# ({{ units.hidden.units-uniform.class_auc.verdict }}; [U1](../claims.md#u1)). Here δ is [Cliff's](#beyond-looking), with a 95 %
# interval in brackets: 0 where the two kinds do not differ, 1 where every unit is ahead of every random direction. And
# [on photographs](alexnet.py#figures-3-and-4-units-and-random-directions) units come out ahead ([U3](../claims.md#u3)).
#
# ## What is compared
#
# Let $\phi(x) \in \mathbb{R}^n$ be the activations of a layer. The usual way to find out what unit $i$ stands for is to
# look at the images that excite it most:
#
# $$
# x' = \operatorname*{arg\,max}_{x \,\in\, \text{image set}} \langle \phi(x), e_i \rangle .
# $$
#
# The paper adds the control that was missing, a random direction $v$ in place of the unit's own axis $e_i$:
#
# $$
# x' = \operatorname*{arg\,max}_{x \,\in\, \text{image set}} \langle \phi(x), v \rangle .
# $$
#
# | symbol | in the code |
# | --- | --- |
# | $\phi(x)$ for all images, a row each | `layer_features(model, inputs, "hidden")` |
# | $e_i$, a row each | `torch.eye(n)` |
# | $v$, uniform on the unit sphere | `random_directions(count, n, generator=generator)` |
# | the $k$ best $x'$ of one direction | `top_activations(features, direction, k=k)` |
# | $\langle \phi(x), v \rangle$ for all $x$ and $v$ | `scores`, and from them `top_sets(scores, k)` |
#
# The network is the paper's *Conv*: convolution, max pooling, a fully connected layer, dropout, softmax. Here it learns the
# 8×8 digits in a few seconds. The image set is the test set, and the layer is the last hidden one.

# %%
import torch

from tutorial_pkg.data import load_digits
from tutorial_pkg.figures import image_grid
from tutorial_pkg.metrics import error_rate
from tutorial_pkg.training import SgdRecipe, train_sgd
from tutorial_pkg.units import (
    class_share,
    compare,
    layer_features,
    live_units,
    purity,
    random_directions,
    top_activations,
    top_sets,
)

digits = load_digits()
model, _ = train_sgd(SgdRecipe("conv", epochs=6), digits, seed=0)
images, labels = digits.test_inputs, digits.test_labels
logits = layer_features(model, images, "logits")
print(f"test error: {100 * error_rate(logits, labels):.1f} %")

features = layer_features(model, images, "hidden")
generator = torch.Generator().manual_seed(0)
n = features.shape[1]
units = torch.eye(n)[live_units(features, k=8)]
directions = random_directions(len(units), n, generator=generator)
print(f"{len(units)} of {n} units are active on at least 8 images")

# %% tags=["hide-input"] alt="Six rows of eight digits: three rows for units, three for random directions" caption="The eight test digits that excite three units, and three random directions, the most."
rows = [
    top_activations(features, v, k=8) for v in (*units[:3], *directions[:3])
]
names = ["unit 1", "unit 2", "unit 3", "random 1", "random 2", "random 3"]
image_grid(
    [list(images[row, 0].numpy()) for row in rows],
    row_labels=names,
    cell_inches=0.5,
)

# %% [markdown]
# ## Figures 1 and 2
#
# The same on MNIST, with a network whose test error is {{ figures1_2.test_error }} and an image set of
# {{ figures1_2.num_test }}. Units and directions were drawn at random, none by hand.
#
# --8<-- "figures1_2/figure1.md"
#
# --8<-- "figures1_2/figure2.md"
#
# --8<-- "figures1_2/chance.md"
#
# Most rows look meaningful, as the paper reports; chance does not. In these few rows units even look purer
# ({{ figures1_2.units.purity }} on average, directions {{ figures1_2.uniform.purity }}); over all units and several networks
# the difference is gone, as we shall see. That is too few rows to judge by. Here are {{ figures1_2.quiz.num_rows }} more,
# {{ figures1_2.quiz.num_units }} of them of units, shuffled. Which are the units?
#
# --8<-- "figures1_2/quiz.md"
#
# ??? success "Answer"
#
#     The units are {{ figures1_2.quiz.answer }}.
#
# ## Beyond looking
#
# The paper judges by eye. A number can be tested: for each set of top images, what share has the commonest class? We ask it
# of every unit and of as many random directions. *Cliff's δ* is the probability that a unit's set is purer than a
# direction's, less the probability of the reverse; a permutation test says how often chance alone would separate the two
# kinds as far.

# %%
scores = {
    "units": features @ units.T,
    "random": features @ directions.T,
    "chance": torch.randn(len(images), len(units), generator=generator),
}
purities = {
    kind: purity(labels[top_sets(s, k=8)]) for kind, s in scores.items()
}
for kind, values in purities.items():
    print(f"{kind:8} mean purity {values.mean():.2f}")
for other in ("random", "chance"):
    result = compare(purities["units"], purities[other], generator=generator)
    print(
        f"units against {other}: δ = {result.delta:+.2f} "
        f"[{result.low:+.2f}, {result.high:+.2f}], p = {result.p_value:.3g}"
    )

# %% [markdown]
# One statistic is not enough: sets could be equally pure and differ in how much the strokes agree. So
# {{ units.num_tests }} statistics were measured on MNIST, for {{ units.networks }} (test error
# {{ units.test_error }}), against four controls besides uniform random directions: random directions without negative
# weights, principal components, random images of the same classes, and random images.
#
# | statistic | what it says of the images of a set |
# | --- | --- |
# | class purity | the share of the commonest class |
# | class entropy | how mixed the classes are, in bits: 0 if all are one |
# | distance in pixels | between two of the images, the mean over all pairs |
# | distance in features | the same, between their activations in the layer |
# | spread of slant | the standard deviation of how far the digits lean, over that of all images |
# | spread of stroke width | the same, of how thick the strokes are |
# | spread of aspect | the same, of how wide the digits are for their height |
# | spread of style in class | the mean of these three, each image taken less the mean of its class |
# | agreement on holes | the share of the commonest number of holes: an 8 has two, most 1s none |
# | | **what it says of the direction, by its scores of all images** |
# | detects a class | the area under the ROC curve, for the class it tells best from the others |
# | class share | the share of its variance that one class explains, for the class with the largest |
# | follows a style | its rank correlation with slant, stroke width or aspect within a class, the largest |
#
# --8<-- "units/distributions.md"
#
# --8<-- "units/effects.md"
#
# --8<-- "units/statistics.md"
#
# Of the {{ units.num_tests }} statistics {{ units.verdicts }}. ("Negligible" takes an
# interval of the mean over the networks wholly within the shaded range; a test that merely finds no difference would not do.)
# Either kind is far from chance: for class purity, units against random images have
# δ = {{ units.hidden.units-chance.purity }}, and random directions {{ units.hidden.uniform-chance.purity }}.
#
# Four more things came out.
#
# - **The images share more than their class.** Against random images *of the same classes*, the units' images are closer in
#   pixels (δ = {{ units.hidden.units-matched.pixel_distance }}) and more alike in style
#   (δ = {{ units.hidden.units-matched.style_spread }}), as the paper's "lower round stroke" suggests.
# - **Not any direction will do.** Principal components, which are orthogonal and mostly of little variance, give purer sets
#   than chance and less pure ones than units (δ = {{ units.hidden.units-principal.purity }}).
# - **Directions without negative weights have much in common**: of any two, the angle is far below the right angle of uniform
#   ones. Their sets hold few different images: {{ units.distinct.nonnegative }} of the places are taken by distinct images,
#   and {{ units.distinct.uniform }} in as many sets of uniform directions.
# - **The space is small.** The features vary along {{ units.effective_dimension }} axes in effect, about as many as there are
#   classes. (This is the participation ratio $(\sum_j \lambda_j)^2 / \sum_j \lambda_j^2$, with $\lambda_j$ the variances
#   along the principal axes.)
#
# The size of the set does not change the picture:
#
# --8<-- "units/sizes.md"
#
# ## Is it the network?
#
# A control that the paper does not have: the same question for raw pixels and for the hidden layer before training. And a
# second one, for the method: units that *are* meaningful by construction.
#
# --8<-- "units/layers.md"
#
# Random directions of the *pixels* already give sets of purity {{ units.pixels.uniform.purity }}, and of the untrained layer
# {{ units.untrained.uniform.purity }}, where chance gives {{ units.pixels.chance.purity }}; training raises it to
# {{ units.hidden.uniform.purity }}. Part of what one sees in Figure 2 is in the data: digits that lie far out in the same
# direction resemble each other, whatever the space.
#
# ## What top images cannot show
#
# Suppose that a layer were perfectly disentangled, with one unit for each class: $\phi(x) = e_{y(x)}$, where $y(x)$ is the
# class of $x$. Then for a random $v$
#
# $$
# \langle \phi(x), v \rangle = v_{y(x)},
# $$
#
# and the largest value is attained by *all images of one class*, the class with the largest weight. Almost every random
# direction gives a perfectly pure set, although the coordinates are as meaningful as they can be.

# %%
disentangled = torch.nn.functional.one_hot(labels).float()
disentangled += 0.05 * torch.randn(disentangled.shape, generator=generator)
random = random_directions(100, 10, generator=generator)
made = {"units": disentangled, "random": disentangled @ random.T}
for kind, s in made.items():
    pure = purity(labels[top_sets(s, k=8)]).mean()
    share = class_share(s, labels).amax(1).mean()
    print(
        f"{kind:8} mean purity {pure:.2f}, "
        f"share of variance from one class {share:.2f}"
    )

# %% [markdown]
# So high purity along random directions does *not* show that a network fails to disentangle: in the layer made by hand they
# reach {{ units.onehot.uniform.purity }} on MNIST. Units come out ahead there
# (δ = {{ units.onehot.units-uniform.purity }}) only because the noise lets a second class in wherever its weight is nearly
# the largest; without noise the two would tie. Maximising over a finite set lands on whatever cluster lies furthest out, and clusters are classes. The
# same holds for any layer where classes are tight clusters, $\phi(x) \approx \mu_{y(x)}$, with $\mu_c$ the mean activation of
# class $c$.
#
# For the class, a statistic of *all* images can tell: the largest share of a direction's variance that a single class
# explains (`class_share`) is 1 for the units made by hand, but for the noise, and less for sums of them. It says nothing of
# other factors: units that each follow slant, stroke width or aspect would have no class share. The class share of units and
# of random directions, layer by layer:
#
# | layer | units | random directions | δ | whose is larger |
# | --- | ---: | ---: | ---: | ---: |
# | hidden, untrained | {{ units.untrained.units.class_share }} | {{ units.untrained.uniform.class_share }} | {{ units.untrained.units-uniform.class_share }} | {{ units.untrained.units-uniform.class_share.verdict }} |
# | max pooling | {{ units.pool.units.class_share }} | {{ units.pool.uniform.class_share }} | {{ units.pool.units-uniform.class_share }} | {{ units.pool.units-uniform.class_share.verdict }} |
# | hidden | {{ units.hidden.units.class_share }} | {{ units.hidden.uniform.class_share }} | {{ units.hidden.units-uniform.class_share }} | {{ units.hidden.units-uniform.class_share.verdict }} |
# | logits | {{ units.logits.units.class_share }} | {{ units.logits.uniform.class_share }} | {{ units.logits.units-uniform.class_share }} | {{ units.logits.units-uniform.class_share.verdict }} |
#
# And what the best single direction of each kind tells about each factor, and all together:
#
# --8<-- "units/readout.md"
#
# One linear combination of all units, fitted to a factor, gives slant, stroke width and aspect far better than any one unit
# does, and the class better, too. That it does better is no surprise, since each unit is one of the combinations. How much
# better differs: little for the class, much for style. No unit measured here follows slant, stroke width or aspect closely.
#
# ## The verdict
#
# - *Do the images that excite a unit have something in common?* Yes, by every statistic, and beyond their class.
# - *Do random directions do as well?* By the top images, which is where the paper looks, in class purity
#   δ = {{ units.hidden.units-uniform.purity }} (verdict: {{ units.hidden.units-uniform.purity.verdict }}). By the class
#   share, over all images, δ = {{ units.hidden.units-uniform.class_share }} (verdict:
#   {{ units.hidden.units-uniform.class_share.verdict }}). The answer depends on the statistic.
# - *Do networks therefore not disentangle factors across coordinates?* That does not follow, as the layer made by hand
#   shows. Whether units are closer to it than random directions is a question for all images. The table above answers it
#   for the class only; for style, the hidden layer's units are not ahead (δ = {{ units.hidden.units-uniform.style_correlation }}).
#
# ## Differences from the paper
#
# 1. The paper does not say how its units were picked, and names what each responds to. Ours are drawn at random and named
#    by nobody.
# 2. The sizes of Conv and its training are ours: 32 filters of 5×5, 256 hidden units, Adam. The paper gives the order of the
#    layers.
# 3. "Random direction" is ours to define: uniform on the sphere. The paper's formula allows any $v \in \mathbb{R}^n$.
# 4. Units that are active on fewer than $k$ test images have no top-$k$ set and are left out:
#    {{ units.num_units }} of 256 are used, network by network.
# 5. Statistics, tests and controls are not in the paper. The intervals are about other directions in these networks; how
#    networks differ shows in the spread of the lines in the figure.
# 6. AlexNet (Figures 3 and 4) has [a page of its own](alexnet.py).
#
# ## What later work found
#
# [Bau et al. (2017)](../references.md#bau2017) put the question to networks for natural images. They measure how well the
# region where a unit is active overlaps with what people have labelled as a certain object, part, texture or colour, and
# then rotate the basis at random. The rotated network classifies just as well, but far fewer of its directions match a
# concept. *There, units are more interpretable than random directions*, against the paper's claim. Two things differ from this
# page besides the data: their concepts are many and finer than ten classes, and they look at all of a unit's strong responses,
# with their positions, and not at whole top images.
#
# That fits the algebra. Rotating a layer can be undone by the next layer's weights, but a rectified unit cuts off *its own*
# negative part, so that training can prefer the axes. Word vectors, which the paper cites as a parallel
# ([Mikolov et al., 2013](../references.md#mikolov2013)), have no such nonlinearity.
#
# [Morcos et al. (2018)](../references.md#morcos2018) found that networks which generalise well depend less on single
# directions, and that units selective for a class matter no more than others when they are removed.
# [Elhage et al. (2022)](../references.md#elhage2022) show in small models how a layer can store more features than it
# has units, along directions that are not axes: neither units nor *random* directions are then the ones to read, but
# particular ones, which must be found. [Locatello et al. (2019)](../references.md#locatello2019) prove that without
# assumptions on model and data, disentangled coordinates cannot be learned from unlabelled images at all.
#
# ## Exercises
#
# 1. Compute `purities` for `layer_features(model, images, "pool")` and for `"logits"`. In which layers do units differ from
#    random directions, and could you have known it?
# 2. Multiply the features by a random orthogonal matrix (`torch.linalg.qr` of a Gaussian one) before comparing. What must
#    happen to δ, and what to the network's predictions if the next layer's weights are rotated back?
# 3. Replace `random_directions` by differences of two units, $e_i - e_j$. Between which kinds do they lie?
# 4. In the layer made by hand, change the noise from 0.01 to 0.5. From where on does purity tell units from random
#    directions, and why only then?
# 5. Write the search for a direction $v$ that maximises `class_share` for one class. How does it compare with the best unit,
#    and with the weights of the logit?
