"""Surroundings kept from block to block: found again, and to the bit what they would be if computed anew."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor

from molft.data.batch import Batch
from molft.model.encoder import Encoder
from molft.model.environments import colour_rows, group_atoms, reduce_lists, refine
from molft.model.inference import FoldedEncoder, find_surroundings, fold, read_molecules, recurs
from molft.model.readout import MeanAndSum, build_readout
from molft.model.recurring import Recalled, Recurring
from molft.model.topology import build_topology
from molft.train.resident import used
from tests.test_inference import encoder, plain
from tests.tiny import ETHANOL, Molecule, batch_of, random_batch

PROPANOL: Molecule = ([5, 5, 5, 7], [(0, 1, 0), (1, 2, 0), (2, 3, 0)])
BUTANOL: Molecule = ([5, 5, 5, 5, 7], [(0, 1, 0), (1, 2, 0), (2, 3, 0), (3, 4, 0)])


def blocks(number: int = 6) -> list[Batch]:
    """Blocks of which each holds half of the molecules of the next one, and more rows than a piece."""
    return [
        Batch(
            *(torch.cat(part) for part in zip(one[:2], other[:2], strict=True)),  # type: ignore[arg-type]
            torch.cat([one.edge_index, other.edge_index + len(one.atoms)], dim=1),
            torch.cat([one.graph, other.graph + one.size]),
            one.size + other.size,
        )
        for one, other in ((random_batch(seed, 40), random_batch(seed + 1, 40)) for seed in range(number))
    ]


def read(model: FoldedEncoder, batch: Batch, recurring: Recurring, pool: str = "mean") -> Tensor:
    """The vectors of a block, after which others find its surroundings."""
    found = find_surroundings(batch, model.config, recurring)
    kept = recurring.states_of(model)
    assert kept is not None
    out = read_molecules(model, found, build_readout(pool, model.config.width), kept)
    recurring.publish(found.recalled)
    return out


def test_what_came_up_twice_is_kept_and_found_when_it_was_published() -> None:
    room = Recurring(["encoder"], 32, size=1 << 20)
    colours = torch.tensor([3 << 50, 5 << 50, 7 << 50]) + torch.arange(3)
    assert room.find(colours).tolist() == [-1, -1, -1]
    assert [len(room.admit(colours[:2])[0]) for _ in range(2)] == [0, 2]
    places, first = room.admit(colours)
    assert places.tolist() == [0, 1] and first == 2  # the third for the first time; nobody published yet
    room.publish([Recalled(torch.tensor([]), places, colours[places], first)])
    assert room.find(colours).tolist() == [2, 3, -1]


def test_a_block_that_comes_again_is_not_computed_again() -> None:
    model, batch = fold(encoder()), batch_of(PROPANOL)
    room, readout = Recurring([model], 32), build_readout("mean", 32)
    computed, taken = [], []
    for _ in range(3):
        found = find_surroundings(batch, model.config, room)
        computed.append([len(layer.starts) for layer in found.layers])
        taken.append([len(layer.rows) for layer in found.recalled])
        read_molecules(model, found, readout, room.states_of(model))
        room.publish(found.recalled)
    # The first time leaves a mark, the second the states; then only the last layer, which isn't kept, asks.
    assert computed == [[4] * 5, [4] * 5, [0, 0, 0, 0, 4]]
    assert taken == [[0] * 4, [0] * 4, [0, 0, 0, 4]]


def test_room_is_not_overrun() -> None:
    room = Recurring(["one", "other"], 32, size=2 * 4 * 32 * 5)
    colours = torch.from_numpy(np.random.default_rng(0).integers(-(2**62), 2**62, 20))
    room.admit(colours)
    places, first = room.admit(colours)
    assert len(places) == 5 and first == 0
    assert len(room.admit(colours)[0]) == 0


def test_room_takes_memory_as_it_is_filled_and_gives_it_back() -> None:
    resident = partial(used, torch.device("cpu"))
    before = resident()
    room = Recurring(["encoder"], 256, size=200_000_000)
    empty = resident()
    states = room.states_of(room._encoders[0])
    assert states is not None
    states.fill_(1.0)
    full = resident()
    del room, states
    assert empty - before < 30e6 and full - empty > 180e6 and full - resident() > 180e6


def test_two_colours_of_one_place_do_not_get_mixed_up() -> None:
    room, colours = Recurring(["encoder"], 32, size=1 << 20), torch.tensor([9 << 45, (9 << 45) + 1])
    room.admit(colours)
    places, first = room.admit(colours)
    assert places.tolist() == [0, 1]
    room.publish([Recalled(torch.tensor([]), places, colours, first)])
    # One place leads to one of them only.
    assert room.find(colours).tolist() in ([0, -1], [-1, 1])
    assert room.find(torch.tensor([(9 << 45) + 2])).tolist() == [-1]


@pytest.mark.parametrize("pool", ["mean", "sum"])
def test_vectors_are_those_of_the_plain_pass(pool: str) -> None:
    model = encoder()
    folded, readout = fold(model), build_readout(pool, model.width)
    room = Recurring([folded], 32)
    taken = 0
    for batch in blocks():
        found = find_surroundings(batch, model.config, room)
        taken += sum(len(layer.rows) for layer in found.recalled)
        out, expected = read(folded, batch, room, pool), plain(model, batch, readout)
        torch.testing.assert_close(out, expected, rtol=1e-5, atol=2e-6 * float(expected.abs().max()))
    assert taken > 1000


def test_the_order_of_blocks_and_the_room_change_no_bit() -> None:
    folded, inputs = fold(encoder()), blocks()
    nothing_kept = Recurring([folded], 32, size=0)
    expected = [read(folded, batch, nothing_kept) for batch in inputs]
    for size in (4 * 32 * 100, 1 << 28):
        forwards, backwards = Recurring([folded], 32, size), Recurring([folded], 32, size)
        there = [read(folded, batch, forwards) for batch in [*inputs, *inputs]]
        back = [read(folded, batch, backwards) for batch in inputs[::-1]][::-1]
        for want, first, second, other in zip(expected, there, there[len(inputs) :], back, strict=False):
            assert torch.equal(first, want) and torch.equal(second, want) and torch.equal(other, want)


def test_threads_that_share_the_room_change_no_bit() -> None:
    folded, inputs = fold(encoder()), blocks(8) * 3
    expected = [read(folded, batch, Recurring([folded], 32, size=0)) for batch in inputs]
    room = Recurring([folded], 32)
    with ThreadPoolExecutor(4) as pool:
        out = list(pool.map(lambda batch: read(folded, batch, room), inputs))
    assert all(torch.equal(one, want) for one, want in zip(out, expected, strict=True))


def other_encoder() -> Encoder:
    model = encoder()
    torch.nn.init.normal_(model.gnns[0].mlp[0].weight, std=0.3)
    return model


def test_encoders_of_an_ensemble_keep_their_own_states() -> None:
    models = [encoder(), other_encoder()]
    folded = [fold(model) for model in models]
    room, readout = Recurring(folded, 32), MeanAndSum(64)
    for batch in blocks():
        found = find_surroundings(batch, folded[0].config, room)
        for model, one in zip(models, folded, strict=True):
            out = read_molecules(one, found, readout, room.states_of(one))
            expected = plain(model, batch, readout)
            torch.testing.assert_close(out, expected, rtol=1e-5, atol=2e-6 * float(expected.abs().max()))
        room.publish(found.recalled)
    assert room.is_for(folded) and room.is_for([None, *folded]) and not room.is_for(folded[:1])
    assert room.states_of(fold(models[0])) is None


def test_a_list_is_in_the_order_of_its_colours_whoever_wrote_it() -> None:
    def lists(*molecules: Molecule) -> list[list[int]]:
        batch = batch_of(*molecules)
        topology = build_topology(batch, (6, 3), (4, 0))
        names = colour_rows(batch.atoms + torch.tensor([0, 120]))
        after = refine(names, colour_rows(topology.rows), topology)
        groups = group_atoms(names)
        out = reduce_lists(topology, groups, torch.arange(len(after)), names)
        states = names.index_select(0, groups.atoms)[out.neighbours.long()].tolist()
        ends = [*out.starts.tolist()[1:], len(states)]
        return [states[start:end] for start, end in zip(out.starts.tolist(), ends, strict=True)]

    backwards: Molecule = ([7, 5, 5], [(1, 0, 0), (2, 1, 0)])
    assert lists(ETHANOL) == lists(backwards)[::-1]
    assert all(row == sorted(row) for row in lists(BUTANOL, ETHANOL))


def test_only_what_is_read_at_the_end_in_32_bits_can_be_kept() -> None:
    assert recurs(fold(encoder()))
    assert not recurs(fold(encoder("sum"))) and not recurs(fold(encoder(), half=True))
