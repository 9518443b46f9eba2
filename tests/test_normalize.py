"""Weighted batch normalisation against torch's own on repeated rows."""

import copy

import pytest
import torch
from torch import nn

from molft.model.normalize import normalize

COUNTS = torch.tensor([1, 4, 2, 1])


def norm() -> nn.BatchNorm1d:
    torch.manual_seed(0)
    out = nn.BatchNorm1d(3).double()
    nn.init.normal_(out.weight)
    nn.init.normal_(out.bias)
    return out


def test_counts_are_repeated_rows() -> None:
    ours, theirs = norm(), norm()
    rows = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    copies = rows.detach().repeat_interleave(COUNTS, dim=0).requires_grad_()
    grad = torch.randn(8, 3, dtype=torch.float64)
    members = torch.arange(4).repeat_interleave(COUNTS)
    out, expected = normalize(ours, rows, COUNTS)[members], theirs(copies)
    torch.testing.assert_close(out, expected)
    out.backward(grad)
    expected.backward(grad)
    summed = torch.zeros(4, 3, dtype=torch.float64).index_add_(0, members, copies.grad)
    torch.testing.assert_close(rows.grad, summed)
    torch.testing.assert_close(ours.weight.grad, theirs.weight.grad)
    torch.testing.assert_close(ours.bias.grad, theirs.bias.grad)
    for a, b in zip(ours.buffers(), theirs.buffers(), strict=True):
        torch.testing.assert_close(a, b)


def test_one_environment_of_many_atoms_is_normalised_to_the_bias() -> None:
    layer = norm()
    out = normalize(layer, torch.full((1, 3), 7.0, dtype=torch.float64), torch.tensor([5]))
    torch.testing.assert_close(out[0], layer.bias)


def test_a_large_mean_does_not_eat_the_variance() -> None:
    layer = nn.BatchNorm1d(1)
    rows = torch.tensor([[1000.0], [1000.5], [1001.0]])
    out = normalize(layer, rows, torch.tensor([2, 1, 2]))
    expected = nn.BatchNorm1d(1)(torch.tensor([[1000.0], [1000.0], [1000.5], [1001.0], [1001.0]]))
    torch.testing.assert_close(out.flatten(), expected[[0, 2, 3], 0], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("counts", [None, torch.tensor([1])])
def test_a_single_atom_uses_the_running_statistics(counts: torch.Tensor | None) -> None:
    layer = norm()
    twin = copy.deepcopy(layer).eval()
    row = torch.randn(1, 3, dtype=torch.float64)
    assert torch.equal(normalize(layer, row, counts), twin(row))
    assert int(layer.num_batches_tracked) == 0


def test_in_eval_mode_counts_do_not_matter() -> None:
    layer = norm().eval()
    rows = torch.randn(4, 3, dtype=torch.float64)
    assert torch.equal(normalize(layer, rows, COUNTS), layer(rows))


def test_rows_of_another_width_are_an_error() -> None:
    with pytest.raises(RuntimeError):
        normalize(norm(), torch.zeros(4, 2, dtype=torch.float64), COUNTS)
