"""Published attacks, wrapped alike for `benchmark.py`: model, inputs and classes to adversarial inputs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from types import ModuleType

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor, nn

Run = Callable[[nn.Module, Tensor, Tensor], Tensor]  # model, inputs, classes -> adversarial inputs


@dataclass(frozen=True)
class Attack:
    """One line of the table; `goal` says whether `run` is given targets or labels."""

    name: str
    goal: str
    run: Run
    slow: bool = False


def peers() -> Iterator[Attack]:
    """Yield the peers that are installed, and name those that are not."""
    yield Attack("SciPy L-BFGS-B, one image at a time", "targeted", scipy_loop, slow=True)
    libraries = {
        "foolbox": foolbox_attacks,
        "torchattacks": torchattacks_attacks,
        "--no-deps adv-lib": adv_lib_attacks,  # visdom, which it asks for, does not build
    }
    for package, found in libraries.items():
        try:
            yield from found()
        except ImportError as error:
            print(f"left out: {found.__name__} ({error}); pip install {package}")


def foolbox_attacks() -> Iterator[Attack]:
    """Yield Foolbox 3's minimum-norm attacks."""
    import foolbox as fb

    def wrap(attack: fb.attacks.base.Attack, targeted: bool) -> Run:
        def run(model: nn.Module, inputs: Tensor, classes: Tensor) -> Tensor:
            criterion = fb.criteria.TargetedMisclassification if targeted else fb.criteria.Misclassification
            wrapped = fb.PyTorchModel(model, bounds=(0, 1), device=inputs.device)
            return attack(wrapped, inputs, criterion(classes), epsilons=None)[1]

        return run

    ddn = fb.attacks.DDNAttack
    fmn = fb.attacks.L2FMNAttack(steps=1000, init_attack=ddn(steps=100))
    cw = fb.attacks.L2CarliniWagnerAttack(binary_search_steps=9, steps=1000)
    yield Attack("Foolbox DDN 100", "targeted", wrap(ddn(steps=100), True))
    yield Attack("Foolbox FMN 1000 from DDN 100", "targeted", wrap(fmn, True))
    yield Attack("Foolbox C&W 9 x 1000", "targeted", wrap(cw, True), slow=True)
    yield Attack("Foolbox DDN 1000", "untargeted", wrap(ddn(steps=1000), False))
    yield Attack("Foolbox FMN 1000 from DDN 100", "untargeted", wrap(fmn, False))
    yield Attack("Foolbox DeepFool", "untargeted", wrap(fb.attacks.L2DeepFoolAttack(), False))


def adv_lib_attacks() -> Iterator[Attack]:
    """Yield Adversarial Library's, by the authors of several of them, with its defaults but for the steps."""
    sys.modules.setdefault("visdom", ModuleType("visdom"))  # imported for plots, which nobody asks for here
    from adv_lib import attacks

    def from_ddn(steps: int, targeted: bool) -> Run:
        def run(model: nn.Module, inputs: Tensor, classes: Tensor) -> Tensor:
            found = attacks.ddn(model, inputs, classes, targeted=targeted, steps=100, levels=None)
            reached = (model(found).argmax(1) == classes) == targeted  # it refuses to start elsewhere
            x, wanted, start = inputs[reached], classes[reached], found[reached]
            if len(x):
                found[reached] = attacks.fmn(model, x, wanted, 2, targeted, steps, starting_points=start)
            return found

        return run

    for goal in ("targeted", "untargeted"):
        aim = {"targeted": goal == "targeted"}
        for steps in (100, 1000):
            yield Attack(f"adv-lib DDN {steps}", goal, partial(attacks.ddn, steps=steps, levels=None, **aim))
            yield Attack(f"adv-lib FMN {steps} from DDN 100", goal, from_ddn(steps, aim["targeted"]))
        yield Attack("adv-lib PDGD 1000", goal, partial(attacks.pdgd, num_steps=1000, **aim))
        yield Attack("adv-lib ALMA 1000", goal, partial(attacks.alma, num_steps=1000, **aim))
    search = {"binary_search_steps": 9, "max_iterations": 1000, "targeted": True}
    yield Attack("adv-lib C&W 9 x 1000", "targeted", partial(attacks.carlini_wagner_l2, **search), slow=True)
    yield Attack("adv-lib SuperDeepFool", "untargeted", attacks.sdf)
    yield Attack("adv-lib FAB 100", "untargeted", partial(attacks.fab, norm=2))
    each = partial(attacks.fab, norm=2, targeted_restarts=True)
    yield Attack("adv-lib FAB 100 to each class", "untargeted", each, slow=True)
    every_class = nearest_of_all(from_ddn(1000, targeted=True))
    yield Attack("adv-lib FMN 1000 from DDN 100 to each class", "untargeted", every_class, slow=True)


def nearest_of_all(targeted: Run) -> Run:
    """Return an untargeted attack that tries every other class and keeps the nearest example."""

    def run(model: nn.Module, inputs: Tensor, labels: Tensor) -> Tensor:
        with torch.no_grad():
            num_classes = model(inputs[:1]).shape[1]
        best, least = inputs, torch.full((len(inputs),), torch.inf, device=inputs.device)
        for shift in range(1, num_classes):
            adversarial = targeted(model, inputs, (labels + shift) % num_classes)
            norm = (adversarial - inputs).flatten(1).norm(dim=1)
            with torch.no_grad():
                better = (model(adversarial).argmax(dim=1) != labels) & (norm < least)
            least = torch.where(better, norm, least)
            best = torch.where(better.view(-1, *[1] * (inputs.ndim - 1)), adversarial, best)
        return best

    return run


def torchattacks_attacks() -> Iterator[Attack]:
    """Yield torchattacks' C&W, which has one c for all images and no search over it."""
    import torchattacks

    def run(model: nn.Module, inputs: Tensor, classes: Tensor) -> Tensor:
        attack = torchattacks.CW(model, c=1, steps=1000)
        attack.set_mode_targeted_by_label(quiet=True)
        return attack(inputs, classes)

    yield Attack("torchattacks C&W 1000", "targeted", run, slow=True)


def scipy_loop(model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
    """The paper's rule by SciPy's L-BFGS-B in float64, image by image: 20 bisections of log c, warm."""
    return torch.stack([scipy_one(model, x, t[None]) for x, t in zip(inputs, targets, strict=True)])


def scipy_one(model: nn.Module, clean: Tensor, target: Tensor) -> Tensor:
    """Search over c for one image."""
    start = clean.double().cpu().flatten().numpy()

    def value_and_grad(point: np.ndarray, c: float) -> tuple[float, np.ndarray]:
        x = torch.from_numpy(point).to(clean).reshape(clean.shape).requires_grad_(True)
        loss = nn.functional.cross_entropy(model(x[None]), target)
        (grad,) = torch.autograd.grad(loss, x)
        r = point - start
        return c * float(r @ r) + loss.item(), 2 * c * r + grad.double().cpu().flatten().numpy()

    low, high, best, point = 1e-4, 1e2, clean, start
    for _ in range(20):
        c = float(np.sqrt(low * high))
        point = minimize(value_and_grad, point, (c,), "L-BFGS-B", True, bounds=[(0, 1)] * len(start)).x
        candidate = torch.from_numpy(point).to(clean).reshape(clean.shape)
        with torch.no_grad():
            reached = bool(model(candidate[None]).argmax() == target)
        low, high, best = (c, high, candidate) if reached else (low, c, best)
    return best
