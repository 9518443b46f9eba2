"""Rows of a block and processes of a screen within a memory budget."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from molft.chem.prepare import Block, Recipe, prepare
from molft.errors import MolftError
from molft.files import write_json
from molft.use import block_size
from molft.use.block_size import fit_job
from molft.use.parts import PLAN, parts_folder
from molft.use.question import Question
from molft.use.screen import screen
from molft.use.sweep import Job
from tests.meter import Meter, use_meter

TEXTS = [f"{'C' * (1 + row % 9)}O" for row in range(1024)]


@pytest.fixture(scope="module")
def first_block() -> Block:
    """What the library's first block becomes."""
    return prepare(TEXTS, Recipe())


@pytest.fixture
def meter(monkeypatch: pytest.MonkeyPatch, first_block: Block) -> Meter:
    """Of 100 bytes held here and 200 by each process that reads; a row's answer takes 1."""
    made = use_meter(monkeypatch)

    def read(function: object, blocks: list[list[str]], workers: int) -> Iterator[Block]:
        assert blocks == [TEXTS]
        assert workers == 1
        yield first_block

    monkeypatch.setattr(block_size, "map_blocks", read)
    monkeypatch.setattr(block_size, "used", lambda device: made.held)
    monkeypatch.setattr(block_size, "peak_of_child", lambda: 200)
    return made


def job(folder: Path, **changes: object) -> Job:
    library = folder / "library.smi"
    library.write_text("".join(f"{text}\n" for text in TEXTS))
    return Job(library, folder / "out.csv", **changes)


def question(meter: Meter) -> Question:
    def answer(block: Block) -> np.ndarray:
        meter.take(len(block.index))
        return np.zeros((len(block.index), 1))

    return Question("asking", Recipe(), ("x",), answer, {})


@pytest.mark.parametrize(
    ("size", "rows", "workers"),
    [
        (4_000, 1024, 2),  # 100 + 2 x 200 + 2 x 1.5 x 1024
        (2_200, 512, 2),
        (1_400, 256, 2),
        (950, 128, 2),
        (800, 256, 1),  # rather one process than blocks of fewer than 128 rows
        (400, 32, 1),
        (330, 8, 1),
    ],
)
def test_rows_are_halved_before_processes_go(
    size: int, rows: int, workers: int, meter: Meter, tmp_path: Path
) -> None:
    lines: list[str] = []
    found = fit_job(job(tmp_path, workers=2), question(meter), size, lines.append)
    assert (found.block_rows, found.workers) == (rows, workers)
    assert len(lines) == 1
    assert f"{rows:,} rows a block, processes that read molecules: {workers};" in lines[0]


def test_no_budget_leaves_the_job_alone(meter: Meter, tmp_path: Path) -> None:
    given = job(tmp_path)
    assert fit_job(given, question(meter), None, None) is given


def test_too_little_says_what_takes_how_much(meter: Meter, tmp_path: Path) -> None:
    with pytest.raises(MolftError, match=r"holds 0 MB and a process that reads .* or --workers 0"):
        fit_job(job(tmp_path, workers=2), question(meter), 250, None)


def test_standard_input_cant_be_measured(meter: Meter, tmp_path: Path) -> None:
    with pytest.raises(MolftError, match="can't be done beforehand with standard input"):
        fit_job(Job("-", tmp_path / "out.csv"), question(meter), 10**9, None)


def test_a_run_that_goes_on_keeps_its_rows(meter: Meter, tmp_path: Path) -> None:
    begun = job(tmp_path, workers=2, resume=True)
    folder = parts_folder(begun.output)
    folder.mkdir()
    write_json(folder / PLAN, {"rows of a part": 128})
    assert fit_job(begun, question(meter), 4_000, None).block_rows == 128
    with pytest.raises(MolftError, match=r"a block of 128 rows, as it was begun"):
        fit_job(begun, question(meter), 420, None)


def test_a_screen_within_plenty_writes_the_same_bytes(tmp_path: Path, tiny_model_dir: Path) -> None:
    library, lines = job(tmp_path).library, []
    screen(tiny_model_dir, library, tmp_path / "plain.csv", workers=0)
    screen(tiny_model_dir, library, tmp_path / "within.csv", workers=0, memory=10**12, tell=lines.append)
    assert (tmp_path / "plain.csv").read_bytes() == (tmp_path / "within.csv").read_bytes()
    assert "2,048 rows a block, processes that read molecules: 0;" in lines[0]
