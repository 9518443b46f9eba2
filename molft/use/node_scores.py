"""Scores of node labels, and the two simple answers that stand beside every network.

Shapes: N nodes, C classes, F attributes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from molft.data.network import Network

SCORES = ("accuracy", "weighted_f1", "micro_f1", "macro_f1")
BASELINES = {"attributes": 0, "attributes over two hops": 2}

# Entries of the averaged attributes from which on the simple answers would cost more than the network.
_MOST_ENTRIES = 10_000_000
# Value and column of a matrix and of its product with the next average, and the copy that is fitted.
_ENTRY_BYTES = 48

Answers = NDArray[np.uint8]


def score_nodes(labels: Answers, answers: Answers, several: bool) -> dict[str, float]:
    """Accuracy and weighted, micro and macro F1, as scikit-learn defines them.

    Where nodes may have ``several`` labels, accuracy counts nodes with all labels right; else the first label
    of a node is the truth. A class that is neither there nor answered counts 0 in F1. No node gives nothing.

    Shapes: labels, answers [N, C] zeros and ones.

    >>> one, two = [1, 0], [0, 1]
    >>> score_nodes(np.array([one, one, two, two]), np.array([one, two, two, two]), several=False)
    {'accuracy': 0.75, 'weighted_f1': 0.733..., 'micro_f1': 0.75, 'macro_f1': 0.733...}
    """
    if not len(labels):
        return {}
    truth, told = (labels, answers) if several else (labels.argmax(axis=1), answers.argmax(axis=1))
    out = {"accuracy": float(accuracy_score(truth, told))}
    for average in ("weighted", "micro", "macro"):
        # All classes by name: one that only this part lacks must not change what is averaged.
        among = None if several else np.arange(labels.shape[1])
        kept = f1_score(truth, told, average=average, labels=among, zero_division=0)
        out[f"{average}_f1"] = float(kept)
    return out


def choose_labels(
    probabilities: NDArray[np.floating], several: bool, counts: NDArray[np.int64] | None = None
) -> Answers:
    """Labels of each node: the likeliest, and where it may have ``several``, all of at least one half.

    Given ``counts``, each node gets so many of the likeliest labels: the protocol of AdaGCN's published
    code, which looks at how many labels a test node has.

    Shapes: probabilities [N, C], counts [N], out [N, C].

    >>> choose_labels(np.array([[0.2, 0.7, 0.6], [0.1, 0.3, 0.2]]), several=True).tolist()
    [[0, 1, 1], [0, 1, 0]]
    """
    order = np.argsort(-probabilities, axis=1, kind="stable")
    if counts is None:
        counts = np.maximum((probabilities >= 0.5).sum(axis=1), 1) if several else np.ones(len(order), int)
    out = np.zeros(probabilities.shape, np.uint8)
    first = np.arange(probabilities.shape[1]) < counts[:, None]
    np.put_along_axis(out, order, first.astype(np.uint8), axis=1)
    return out


def fit_baseline(
    name: str,
    source: Network,
    nodes: NDArray[np.int64],
    target: Network,
    several: bool,
    room: int | None = None,
) -> NDArray[np.float64] | None:
    """Probabilities [N, C] of the target's nodes by logistic regression on the source's ``nodes``.

    On the attributes as they are, or averaged twice over a node and its neighbours (:data:`BASELINES`).
    None where the averages would be too many numbers, or more than ``room`` bytes hold.
    """
    hops = BASELINES[name]
    most = _MOST_ENTRIES if room is None else min(_MOST_ENTRIES, room / _ENTRY_BYTES)
    if any(_entries(network, hops) > most for network in (source, target)):
        return None
    rows, labels = averaged_attributes(source, hops)[nodes], source.labels[nodes]
    questions = averaged_attributes(target, hops)
    out = np.zeros((target.nodes, labels.shape[1]))
    if not several:
        model = _regression(rows).fit(rows, labels.argmax(axis=1))
        out[:, model.classes_] = model.predict_proba(questions)
        return out
    for number, column in enumerate(labels.T):
        if column.min() < column.max():
            out[:, number] = _regression(rows).fit(rows, column).predict_proba(questions)[:, 1]
        else:
            out[:, number] = column[0]
    return out


def _regression(rows: Any) -> Any:  # noqa: ANN401
    """Logistic regression with scikit-learn's defaults; dense columns are standardised first."""
    model = LogisticRegression(max_iter=1000)
    return model if sp.issparse(rows) else make_pipeline(StandardScaler(), model)


def averaged_attributes(network: Network, hops: int) -> Any:  # noqa: ANN401  (a SciPy matrix or an array)
    """Attributes averaged ``hops`` times over a node and its neighbours, float64 [N, F], sparse or dense."""
    rows = network.attributes.astype(np.float64)
    links, shares = link_matrix(network), 1.0 / (np.diff(network.starts) + 1)
    for _ in range(hops):
        total = links @ rows + rows
        rows = sp.diags_array(shares) @ total if sp.issparse(total) else shares[:, None] * total
    return rows


def link_matrix(network: Network) -> Any:  # noqa: ANN401
    """The adjacency matrix, SciPy CSR float32 [N, N]."""
    parts = (np.ones(len(network.neighbours), np.float32), network.neighbours, network.starts)
    return sp.csr_matrix(parts, (network.nodes, network.nodes))


def _entries(network: Network, hops: int) -> float:
    """At most so many numbers the averaged attributes have."""
    size, width = network.attributes.shape
    if not sp.issparse(network.attributes):
        return float(size * width)
    mean_terms = (len(network.neighbours) / max(size, 1) + 1) ** hops
    return float(min(size * width, network.attributes.nnz * mean_terms))
