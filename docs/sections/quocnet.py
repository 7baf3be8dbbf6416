# %% [markdown]
# # Natural images: QuocNet
#
# > **The claim.** A network of about a billion weights, trained without labels, and a car classifier on its last layer: for
# > every car that it recognises there is an image that looks the same and is not recognised. (Paper, §4.2, Figure 6)
#
# **What comes out.** With {{ quocnet.num_weights }} weights in place of a billion, a classifier on the last layer finds cars
# clearly better than one on pixels does (an [area under the ROC curve](#does-it-know-about-cars) of {{ quocnet.last.auc }}
# against {{ quocnet.pixels.auc }}; guessing has 0.5).
# {{ figure6.success }} of the {{ figure6.num_attacked }} cars that it recognises are lost to a change of
# {{ figure6.grey_levels }} of 255 grey levels on average ([Q2](../claims.md#q2)). That its learned filters are better than
# random ones is not shown.
#
# ## What is computed
#
# "QuocNet" is the network of [Le et al. (2012)](../references.md#le2012), known for the unit that found cats in videos. It
# has three stages, and each does the same three things to its input $x$: local linear filters, pooling, and contrast
# normalisation. Let $l$ be a place in the image, $m$ one of the filters there, and $x_l$ the receptive field:
#
# $$
# \begin{aligned}
# a_{ml} & = \langle w_{ml}, x_l \rangle , \\
# h_{mj} & = \sqrt{\varepsilon + \sum_{l \in N_j} a_{ml}^2} , \\
# y_{mj} & = \frac{g_{mj}}{\max(c, \sigma_j)} .
# \end{aligned}
# $$
#
# Here $N_j$ is the square of places that pooling unit $j$ takes together, $\varepsilon$ and $c$ are small positive constants,
# $g$ is $h$ less its mean over the neighbourhood and all maps $m$, and $\sigma_j$ the root of the mean of $g^2$ there; both
# means weigh near places more, by a Gaussian.
# The filters $w_{ml}$ are *untied*: unlike in a convolution, every place has filters of its own. That is why there are a
# billion of them.
#
# They are learned from images alone, by *reconstruction TICA* (topographic independent component analysis). With $x_i$ for
# what the stage receives of the $i$-th training image, $W_1$
# for all filters of a stage, $W_2$ for the weights that write their responses back into the image, $(\cdot)^2$ in the second
# term for the square of each response by itself, and $H_j$ for the sum of these over $N_j$:
#
# $$
# \begin{aligned}
# & \min_{W_1, W_2} \; \sum_i \Big( \lVert W_2 W_1^{\top} x_i - x_i \rVert_2^2 \\
# & \quad + \lambda \sum_j \sqrt{\varepsilon + H_j \, (W_1^{\top} x_i)^2} \Big) .
# \end{aligned}
# $$
#
# The first term keeps what is in the image. The second wants few pooling units to respond at a time, and so it makes
# filters respond together that are pooled together. The features of the last stage are then the input of a linear
# classifier of cars; the filters stay as they are. Images that it gets wrong are found as
# [before](minimum_distortion.py), by an attack on the pixels through all stages.
#
# | symbol | in the code |
# | --- | --- |
# | $w_{ml}$, the non-zero part of a column of $W_1$ | `model.layers["filters1"].weight[l, :, m]` |
# | $a$, $h$, $y$ of stage 1 | `model.features(x, "filters1")`, `"pooled1"`, `"stage1"` |
# | the two terms | `errors, pooled = tica_cost(x, filters, pooling, decoder)` |
# | $\lambda$ | `TicaRecipe(sparsity_weight=…)` |
# | the car classifier | `fit_linear_probe(features, labels, generator=generator)` |
# | the nearest image that is not a car | `minimum_distortion(model, x, labels=labels).adv_inputs` |
#
# The weights of Le et al.'s network can be counted without memory for them. The network that runs here is tiny; its
# "cars" are crops of a photograph of a temple, to be told from crops of a flower.

# %%
import torch

from tutorial_pkg.attacks import minimum_distortion
from tutorial_pkg.data import load_photographs
from tutorial_pkg.figures import image_grid
from tutorial_pkg.models import build_model
from tutorial_pkg.roc import auc
from tutorial_pkg.training import TicaRecipe, fit_linear_probe, train_tica

with torch.device("meta"):  # shapes without memory
    full = build_model("quocnet-full")
for name in ("filters1", "filters2", "filters3"):
    print(f"{name}: {full.layers[name].weight.numel():,} weights")

photographs = load_photographs()
recipe = TicaRecipe("quocnet-tiny", steps=40, batch_size=20)
model, training = train_tica(recipe, photographs, seed=0)
for stage, lost in enumerate(training.reconstruction, 1):
    print(
        f"stage {stage} loses {lost[0]:.0%} of its input, "
        f"in the end {lost[-1]:.0%}"
    )

# %% [markdown]
# No label was used so far. Now the classifier gets some, and we ask for the nearest image that is no longer a temple:

# %% alt="Rows of three pictures: a crop of the photograph of a temple, the changed crop, and the magnified difference" caption="Groups of three: a crop of the temple's photograph that is recognised, the nearest image that is not, and the absolute difference, magnified so that the largest change of a colour is at full brightness."
names = photographs.class_names
is_temple = torch.tensor(["china" in name for name in names]).long()
labels = is_temple[photographs.train_labels]
val_labels = is_temple[photographs.val_labels]
inputs = photographs.train_images / 255
val_inputs = photographs.val_images / 255

with torch.no_grad():
    features = model.features(inputs, "stage3").flatten(1)
generator = torch.Generator().manual_seed(0)
probe = fit_linear_probe(features, labels, generator=generator)
probe.write_to(model.layers["logits"][-1])

with torch.no_grad():
    logits = model(val_inputs)
scores = logits[:, 1] - logits[:, 0]
area = auc(scores.numpy(), val_labels.numpy())
print(f"area under the ROC curve: {area.value:.2f}")

recognised = ((val_labels == 1) & (scores > 0)).nonzero()[:, 0]
x = val_inputs[recognised[::14][:4]]
attack = minimum_distortion(model, x, labels=torch.ones(len(x)).long())
mean, share = attack.rms_distortion.mean(), attack.success.float().mean()
print(f"success {share:.0%}, mean distortion {mean:.4f}")

difference = (attack.adv_inputs - x).abs()
difference /= difference.amax((1, 2, 3), keepdim=True)
triples = zip(x, attack.adv_inputs, difference, strict=True)
rows = [[image.permute(1, 2, 0).numpy() for image in row] for row in triples]
image_grid([rows[0] + rows[1], rows[2] + rows[3]], cell_inches=0.9)

# %% [markdown]
# ## Learning without labels
#
# The records are of a larger network, with {{ quocnet.num_weights }} weights, for the 64×64 pixels of Tiny ImageNet. Each
# stage learned from {{ quocnet.num_patches }} of {{ quocnet.num_train }} photographs of 100 classes, without being told
# which is which; all of it took {{ quocnet.minutes }} minutes on one core of a processor.
#
# --8<-- "quocnet/training.md"
#
# --8<-- "quocnet/filters.md"
#
# The filters are not yet the edges and blobs that such costs are known for. A convolution learns one filter from every patch of
# every image; here each place learns its own, from {{ quocnet.num_patches }} patches, and most of the noise it started from
# is still there.
#
# ## Does it know about cars?
#
# Five of the classes are cars: beach wagon, convertible, limousine, police van and sports car. A classifier learns from
# {{ quocnet.num_train_positive }} of them and {{ quocnet.num_fitted_negative }} other images, weighted so that cars and
# others count the same; its weight decay is chosen on a fifth of these images, which it does not see. All rows of the table
# are measured on the same {{ quocnet.num_val }} validation images, {{ quocnet.num_val_positive }} of them cars. The *area* is
# that under the ROC curve, which draws the share of cars found against that of false alarms: the probability that a car gets a
# higher score than an image of something else, both drawn at random.
#
# --8<-- "quocnet/representations.md"
#
# --8<-- "quocnet/roc.md"
#
# - **Better than pixels.** The last stage has an area of {{ quocnet.last.auc }}, the best classifier on pixels
#   {{ quocnet.pixels.auc }}; the difference is {{ quocnet.gain_over_pixels }}. At its own threshold it finds
#   {{ quocnet.last.recall }} of the cars and takes {{ quocnet.last.false_positive_rate }} of the others for cars. That is an
#   accuracy of {{ quocnet.last.accuracy }} on these images, where always saying no would give
#   {{ quocnet.majority }}; the balanced accuracy, {{ quocnet.last.balanced_accuracy }}, is the fairer number.
# - **What learning adds.** Random filters in the same stages go most of the way, as
#   [Saxe et al. (2011)](../references.md#saxe2011) found. From random to learned filters the area changes from
#   {{ quocnet.random-stage1.auc }} to {{ quocnet.trained-stage1.auc }} in the first stage
#   ({{ quocnet.trained-stage1.gain }}, {{ quocnet.trained-stage1.gain.verdict }}), from
#   {{ quocnet.random-stage2.auc }} to {{ quocnet.trained-stage2.auc }} in the second
#   ({{ quocnet.trained-stage2.gain }}, {{ quocnet.trained-stage2.gain.verdict }}) and from
#   {{ quocnet.random-stage3.auc }} to {{ quocnet.trained-stage3.auc }} in the last
#   ({{ quocnet.trained-stage3.gain }}, {{ quocnet.trained-stage3.gain.verdict }}). So it is the *architecture* that beats
#   pixels here; what learning adds is too little to show in any stage.
# - **What depth adds.** {{ quocnet.best_stage }} has the largest area of the three, {{ quocnet.best_stage.auc }}. Less the
#   last one's that is {{ quocnet.best_minus_last }}, {{ quocnet.best_minus_last.verdict }}. (Each stage pools, and throws
#   away what the cost did not ask it to keep.) The paper uses the last one, and so does Figure 6.
# - **What tying adds.** In our network $W_2 = W_1$. With a $W_2$ of its own, as in Le et al. (2012), the last stage has
#   {{ quocnet.untied-stage3.auc }} in place of {{ quocnet.last.auc }}. The difference is
#   {{ quocnet.tied_minus_untied }}, {{ quocnet.tied_minus_untied.verdict }}. ($W_2$ can undo whatever $W_1$ does, and
#   features may then be loud where images vary least.)
#
# All intervals are DeLong's, for the choice of images. None says how much another seed would change; and the best of three
# stages was chosen on the images on which it is measured.
#
# ## What units like
#
# Le et al. looked for the single unit that detects faces best, and for the image that excites it most. The best of our
# units for cars has an area of {{ quocnet.best_unit.auc }} by itself.
#
# --8<-- "quocnet/stimuli.md"
#
# The image that a unit likes best is not among the photographs, and does not look like one; Le et al. saw a face, from a
# network that had seen ten million images. (They looked among the images of one norm, we among those whose pixels are
# between 0 and 1.) So an image can excite a unit more than any photograph without looking like one. What follows is the same kind of search, started from a car.
#
# ## Figure 6: cars that are no longer recognised
#
# Of {{ figure6.num_cars }} validation cars the classifier recognises {{ figure6.num_recognised }}, and for
# {{ figure6.num_attacked }} of these we look for the nearest image in $[0, 1]^n$ that it does not recognise. It is found for
# {{ figure6.success }} of them.
#
# --8<-- "figure6/images.md"
#
# --8<-- "figure6/distortions.md"
#
# The mean distortion is {{ figure6.distortion.mean }}, or {{ figure6.grey_levels }} of 255 grey levels; nine of ten are between
# {{ figure6.distortion.q05 }} and {{ figure6.distortion.q95 }}. Noise of the same length, {{ figure6.num_noises }} times for
# each car, hides {{ figure6.missed_under_noise }} of them. The changes are so small that they do not survive being saved:
# rounded to whole grey levels, {{ figure6.success_in_8_bits.1 }} of the images are still unrecognised. The nearest point is on
# the boundary, and a little further in there is room: with perturbations 1.5 times as long it is
# {{ figure6.success_in_8_bits.1.5 }}, with twice as long ones {{ figure6.success_in_8_bits.2 }}.
#
# ## At full size
#
# The same code builds Le et al.'s network: 200×200 pixels, receptive fields of 18×18, eight maps, one place next to the
# other. That is what the first cell has counted. One batch, seen several times by each stage in turn, shows that it runs,
# that the cost of this batch falls, and what a step costs:
#
# --8<-- "quocnet_full_size/steps.md"
#
# In memory are the weights of the stage and of those below, the gradients, Adam's two moments, and the patches. Le et al.
# trained with batches of a hundred on a thousand machines for three days. On a GPU this trains a larger network than ours,
# attacks it, and measures the steps with a decoder $W_2$ of its own:
#
# ```bash
# python scripts/build_figures.py --profile paper --device cuda \
#     --only quocnet figure6 quocnet_full_size
# ```
#
# ## Differences from the paper
#
# 1. **The size.** The paper's network saw 200×200 pixels and had about a billion weights; ours has
#    {{ quocnet.num_weights }} and sees 64×64. In so small an image there is room for few places. We have more maps instead of
#    eight, smaller receptive fields, and strides.
# 2. **The data.** Ten million frames of videos there, {{ quocnet.num_train }} photographs here, of which one in twenty shows a
#    car.
# 3. **Stage by stage.** Le et al. train all stages together, on the sum of their costs, with asynchronous gradient descent on
#    a thousand machines; we train one stage after the other, with Adam.
# 4. **Little training.** {{ quocnet.steps }} steps of {{ quocnet.batch_size }} images for each stage, on one core; a thousand
#    machines trained theirs for three days.
# 5. **Tied weights.** Our $W_2$ is $W_1$, as in [Le et al. (2011)](../references.md#le2011). The last rows of the
#    table have the other way. λ is {{ quocnet.sparsity_weight }} instead of 0.1.
# 6. **Where training starts.** All places start from the same random filters, and training parts them. If they start apart,
#    pooling mixes filters that have nothing to do with each other; in an early trial, with fewer maps, the last stage was
#    then hardly better than guessing.
# 7. **The pixels** are normalised by their local contrast before the first stage, with a floor of
#    $c$ = {{ quocnet.norm_floor }} there and in the stages (0.01 in Le et al.).
# 8. **How the sizes were chosen.** Receptive fields, maps, pooling, λ and the learning rate were tried on training images,
#    some of which were held out, with shorter runs. The validation images were looked at once.
# 9. **The car classifier.** The paper says "a binary car classifier was trained on top of the last layer features without
#    fine-tuning", and nothing else. Which cars, which classifier and which threshold are our choice.
# 10. **The attack** ends on the boundary, at the nearest point found. The paper's search ends a little beyond it.
#
# ## What later work found
#
# [Saxe et al. (2011)](../references.md#saxe2011) and [Coates et al. (2011)](../references.md#coates2011) had shown before how
# much of such a network's worth is its architecture: random filters with pooling do well, and many simple features in one
# layer did better than the deep networks of the time. Supervised training overtook this kind of learning within the year, with
# [AlexNet](../references.md#krizhevsky2012), and learning without labels came back with other objectives, which compare
# images instead of reconstructing them ([Chen et al., 2020](../references.md#chen2020)). A task without labels *beside* the
# labels makes adversarial training more effective ([Hendrycks et al., 2019](../references.md#hendrycks2019)).
#
# ## Exercises
#
# 1. Put the car classifier on the first stage instead of the last. Is a car farther from not being one there? Compare
#    the distortions at equal accuracy.
# 2. Contrast normalisation divides by what is small in flat parts of an image. Raise `norm_floor` and watch the distortion.
#    How much of the sensitivity is the network's, how much the first layer's?
# 3. Let the places of the last stage share their filters (a convolution): copy the mean of `weight` over the places. What
#    is lost?
# 4. Train with $\lambda = 0$ and with $\lambda = 1$. What does each do to the filters, and to the area under the curve?
# 5. Start the search for the optimal stimulus from a photograph, and stop at the first image that excites the unit more than
#    any photograph does. How far did it have to go?
