# %% [markdown]
"""
# Attack your own model

How much does it take to change your classifier's mind? `minimum_distortion` asks that for every image of a batch: it
looks for the smallest change, in the Euclidean norm, with which the model gives another class, keeps every pixel in its
range, and returns the nearest image that it has found. It asks two things of the model: that it takes a float tensor, one input a row, and that it returns one row of
scores (*logits*) for each. It need not come from this project.

## In ten lines

A SqueezeNet from torchvision. It is not trained, so that this page runs without a download; say `weights="DEFAULT"` and
leave out `num_classes` for the one that knows ImageNet. `labels` are here what it says of the images now; with a trained
model use the true ones.
"""

# %%
import torch
from torchvision import models, transforms

from tutorial_pkg.attacks import minimum_distortion
from tutorial_pkg.data import load_digits

torch.manual_seed(0)
images = load_digits().test_inputs[:4].repeat(1, 3, 1, 1)
normalize = transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
model = torch.nn.Sequential(normalize, models.squeezenet1_1(num_classes=10))
labels = model.eval()(images).argmax(1)
result = minimum_distortion(model, images, labels=labels)

# %% [markdown]
# What it found:

# %%
print("success:       ", result.success.tolist())
print("classes:       ", labels.tolist(), "→", result.targets.tolist())
print("distortion:    ", [f"{d:.5f}" for d in result.rms_distortion.tolist()])
print("check:         ", model(result.adv_inputs).argmax(1).tolist())

# %% [markdown]
# **Put the preprocessing into the model.** Networks are usually fed normalised images, but the smallest change to a
# normalised image is not the smallest change to the image, and the range of a pixel is no longer from 0 to 1. With
# the normalisation as the model's first layer, `images` are what a camera would give, the box is $[0, 1]$, and the
# distortion is in the unit of pixels.
#
# ## What comes back
#
# | attribute | shape | meaning |
# | --- | --- | --- |
# | `adv_inputs` | like `inputs` | the altered images, inside the box exactly |
# | `success` | `[N]` | whether the model gives the class that was asked for |
# | `targets` | `[N]` | that class; chosen by the attack if you gave `labels` |
# | `rms_distortion` | `[N]` | $\sqrt{\sum_i r_i^2 / n}$ over the $n$ numbers of an input: the paper's measure |
# | `l2_norm` | `[N]` | $\|r\|_2$; the same up to the factor $\sqrt n$ |
# | `c` | `[N]` | the weight of the distance in the paper's penalty that belongs to this solution |
# | `num_evals` | `[N]` | at how many points the model was evaluated; a point of a walk costs up to nine gradients besides, one a rival class |
#
# An input for which nothing was found is an answer, and no exception: `success` is false, `adv_inputs` the clean
# input, and the distortion infinite. So take averages over `result.success`, and report the share of it. An input
# that is where it should be already, because it has the target's class or not the label's, needs no change: its
# distortion is zero.
#
# ## What the options change
#
# The rest of this page uses a small trained network, the paper's 100-100-10, on digits, so that the differences mean
# something.

# %%
from tutorial_pkg.training import TABLE1_RECIPES, train

digits = load_digits()
network, _ = train(TABLE1_RECIPES["N100-100-10"].shortened(60), digits, seed=0)
inputs, labels = digits.test_inputs[:25], digits.test_labels[:25]
generator = torch.Generator().manual_seed(0)
shift = torch.randint(1, 10, labels.shape, generator=generator)
targets = (labels + shift) % 10


def show(name: str, goal: dict[str, torch.Tensor], **options: object) -> None:
    """Attack, and print a line about it."""
    attack = minimum_distortion(network, inputs, **goal, **options)
    found = attack.rms_distortion[attack.success].mean()
    share = 100 * attack.success.float().mean()
    points = attack.num_evals.float().mean()
    print(
        f"{name:<34} success {share:3.0f} %  "
        f"distortion {found:.4f}  {points:3.0f} points"
    )


to_class, to_any = {"targets": targets}, {"labels": labels}

# %% [markdown]
# **`targets` or `labels`.** With `targets` the model is to give *that* class; with `labels`, any class but that one.
# The second tries all of them and returns the nearest, so it costs more and finds shorter perturbations. (With
# more than ten classes it tries nine at a time, those first whose boundary seems nearest, until the nearest found is
# among the first quarter of those tried.) Give exactly one of the two.

# %%
show("targets: one class, at random", to_class)
show("labels: the nearest other class", to_any)

# %% [markdown]
# **`loss` and `polish`.** By default the attack walks along the boundary of the target class.
# `loss="cross_entropy", polish=False` is the paper's method, a penalty minimised by L-BFGS with a search over $c$;
# `polish=True` adds the walk after it, and `loss="margin", polish=False` puts Carlini and Wagner's loss in the place
# of the cross-entropy. [Minimum distortion](../sections/minimum_distortion.py) explains the penalty, [Is the method
# exact?](../sections/exactness.py) the walk.

# %%
for loss in ("margin", "cross_entropy"):
    for polish in (True, False):
        show(f"{loss}, polish={polish}", to_class, loss=loss, polish=polish)

# %% [markdown]
# **`max_iter`** bounds the steps of a walk (100 by default), or those of L-BFGS for one value of $c$ (15 by default).
# An image that has converged stops by itself, so a generous limit costs little. **`num_search_steps`** is how many
# values of $c$ a search tries, 12 by default, and its cost grows in proportion.
#
# Where a walk does not settle, as on networks with ReLU and max pooling, two [walks along the smoothed
# boundary](../sections/exactness.py#where-the-boundary-has-corners) give the image a second start, 200 points each, and
# the nearest result is kept. With `max_iter=600` there are three of them, with 800 four: slower, and a little nearer.
# Where nothing has been reached even then, the distance is forgotten: any point of the class is looked for in the box,
# and a walk starts there. It is classes with no point in the box that cost most: several hundred evaluations,
# after which `success` is `False`.

# %%
for max_iter in (5, 10, 20, 100):
    show(f"max_iter={max_iter}", to_class, max_iter=max_iter)
penalty = {"loss": "cross_entropy", "polish": False}
for steps in (3, 6, 12):
    name = f"num_search_steps={steps}, the paper's"
    show(name, to_class, num_search_steps=steps, **penalty)

# %% [markdown]
# **`box`** is the range of every number in an input: `(0, 1)` by default, `(-1, 1)` for models that expect that,
# infinite for inputs without limits. It matters: pixels that are black already cannot get darker, and without the box
# the attack uses that room.

# %%
show("box=(0, 1)", to_class)
show("box=(-inf, inf)", to_class, box=(-torch.inf, torch.inf))

# %% [markdown]
# **`batch_size`** is how many problems are solved together: with `targets` one an image, with `labels` up to nine,
# one for each class tried. It changes memory and speed, and the results by rounding only, which can send a walk along
# a curved boundary another way. The default suits networks of the paper's size; for a deep one on a small GPU, make
# it smaller.

# %%
one_by_one = minimum_distortion(network, inputs, targets=targets, batch_size=1)
together = minimum_distortion(network, inputs, targets=targets, batch_size=25)
ratio = one_by_one.rms_distortion / together.rms_distortion
difference = (ratio - 1).abs().max()
print(f"largest relative difference in distortion: {difference:.0e}")

# %% [markdown]
# **Devices and precision** have no option: the attack runs where the model and the inputs are, in the inputs'
# precision, float32 or float64. Move both, as in `minimum_distortion(model.cuda(), images.cuda(),
# labels=labels.cuda())`, or make both `double()`. Half precision is refused: a distortion of a thousandth is beyond it.
# `progress=True` shows a progress bar.
#
# ## Models of another shape
#
# Anything that can be called will do. A model that returns an object, or a single score for two classes, needs a line
# around it:


# %%
def score(x: torch.Tensor) -> torch.Tensor:
    """A model with one score a row: positive for a dark image."""
    return 20 * (0.3 - x.flatten(1).mean(1))


def two_classes(x: torch.Tensor) -> torch.Tensor:
    """The same as logits: class 1 where the score is positive."""
    scores = score(x)
    return torch.stack([torch.zeros_like(scores), scores], dim=1)


opposite = (score(inputs) <= 0).long()
changed = minimum_distortion(two_classes, inputs, targets=opposite)
goals = ["dark" if target else "light" for target in opposite[:4]]
distortion = [f"{d:.4f}" for d in changed.rms_distortion[:4].tolist()]
without_box = [f"{abs(0.3 - x.mean().item()):.4f}" for x in inputs[:4]]
print("to become       ", goals)
print("distortion      ", distortion)
print("without a box   ", without_box)

# %% [markdown]
# Without limits, every pixel would have to change by as much as the mean has to: the last line. To become lighter, an
# image has room for that. To become darker it takes more, because black pixels have no part in it.
#
# For a model of the Transformers library it is `lambda x: net(pixel_values=x).logits`; for an ensemble,
# `lambda x: sum(net(x) for net in nets)`. Three more things are asked of a model:
#
# - gradients flow from its scores to its inputs,
# - a batch may have any size,
# - one input's scores do not depend on the others in its batch.
#
# A `torch.nn.Module` is put into evaluation mode while the attack lasts, so that dropout and batch norm are fixed, and
# back afterwards. Networks *inside* a function, as in the two lines above, are not seen: call `.eval()` on each first,
# or the examples found will not hold. A module's mode, its parameters' gradients and the global random state are left
# as they were.
#
# ## If something is wrong
#
# What the attack cannot work with is refused at once, with what was expected, what came and what to do:

# %%
from textwrap import fill

row = inputs[0, 0, 0]
mistakes = {
    "bytes": lambda: minimum_distortion(network, inputs * 255, labels=labels),
    "no goal": lambda: minimum_distortion(network, inputs),
    "no batch": lambda: minimum_distortion(network, row, labels=labels[:1]),
    "class 10": lambda: minimum_distortion(network, inputs, labels=labels + 1),
    "one score": lambda: minimum_distortion(score, inputs, labels=labels),
}
for name, attempt in mistakes.items():
    try:
        attempt()
    except ValueError as error:
        print(fill(f"{name}: {error}", 79), end="\n\n")

# %% [markdown]
# And three things that are not refused:
#
# - **Much success at distortion zero** means that the model was wrong before. Attack the inputs it gets right.
# - **No success** for most inputs may mean a robust model. More often it means that the gradient is there and zero: a
#   saturated softmax *inside* the model (return logits), or `round` or `sign` on the way. (NumPy, a comparison or a cast
#   to bytes cut the gradient off, and are refused.) Look at
#   `torch.autograd.grad` of a logit with respect to the input.
# - **A large distortion** found by one attack is an upper bound on the smallest, never a proof of robustness. Try the
#   other three combinations of `loss` and `polish`, and see [what later work
#   found](../sections/exactness.py#what-later-work-found).
