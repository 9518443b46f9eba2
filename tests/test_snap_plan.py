"""The protocol of Hu et al. as a plan, number by number, and that its learning rate stays constant."""

import numpy as np
import pytest
import torch

from molft.errors import MolftError
from molft.model.config import NetworkConfig
from molft.model.network import build_network
from molft.train.encoders import new_encoder
from molft.train.finetune import Task, finetune
from molft.train.plan import Plan
from molft.train.snap import snap_plan
from tests.series import halogen_examples


def test_the_numbers_of_the_paper() -> None:
    plan = snap_plan("classification", 5)
    assert (plan.epochs, plan.batch_size, plan.dropout, plan.weight_decay) == (100, 32, 0.5, 0.0)
    assert [plan.rate(state) for state in range(6)] == [1e-3] * 6
    assert plan.head_rate == 1e-3
    assert (plan.loss, plan.select, plan.oversample) == ("bce", "roc_auc", False)
    assert [(stage.epoch, stage.frozen) for stage in plan.stages] == [(0, 0)]
    assert plan.patience > plan.epochs
    assert snap_plan("regression", 5, 7).loss == "huber"
    assert snap_plan("regression", 5, 7).epochs == 7
    assert Plan.from_json(plan.to_json()) == plan


def test_what_it_refuses() -> None:
    with pytest.raises(MolftError, match="task type 'ranking' is unknown"):
        snap_plan("ranking", 5)
    with pytest.raises(MolftError, match="epochs is 0"):
        snap_plan("classification", 5, 0)


def test_it_is_adam_with_a_constant_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same weights as torch's Adam gives in a loop written by hand (dropout off: it draws at random)."""
    from dataclasses import replace

    from molft.train.schedule import epoch_order, split_evenly

    examples = halogen_examples(40)
    plan = replace(snap_plan("classification", 2, 2), dropout=0.0)
    torch.manual_seed(0)
    network = build_network(new_encoder("snap", layers=2, width=8), NetworkConfig())
    start = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    # A score that rises, so that the last epoch's weights are kept.
    scores = iter([0.1, 0.2])
    finetune(Task(network, examples, examples, plan, lambda *_: next(scores), seed=3))

    from molft.data.batch import make_batch

    torch.manual_seed(0)
    other = build_network(new_encoder("snap", layers=2, width=8), NetworkConfig())
    other.load_state_dict(start)
    # Fused as there: where a gradient is next to nothing, Adam makes a whole step of its rounding.
    optimizer = torch.optim.Adam(other.parameters(), lr=1e-3, fused=True)
    other.train()
    for epoch in range(2):
        for rows in split_evenly(epoch_order(40, 3, epoch), 32):
            logits = other(make_batch(examples.graphs.take(rows)))
            labels = torch.from_numpy(examples.labels[rows])
            optimizer.zero_grad()
            torch.nn.functional.binary_cross_entropy_with_logits(logits, labels).backward()
            optimizer.step()
    found = network.state_dict()
    for name, tensor in other.state_dict().items():
        np.testing.assert_allclose(found[name], tensor, rtol=1e-4, atol=1e-5, err_msg=name)
