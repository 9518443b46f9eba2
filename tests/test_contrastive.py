"""NT-Xent against a loop, and the whole objective."""

import math

import pytest
import torch

from molft.chem.features import SNAP
from molft.data.batch import make_batch
from molft.train.encoders import new_encoder
from molft.train.objectives.contrastive import Contrastive, nt_xent
from tests.series import block_of, pyridines


def test_the_loss_on_three_molecules() -> None:
    torch.manual_seed(0)
    one, other = torch.randn(3, 4), torch.randn(3, 4)
    loss, right = nt_xent(one, other, temperature=0.5)
    views = [*one, *other]
    total, hits = 0.0, 0
    for i, view in enumerate(views):
        near = {
            j: math.exp(float(torch.cosine_similarity(view, views[j], dim=0)) / 0.5)
            for j in range(6)
            if j != i
        }
        total -= math.log(near[(i + 3) % 6] / sum(near.values()))
        hits += max(near, key=near.__getitem__) == (i + 3) % 6
    assert loss.item() == pytest.approx(total / 6, rel=1e-5)
    assert right.item() == pytest.approx(hits / 6)


def test_views_that_agree_cost_little_and_views_that_do_not_cost_much() -> None:
    one = torch.eye(4)
    assert nt_xent(one, one)[0].item() < 0.001
    loss, right = nt_xent(one, one.roll(1, dims=0))
    assert loss.item() > 9 and right.item() == 0.0


def test_the_length_of_a_vector_does_not_matter() -> None:
    torch.manual_seed(1)
    one, other = torch.randn(3, 4), torch.randn(3, 4)
    torch.testing.assert_close(nt_xent(one, other)[0], nt_xent(3 * one, 0.1 * other)[0])


def test_encoder_and_projection_learn() -> None:
    torch.manual_seed(0)
    encoder, model = new_encoder("snap", layers=2, width=8), Contrastive(8, SNAP.mask_atom)
    batch = make_batch(block_of(pyridines(20)).graphs)
    loss, score = model(encoder, batch, torch.Generator().manual_seed(0))
    loss.backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in encoder.parameters())
    assert all(p.grad.abs().sum() > 0 for p in model.parameters())
    assert 0.0 <= score.item() <= 1.0


def test_views_of_different_batches_are_refused() -> None:
    with pytest.raises((RuntimeError, ValueError)):
        nt_xent(torch.randn(3, 4), torch.randn(2, 3))
