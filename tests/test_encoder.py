"""The encoder: states, jumping knowledge, frozen parts, and awkward batches."""

import pytest
import torch
from torch.nn import functional as F

from molft.errors import MolftError
from molft.model.config import CONV_NAMES, EncoderConfig
from molft.model.encoder import Encoder
from tests.tiny import CYCLOPROPENE, ETHANOL, METHANE, NOTHING, batch_of, random_batch


def small(**options: object) -> Encoder:
    torch.manual_seed(0)
    return Encoder(EncoderConfig(**({"layers": 3, "width": 8} | options)))


@pytest.mark.parametrize(
    ("conv", "tensors", "parameters"),
    [("gin", 57, 1_857_900), ("gcn", 47, 504_900), ("graphsage", 47, 504_900), ("gat", 57, 977_400)],
)
def test_size_is_that_of_the_released_encoders(conv: str, tensors: int, parameters: int) -> None:
    encoder = Encoder(EncoderConfig(conv=conv))
    assert len(encoder.state_dict()) == tensors
    assert sum(p.numel() for p in encoder.parameters()) == parameters


def test_initial_weights_follow_the_random_numbers_of_hu_et_al() -> None:
    encoder = small()
    torch.manual_seed(0)
    tables = [torch.nn.Embedding(rows, 8) for rows in (120, 3)]
    for table in tables:
        torch.nn.init.xavier_uniform_(table.weight)
    first = torch.nn.Linear(8, 16)
    assert torch.equal(encoder.x_embedding2.weight, tables[1].weight)
    assert torch.equal(encoder.gnns[0].mlp[0].weight, first.weight)


@pytest.mark.parametrize("conv", CONV_NAMES)
@pytest.mark.parametrize("jk", ["last", "concat", "max", "sum"])
@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_every_parameter_gets_a_gradient(conv: str, jk: str, dropout: float) -> None:
    encoder = small(conv=conv, jk=jk, dropout=dropout)
    out = encoder(random_batch(seed=1))
    (out * torch.randn_like(out)).sum().backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        # A bias before batch normalisation is cancelled by the mean, up to rounding.
        if not name.endswith(("mlp.2.bias", "linear.bias", "gnns.0.bias", "gnns.1.bias", "gnns.2.bias")):
            assert parameter.grad.abs().max() > 1e-7, name


@pytest.mark.parametrize(
    ("jk", "width", "combine"),
    [
        ("last", 8, lambda states: states[3]),
        ("concat", 32, lambda states: torch.cat(states, dim=1)),
        ("max", 8, lambda states: torch.stack(states).max(dim=0).values),
        ("sum", 8, lambda states: states[0] + states[1] + states[2] + states[3]),
    ],
)
def test_jumping_knowledge_on_three_molecules(jk: str, width: int, combine: object) -> None:
    encoder = small(jk=jk).eval()
    batch = batch_of(ETHANOL, CYCLOPROPENE, METHANE)
    out = encoder(batch)
    assert out.shape == (7, width) == (7, encoder.width)
    torch.testing.assert_close(out, combine(encoder.run(batch)))


def test_only_the_last_layer_has_negative_states() -> None:
    states = small()(random_batch(seed=1)), small().run(random_batch(seed=1))
    assert torch.equal(states[0], states[1][-1])
    assert [bool((h < 0).any()) for h in states[1]] == [True, False, False, True]


def test_dropout_acts_on_every_layer_in_training_and_on_none_in_eval() -> None:
    encoder, batch = small(dropout=0.5), random_batch(seed=1)
    dropped = [float((h == 0).float().mean()) for h in encoder.run(batch)]
    assert dropped[0] == 0.0
    assert dropped[3] == pytest.approx(0.5, abs=0.05)
    encoder.eval()
    assert torch.equal(encoder(batch), encoder(batch))
    assert not (encoder.run(batch)[3] == 0).any()


@pytest.mark.parametrize("conv", CONV_NAMES)
def test_a_molecule_does_not_see_its_batch_in_eval(conv: str) -> None:
    encoder = small(conv=conv).double()
    encoder(random_batch(seed=4))  # running statistics
    encoder.eval()
    together = encoder(batch_of(METHANE, ETHANOL, NOTHING, CYCLOPROPENE))
    alone = torch.cat([encoder(batch_of(m)) for m in (METHANE, ETHANOL, CYCLOPROPENE)])
    torch.testing.assert_close(together, alone)


def test_numbering_atoms_differently_only_permutes_the_states() -> None:
    encoder = small().double()
    forward = encoder(batch_of(ETHANOL))
    backward = encoder(batch_of(([7, 5, 5], [(1, 0, 0), (2, 1, 0)])))
    torch.testing.assert_close(backward, forward.flip(0))


def test_another_scheme_has_other_tables() -> None:
    config = EncoderConfig(layers=2, width=8, atom_sizes=(10, 4, 3), bond_sizes=(5,), loop_bond=(3,))
    batch = batch_of(ETHANOL)
    batch = batch._replace(atoms=torch.tensor([[5, 3, 0], [5, 0, 1], [7, 0, 2]]), bonds=batch.bonds[:, :1])
    encoder = Encoder(config)
    assert encoder.topology(batch).counts.tolist() == [[1, 0, 0, 1, 0], [2, 0, 0, 1, 0], [1, 0, 0, 1, 0]]
    h0 = encoder.embed(batch)[1]
    expected = (
        encoder.x_embedding1.weight[5] + encoder.x_embedding2.weight[0] + encoder.x_embedding3.weight[1]
    )
    torch.testing.assert_close(h0, expected)


def test_cached_states_continue_without_recomputing() -> None:
    encoder, batch = small().eval(), random_batch(seed=1)
    states = encoder.run(batch)
    topology = encoder.topology(batch)
    for known in range(1, 5):
        again = encoder.run(batch, states[:known], topology)
        assert all(a is b for a, b in zip(again, states[:known], strict=False))
        assert all(torch.equal(a, b) for a, b in zip(again, states, strict=True))


@pytest.mark.parametrize("conv", CONV_NAMES)
def test_the_first_states_alone_are_those_of_the_whole_run_shared_or_not(conv: str) -> None:
    encoder, batch = small(conv=conv).eval().double(), random_batch(seed=1)
    encoder.sharing = False
    states = encoder.run(batch)
    for sharing in (True, False):
        encoder.sharing = sharing
        for count in range(1, len(states) + 1):
            first = encoder.run(batch, count=count)
            assert len(first) == count
            torch.testing.assert_close(first, states[:count], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("frozen", [0, 1, 3, 4])
def test_frozen_states_do_not_change_in_training(frozen: int) -> None:
    encoder, batch = small(dropout=0.5), random_batch(seed=1)
    encoder(batch)
    encoder.freeze(frozen)
    encoder.train()
    before = encoder.run(batch)[:frozen]
    optimiser = torch.optim.SGD([p for p in encoder.parameters() if p.requires_grad] or [torch.zeros(1)], 0.1)
    out = encoder(batch)
    if out.requires_grad:
        out.square().sum().backward()
        optimiser.step()
    after = encoder.run(batch)
    assert all(torch.equal(a, b) and not a.requires_grad for a, b in zip(before, after, strict=False))
    assert all(h.requires_grad for h in after[frozen:])


def test_freezing_less_frees_again() -> None:
    encoder = small()
    encoder.freeze(4)
    encoder.freeze(2)
    free = {
        name.split(".")[0] + name.split(".")[1] for name, p in encoder.named_parameters() if p.requires_grad
    }
    assert free == {"gnns1", "gnns2", "batch_norms1", "batch_norms2"}
    assert [norm.training for norm in encoder.batch_norms] == [False, True, True]


@pytest.mark.parametrize("states", [-1, 5])
def test_freezing_what_is_not_there_is_refused(states: int) -> None:
    with pytest.raises(MolftError, match="expected 0 to 4"):
        small().freeze(states)


def test_cached_states_of_another_batch_are_refused() -> None:
    encoder = small()
    states = encoder.run(batch_of(ETHANOL))
    with pytest.raises(MolftError, match="got 4 states of 3 atoms for 1 atoms"):
        encoder.run(batch_of(METHANE), states)


def test_too_many_cached_states_are_refused() -> None:
    encoder = small()
    states = encoder.run(batch_of(ETHANOL))
    with pytest.raises(MolftError, match="got 5 states"):
        encoder.run(batch_of(ETHANOL), [*states, states[0]])


def test_a_single_atom_in_training_uses_the_running_statistics() -> None:
    encoder = small()
    encoder(random_batch(seed=1))
    before = {name: buffer.clone() for name, buffer in encoder.named_buffers()}
    trained = encoder(batch_of(METHANE))
    trained.sum().backward()
    assert all(torch.equal(buffer, before[name]) for name, buffer in encoder.named_buffers())
    torch.testing.assert_close(trained, encoder.eval()(batch_of(METHANE)))


@pytest.mark.parametrize("conv", CONV_NAMES)
@pytest.mark.parametrize("training", [True, False])
def test_a_batch_without_atoms_has_no_states(conv: str, training: bool) -> None:
    encoder = small(conv=conv, dropout=0.5).train(training)
    assert encoder(batch_of(NOTHING, NOTHING)).shape == (0, 8)


def test_batch_statistics_are_over_all_atoms() -> None:
    encoder, batch = small(), random_batch(seed=1)
    encoder(batch)
    states = encoder.gnns[0](encoder.embed(batch), encoder.topology(batch))
    torch.testing.assert_close(encoder.batch_norms[0].running_mean, 0.1 * states.mean(dim=0))
    torch.testing.assert_close(encoder.batch_norms[0].running_var, 0.9 + 0.1 * states.var(dim=0))


def test_atoms_of_another_scheme_are_refused() -> None:
    batch = batch_of(ETHANOL)
    with pytest.raises(MolftError, match="featurise with the scheme the encoder was made for"):
        small()(batch._replace(atoms=batch.atoms + 115))


def test_half_precision_autocast_runs() -> None:
    encoder, batch = small(dropout=0.5), random_batch(seed=1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = encoder(batch)
    out.float().square().sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in encoder.parameters())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("conv", CONV_NAMES)
def test_cuda_gives_the_same_states_and_gradients(conv: str) -> None:
    encoder, batch = small(conv=conv), random_batch(seed=1)
    here = encoder(batch)
    weights = torch.randn_like(here)
    expected = torch.autograd.grad((here * weights).sum(), list(encoder.parameters()))
    encoder.cuda()
    there = encoder(batch.to("cuda"))
    found = torch.autograd.grad((there * weights.cuda()).sum(), list(encoder.parameters()))
    torch.testing.assert_close(there.cpu(), here, rtol=1e-3, atol=1e-4)
    for ours, theirs in zip(found, expected, strict=True):
        assert F.mse_loss(ours.cpu(), theirs) < 1e-6
