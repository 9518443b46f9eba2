"""The table of scores: for 80 columns, with the reasons for what is undefined."""

import io
from dataclasses import replace

import numpy as np
from rich.console import Console

from molft.use.score_table import score_table
from molft.use.scores import score
from tests.finished import finish


def shown(table: object, width: int = 80) -> str:
    file = io.StringIO()
    Console(file=file, width=width, color_system=None).print(table)
    return file.getvalue()


def test_score_table_of_one_task() -> None:
    model, _, evaluation, _ = finish(answer="forest")
    lines = [line.rstrip() for line in shown(score_table(evaluation, model.about)).splitlines()]
    assert lines[1].split() == ["answer", "test", "validation"]
    found = evaluation.scores["test"]["forest"].tasks["active"]["roc_auc"].text
    row = next(line for line in lines if "* forest" in line)
    assert found in row and evaluation.scores["valid"]["forest"].tasks["active"]["roc_auc"].text in row
    assert sum("*" in line for line in lines) == 3 + 1  # three metrics, and the caption
    assert max(map(len, lines)) <= 80
    assert "active" not in "\n".join(lines[:-3])


def test_score_table_fits_80_columns() -> None:
    tasks = ("a", "[red]" + "long name " * 10, "b")
    model, _, evaluation, _ = finish("regression", tasks, bounded=40)
    text = shown(score_table(evaluation, model.about))
    assert max(map(len, text.splitlines())) <= 80
    for part in ("test", "valid"):
        assert evaluation.scores[part]["network"].tasks["b"]["rmse"].text in text
    assert "[red]long" in text and "bounds" in text
    assert "Lower RMSE and MAE is better" in " ".join(text.split())


def test_score_table_of_many_tasks_names_the_ends() -> None:
    model, _, evaluation, _ = finish(tasks=tuple(f"NR-{number}" for number in range(12)))
    text = shown(score_table(evaluation, model.about))
    ranks = evaluation.scores["test"]["blend"].tasks
    order = sorted(ranks, key=lambda task: ranks[task]["roc_auc"].value or 0)
    named = [line.split()[0] for line in text.splitlines() if line.lstrip().startswith("NR-")]
    assert named == [*order[:3], *order[-3:]]
    assert "of the 6 that are worst and best" in " ".join(text.split())


def test_score_table_says_why_a_score_is_undefined() -> None:
    model, data, evaluation, _ = finish()
    rows = len(data.split.test)
    undefined = score(np.ones((rows, 1)), np.full((rows, 1), 0.5), "classification", ["active"], resamples=0)
    scores = {**evaluation.scores, "test": dict.fromkeys(("network", "forest", "blend"), undefined)}
    text = " ".join(shown(score_table(replace(evaluation, scores=scores), model.about)).split())
    assert "undefined" in text
    assert f"Undefined: test, active: only class 1 among {rows} rows." in text


def test_score_table_without_a_test_part() -> None:
    model, _, evaluation, _ = finish(parts=("valid",))
    text = shown(score_table(evaluation, model.about))
    assert "validation" in text and " test" not in text
