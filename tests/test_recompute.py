"""Layers that keep little for the backward pass: the same gradients, statistics counted once, less memory."""

import copy

import pytest
import torch
from torch import Tensor, nn

from molft.errors import MolftError
from molft.model import recompute
from molft.model.config import EncoderConfig, NetworkConfig
from molft.model.encoder import CONVS, Encoder
from molft.model.network import Network, build_network
from molft.model.recompute import KEEPING, run_pieces
from tests.tiny import random_batch


def network(conv: str = "gin", dropout: float = 0.3, jk: str = "last", **changes: int) -> Network:
    torch.manual_seed(0)
    shape = {"layers": 3, "width": 16, **changes}
    encoder = Encoder(EncoderConfig(conv=conv, dropout=dropout, jk=jk, **shape)).double()
    return build_network(encoder, NetworkConfig(tasks=2)).double()


def learn(plain: Network, keeping: str, sharing: bool = True) -> dict[str, Tensor]:
    """Gradients and running statistics after a step of a copy of the network, and what it gave."""
    net = copy.deepcopy(plain).train()
    net.encoder.keeping, net.encoder.sharing = keeping, sharing
    torch.manual_seed(7)
    outputs = net(random_batch(1))
    outputs.square().sum().backward()
    grads = {f"{name}'": p.grad for name, p in net.named_parameters() if p.grad is not None}
    return {"outputs": outputs.detach(), "next": torch.rand(3), **grads, **dict(net.named_buffers())}


@pytest.mark.parametrize("sharing", [True, False])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("conv", sorted(CONVS))
def test_inputs_alone_are_enough_for_the_same_step_bit_for_bit(
    conv: str, dropout: float, sharing: bool
) -> None:
    plain = network(conv, dropout)
    whole, little = (learn(plain, keeping, sharing) for keeping in ("all", "states"))
    assert whole.keys() == little.keys()
    assert len(whole) > 30
    for name, value in whole.items():
        assert torch.equal(value, little[name]), name


@pytest.mark.parametrize("jk", ["last", "concat", "max", "sum"])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_pieces_give_the_same_gradients_to_rounding(
    jk: str, dropout: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recompute, "_ROWS", 7)
    plain = network(dropout=dropout, jk=jk)
    whole, little = (learn(plain, keeping) for keeping in ("all", "pieces"))
    assert whole.keys() == little.keys()
    for name, value in whole.items():
        torch.testing.assert_close(little[name], value, rtol=1e-10, atol=1e-12, msg=name)


@pytest.mark.parametrize("keeping", KEEPING)
def test_running_statistics_move_once_a_step(keeping: str) -> None:
    net = network().train()
    net.encoder.keeping = keeping
    for _ in range(3):
        net(random_batch(1)).sum().backward()
    assert [int(norm.num_batches_tracked) for norm in net.encoder.batch_norms] == [3, 3, 3]


def test_layers_in_16_bits_are_recomputed_too(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = network()
    plain = plain.float()
    plain.encoder.bf16 = True
    whole, little = (learn(plain, keeping) for keeping in ("all", "states"))
    for name, value in whole.items():
        assert torch.equal(value, little[name]), name
    monkeypatch.setattr(recompute, "_ROWS", 64)
    pieces = learn(plain, "pieces")
    assert torch.equal(pieces["outputs"], whole["outputs"])


def test_a_frozen_part_is_left_alone() -> None:
    plain = network()
    plain.encoder.freeze(2)
    whole, little = (learn(plain, keeping) for keeping in ("all", "states"))
    assert not any(name.startswith("gnn.gnns.0") and name.endswith("'") for name in little)
    for name, value in whole.items():
        assert torch.equal(value, little[name]), name


def kept_bytes(keeping: str) -> int:
    """What autograd holds between the two passes, each storage once."""
    net = network(dropout=0.0, width=64).train()
    net.encoder.keeping = keeping
    own = {p.untyped_storage().data_ptr() for p in net.parameters()}
    held: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            held[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        net(random_batch(1, molecules=64))
    return sum(held.values())


def test_less_is_kept() -> None:
    # Inside a recomputed layer, PyTorch's own hooks stand before this one: what is told is what is kept.
    assert kept_bytes("states") < 0.4 * kept_bytes("all")


def test_states_that_nobody_reads_are_not_kept() -> None:
    net = network().train()
    net.encoder.keeping = "states"
    states = net.encoder.run(random_batch(1))
    assert len(states) == 4
    assert all(state is states[-1] for state in states)
    net = network(jk="sum").train()
    net.encoder.keeping = "states"
    assert len({id(state) for state in net.encoder.run(random_batch(1))}) == 4


def test_pieces_of_rows_in_order() -> None:
    rows = torch.arange(10.0, dtype=torch.float64).view(5, 2).requires_grad_()
    layer = nn.Linear(2, 3).double()
    assert torch.equal(run_pieces(layer, rows), layer(rows))
    assert run_pieces(layer, rows[:0]).shape == (0, 3)


def test_an_unknown_word_is_named() -> None:
    with pytest.raises(MolftError, match="can't keep 'nothing'; expected one of all, states, pieces"):
        network().encoder.keeping = "nothing"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_cuda_less_memory_and_the_same_gradients() -> None:
    batch = random_batch(1, molecules=512).to("cuda")
    found, peaks = {}, {}
    for keeping in KEEPING:
        net = network(width=256).train().to("cuda")
        net.encoder.keeping = keeping
        torch.manual_seed(7)
        torch.cuda.reset_peak_memory_stats()
        net(batch).square().sum().backward()
        peaks[keeping] = torch.cuda.max_memory_allocated()
        found[keeping] = [p.grad for p in net.parameters()]
    for keeping in KEEPING[1:]:
        for one, other in zip(found["all"], found[keeping], strict=True):
            torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-10)
    assert peaks["pieces"] <= peaks["states"] < 0.7 * peaks["all"]
