"""molft node-finetune from file to folder: what is chosen by what, and what is said of bad input."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from node_graphs import communities
from sklearn.linear_model import LogisticRegression
from typer.testing import CliRunner

from molft.cli import app
from molft.data.network import Network, make_network
from molft.errors import MolftError
from molft.use.info import describe
from molft.use.node_files import write_result
from molft.use.node_memory import fit_memory
from molft.use.node_model import load_node_model, smooth
from molft.use.node_scores import averaged_attributes, choose_labels, fit_baseline, score_nodes
from molft.use.nodes import NodeOptions, fanouts_of, finetune_nodes, make_config, split_nodes

QUICK = NodeOptions(layers=2, width=16, train_fraction=0.3)


def write(path: Path, network: Network) -> Path:
    size = network.nodes
    links = sp.csr_matrix(
        (np.ones(len(network.neighbours)), network.neighbours, network.starts), (size, size)
    )
    parts = {
        f"{key}_{part}": getattr(matrix, part)
        for key, matrix in (("adj", links), ("attr", network.attributes))
        for part in ("data", "indices", "indptr", "shape")
    }
    np.savez(path, labels=network.labels, **parts)
    return path


def test_the_command_writes_what_python_gives(tmp_path: Path) -> None:
    network = communities()
    file, out = write(tmp_path / "n.npz", network), tmp_path / "model"
    options = ["--layers", "2", "--width", "16", "--train-fraction", "0.3", "--memory", "4GB"]
    told = CliRunner().invoke(app, ["node-finetune", str(file), "-o", str(out), *options])
    assert told.exit_code == 0, told.output
    assert "neighbours drawn in each hop: 10, 5" in " ".join(told.output.split())
    record = json.loads((out / "metrics.json").read_text())
    assert record["trained_on"] == 180 and record["tested_on"] == 420
    rows = pd.read_csv(out / "predictions.csv")
    assert list(rows) == ["node", "part", "label", "predicted", "p_0", "p_1", "p_2"]
    assert rows["part"].value_counts().to_dict() == {"test": 420, "train": 144, "valid": 36}
    assert rows["label"].tolist() == network.labels.argmax(axis=1).tolist()
    test = rows[rows["part"] == "test"]
    assert (test["label"] == test["predicted"]).mean() == pytest.approx(record["test"]["network"]["accuracy"])

    result = finetune_nodes(network, replace(QUICK, memory=4_000_000_000))
    assert result.record["test"] == record["test"]
    np.testing.assert_allclose(rows[["p_0", "p_1", "p_2"]], result.probabilities, atol=1e-6)

    again = CliRunner().invoke(app, ["node-finetune", str(file), "-o", str(out)])
    assert again.exit_code == 1 and "holds a finished model" in again.output


def test_a_saved_model_answers_as_before(tmp_path: Path) -> None:
    network = communities()
    result = finetune_nodes(network, QUICK)
    write_result(result, network, tmp_path / "model")
    model = load_node_model(tmp_path / "model")
    assert (model.classes, model.several) == (("0", "1", "2"), False)
    train, valid, _ = split_nodes(network, 0.3, 0.2, 0)
    found = model.predict(network, np.concatenate([train, valid]))
    np.testing.assert_allclose(found, result.probabilities, atol=1e-6)
    lines = describe(str(tmp_path / "model")).splitlines()
    assert lines[0] == "node labels: 0, 1, 2"
    assert lines[2] == "trained on: 180 nodes; tested on 420"
    assert [line.split(":")[0] for line in lines[3:]] == list(result.record["test"])
    other = make_network(np.zeros((2, 2)), np.ones((2, 7)))
    with pytest.raises(MolftError, match="the network has 7 attributes, but the model was made for 60"):
        model.predict(other)


@pytest.mark.parametrize(
    ("file", "change", "says"),
    [
        (
            "config.json",
            lambda data: data.replace(b"molft-nodes-1", b"molft-nodes-9"),
            "no model of molft node",
        ),
        ("config.json", lambda data: data.replace(b'"classes"', b'"klasses"', 2), "damaged|unknown"),
        ("model.safetensors", lambda data: data[:-1] + b"x", "not the weights that were saved"),
    ],
)
def test_a_damaged_folder_is_refused(tmp_path: Path, file: str, change: object, says: str) -> None:
    network = communities(nodes=100)
    write_result(finetune_nodes(network, replace(QUICK, baselines=False)), network, tmp_path / "m")
    path = tmp_path / "m" / file
    path.write_bytes(change(path.read_bytes()))  # type: ignore[operator]
    with pytest.raises(MolftError, match=says):
        load_node_model(tmp_path / "m")


def test_test_labels_choose_nothing() -> None:
    """With the labels of all test nodes exchanged, the answers are the same."""
    network = communities()
    _, _, test = split_nodes(network, 0.3, 0.2, 0)
    labels = network.labels.copy()
    labels[test] = labels[test][:, [1, 2, 0]]
    wanted = finetune_nodes(network, replace(QUICK, baselines=False))
    found = finetune_nodes(replace(network, labels=labels), replace(QUICK, baselines=False))
    assert np.array_equal(found.probabilities, wanted.probabilities)
    assert found.record["validation"] == wanted.record["validation"]


def test_from_one_network_to_another() -> None:
    source, target = communities(seed=1), communities(seed=2, nodes=300)
    result = finetune_nodes(source, QUICK, target)
    assert result.record["tested_on"] == 300 and set(result.part) == {"test"}
    assert result.record["test"]["network"]["accuracy"] > 0.8
    blind = finetune_nodes(source, QUICK, replace(target, labels=np.zeros_like(target.labels)))
    assert np.array_equal(blind.probabilities, result.probabilities)
    assert blind.record["test"] == {"network": {}} and blind.record["tested_on"] == 0


def test_several_labels_a_node() -> None:
    network = communities()
    labels = network.labels.copy()
    labels[:50, 0] = 1
    result = finetune_nodes(replace(network, labels=labels), QUICK)
    assert result.record["several_labels"] and result.record["test"]["network"]["micro_f1"] > 0.7
    single = finetune_nodes(replace(network, labels=labels), replace(QUICK, labels="single"))
    np.testing.assert_allclose(single.probabilities.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize(
    "chosen", [{"encoder": "none"}, {"encoder": "default", "frozen": True, "skip": False}]
)
def test_layers_of_the_molecular_encoder(chosen: dict[str, object]) -> None:
    network = communities(nodes=200)
    result = finetune_nodes(network, NodeOptions(layers=1, train_fraction=0.3, **chosen))  # type: ignore[arg-type]
    assert result.model.network.config.width == 300
    assert result.record["test"]["network"]["accuracy"] > 0.6


def test_dense_attributes() -> None:
    network = communities()
    dense = replace(network, attributes=network.attributes.toarray().astype(np.float64) * 7 - 100)
    result = finetune_nodes(dense, QUICK)
    assert result.record["network"]["normalise"] == "columns"
    assert result.record["test"]["network"]["accuracy"] > 0.8


@pytest.mark.parametrize(
    ("change", "options", "says"),
    [
        (
            {"labels": np.zeros((600, 3), np.uint8)},
            {},
            "no node has a label; name the labels by --labels-key",
        ),
        (
            {"labels": np.eye(3, dtype=np.uint8)[[0] * 600]},
            {},
            "with classes 0; at least 4, 1 and two classes",
        ),
        ({}, {"train_fraction": 0.005}, "of 600 labelled nodes 3 are for training, 0 for validation"),
        ({}, {"train_fraction": 0.0}, "the training part is 0 and its validation part 0.2"),
        ({}, {"frozen": True}, "--frozen needs an encoder with weights"),
        ({}, {"encoder": "none", "frozen": True}, "would keep random weights"),
        ({}, {"encoder": "nowhere"}, "nowhere: no encoder there"),
        ({}, {"encoder": "default", "layers": 9}, "expected at least 9 of 'gin' of width 300"),
        ({}, {"labels": "both"}, "labels is 'both'; expected auto, single or multi"),
        ({}, {"smoothing": 1.0}, "smoothing is 1; expected 0"),
        ({}, {"memory": 1_000_000}, "--memory 1 MB: about .* MB are needed"),
    ],
)
def test_what_cannot_be_trained_is_refused(
    change: dict[str, np.ndarray], options: dict[str, object], says: str
) -> None:
    with pytest.raises(MolftError, match=says):
        finetune_nodes(replace(communities(), **change), replace(QUICK, **{"layers": 1, **options}))  # type: ignore[arg-type]


def test_networks_of_other_columns_are_refused() -> None:
    with pytest.raises(MolftError, match="the source has 60 attributes and the target 50"):
        finetune_nodes(communities(), QUICK, communities(words=50))
    with pytest.raises(MolftError, match="the source has 3 classes and the target 2"):
        finetune_nodes(communities(), QUICK, communities(classes=2))


def test_a_bad_file_is_one_line_and_exit_code_1(tmp_path: Path) -> None:
    np.savez(tmp_path / "n.npz", adj=np.eye(3), attr=np.ones((4, 1)), labels=[0, 1, 1])
    told = CliRunner().invoke(app, ["node-finetune", str(tmp_path / "n.npz"), "-o", str(tmp_path / "m")])
    assert told.exit_code == 1 and not (tmp_path / "m").exists()
    assert told.output.startswith("molft: ") and "attributes have shape (4, 1)" in told.output


def test_full_memory_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*given: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 70 GiB")

    monkeypatch.setattr("molft.use.nodes.train_nodes", fail)
    file = write(tmp_path / "n.npz", communities(nodes=100))
    told = CliRunner().invoke(app, ["node-finetune", str(file), "-o", str(tmp_path / "m")])
    assert told.exit_code == 1 and "the memory is full; --memory with what" in told.output


def test_a_class_that_no_training_node_has(tmp_path: Path) -> None:
    """The simple answers give it probability 0; scikit-learn alone would warn or fail."""
    network = communities(nodes=100)
    labels = np.hstack([network.labels, np.zeros((100, 1), np.uint8)])
    wider, nodes = replace(network, labels=labels, classes=("0", "1", "2", "3")), np.arange(50)
    for several in (False, True):
        found = fit_baseline("attributes", wider, nodes, wider, several)
        assert found is not None and found.shape == (100, 4) and not found[:, 3].any()


def test_under_a_budget_fewer_nodes_at_a_time_then_fewer_neighbours() -> None:
    network = communities(nodes=20_000)
    config = make_config(network, NodeOptions(layers=3))
    free = fit_memory(network, config, fanouts_of(config), 512, None)
    assert (free.fanouts, free.rows) == ((10, 5, 5), 8192)
    tight = fit_memory(network, config, fanouts_of(config), 512, free.expected - 10_000_000)
    assert tight.expected <= free.expected - 10_000_000 and max(tight.fanouts) < 10
    with pytest.raises(MolftError, match="give more, or a smaller --width"):
        fit_memory(network, config, fanouts_of(config), 512, 1)


def test_simple_answers_are_left_out_where_memory_is_short() -> None:
    network = communities(nodes=200)
    given = ("attributes over two hops", network, np.arange(80), network, False)
    assert fit_baseline(*given, room=2000) is None and fit_baseline(*given, room=10**9) is not None


def test_smoothing_by_hand() -> None:
    """Two linked nodes, the first known to be of class 0: z1 = s/2 (z0 + z1) + (1 - s) a1 in the limit."""
    graph = make_network(np.array([[0, 1], [1, 0]]), np.ones((2, 1)), [0, 1])
    answers = np.array([[0.3, 0.7], [0.4, 0.6]], np.float32)
    assert smooth(graph, answers, np.array([0]), 0.0) is answers
    found = smooth(graph, answers, np.array([0]), 0.5)
    wanted = np.linalg.solve(np.eye(2) - 0.5 * np.full((2, 2), 0.5), 0.5 * np.array([[1, 0], [0.4, 0.6]]))
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_scores_and_labels_by_hand() -> None:
    labels = np.array([[1, 0, 0], [0, 1, 1], [0, 0, 1]], np.uint8)
    answers = choose_labels(np.array([[0.9, 0.1, 0.6], [0.2, 0.4, 0.3], [0.1, 0.1, 0.8]]), True)
    assert answers.tolist() == [[1, 0, 1], [0, 1, 0], [0, 0, 1]]
    # Right 3, missed 1, wrong 1: micro F1 is 6 / 8. Classes 0, 1, 2 have F1 1, 1 and 1/2, and 1, 1, 2 labels.
    found = score_nodes(labels, answers, True)
    assert found == pytest.approx(
        {"accuracy": 1 / 3, "micro_f1": 0.75, "macro_f1": 5 / 6, "weighted_f1": 0.75}
    )
    counted = choose_labels(np.array([[0.2, 0.4, 0.3]]), True, np.array([2]))
    assert counted.tolist() == [[0, 1, 1]]


def test_the_simple_answers_are_those_of_scikit_learn() -> None:
    network, nodes = communities(nodes=200), np.arange(80)
    mean = np.eye(200)
    for node in range(200):
        mean[node, network.neighbours[network.starts[node] : network.starts[node + 1]]] = 1
    mean /= mean.sum(axis=1, keepdims=True)
    rows = mean @ mean @ network.attributes.toarray().astype(float)
    np.testing.assert_allclose(averaged_attributes(network, 2).toarray(), rows)
    model = LogisticRegression(max_iter=1000).fit(rows[nodes], network.labels[nodes].argmax(axis=1))
    found = fit_baseline("attributes over two hops", network, nodes, network, False)
    np.testing.assert_allclose(found, model.predict_proba(rows), atol=1e-3)


def test_acmv9_under_a_hard_limit_of_four_gigabytes(real_data: Path, tmp_path: Path) -> None:
    """The graph of the failed attempt, in an address space of 4 GB: memory that is asked for counts too."""
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_AS, (4 * 10**9,) * 2);"
        "from molft.cli import app; sys.argv[0] = 'molft'; app()"
    )
    words = "--labels single --memory 4GB --epochs 1 --layers 2 --no-baselines --device cpu".split()
    paths = [str(real_data / "citation" / "acmv9.mat"), "-o", str(tmp_path / "m")]
    done = subprocess.run(
        [sys.executable, "-c", code, "node-finetune", *paths, *words], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    peak = re.search(r"peak memory ([\d,]+) MB", " ".join(done.stdout.split()))
    assert peak and int(peak[1].replace(",", "")) < 4000
    record = json.loads((tmp_path / "m" / "metrics.json").read_text())
    assert record["test"]["network"]["weighted_f1"] > 0.6
