"""The benchmarks of networks: what is made up, and which rows a table gets."""

from pathlib import Path

import numpy as np

from molft.data.network_files import read_network
from tests.benchmarks.network_scale import write_network
from tests.benchmarks.networks import settings


def test_the_made_up_network_is_what_it_is_said_to_be(tmp_path: Path) -> None:
    write_network(tmp_path / "n.npz", 2000)
    network = read_network(tmp_path / "n.npz")
    assert (network.nodes, network.attributes.shape, len(network.classes)) == (2000, (2000, 2000), 10)
    assert network.notes == ()  # both directions, no loops
    degrees = np.diff(network.starts)
    assert 36 < degrees.mean() < 40 and degrees.max() > 10 * np.median(degrees)
    label = network.labels.argmax(axis=1)
    within = label[np.repeat(np.arange(2000), degrees)] == label[network.neighbours]
    assert 0.6 < within.mean() < 0.75


def test_each_part_has_its_rows() -> None:
    rows = list(settings(["single", "multi", "transfer"], ["acmv9", "dblpv7"]))
    assert rows[0] == ("single", "acmv9", "acmv9", "attributes")
    assert rows[-1] == ("transfer", "dblpv7", "acmv9", "GIN pre-trained, frozen + attributes")
    assert [sum(row[0] == part for row in rows) for part in ("single", "multi", "transfer")] == [18, 10, 10]
