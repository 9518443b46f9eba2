"""Sums, maxima and softmax over groups, with an empty group among them."""

import pytest
import torch

from molft.model.segments import segment_max, segment_softmax, segment_sum

VALUES = torch.tensor([[1.0, -2.0], [3.0, -4.0], [5.0, 6.0]])
GROUP = torch.tensor([0, 0, 2])


def test_sum_keeps_the_place_of_an_empty_group() -> None:
    assert segment_sum(VALUES, GROUP, 4).tolist() == [[4, -6], [0, 0], [5, 6], [0, 0]]


def test_max_of_negative_numbers_is_not_zero() -> None:
    assert segment_max(VALUES, GROUP, 4).tolist() == [[3, -2], [0, 0], [5, 6], [0, 0]]


def test_softmax_adds_up_to_one_in_each_group() -> None:
    weights = segment_softmax(torch.tensor([[0.0], [1.0986123], [7.0]]), GROUP, 4)
    assert weights.flatten().tolist() == pytest.approx([0.25, 0.75, 1.0])


def test_softmax_of_huge_logits_is_finite() -> None:
    weights = segment_softmax(torch.tensor([[1e4], [1e4], [-1e4]]), GROUP, 3)
    assert weights.flatten().tolist() == pytest.approx([0.5, 0.5, 1.0])


def test_softmax_gradient_is_right() -> None:
    logits = torch.randn(3, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: segment_softmax(x, GROUP, 3), (logits,))


def test_a_group_out_of_range_is_an_error() -> None:
    with pytest.raises((RuntimeError, IndexError)):
        segment_sum(VALUES, torch.tensor([0, 0, 4]), 4)
