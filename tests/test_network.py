"""Encoder, readout and head together."""

import pytest
import torch

from molft.errors import MolftError
from molft.model.config import EncoderConfig, NetworkConfig
from molft.model.encoder import Encoder
from molft.model.network import Network, build_network
from tests.tiny import CYCLOPROPENE, ETHANOL, METHANE, NOTHING, batch_of


def network(jk: str = "last", **options: object) -> Network:
    torch.manual_seed(0)
    return build_network(Encoder(EncoderConfig(layers=2, width=8, jk=jk)), NetworkConfig(**options))


@pytest.mark.parametrize("jk", ["last", "concat"])
@pytest.mark.parametrize("readout", ["mean", "max", "set2set2"])
@pytest.mark.parametrize("head", ["linear", "mlp"])
def test_one_row_for_each_molecule_even_an_empty_one(jk: str, readout: str, head: str) -> None:
    out = network(jk, tasks=3, readout=readout, head=head)(batch_of(NOTHING, ETHANOL, METHANE, NOTHING))
    assert out.shape == (4, 3)
    assert torch.isfinite(out).all()


def test_an_empty_molecule_reads_as_the_head_s_bias() -> None:
    model = network(tasks=2)
    assert torch.equal(model(batch_of(ETHANOL, NOTHING))[1], model.head.bias)


def test_key_prefixes_are_snap_s() -> None:
    keys = network(readout="attention").state_dict()
    assert {key.split(".")[0] for key in keys} == {"gnn", "pool", "graph_pred_linear"}
    assert {"pool.gate_nn.weight", "graph_pred_linear.weight", "gnn.x_embedding1.weight"} <= set(keys)


def test_outputs_from_cached_states_are_the_outputs() -> None:
    model, batch = network(tasks=3).eval(), batch_of(ETHANOL, CYCLOPROPENE)
    states = model.encoder.run(batch)
    assert torch.equal(model.predict_from(states, batch), model(batch))
    assert torch.equal(model.head(model.represent(states, batch)), model(batch))


def test_a_topology_made_before_changes_nothing() -> None:
    model, batch = network().eval(), batch_of(ETHANOL, CYCLOPROPENE)
    assert torch.equal(model(batch, model.encoder.topology(batch)), model(batch))


@pytest.mark.parametrize("options", [{"readout": "middle"}, {"head": "tail"}, {"tasks": 0}])
def test_unknown_parts_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(MolftError, match=r"unknown readout|unknown head|at least one task"):
        network(**options)
