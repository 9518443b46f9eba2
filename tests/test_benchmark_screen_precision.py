"""What two rankings have in common."""

import numpy as np

from tests.benchmarks.screen_precision import overlap


def test_the_overlap_is_that_of_the_best() -> None:
    one = np.arange(200.0)
    other = one.copy()
    other[[0, 198]] = other[[198, 0]]  # of the best two, one is now the last
    assert overlap(one, one) == 1.0
    assert overlap(one, other) == 0.5
    assert overlap(one, -one) == 0.0
    assert overlap(one[:5], -one[:5]) == 0.0  # at least one compound
