"""The projection in place of an atom embedding: sparse as dense, and never a dense copy."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from torch.profiler import ProfilerActivity, profile

from molft.errors import MolftError
from molft.model.attributes import AttributeProjection, SparseRows


def sparse_rows(matrix: sp.csr_matrix) -> SparseRows:
    return SparseRows(
        torch.from_numpy(matrix.indices.astype(np.int32)),
        torch.from_numpy(matrix.data.astype(np.float32)),
        torch.from_numpy(matrix.indptr[:-1].astype(np.int32)),
        matrix.shape[1],
    )


def test_sparse_rows_give_what_dense_rows_give_and_their_gradient() -> None:
    torch.manual_seed(0)
    project = AttributeProjection(5, 4)
    dense = np.array([[0, 2, 0, 0, 1], [0, 0, 0, 0, 0], [1, 0, 3, 0, 0]], np.float32)
    found = project(sparse_rows(sp.csr_matrix(dense)))
    wanted = torch.from_numpy(dense) @ project.weight + project.bias
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(project(torch.from_numpy(dense)), wanted)
    upstream = torch.randn(3, 4)
    found.backward(upstream)
    torch.testing.assert_close(project.weight.grad, torch.from_numpy(dense).T @ upstream)


def test_dense_columns_are_standardised() -> None:
    project = AttributeProjection(2, 3)
    project.centre.copy_(torch.tensor([1.0, 2.0]))
    project.scale.copy_(torch.tensor([2.0, 0.5]))
    found = project(torch.tensor([[2.0, 4.0]]))
    torch.testing.assert_close(found, torch.tensor([[2.0, 1.0]]) @ project.weight + project.bias)


def test_a_million_words_take_memory_by_entries() -> None:
    """1,000 rows of 100,000 columns with 2 entries each: dense they would be 400 MB."""
    rows = sp.random(
        1000, 100_000, density=2e-5, format="csr", dtype=np.float32, rng=np.random.default_rng(0)
    )
    project = AttributeProjection(100_000, 2)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        project(sparse_rows(rows))
    assert sum(max(event.self_cpu_memory_usage, 0) for event in seen.key_averages()) < 1_000_000


@pytest.mark.parametrize("given", [torch.ones(3, 4), torch.ones(5), sparse_rows(sp.csr_matrix((3, 4)))])
def test_other_columns_are_refused(given: torch.Tensor | SparseRows) -> None:
    with pytest.raises(MolftError, match=r"node attributes have shape .* was made for \(M, 5\)"):
        AttributeProjection(5, 4)(given)


def test_complex_numbers_are_refused() -> None:
    with pytest.raises(MolftError, match=r"torch\.complex64; expected real numbers"):
        AttributeProjection(5, 4)(torch.ones(3, 5, dtype=torch.complex64))
