"""The summary of the strategies' table, and what a seed draws."""

from pathlib import Path

import numpy as np
import pytest

from tests.benchmarks import strategies
from tests.benchmarks.strategies import FIELDS, KEY, draw, summarize
from tests.series import halogen_examples


def row(name: str, labels: str, strategy: str, seed: int, valid: str, test: str) -> dict[str, str]:
    metric = "rmse" if name == "esol" else "roc_auc"
    return {
        "set": name,
        "labels": labels,
        "strategy": strategy,
        "seed": str(seed),
        "metric": metric,
        "valid": valid,
        "test": test,
    }


ROWS = [
    # full beats frozen with one seed on validation, loses with the other; on test it wins with both
    row("bace", "50", "frozen", 0, "0.70", "0.60"),
    row("bace", "50", "full", 0, "0.80", "0.65"),
    row("bace", "50", "frozen", 1, "0.70", "0.60"),
    row("bace", "50", "full", 1, "0.65", "0.70"),
    # an error: the smaller wins
    row("esol", "all", "frozen", 0, "1.10", "1.00"),
    row("esol", "all", "full", 0, "0.90", "1.00"),
    row("esol", "50", "frozen", 0, "1.10", "1.20"),
    row("esol", "50", "full", 0, "1.20", "1.10"),
    # not every strategy has been through it, or it has no score
    row("bace", "100", "full", 0, "0.80", "0.80"),
    row("bbbp", "50", "frozen", 0, "undefined", "undefined"),
    row("bbbp", "50", "full", 0, "0.80", "0.90"),
]


def test_ranks_are_means_over_the_draws_all_have_been_through() -> None:
    assert summarize(ROWS) == [
        "mean rank on valid     frozen      full  draws",
        "      rmse       50      1.00      2.00      1",
        "      rmse      all      2.00      1.00      1",
        "   roc_auc       50      1.50      1.50      2",
        "mean score on valid    frozen      full  draws",
        "      rmse       50    1.1000    1.2000      1",
        "      rmse      all    1.1000    0.9000      1",
        "   roc_auc       50    0.7000    0.7250      2",
        "mean rank on test      frozen      full  draws",
        "      rmse       50      2.00      1.00      1",
        "      rmse      all      1.50      1.50      1",
        "   roc_auc       50      2.00      1.00      2",
        "mean score on test     frozen      full  draws",
        "      rmse       50    1.2000    1.1000      1",
        "      rmse      all    1.0000    1.0000      1",
        "   roc_auc       50    0.6000    0.6750      2",
    ]


def test_without_rows_there_is_nothing_to_rank() -> None:
    assert [line.split() for line in summarize([])] == [
        ["mean", what, "on", part, "draws"] for part in ("valid", "test") for what in ("rank", "score")
    ]


def test_a_seed_draws_the_same_molecules_and_another_one_others() -> None:
    train = halogen_examples(40)
    few, again, other = draw(train, "10", 1), draw(train, "10", 1), draw(train, "10", 2)
    assert len(few) == 10
    assert np.array_equal(few.graphs.atoms, again.graphs.atoms)
    assert not np.array_equal(few.labels, other.labels) or len(few.graphs.atoms) != len(other.graphs.atoms)
    assert draw(train, "all", 1) is train


def test_a_row_that_stands_in_the_table_is_not_measured_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[tuple[str, str, int]] = []

    def measured(  # the arguments of strategies.measure
        start: object, parts: object, kind: str, strategy: str, labels: str, seed: int, device: str
    ) -> dict[str, str]:
        asked.append((labels, strategy, seed))
        return dict.fromkeys(FIELDS[len(KEY) + 1 :], "0.5") | {"metric": "roc_auc"}

    parts = [halogen_examples(n) for n in (60, 9, 9)]
    monkeypatch.setattr(strategies, "read_parts", lambda name, scheme, inner: (parts, "classification"))
    monkeypatch.setattr(strategies, "measure", measured)
    words = [
        "strategies",
        "--sets",
        "bace",
        "--table",
        str(tmp_path / "t.csv"),
        "--strategies",
        "full",
        "lora",
    ]
    for seeds in ("1", "2"):
        monkeypatch.setattr("sys.argv", [*words, "--seeds", seeds])
        strategies.main()
    # There are no 100 or 500 molecules to draw.
    assert asked == [(n, name, seed) for seed in (0, 1) for n in ("50", "all") for name in ("full", "lora")]
