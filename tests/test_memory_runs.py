"""Real memory: a budget is kept, and where the kernel allows no more, a training goes on in less."""

import sys

import pytest

from tests.memory_deeds import run_deed

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="peaks are read from /proc")


@pytest.mark.parametrize(("deed", "budget", "without"), [("finetune", 140, 150), ("pretrain", 100, 110)])
def test_the_peak_stays_within_the_budget_which_it_wouldnt_by_itself(
    deed: str, budget: int, without: int
) -> None:
    kept, plain = run_deed(deed, budget)
    assert kept["error"] == plain["error"] == ""
    assert kept["peak"] <= budget < without < plain["peak"]
    assert len(kept["lines"]) == 1
    assert "layers keep their inputs only" in kept["lines"][0]


def test_a_hard_limit_that_ends_a_training_doesnt_end_it_within_a_budget() -> None:
    # The budget is far above the limit, so nothing but running out of memory tells.
    plain, kept = run_deed("finetune", 5000, limit=130)
    assert "can't allocate memory" in plain["error"]
    assert plain["lines"] == []
    assert kept["error"] == ""
    assert "layers keep their inputs only" in kept["lines"][0]
