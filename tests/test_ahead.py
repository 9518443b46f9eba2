"""A library whose first blocks are read before there is a network."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from test_worker import children_of, reads_proc
from tiny_model import MOLECULES

from molft.chem.prepare import Recipe
from molft.errors import MolftError
from molft.use.ahead import read_ahead
from molft.use.library import BLOCK_ROWS
from molft.use.screen import screen

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """Two blocks and one row of a third; the first row and the last are no molecules."""
    texts = [MOLECULES[row % len(MOLECULES)] for row in range(2 * BLOCK_ROWS + 1)]
    texts[0], texts[-1] = "C1CC", ""
    path = tmp_path / "library.csv"
    path.write_text("smiles,id\n" + "".join(f"{text},{row}\n" for row, text in enumerate(texts)))
    return path


def wait_for_children(before: set[int]) -> int:
    """How many processes were started; it takes a moment until the first is there."""
    for _ in range(1000):
        if started := children_of("self") - before:
            return len(started)
        time.sleep(0.01)
    return 0


def test_it_needs_no_torch() -> None:
    code = "import molft.use.ahead, sys; print('torch' in sys.modules, 'rdkit' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["False", "True"]


@reads_proc
@pytest.mark.parametrize("workers", [1, 2])
def test_the_output_is_that_of_a_screen_alone(
    tiny_model_dir: Path, library: Path, tmp_path: Path, workers: int
) -> None:
    before = children_of("self")
    screen(tiny_model_dir, library, tmp_path / "alone.csv", workers=workers)
    with read_ahead(library, tiny_model_dir, workers, None, similarity=False) as ahead:
        assert ahead and wait_for_children(before) == 1  # the other waits for the screen
        screen(tiny_model_dir, library, tmp_path / "ahead.csv", workers=workers, ahead=ahead)
    assert (tmp_path / "ahead.csv").read_bytes() == (tmp_path / "alone.csv").read_bytes()
    assert children_of("self") == before


@reads_proc
def test_a_screen_that_fails_leaves_no_process(tiny_model_dir: Path, library: Path, tmp_path: Path) -> None:
    before = children_of("self")
    with (
        pytest.raises(MolftError, match=r"--by nothing: the model has no such task"),
        read_ahead(library, tiny_model_dir, 2, None, similarity=False) as ahead,
    ):
        screen(tiny_model_dir, library, tmp_path / "out.csv", top=3, by="nothing", ahead=ahead)
    assert children_of("self") == before


def test_it_waits_without_processes_and_without_a_model(
    tiny_model_dir: Path, library: Path, tmp_path: Path
) -> None:
    with read_ahead(library, tiny_model_dir, 0, None, similarity=False) as ahead:
        assert ahead is None
    for text in (None, "{}", "[1]", "no json", '{"model": {"recipe": {"standardize": "of tomorrow"}}}'):
        if text is not None:
            (tmp_path / "config.json").write_text(text)
        with read_ahead(library, tmp_path, 2, None, similarity=False) as ahead:
            assert ahead is None


def test_a_library_that_can_not_be_read_is_told_at_once(tiny_model_dir: Path, tmp_path: Path) -> None:
    with (
        pytest.raises(MolftError, match=r"no such file"),
        read_ahead(tmp_path / "none.csv", tiny_model_dir, 2, None, similarity=False),
    ):
        pass


def test_what_was_begun_for_another_run_is_refused(
    tiny_model_dir: Path, library: Path, tmp_path: Path
) -> None:
    with read_ahead(library, tiny_model_dir, 1, None, similarity=False) as ahead:
        assert ahead is not None
        with pytest.raises(MolftError, match=r"is being read already can't be resumed"):
            screen(tiny_model_dir, library, tmp_path / "a.csv", workers=1, resume=True, ahead=ahead)
        with pytest.raises(MolftError, match=r"is being read already can't be .*cut anew"):
            screen(tiny_model_dir, library, tmp_path / "b.csv", workers=1, block_rows=7, ahead=ahead)
        with pytest.raises(MolftError, match=r"the model was changed while its library was being read"):
            other = ahead._replace(recipe=Recipe("snap"))
            screen(tiny_model_dir, library, tmp_path / "c.csv", workers=1, ahead=other)
