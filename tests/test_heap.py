"""The allocator of a long run, in processes of their own: what it is told stays with a process."""

import subprocess
import sys

import pytest

from molft.use.heap import kept_heap

COUNT = """
import resource, sys
import torch
from molft.train.resident import used
from molft.use.heap import kept_heap

CPU = torch.device("cpu")
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def work():
    pieces = [torch.ones(5_000_000) for _ in range(4)]  # 20 MB each
    return sum(float(piece[-1]) for piece in pieces)
with kept_heap(sys.argv[1] == "kept"):
    work()
    before = faults()
    for _ in range(10):
        work()
    told, held = faults() - before, used(CPU)
print(told, held, used(CPU))
"""


def run(how: str) -> list[int]:
    done = subprocess.run([sys.executable, "-c", COUNT, how], capture_output=True, text=True, check=True)
    return [int(number) for number in done.stdout.split()]


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator and Linux's pages")
def test_blocks_use_the_memory_of_those_before_and_give_it_back_in_the_end() -> None:
    faults, held, after = run("kept")
    usual, _, _ = run("usual")
    # 800 MB were written: up to 200,000 pages of 4 KB where they are asked for anew.
    assert faults < 2_000 < usual
    assert after < held - 60_000_000


def test_what_fails_inside_is_passed_on() -> None:
    with pytest.raises(ValueError, match="inside"), kept_heap():
        raise ValueError("inside")
