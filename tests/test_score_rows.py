"""Which scores and tasks people are shown."""

from dataclasses import replace

import pytest

from molft.use.metrics import LOWER_IS_BETTER
from molft.use.score_rows import (
    METRIC_NAMES,
    chosen_metric,
    listed_tasks,
    overall,
    rank_tasks,
    shown_metrics,
    shown_part,
)
from molft.use.scores import Score
from tests.finished import finish


def test_metrics_by_task_type() -> None:
    model, _, evaluation, _ = finish()
    assert shown_metrics(evaluation, model.about) == ["roc_auc", "pr_auc", "mcc"]
    model, _, evaluation, _ = finish("regression")
    assert shown_metrics(evaluation, model.about) == ["rmse", "mae", "r2", "spearman"]
    model, _, evaluation, _ = finish("regression", bounded=40)
    assert shown_metrics(evaluation, model.about)[-1] == "bounds_kept"


@pytest.mark.parametrize("task_type", ["classification", "regression"])
def test_every_metric_has_a_name(task_type: str) -> None:
    _, _, evaluation, _ = finish(task_type, bounded=40 if task_type == "regression" else 0)
    assert (
        set(evaluation.scores["test"]["blend"].mean) | LOWER_IS_BETTER <= set(METRIC_NAMES) | LOWER_IS_BETTER
    )
    assert set(METRIC_NAMES) >= LOWER_IS_BETTER


def test_the_part_that_counts() -> None:
    assert shown_part(finish()[2]) == "test"
    assert shown_part(finish(parts=("valid",))[2]) == "valid"


def test_overall_is_the_only_task_or_the_mean() -> None:
    one = finish()[2].scores["test"]["blend"]
    assert overall(one) is one.tasks["active"]
    two = finish(tasks=("a", "b"))[2].scores["test"]["blend"]
    assert overall(two) is two.mean


def test_the_metric_that_chose() -> None:
    assert chosen_metric(finish()[0].about) == "roc_auc"
    assert chosen_metric(finish("regression")[0].about) == "rmse"


@pytest.mark.parametrize(("task_type", "worst_first"), [("classification", 1), ("regression", -1)])
def test_tasks_are_ranked_from_the_worst(task_type: str, worst_first: int) -> None:
    model, _, evaluation, _ = finish(task_type, tasks=tuple("abcdefghij"))
    found = evaluation.scores["test"]["blend"].tasks
    metric = chosen_metric(model.about)
    values = [worst_first * (found[task][metric].value or 0) for task in rank_tasks(evaluation, model.about)]
    assert values == sorted(values) and len(values) == 10


def test_few_tasks_keep_their_order_and_of_many_both_ends_are_listed() -> None:
    model, _, evaluation, _ = finish(tasks=tuple("hgfedcba"))
    assert listed_tasks(evaluation, model.about) == list("hgfedcba")
    model, _, evaluation, _ = finish(tasks=tuple("ihgfedcba"))
    ranked = rank_tasks(evaluation, model.about)
    assert listed_tasks(evaluation, model.about) == ranked[:3] + ranked[-3:]


def test_undefined_tasks_are_not_ranked() -> None:
    model, _, evaluation, _ = finish(tasks=tuple("abcdefghij"))
    blend = evaluation.scores["test"]["blend"]
    nothing = {"roc_auc": Score(None, None, None, 0, "no row to judge")}
    tasks = {task: blend.tasks[task] if task in "abcd" else nothing for task in blend.tasks}
    scores = {"test": {**evaluation.scores["test"], "blend": replace(blend, tasks=tasks)}}
    assert sorted(listed_tasks(replace(evaluation, scores=scores), model.about)) == list("abcd")
