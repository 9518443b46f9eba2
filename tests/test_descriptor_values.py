"""Descriptors as targets: how they are scaled, clipped and scored."""

import numpy as np
import pytest
import torch

from molft.train.objectives.descriptors import DescriptorValues, robust_scale
from tests.series import block_of, pyridines


def answering(values: list[float], centre: list[float], scale: list[float]) -> DescriptorValues:
    """An objective whose head gives ``values`` for every molecule."""
    model = DescriptorValues(3, torch.tensor(centre), torch.tensor(scale))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.head.bias.copy_(torch.tensor(values))
    return model


def test_a_normal_descriptor_is_scaled_by_its_spread() -> None:
    sample = np.random.default_rng(0).normal(300.0, 80.0, (20_000, 1))
    centre, scale = robust_scale(sample)
    assert centre.dtype == scale.dtype == torch.float32
    assert centre.item() == pytest.approx(300.0, abs=2.0)
    assert scale.item() == pytest.approx(80.0, rel=0.02)


def test_a_few_giants_do_not_move_the_scale() -> None:
    sample = np.random.default_rng(0).normal(300.0, 80.0, (1000, 1))
    plain = robust_scale(sample)
    sample[:20] = 1e5
    centre, scale = robust_scale(sample)
    assert centre.item() == pytest.approx(plain[0].item(), rel=0.02)
    assert scale.item() == pytest.approx(plain[1].item(), rel=0.1)


def test_a_count_that_is_nearly_always_zero_has_its_standard_deviation() -> None:
    sample = np.zeros((100, 1))
    sample[:4] = 5.0
    centre, scale = robust_scale(sample)
    assert (centre.item(), scale.item()) == (0.0, pytest.approx(5 * np.sqrt(0.04 * 0.96)))


def test_a_constant_has_the_scale_one() -> None:
    centre, scale = robust_scale(np.full((10, 2), 7.0))
    assert centre.tolist() == [7.0, 7.0]
    assert scale.tolist() == [1.0, 1.0]


def test_half_precision_and_one_molecule_are_no_problem() -> None:
    sample = np.array([[np.finfo(np.float16).max, -3.0]], np.float16)
    centre, scale = robust_scale(sample)
    assert centre.tolist() == [65504.0, -3.0]
    assert scale.tolist() == [1.0, 1.0]


def test_every_real_descriptor_has_a_finite_positive_scale() -> None:
    values = block_of(pyridines(), forest=True).descriptors
    centre, scale = robust_scale(values)
    assert torch.isfinite(centre).all() and torch.isfinite(scale).all()
    assert (scale > 0).all()


def test_the_loss_is_smooth_l1_of_the_scaled_value() -> None:
    model = answering([0.5, 0.0], centre=[10.0, 1.0], scale=[2.0, 1.0])
    # Scaled targets 1 and 3: errors 0.5 (square: 0.125) and 3 (linear: 2.5).
    loss, _ = model(torch.zeros(1, 3), torch.tensor([[12.0, 4.0]]))
    assert loss.item() == pytest.approx((0.125 + 2.5) / 2)


@pytest.mark.parametrize(("value", "target"), [(1e5, 4.0), (-1e5, -4.0), (6.0, 4.0), (3.9, 3.9)])
def test_targets_far_from_the_centre_are_clipped(value: float, target: float) -> None:
    model = answering([target], centre=[0.0], scale=[1.0])
    loss, _ = model(torch.zeros(1, 3), torch.tensor([[value]]))
    assert loss.item() == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize(("answer", "explained"), [(2.0, 0.0), (0.0, -6.0)])
def test_the_score_is_the_explained_variance(answer: float, explained: float) -> None:
    # Targets 1, 2 and 3: their mean explains nothing; 0 is worse (mean square error 14/3, variance 2/3).
    model = answering([answer], centre=[0.0], scale=[1.0])
    _, score = model(torch.zeros(3, 3), torch.tensor([[1.0], [2.0], [3.0]]))
    assert score.item() == pytest.approx(explained, abs=1e-5)


def test_a_perfect_answer_scores_one() -> None:
    model = answering([0.0, 0.0], centre=[1.0, 1.0], scale=[1.0, 1.0])
    _, score = model(torch.zeros(2, 3), torch.tensor([[1.0, 1.0], [1.0, 1.0]]))
    assert score.item() == 1.0


def test_only_the_loss_teaches() -> None:
    torch.manual_seed(0)
    model = DescriptorValues(3, torch.zeros(2), torch.ones(2))
    summary = torch.randn(4, 3, requires_grad=True)
    loss, score = model(summary, torch.randn(4, 2))
    assert not score.requires_grad
    loss.backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())
    assert summary.grad.abs().sum() > 0


def test_centre_and_scale_are_written_with_the_weights() -> None:
    model = DescriptorValues(3, torch.tensor([5.0]), torch.tensor([2.0]))
    other = DescriptorValues(3, torch.zeros(1), torch.ones(1))
    other.load_state_dict(model.state_dict())
    assert (other.centre.item(), other.scale.item()) == (5.0, 2.0)


@pytest.mark.parametrize("columns", [2, 4])
def test_the_wrong_number_of_descriptors_is_refused(columns: int) -> None:
    model = DescriptorValues(3, torch.zeros(3), torch.ones(3))
    with pytest.raises(RuntimeError, match="size of tensor"):
        model(torch.zeros(2, 3), torch.zeros(2, columns))
