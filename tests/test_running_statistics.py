"""Running statistics: the same for any number of parts, and untouched by graphs that shall not count."""

import pytest
import torch
from torch import nn

from molft.train.encoders import new_encoder
from molft.train.processes import Processes
from molft.train.running_statistics import RunningStatistics, batch_statistics
from tests.tiny import random_batch

ONE = Processes()


def test_one_part_is_what_batch_normalisation_does() -> None:
    torch.manual_seed(0)
    values = torch.randn(50, 3)
    plain, kept = nn.BatchNorm1d(3), nn.BatchNorm1d(3)
    plain(values)
    statistics = RunningStatistics(kept)
    kept(values)
    statistics.end_part()
    assert torch.equal(kept.running_mean, torch.zeros(3))
    statistics.end_step(1, ONE)
    assert torch.equal(kept.running_mean, plain.running_mean)
    assert torch.equal(kept.running_var, plain.running_var)


def test_parts_are_averaged_whatever_their_order() -> None:
    torch.manual_seed(0)
    parts = [torch.randn(20, 2) + shift for shift in (0.0, 3.0, 10.0)]
    found = []
    for order in ([0, 1, 2], [2, 0, 1]):
        norm = nn.BatchNorm1d(2)
        statistics = RunningStatistics(norm)
        for number in order:
            norm(parts[number])
            statistics.end_part()
        statistics.end_step(3, ONE)
        found.append(norm.running_mean)
    torch.testing.assert_close(found[0], found[1])
    torch.testing.assert_close(found[0], 0.1 * torch.stack([p.mean(dim=0) for p in parts]).mean(dim=0))


@pytest.mark.parametrize("training", [True, False])
def test_apart_from_the_others_a_batch_is_normalised_by_itself_and_leaves_no_trace(training: bool) -> None:
    torch.manual_seed(0)
    encoder = new_encoder("snap", layers=2, width=8).train(training)
    batch = random_batch(0)
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    with batch_statistics(encoder):
        apart = encoder(batch)
    assert all(torch.equal(tensor, before[name]) for name, tensor in encoder.state_dict().items())
    assert [m.training for m in encoder.batch_norms] == [training] * 2
    assert [m.momentum for m in encoder.batch_norms] == [0.1] * 2
    torch.testing.assert_close(apart.mean(dim=0), torch.zeros(8), atol=1e-5, rtol=0)
    torch.testing.assert_close(encoder.train()(batch), apart)


def test_an_error_inside_puts_everything_back() -> None:
    norm = nn.BatchNorm1d(2).eval()
    with pytest.raises(ValueError, match="expected 2D"), batch_statistics(norm):
        norm(torch.zeros(2))
    assert (norm.training, norm.momentum) == (False, 0.1)
