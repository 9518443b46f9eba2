"""Fast dropout: the rate it promises, the mask it repeats, the gradient it gives."""

import pytest
import torch

from molft.errors import MolftError
from molft.model.dropout import draw_mask, dropout_, relu_dropout_


@pytest.mark.parametrize(
    ("p", "keep"), [(0.5, 0.5), (0.25, 0.75), (0.2, 52429 / 65536), (0.001, 65470 / 65536)]
)
def test_the_keep_probability_is_the_documented_one(p: float, keep: float) -> None:
    torch.manual_seed(0)
    mask, probability = draw_mask(torch.Size((1000, 1000)), p)
    assert probability == keep
    # Five standard deviations of a mean of 10^6 draws.
    assert mask.double().mean().item() == pytest.approx(keep, abs=5 * (keep * (1 - keep) / 1e6) ** 0.5)


def test_tiny_and_huge_rates_are_not_rounded_to_nothing_or_everything() -> None:
    assert draw_mask(torch.Size((3, 3)), 1e-9)[0].all()
    mask, keep = draw_mask(torch.Size((10, 10)), 1 - 1e-9)
    assert keep == 1 / 65536
    assert mask.shape == (10, 10)


def test_neighbouring_mask_bits_are_independent() -> None:
    torch.manual_seed(0)
    mask = draw_mask(torch.Size((1000, 1000)), 0.5)[0].double() - 0.5
    for shift in (1, 2, 4, 8, 1000):
        flat = mask.flatten()
        assert abs((flat[shift:] * flat[:-shift]).mean().item() * 4) < 5e-3


@pytest.mark.parametrize("operation", [dropout_, relu_dropout_])
def test_the_same_torch_seed_gives_the_same_mask(operation: object) -> None:
    torch.manual_seed(7)
    state = torch.get_rng_state()
    first, second = operation(torch.ones(50, 7), 0.5), operation(torch.ones(50, 7), 0.5)
    torch.set_rng_state(state)
    assert torch.equal(operation(torch.ones(50, 7), 0.5), first)
    assert not torch.equal(first, second)


def test_kept_values_are_scaled_so_that_the_mean_stays() -> None:
    torch.manual_seed(0)
    out = dropout_(torch.ones(1000, 100), 0.2)
    assert out.unique().tolist() == pytest.approx([0.0, 65536 / 52429])
    assert out.mean().item() == pytest.approx(1.0, abs=0.01)


def test_gradients_pass_where_values_were_kept() -> None:
    torch.manual_seed(0)
    x = torch.randn(20, 30, requires_grad=True)
    out = dropout_(x.clone(), 0.5)
    out.sum().backward()
    assert torch.equal(x.grad, torch.where(out != 0, 2.0, 0.0))


def test_relu_dropout_is_relu_then_dropout() -> None:
    x = torch.randn(20, 30, requires_grad=True)
    torch.manual_seed(3)
    out = relu_dropout_(x.clone(), 0.25)
    torch.manual_seed(3)
    twin = x.detach().clone().requires_grad_()
    expected = dropout_(torch.relu(twin).clone(), 0.25)
    out.sum().backward()
    expected.sum().backward()
    assert torch.equal(out, expected)
    assert torch.equal(x.grad, twin.grad)


def test_rate_zero_changes_nothing_and_draws_nothing() -> None:
    state = torch.get_rng_state()
    assert dropout_(torch.tensor([-1.0, 2.0]), 0.0).tolist() == [-1.0, 2.0]
    assert relu_dropout_(torch.tensor([-1.0, 2.0]), 0.0).tolist() == [0.0, 2.0]
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("p", [-0.1, 1.0, float("nan")])
@pytest.mark.parametrize("operation", [dropout_, relu_dropout_])
def test_what_is_no_rate_is_refused(operation: object, p: float) -> None:
    with pytest.raises(MolftError, match="expected 0 <= rate < 1"):
        operation(torch.ones(2), p)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("operation", [dropout_, relu_dropout_])
def test_on_cuda_torch_s_own_dropout_is_used(operation: object) -> None:
    x = torch.ones(1000, 100, device="cuda", requires_grad=True)
    out = operation(x.clone(), 0.5)
    out.sum().backward()
    assert out.unique().tolist() == [0.0, 2.0]
    assert torch.equal(x.grad, out)
