"""Options that come back from JSON as they were, and options that make no sense."""

import json

import pytest

from molft.errors import MolftError
from molft.model.config import EncoderConfig, NetworkConfig

OGB = EncoderConfig(
    scheme="ogb",
    atom_sizes=(120, 5, 12),
    bond_sizes=(7, 6, 2),
    loop_bond=(5, 0, 0),
    jk="concat",
    dropout=0.1,
)


@pytest.mark.parametrize("config", [EncoderConfig(), OGB])
def test_json_gives_the_encoder_options_back(config: EncoderConfig) -> None:
    assert EncoderConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


def test_json_gives_the_network_options_back() -> None:
    config = NetworkConfig(tasks=12, readout="set2set3", head="mlp", hidden=64, dropout=0.5)
    assert NetworkConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


def test_missing_options_take_their_defaults() -> None:
    assert EncoderConfig.from_json({"layers": 3}) == EncoderConfig(layers=3)


def test_a_whole_number_is_a_rate_too() -> None:
    assert EncoderConfig.from_json({"dropout": 0}).dropout == 0.0


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"layer": 3}, "unknown encoder option layer; expected some of conv, layers"),
        ({"layers": "3"}, "layers is '3'; expected a value like 5"),
        ({"layers": True}, "layers is True"),
        ({"layers": 2.0}, "layers is 2.0"),
        ({"layers": 0}, "must be at least 1"),
        ({"width": -1}, "must be at least 1"),
        ({"conv": "gine"}, "conv is 'gine'; expected one of gin, gcn, graphsage, gat"),
        ({"jk": "mean"}, "jk is 'mean'; expected one of last, concat, max, sum"),
        ({"dropout": 1.0}, "dropout rate is 1.0"),
        ({"atom_sizes": [120, 3.5]}, "atom_sizes is"),
        ({"atom_sizes": []}, "table sizes must be at least 1"),
        ({"bond_sizes": [6, 0]}, "table sizes must be at least 1"),
        ({"loop_bond": [6, 0]}, r"loop_bond \(6, 0\) is no code of bond tables \(6, 3\)"),
        ({"loop_bond": [4]}, r"loop_bond \(4,\) is no code"),
    ],
)
def test_impossible_encoders_are_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(MolftError, match=message):
        EncoderConfig.from_json(values)


def test_unknown_network_options_are_refused() -> None:
    with pytest.raises(MolftError, match="unknown network option pooling"):
        NetworkConfig.from_json({"pooling": "mean"})
