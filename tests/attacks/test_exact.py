"""Against exact answers: the convex program of a linear classifier, and SciPy on the paper's objective."""

import copy

import pytest
import torch

from tests.attacks.oracles import linear_distance, scipy_penalty_minimum
from tutorial_pkg.attacks import box_lbfgs, minimum_distortion, penalty_search
from tutorial_pkg.attacks.active_set import solve_multipliers
from tutorial_pkg.attacks.quasi_newton import inverse_hessian_coefficients


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_linear_classifier_reaches_the_exact_optimum(linear, images, targets, dtype):
    x, goal = images[0].to(dtype), targets
    weight, bias = (p.detach() for p in linear.parameters())
    bounds = torch.tensor([linear_distance(weight, bias, a, int(t)) for a, t in zip(x, goal, strict=True)])
    assert (bounds[:, 1] / bounds[:, 0]).max() < 1.0001  # the oracle itself has converged
    result = minimum_distortion(copy.deepcopy(linear).to(dtype), x, targets=goal)
    ratio = result.l2_norm.double() / bounds[:, 0]
    assert result.success.all()
    assert ratio.min() > 1 - 1e-5
    assert ratio.mean() < 1.0002
    assert ratio.max() < 1.002


def test_nearest_class_of_a_linear_classifier_is_the_least_of_the_exact_optima(linear, images):
    x, labels = images[0][:8], images[1][:8]
    weight, bias = (p.detach() for p in linear.parameters())
    exact = [
        min(linear_distance(weight, bias, image, other)[0] for other in range(10) if other != label)
        for image, label in zip(x, labels.tolist(), strict=True)
    ]
    result = minimum_distortion(linear, x, labels=labels)
    assert (result.l2_norm.double() / torch.tensor(exact)).max() < 1.002
    assert (result.targets != labels).all()


def test_box_lbfgs_finds_what_scipy_finds_image_by_image(network, images, targets):
    x, goal = images[0][:6].double(), targets[:6]
    weights = torch.tensor([0.01, 0.03, 0.1, 0.3, 1.0, 3.0], dtype=torch.float64)
    model = copy.deepcopy(network).double()

    def value_and_grad(points, clean, label, c):
        leaf = points.detach().requires_grad_(True)
        loss = torch.nn.functional.cross_entropy(model(leaf), label, reduction="none")
        values = c * (leaf - clean).flatten(1).square().sum(1) + loss
        return values, torch.autograd.grad(values.sum(), leaf)[0]

    ours = box_lbfgs(value_and_grad, x, per_problem=(x, goal, weights), max_iter=1000, tolerance=1e-9)
    rows = list(zip(x, goal.tolist(), weights.tolist(), ours, strict=True))
    theirs = torch.stack([scipy_penalty_minimum(model, a, t, c, start=a) for a, t, c, _ in rows])
    further = torch.stack([scipy_penalty_minimum(model, a, t, c, start=b) for a, t, c, b in rows])
    mine, scipys, improved = (value_and_grad(z, x, goal, weights)[0].detach() for z in (ours, theirs, further))
    # The objective is not convex: from one start the two may end in different minima, but SciPy must not be able
    # to go on from ours.
    assert torch.allclose(improved, mine, rtol=1e-7, atol=0)
    assert torch.isclose(mine, scipys, rtol=1e-7, atol=0).sum() >= 5


@pytest.mark.parametrize("per_problem", [True, False])
def test_box_lbfgs_solves_quadratics_in_a_box(per_problem):
    generator = torch.Generator().manual_seed(1)
    factor = torch.randn(20, 12, 12, generator=generator, dtype=torch.float64)
    hessian = factor @ factor.transpose(1, 2) + 0.1 * torch.eye(12, dtype=torch.float64)
    linear_term = 5 * torch.randn(20, 12, generator=generator, dtype=torch.float64)
    batches = []

    def value_and_grad(x, hessian=hessian, linear_term=linear_term):
        batches.append(len(x))
        grad = (hessian @ x[:, :, None])[:, :, 0] + linear_term
        return 0.5 * (x * (grad + linear_term)).sum(1), grad

    start = torch.full((20, 12), 0.5, dtype=torch.float64)
    rows = (hessian, linear_term) if per_problem else ()
    x = box_lbfgs(value_and_grad, start, per_problem=rows, max_iter=2000, tolerance=1e-10)
    _, grad = value_and_grad(x)
    # Karush, Kuhn and Tucker: the projected gradient vanishes, and the box is kept exactly.
    assert ((x - grad).clamp(0, 1) - x).abs().max() < 1e-7
    assert x.min() >= 0
    assert x.max() <= 1
    assert (min(batches) < 20) == per_problem  # converged problems have left


def test_box_lbfgs_refuses_an_empty_box():
    with pytest.raises(ValueError, match="lower < upper"):
        box_lbfgs(lambda x: (x.sum(1), x), torch.zeros(1, 2), 1.0, 1.0)


@pytest.mark.parametrize(
    ("x0", "options", "message"),
    [
        (torch.zeros(2), {}, r"x0 \[N, ...\] .* got torch.float32 \(2,\); .* x0\[None\]"),
        (torch.zeros(1, 2).half(), {}, r"float32 or float64, .* got torch.float16 \(1, 2\)"),
        (torch.full((1, 2), torch.nan), {}, "without NaN"),
        (torch.zeros(1, 2), {"history_size": 0}, "history_size ≥ 1, got 100 and 0"),
        (torch.zeros(1, 2), {"max_iter": -1}, "max_iter ≥ 0 .*, got -1 and 8"),
    ],
)
def test_box_lbfgs_names_a_bad_start(x0, options, message):
    with pytest.raises(ValueError, match=message):
        box_lbfgs(lambda x: (x.sum(1), torch.ones_like(x)), x0, **options)


@pytest.mark.parametrize("per_problem", [True, False])
def test_an_objective_may_work_in_place(per_problem):
    centers = torch.tensor([[0.3, 2.0], [-1.0, 0.5]])

    def value_and_grad(x: torch.Tensor, center: torch.Tensor = centers) -> tuple[torch.Tensor, torch.Tensor]:
        x.sub_(center)
        return 0.5 * x.square().sum(1), x

    x = box_lbfgs(value_and_grad, torch.zeros(2, 2), per_problem=(centers,) if per_problem else ())
    assert torch.allclose(x, torch.tensor([[0.3, 1.0], [0.0, 0.5]]), atol=1e-5)


def test_papers_search_finds_the_largest_c_that_succeeds(linear, images, targets):
    """A linear model's cross-entropy is convex, so SciPy's minimiser at a given c is the minimiser."""
    x, goal = images[0][:5].double(), targets[:5]
    model = copy.deepcopy(linear).double()
    result = minimum_distortion(
        model, x, targets=goal, loss="cross_entropy", polish=False, max_iter=100, num_search_steps=16
    )
    for image, target, c, point in zip(x, goal.tolist(), result.c.tolist(), result.adv_inputs, strict=True):
        at_c, beyond = (scipy_penalty_minimum(model, image, target, k * c, image) for k in (0.98, 1.02))
        assert model(at_c[None]).argmax() == target
        assert model(beyond[None]).argmax() != target
        assert (at_c - image).norm() / (point - image).norm() == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("largest", [1e-3, 0.9, 40.0])
def test_c_is_bracketed_in_factors_of_four_and_then_bisected_on_its_logarithm(monkeypatch, largest):
    """With a minimiser that is in the class for every c up to `largest`, and the clean input beyond."""
    tried = []

    def minimiser(value_and_grad, points, *box, per_problem, **options):
        *_, c, _ = per_problem
        tried.append(c.item())
        return torch.full_like(points, 0.9 if c <= largest else 0.2)

    monkeypatch.setattr(penalty_search, "box_lbfgs", minimiser)
    inputs, target = torch.full((1, 2), 0.2, dtype=torch.float64), torch.tensor([1])
    result = minimum_distortion(
        lambda x: torch.stack([torch.ones_like(x[:, 0]), x.sum(1)], dim=1),
        inputs, targets=target, loss="cross_entropy", polish=False, num_search_steps=10,
    )  # fmt: skip
    assert len(tried) == 10
    for before, c in zip(range(1, 10), tried[1:], strict=True):
        succeeding, failing = ([k for k in tried[:before] if (k <= largest) == good] for good in (True, False))
        if not failing:
            assert c == pytest.approx(4 * max(succeeding))
        elif not succeeding:
            assert c == pytest.approx(min(failing) / 4)
        else:
            assert c == pytest.approx((max(succeeding) * min(failing)) ** 0.5)
    assert result.c.item() == max(k for k in tried if k <= largest)


def test_multipliers_solve_the_dual_of_random_quadratic_programs():
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(200, 5, 8, generator=generator, dtype=torch.float64)
    matrix, needed = rows @ rows.transpose(1, 2), torch.randn(200, 5, generator=generator, dtype=torch.float64)
    multipliers = solve_multipliers(matrix, needed, needed > 0)
    excess = (matrix @ multipliers[:, :, None])[:, :, 0] - needed
    solved = (excess.amin(1) > -1e-9) & ((excess * multipliers).abs().amax(1) < 1e-9)
    assert multipliers.min() >= 0
    assert solved.double().mean() > 0.98  # the active-set method may cycle; the line search then decides


@pytest.mark.parametrize(("step_weight", "change_weight"), [(0.0, 1.0), (1.0, -0.4), (0.5, 2.0)])
def test_compact_form_is_the_textbook_two_loop_recursion(step_weight, change_weight):
    generator = torch.Generator().manual_seed(0)
    steps = torch.randn(3, 4, 7, generator=generator, dtype=torch.float64)
    bend = torch.diag_embed(1 + torch.rand(3, 7, generator=generator, dtype=torch.float64))
    changes, vector = steps @ bend, torch.randn(3, 1, 7, generator=generator, dtype=torch.float64)
    rows = torch.cat((steps, changes, vector), dim=1)
    alpha, beta, scale = (torch.full((3,), v, dtype=torch.float64) for v in (step_weight, change_weight, 0.7))
    coefficients = inverse_hessian_coefficients(rows @ rows.transpose(1, 2), 4, 1, alpha, beta, scale)
    compact = 0.7 * vector[:, 0] + (coefficients.transpose(1, 2) @ rows[:, :8])[:, 0]

    differences = step_weight * steps + change_weight * changes
    for s, y, q, ours in zip(steps, differences, vector[:, 0], compact, strict=True):
        order, kept = [1, 0, 3, 2], []  # newest first, when slot 1 was written last
        for i in order:
            a = (s[i] @ q) / (s[i] @ y[i])
            q = q - a * y[i]
            kept.append(a)
        q = 0.7 * q
        for i, a in zip(reversed(order), reversed(kept), strict=True):
            q = q + (a - (y[i] @ q) / (s[i] @ y[i])) * s[i]
        assert torch.allclose(q, ours)


def test_box_lbfgs_goes_round_an_infinite_value():
    """The first trial is clipped to 0, where −log x and its slope are infinite."""

    def value_and_grad(x):
        return (3 * x - x.log()).sum(1), 3 - 1 / x

    found = box_lbfgs(value_and_grad, torch.full((2, 3), 0.9))
    assert torch.allclose(found, torch.full((2, 3), 1 / 3), atol=1e-4)


def test_box_lbfgs_stops_each_problem_at_its_own_tolerance():
    evaluated = torch.zeros(2)

    def value_and_grad(x, center, row):
        evaluated[row] += 1
        away = x - center
        return (away**2 + away**4).sum(1), 2 * away + 4 * away**3

    rows, tolerance = (torch.full((2, 3), 0.7), torch.arange(2)), torch.tensor([0.1, 1e-6])
    found = box_lbfgs(value_and_grad, torch.zeros(2, 3), per_problem=rows, tolerance=tolerance)
    assert (found[1] - 0.7).abs().max() < 1e-5
    assert evaluated[0] < evaluated[1]


@pytest.mark.parametrize(
    ("value_and_grad", "message"),
    [
        (lambda x: (x.square().sum(1), 2 * x[:, :1]), r"gradients of shape \(2, 3\), got \(2, 1\)"),
        (lambda x: (x.square().sum(), 2 * x), r"values of shape \(2,\), got \(\)"),
        (lambda x: (1.0, 2 * x), r"values of shape \(2,\), got float"),
    ],
)
def test_box_lbfgs_names_values_and_gradients_of_a_wrong_shape(value_and_grad, message):
    with pytest.raises(ValueError, match=message):
        box_lbfgs(value_and_grad, torch.full((2, 3), 0.5))
