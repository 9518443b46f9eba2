"""Losses on three rows that can be computed by hand, with missing and censored labels."""

import math

import numpy as np
import pytest
import torch

from molft.errors import MolftError
from molft.train.losses import ClassBalance, build_loss, cross_entropy, focal, huber

NAN = math.nan
# Three molecules, two tasks; the second molecule has no label for the first task.
LOGITS = [[0.0, 2.0], [-1.0, 0.5], [3.0, -2.0]]
LABELS = [[1.0, 0.0], [NAN, 1.0], [0.0, 0.0]]
NO_BOUNDS = torch.zeros(3, 2, dtype=torch.int8)
# 100 molecules: 20 of 100 active in the first task, 3 of 4 in the second.
BALANCE = ClassBalance(np.array([20, 3]), np.array([80, 1]))


def log_loss(logit: float, label: float) -> float:
    """-log of the probability of the label."""
    return math.log(1 + math.exp(-logit if label == 1 else logit))


def known() -> list[tuple[int, float, float]]:
    """Task, logit and label of the five labels that exist."""
    cells = [(task, LOGITS[row][task], LABELS[row][task]) for row in range(3) for task in range(2)]
    return [cell for cell in cells if not math.isnan(cell[2])]


def by_hand(name: str) -> float:
    """The loss of the three rows, term by term."""
    weight = {0: 80 / 20, 1: 1 / 3}
    alpha = {0: 0.75, 1: 0.25}  # 1 - prevalence is 0.8 and 0.25, held between 0.25 and 0.75
    total = 0.0
    for task, logit, label in known():
        loss = log_loss(logit, label)
        if name == "weighted":
            loss *= weight[task] if label == 1 else 1.0
        if name == "focal":
            missed = 1 - math.exp(-loss)
            loss *= 4 * (alpha[task] if label == 1 else 1 - alpha[task]) * missed**2
        total += loss
    return total / 5


@pytest.mark.parametrize("name", ["bce", "weighted", "focal"])
def test_a_class_loss_is_the_mean_over_the_labels_that_exist(name: str) -> None:
    value = build_loss(name, BALANCE)(torch.tensor(LOGITS), torch.tensor(LABELS), NO_BOUNDS)
    assert float(value) == pytest.approx(by_hand(name), rel=1e-6)


def test_cross_entropy_of_an_undecided_logit_is_the_logarithm_of_two() -> None:
    assert float(cross_entropy(torch.zeros(4, 1), torch.ones(4, 1))) == pytest.approx(math.log(2))


def test_focal_loss_of_an_undecided_logit_has_nearly_the_gradient_of_cross_entropy() -> None:
    logit = torch.zeros(1, 1, requires_grad=True)
    focal(logit, torch.ones(1, 1), torch.tensor([0.5])).backward()
    # d/dp of -(1 - p)^2 log p at p = 1/2, times dp/dz = 1/4, alpha = 1/2 and 4; cross-entropy has -0.5.
    assert float(logit.grad) == pytest.approx(-2 * 0.25 * (0.5 + math.log(2)))


def test_focal_loss_forgets_what_is_already_right() -> None:
    sure, alpha = torch.tensor([[6.0]]), torch.tensor([0.5])
    assert float(focal(sure, torch.ones(1, 1), alpha)) < 1e-4 * float(cross_entropy(sure, torch.ones(1, 1)))


def test_focal_loss_without_focus_is_twice_cross_entropy() -> None:
    logits, labels = torch.tensor(LOGITS), torch.tensor(LABELS)
    plain = focal(logits, labels, torch.tensor([0.5, 0.5]), gamma=0.0)
    assert float(plain) == pytest.approx(2 * float(cross_entropy(logits, labels)), rel=1e-6)


@pytest.mark.parametrize(
    ("value", "label", "bound", "cost"),
    [
        (0.5, 0.0, 0, 0.125),  # square within 1 ...
        (3.0, 0.0, 0, 2.5),  # ... linear beyond
        (-3.0, 0.0, 0, 2.5),
        (0.5, 0.0, 1, 0.0),  # above ">0": as it should be
        (-0.5, 0.0, 1, 0.125),
        (-3.0, 0.0, 1, 2.5),
        (-0.5, 0.0, -1, 0.0),  # below "<0"
        (0.5, 0.0, -1, 0.125),
        (9.0, NAN, 0, 0.0),
    ],
)
def test_huber_of_one_label(value: float, label: float, bound: int, cost: float) -> None:
    bounds = torch.tensor([[bound]], dtype=torch.int8)
    assert float(huber(torch.tensor([[value]]), torch.tensor([[label]]), bounds)) == pytest.approx(cost)


def test_huber_counts_a_kept_bound_as_a_zero_in_the_mean() -> None:
    bounds = torch.tensor([[0], [1], [-1]], dtype=torch.int8)
    value = huber(torch.tensor([[0.5], [0.5], [0.5]]), torch.zeros(3, 1), bounds)
    assert float(value) == pytest.approx((0.125 + 0.0 + 0.125) / 3)


def test_a_kept_bound_has_no_gradient() -> None:
    values = torch.tensor([[2.0], [-2.0]], requires_grad=True)
    huber(values, torch.zeros(2, 1), torch.tensor([[1], [1]], dtype=torch.int8)).backward()
    assert values.grad.tolist() == [[0.0], [-0.5]]


EVERY_LOSS = ["bce", "weighted", "focal", "huber"]


@pytest.mark.parametrize("name", EVERY_LOSS)
@pytest.mark.parametrize("rows", [3, 0])
def test_a_batch_without_labels_costs_nothing_and_teaches_nothing(name: str, rows: int) -> None:
    outputs = torch.randn(rows, 2, requires_grad=True)
    value = build_loss(name, BALANCE)(outputs, torch.full((rows, 2), NAN), NO_BOUNDS[:rows])
    value.backward()
    assert value.item() == 0.0
    assert torch.equal(outputs.grad, torch.zeros(rows, 2))


@pytest.mark.parametrize("name", EVERY_LOSS)
def test_a_missing_label_has_a_gradient_of_zero(name: str) -> None:
    outputs = torch.tensor(LOGITS, requires_grad=True)
    build_loss(name, BALANCE)(outputs, torch.tensor(LABELS), NO_BOUNDS).backward()
    assert torch.isfinite(outputs.grad).all()
    assert (outputs.grad == 0).tolist() == [[False, False], [True, False], [False, False]]


@pytest.mark.parametrize("name", EVERY_LOSS)
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    bounds = torch.tensor([[0, 1], [0, -1], [1, 0]], dtype=torch.int8)
    labels = torch.tensor(LABELS, dtype=torch.float64)
    loss = build_loss(name, BALANCE)
    outputs = torch.tensor(LOGITS, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda z: loss(z, labels, bounds), (outputs,))


@pytest.mark.parametrize("name", ["bce", "weighted", "focal"])
@pytest.mark.parametrize("logit", [-200.0, 200.0])
def test_an_extreme_logit_stays_finite(name: str, logit: float) -> None:
    outputs = torch.full((2, 2), logit, requires_grad=True)
    value = build_loss(name, BALANCE)(outputs, torch.tensor([[0.0, 1.0], [1.0, 0.0]]), NO_BOUNDS[:2])
    value.backward()
    assert torch.isfinite(value) and torch.isfinite(outputs.grad).all()


def test_a_rare_class_weighs_at_most_fifty_times() -> None:
    loss = build_loss("weighted", ClassBalance(np.array([1]), np.array([9999])))
    one = loss(torch.zeros(1, 1), torch.ones(1, 1), NO_BOUNDS[:1, :1])
    assert float(one) == pytest.approx(50 * math.log(2))


def test_balance_of_a_label_matrix() -> None:
    balance = ClassBalance.of(np.array([[1, 0, NAN], [0, NAN, NAN], [0, 0, NAN], [0, 1, NAN]], np.float32))
    assert balance.positive.tolist() == [1, 1, 0]
    assert balance.negative.tolist() == [3, 2, 0]
    assert balance.prevalence().tolist() == [0.25, pytest.approx(1 / 3), 0.5]
    assert balance.minority == pytest.approx(2 / 7)


def test_balance_without_any_label_is_even() -> None:
    assert ClassBalance.of(np.full((2, 1), NAN)).minority == 0.5


@pytest.mark.parametrize("name", ["mse", "BCE", ""])
def test_an_unknown_loss_is_refused_with_the_known_ones(name: str) -> None:
    with pytest.raises(MolftError, match=r"unknown; expected one of bce, weighted, focal, huber"):
        build_loss(name, BALANCE)


@pytest.mark.parametrize("name", ["bce", "weighted", "focal"])
def test_a_class_loss_without_class_counts_is_refused(name: str) -> None:
    with pytest.raises(MolftError, match=f"loss '{name}' needs the class counts"):
        build_loss(name, None)


def test_the_formula_of_focal_loss_in_double_precision() -> None:
    z = torch.linspace(-8, 8, 33, dtype=torch.float64).unsqueeze(1)
    p = torch.sigmoid(z)
    expected = (-4 * 0.7 * (1 - p) ** 2 * torch.log(p)).mean()
    assert torch.allclose(focal(z, torch.ones_like(z), torch.tensor([0.7])), expected, rtol=1e-7)
    mirrored = focal(-z, torch.zeros_like(z), torch.tensor([0.3]))
    assert torch.allclose(mirrored, expected, rtol=1e-7)
