"""Prediction in batches, and the kept states of a frozen part."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from molft.chem.graphs import Graphs
from molft.data.batch import make_batch
from molft.errors import MolftError
from molft.model.config import NetworkConfig
from molft.model.network import Network, build_network
from molft.train import finetune_step
from molft.train.encoders import new_encoder
from molft.train.finetune import Task, finetune
from molft.train.loop import fold_each, freeze_states, keep_recurring, predict, predict_each
from molft.train.plan import Stage, make_plan
from tests.series import block_of, halogen_examples, pyridines
from tests.train_deeds import same, weights

LAYERS, WIDTH = 3, 8


def network(jk: str = "last", readout: str = "mean", tasks: int = 2) -> Network:
    """A network whose running statistics are not those of a new one."""
    torch.manual_seed(0)
    made = build_network(
        new_encoder("snap", layers=LAYERS, width=WIDTH, jk=jk), NetworkConfig(tasks=tasks, readout=readout)
    )
    made(make_batch(block_of(pyridines(20)).graphs))
    return made


@pytest.fixture(scope="module")
def graphs() -> Graphs:
    """Thirty pyridines."""
    return block_of(pyridines(30)).graphs


@pytest.mark.parametrize("batch_size", [1, 7, 30, 256])
def test_predictions_do_not_depend_on_the_batch(graphs: Graphs, batch_size: int) -> None:
    model = network().eval()
    expected = model(make_batch(graphs)).detach().numpy()
    found = predict(model, graphs, batch_size)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", [("last", "mean"), ("sum", "sum"), ("max", "mean"), ("last", "attention")])
def test_every_network_predicts_as_it_would_alone(graphs: Graphs, kind: tuple[str, str]) -> None:
    """Some fold and share the search for surroundings, some run as they are."""
    mixed = [network(), network(*kind), network("concat", "max", tasks=1)]
    for model, found in zip(mixed, predict_each(mixed, graphs, batch_size=7), strict=True):
        expected = model.eval()(make_batch(graphs)).detach().numpy()
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_states_kept_from_call_to_call_change_nothing(graphs: Graphs) -> None:
    mixed = [network(), network("sum", "sum"), network(tasks=3)]
    folded = fold_each(mixed)
    room, none = keep_recurring(folded), keep_recurring(folded, 0)
    assert room is not None and none is not None
    for _ in range(3):
        kept, anew = (predict_each(mixed, graphs, 7, folded, recurring) for recurring in (room, none))
        for model, one, other in zip(mixed, kept, anew, strict=True):
            np.testing.assert_array_equal(one, other)
            expected = model.eval()(make_batch(graphs)).detach().numpy()
            np.testing.assert_allclose(one, expected, rtol=1e-5, atol=1e-5)
        # Alone, a network would leave the other's states out: so it keeps none.
        (alone,) = predict_each(mixed[:1], graphs.take([4, 5]), 7, folded[:1], room)
        np.testing.assert_allclose(alone, kept[0][[4, 5]], rtol=1e-5, atol=1e-6)
    assert keep_recurring(folded[1:2]) is None


def test_no_molecule_gives_no_prediction(graphs: Graphs) -> None:
    assert predict(network(tasks=2), graphs.take([])).shape == (0, 2)


def test_predictions_follow_the_order_of_the_molecules(graphs: Graphs) -> None:
    rows = [5, 3, 3, 29, 0]
    found = predict(network(), graphs.take(rows))
    np.testing.assert_allclose(found, predict(network(), graphs)[rows], rtol=1e-5, atol=1e-6)


def test_predicting_trains_nothing_and_ends_in_eval_mode(graphs: Graphs) -> None:
    model = network().train()
    before = weights(model)
    predict(model, graphs)
    assert not model.training
    assert same(before, weights(model))


@pytest.mark.parametrize("readout", ["mean", "max", "attention", "set2set2"])
def test_no_molecule_gives_no_row_but_every_task(readout: str) -> None:
    assert predict(network(readout=readout), Graphs.empty(2, 2)).shape == (0, 2)


def test_codes_that_the_encoder_has_no_rows_for_are_refused(graphs: Graphs) -> None:
    with pytest.raises(MolftError, match="atom feature 0 has codes 120 to"):
        predict(network(), replace(graphs, atoms=graphs.atoms + np.uint8([115, 0])))


def test_nothing_frozen_keeps_nothing(graphs: Graphs) -> None:
    assert freeze_states(network(), graphs) is None


@pytest.mark.parametrize("jk", ["last", "concat", "max", "sum"])
@pytest.mark.parametrize("frozen", [1, 2, 3])
def test_kept_states_give_the_same_outputs(graphs: Graphs, jk: str, frozen: int) -> None:
    model = network(jk)
    model.encoder.freeze(frozen)
    states = freeze_states(model, graphs, batch_size=8)
    rows = np.array([7, 0, 7, 29])
    batch = make_batch(graphs.take(rows))
    model.eval()
    prefix = states.of_atoms(rows)
    assert len(prefix) == frozen
    found = model.predict_from(model.encoder.run(batch, states=prefix), batch)
    torch.testing.assert_close(found, model(batch), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("jk", ["last", "concat", "max", "sum"])
def test_a_whole_frozen_encoder_is_kept_as_molecule_vectors(graphs: Graphs, jk: str) -> None:
    model = network(jk)
    model.encoder.freeze(LAYERS + 1)
    kept = freeze_states(model, graphs, batch_size=8)
    assert kept.states == []
    model.eval()
    torch.testing.assert_close(model.head(kept.summary), model(make_batch(graphs)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("jk", ["last", "sum"])
@pytest.mark.parametrize("readout", ["attention", "set2set2"])
def test_a_readout_with_weights_is_not_kept(graphs: Graphs, jk: str, readout: str) -> None:
    model = network(jk, readout)
    model.encoder.freeze(LAYERS + 1)
    kept = freeze_states(model, graphs)
    assert kept.summary is None
    rows = np.array([2, 1])
    batch = make_batch(graphs.take(rows))
    model.eval()
    found = model.predict_from(model.encoder.run(batch, states=kept.of_atoms(rows)), batch)
    torch.testing.assert_close(found, model(batch), rtol=1e-5, atol=1e-6)


def test_the_states_of_no_molecule(graphs: Graphs) -> None:
    model = network()
    model.encoder.freeze(2)
    kept = freeze_states(model, graphs)
    assert [tuple(state.shape) for state in kept.of_atoms(np.zeros(0, np.int64))] == [(0, WIDTH)] * 2


@pytest.mark.parametrize(("jk", "needed"), [("last", 1), ("sum", 2)])
def test_states_that_would_fill_the_memory_are_not_kept(graphs: Graphs, jk: str, needed: int) -> None:
    model = network(jk)
    model.encoder.freeze(2)
    size = needed * len(graphs.atoms) * WIDTH * 4
    assert freeze_states(model, graphs, most_bytes=size) is not None
    assert freeze_states(model, graphs, most_bytes=size - 1) is None


def trained(jk: str, readout: str, **changes: Any) -> Network:  # noqa: ANN401
    """A network after four epochs, the lower layers released on the way."""
    # In double precision: Adam would blow up the rounding of gradients that are exactly 0 in theory, such
    # as those of a bias before a batch normalisation.
    model = network(jk, readout, tasks=1).double()
    plan = replace(
        make_plan(40, "classification", pretrained=True, layers=LAYERS, strategy="gradual", epochs=4),
        stages=(Stage(0, LAYERS + 1), Stage(1, 2), Stage(3, 0)),
        head_rate=0.01,
        encoder_rate=0.01,
        **changes,
    )
    data = halogen_examples(40)
    finetune(Task(model, data, data, plan, lambda examples, outputs: None, seed=1))
    return model


@pytest.mark.parametrize("jk", ["last", "concat"])
@pytest.mark.parametrize("readout", ["mean", "attention"])
def test_training_from_kept_states_is_the_same_training(
    jk: str, readout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Without dropout: its masks are drawn for the layers that are run, which are not the same ones.
    kept = trained(jk, readout, dropout=0.0).state_dict()
    monkeypatch.setattr(finetune_step, "freeze_states", lambda network, graphs: None)
    run_again = trained(jk, readout, dropout=0.0).state_dict()
    for name, tensor in kept.items():
        torch.testing.assert_close(tensor, run_again[name], rtol=1e-6, atol=1e-8, msg=name)


@pytest.mark.gpu
def test_frozen_states_and_predictions_on_a_gpu_are_those_of_the_cpu(graphs: Graphs) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device on this machine")
    for frozen in (2, LAYERS + 1):
        model = network()
        expected = predict(model, graphs)
        model.encoder.freeze(frozen)
        model.to("cuda")
        kept = freeze_states(model, graphs)
        np.testing.assert_allclose(predict(model, graphs), expected, rtol=1e-3, atol=1e-4)
        assert {t.device.type for t in [*kept.states, *([kept.summary] if frozen > 2 else [])]} == {"cuda"}
