"""The table of a reproduction: means in per cent, published numbers beside them, on screen and drawn."""

from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from molft.use.reproduce_plot import draw_results
from molft.use.reproduce_table import results_table, summarize


def record(name: str, seed: int, test: float, metric: str = "roc_auc", tasks: int = 1) -> dict[str, Any]:
    scores = {answer: {"valid": 0.5, "test": test, "tasks": 1} for answer in ("network", "forest")}
    return {"set": name, "seed": seed, "metric": metric, "tasks": tasks, "scores": scores}


def test_means_and_deviations_by_hand() -> None:
    bace, esol = summarize(
        [record("esol", 0, 1.25, "rmse"), record("bace", 1, 0.74, tasks=3), record("bace", 0, 0.70, tasks=3)]
    )
    assert (bace["set"], bace["seeds"], bace["scored_tasks"], bace["tasks"]) == ("bace", [0, 1], 1, 3)
    # Half the difference of two seeds is their deviation as a population.
    assert bace["ours"]["network"]["mean"] == pytest.approx(72.0)
    assert bace["ours"]["network"]["std"] == pytest.approx(2.0)
    assert esol["ours"]["forest"] == {"mean": 1.25, "std": None, "seeds": 1}
    assert bace["published"]["none"]["value"] == 70.1
    assert esol["published"] == {} and "blend" not in esol["ours"]


def test_the_mean_over_the_papers_sets() -> None:
    rows = summarize([record("bace", 0, 0.7), record("bbbp", 0, 0.6), record("esol", 0, 1.0, "rmse")])
    assert [row["set"] for row in rows] == ["bbbp", "bace", "esol", "mean of 2 sets"]
    assert rows[-1]["ours"]["network"]["mean"] == pytest.approx(65.0)
    assert rows[-1]["published"]["none"]["value"] == pytest.approx((65.8 + 70.1) / 2)


def test_a_score_that_is_undefined_leaves_no_number() -> None:
    one = record("bace", 0, 0.7)
    one["scores"]["forest"]["test"] = None
    assert "forest" not in summarize([one])[0]["ours"]


def shown(rows: list[dict[str, Any]]) -> str:
    console = Console(width=80, record=True, file=None)
    with console.capture() as capture:
        console.print(results_table(rows))
    return capture.get()


def test_eight_sets_of_both_kinds_fit_eighty_columns() -> None:
    names = ("bbbp", "tox21", "toxcast", "sider", "clintox", "muv", "hiv", "bace")
    records = [record(name, seed, 0.651 + 0.1 * seed, tasks=3) for name in names for seed in (0, 1)]
    records += [record("lipophilicity", seed, 0.71 + seed / 50, "rmse") for seed in (0, 1)]
    for one in records:
        one["scores"] |= {answer: one["scores"]["network"] for answer in ("blend", "answer")}
    text = shown(summarize(records))
    assert "…" not in text
    table = reversed(text.splitlines())  # the caption under it may begin a line with a set, too
    lines = {line.split()[0]: line.split()[1:] for line in table if line.strip()}
    assert lines["bace"] == ["70.1±5.4", "79.6±1.2", "84.5±.7", *["70.1±5.0"] * 4]
    for one in records:
        one["scores"]["gp"] = {"valid": 0.5, "test": 0.999, "tasks": 1}
    text = shown(summarize(records))
    assert "…" not in text and "blend" not in text
    assert next(line for line in text.splitlines() if line.strip().startswith("bace")).split() == [
        *("bace", "70.1±5.4", "79.6±1.2", "84.5±.7", "70.1±5.0", "70.1±5.0", "99.9±.0", "70.1±5.0")
    ]
    assert lines["lipophilicity"] == ["0.72±.01"] * 4
    assert " ".join(lines["mean"]) == "of 8 sets 67.0 70.9 76.3 70.1 70.1 70.1 70.1"
    words = " ".join(text.split())
    assert "Tasks with both classes in test: bbbp 1 of 3, tox21 1 of 3" in words
    assert "bace supervised + ContextPred" in words


def test_the_picture(tmp_path: Path) -> None:
    rows = summarize([record("bace", 0, 0.7), record("bbbp", 0, 0.6), record("esol", 0, 1.0, "rmse")])
    draw_results(rows, tmp_path / "table.png")
    assert (tmp_path / "table.png").read_bytes().startswith(b"\x89PNG")
