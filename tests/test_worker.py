"""Processes that die, hang and eat memory cost the guilty rows and nothing else."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from worker_deeds import (
    FATES,
    act,
    count_threads,
    die_always,
    die_once,
    fail,
    loaded,
    tell_tunables,
    too_much_at_once,
)

from molft.chem.worker import map_blocks
from molft.errors import MolftError

reads_proc = pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="looks for processes in /proc")


def children_of(pid: int | str) -> set[int]:
    """Processes that the threads of a process have started and not collected."""
    lists = Path(f"/proc/{pid}/task").glob("*/children")
    return {int(child) for text in lists for child in text.read_text().split()}


def blocks_of(size: int, count: int) -> list[list[str]]:
    return [[f"{block}.{row}" for row in range(size)] for block in range(count)]


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_results_come_in_order(workers: int) -> None:
    blocks = [*blocks_of(7, 9), [], ["last"]]
    results = list(map_blocks(partial(act, suffix="!"), blocks, workers))
    assert results == [[row + "!" for row in block] for block in blocks]


@pytest.mark.parametrize("fate", ["abort", "kill", "segv", "exit", "memory"])
def test_a_row_that_ends_the_process_is_crashed_and_no_other(fate: str) -> None:
    blocks = blocks_of(20, 3)
    blocks[1][13] = fate
    wanted = [*blocks[0]], [*blocks[1]], [*blocks[2]]
    wanted[1][13] = "crashed"
    assert list(map_blocks(act, blocks, workers=2)) == list(wanted)


def test_a_row_that_hangs_is_a_timeout_and_no_other() -> None:
    block = [str(row) for row in range(20)]
    block[0] = "hang"
    assert list(map_blocks(act, [block, ["next"]], 1, timeout_s=0.3)) == [["timeout", *block[1:]], ["next"]]


def test_a_row_that_waits_for_ever_is_a_timeout_too() -> None:
    assert list(map_blocks(act, [["sleep", "next"]], 1, timeout_s=0.05)) == [["timeout", "next"]]


def test_time_spent_waiting_for_the_processor_is_not_held_against_a_row() -> None:
    assert list(map_blocks(act, [["pause", "next"]], 1, timeout_s=0.5)) == [["pause", "next"]]


def test_several_guilty_rows_of_each_kind_are_all_found() -> None:
    block = [str(row) for row in range(300)]
    guilty = {0: "abort", 1: "kill", 150: "hang", 299: "segv"}
    for row, fate in guilty.items():
        block[row] = fate
    (result,) = map_blocks(act, [block], 1, timeout_s=0.3)
    assert {row: result[row] for row in guilty} == {
        0: "crashed",
        1: "crashed",
        150: "timeout",
        299: "crashed",
    }
    assert [r for r in result if r not in ("crashed", "timeout")] == [r for r in block if r not in FATES]


def test_a_block_of_guilty_rows_only_comes_back() -> None:
    assert list(map_blocks(act, [["abort"], ["kill", "abort"]], 1)) == [["crashed"], ["crashed", "crashed"]]


def test_a_death_that_does_not_come_again_costs_nothing(tmp_path: Path) -> None:
    """As when the system, short of memory, happens to pick a worker."""
    blocks = blocks_of(5, 2)
    assert list(map_blocks(partial(die_once, marker=tmp_path / "died"), blocks, 1)) == blocks


def test_a_block_that_dies_by_no_single_row_is_given_up_as_a_whole() -> None:
    # 48 rows are searched in parts of 3, which live: no row can be blamed, so none is trusted.
    blocks = [[str(row) for row in range(48)], ["a", "b"]]
    assert list(map_blocks(too_much_at_once, blocks, 1)) == [["crashed"] * 48, ["a", "b"]]


def test_dying_even_without_its_rows_is_an_error() -> None:
    with pytest.raises(MolftError, match=r"ended \(crashed\) on a block of 2 rows even when"):
        list(map_blocks(die_always, [["a", "b"]], 1))


def test_children_load_neither_torch_nor_pandas() -> None:
    assert list(map_blocks(loaded, [["C"]], 1)) == [["rdkit"]]


def test_children_run_one_thread_and_leave_ctrl_c_to_the_parent() -> None:
    assert list(map_blocks(count_threads, [["C"]], 1)) == [["1", "True"]]


@pytest.mark.parametrize("own", ["", "glibc.malloc.perturb=1"])
def test_children_keep_small_pieces_of_memory_and_what_the_user_set(
    own: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GLIBC_TUNABLES", own)
    ((tunables,),) = map_blocks(tell_tunables, [["C"]], 1)
    assert "glibc.malloc.tcache_count=1000" in tunables.split(":")
    assert tunables.endswith(f":{own}" if own else "hugetlb=1")


def test_the_first_blocks_are_on_their_way_before_anybody_asks() -> None:
    taken = list[str]()

    def blocks() -> Iterator[list[str]]:
        for name in "abcdef":
            taken.append(name)
            yield [name]

    results = map_blocks(act, blocks(), workers=2)
    assert taken == ["a", "b", "c", "d"]
    assert list(results) == [[name] for name in "abcdef"]


def test_blocks_are_taken_as_they_are_needed() -> None:
    taken = []

    def endless() -> Iterator[list[str]]:
        while True:
            taken.append(len(taken))
            yield [str(len(taken))]

    results = map_blocks(act, endless(), workers=2)
    assert [next(results) for _ in range(5)] == [["1"], ["2"], ["3"], ["4"], ["5"]]
    assert len(taken) <= 5 + 3


@reads_proc
def test_stopping_early_ends_the_children_at_once() -> None:
    before = children_of("self")
    results = map_blocks(act, [["first"], *[["hang"]] * 3], workers=1, timeout_s=600)
    assert next(results) == ["first"]
    assert len(children_of("self") - before) == 1
    results.close()
    assert children_of("self") == before


def test_a_python_error_is_reported_with_its_traceback() -> None:
    with pytest.raises(MolftError, match=r"(?s)block of 2 rows failed.*ZeroDivisionError"):
        list(map_blocks(fail, [["a", ""]], 1))


def test_an_error_meant_for_the_user_stays_as_it_is() -> None:
    with pytest.raises(MolftError, match=r"^no such scheme$"):
        list(map_blocks(fail, [["bad option"]], 1))


def test_an_error_of_the_source_of_blocks_passes_through() -> None:
    def broken() -> Iterator[list[str]]:
        yield ["a"]
        raise MolftError("line 3 is ragged")

    with pytest.raises(MolftError, match=r"line 3 is ragged"):
        list(map_blocks(act, broken(), 2))


@pytest.mark.parametrize(("workers", "timeout_s"), [(-1, 1.0), (1, 0.0)])
def test_senseless_settings_are_refused(workers: int, timeout_s: float) -> None:
    with pytest.raises(MolftError, match=r"workers must be 0 or more"):
        map_blocks(act, [], workers, timeout_s)


def test_a_function_that_no_child_can_import_is_refused() -> None:
    script = """
from molft.chem.worker import map_blocks
def mine(rows, *, lost):
    return rows
try:
    list(map_blocks(mine, [["a"]], 1))
except Exception as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "a worker process can't start" in done.stdout and "mine" in done.stdout


def test_a_script_without_a_main_guard_works(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text("""
from functools import partial
from molft.chem.prepare import Recipe, prepare
from molft.chem.worker import map_blocks
rows = ["OCC", "x", "[Na+].CC(=O)[O-]"]
(block,) = map_blocks(partial(prepare, recipe=Recipe(keys=True)), [rows], 1)
print(block.keys, block.index, block.rejected[0].stage)
""")
    done = subprocess.run(
        [sys.executable, str(tmp_path / "script.py")],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.stdout == "['CCO', 'CC(=O)O'] [0 2] parse\n", done.stderr


@reads_proc
@pytest.mark.parametrize("row", ["b", "pause"])
def test_children_of_a_killed_parent_end_quietly(row: str) -> None:
    """At once when they wait for a block, else when theirs is done."""
    script = f"""
import sys
from worker_deeds import act
from molft.chem.worker import map_blocks
for result in map_blocks(act, [["a"], ["{row}"]] * 100, 1):
    print(result, flush=True)
    sys.stdin.readline()
"""
    parent = subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert parent.stdout is not None and parent.stdout.readline() == "['a']\n"
    (child,) = children_of(parent.pid)
    parent.kill()
    # The child has the same standard error, so that this waits for it.
    assert parent.communicate(timeout=60)[1] == ""
    for _ in range(200):
        state = Path(f"/proc/{child}/stat")
        if not state.exists() or state.read_text().split()[2] == "Z":
            return
        time.sleep(0.05)
    pytest.fail("the child is still there 10 s after its parent was killed")
