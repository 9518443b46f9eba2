"""Labels of many assays, most of them missing: losses and scores by hand."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from molft.train.objectives.labels import SupervisedLabels, label_scale

NAN = float("nan")


def answering(
    values: list[float], mean: list[float], deviation: list[float], classes: bool
) -> SupervisedLabels:
    """A head that gives ``values`` for every molecule."""
    model = SupervisedLabels(2, torch.tensor(mean), torch.tensor(deviation), classes)
    with torch.no_grad():
        model.head.weight.zero_()
        model.head.bias.copy_(torch.tensor(values))
    return model


def test_classes_of_three_molecules() -> None:
    model = answering([2.0, -1.0], [0.0, 0.0], [1.0, 1.0], classes=True)
    loss, right = model(torch.zeros(3, 2), torch.tensor([[1.0, NAN], [0.0, 0.0], [NAN, NAN]]))
    expected = F.binary_cross_entropy_with_logits(
        torch.tensor([2.0, 2.0, -1.0]), torch.tensor([1.0, 0.0, 0.0])
    )
    torch.testing.assert_close(loss, expected)
    assert right.item() == pytest.approx(2 / 3)


def test_numbers_are_scaled_for_each_task() -> None:
    model = answering([1.0, 0.0], [6.0, 100.0], [0.5, 10.0], classes=False)
    loss, explained = model(torch.zeros(2, 2), torch.tensor([[7.0, NAN], [5.0, 130.0]]))
    # Targets 2, -2 and 3; answers 1, 1 and 0: errors 1, 3 and 3.
    assert loss.item() == pytest.approx((0.5 + 2.5 + 2.5) / 3)
    assert explained.item() == pytest.approx(1 - (1 + 9 + 9) / (4 + 4 + 9))


def test_a_batch_without_labels_costs_nothing() -> None:
    model = answering([1.0], [0.0], [1.0], classes=True)
    average = torch.zeros(2, 2, requires_grad=True)
    loss, score = model(average, torch.full((2, 1), NAN))
    loss.backward()
    assert (loss.item(), score.item(), average.grad.abs().sum().item()) == (0.0, 0.0, 0.0)


def test_a_missing_label_teaches_nothing() -> None:
    model = SupervisedLabels(2, torch.zeros(3), torch.ones(3), classes=True)
    model(torch.ones(2, 2), torch.tensor([[1.0, NAN, 0.0], [NAN, NAN, 1.0]]))[0].backward()
    assert (model.head.weight.grad.abs().sum(dim=1) > 0).tolist() == [True, False, True]


@pytest.mark.parametrize(
    ("column", "expected"),
    [([1.0, 3.0, NAN], (2.0, 1.0)), ([4.0, NAN, NAN], (4.0, 1.0)), ([NAN] * 3, (0.0, 1.0))],
)
def test_mean_and_deviation_of_the_known_labels(column: list[float], expected: tuple[float, float]) -> None:
    mean, deviation, _ = label_scale(np.array(column)[:, None])
    assert (mean.item(), deviation.item()) == expected


@pytest.mark.parametrize(
    ("values", "classes"), [([0.0, 1.0, NAN], True), ([0.0, 0.5, NAN], False), ([2.0], False)]
)
def test_zeros_and_ones_are_classes(values: list[float], classes: bool) -> None:
    assert label_scale(np.array(values)[:, None])[2] is classes


def test_the_wrong_number_of_tasks_is_refused() -> None:
    with pytest.raises(IndexError):
        answering([1.0], [0.0], [1.0], classes=True)(torch.zeros(2, 2), torch.zeros(2, 3))
