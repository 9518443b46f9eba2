"""A library through a fine-tuned model: every row answered in order, or the best ones ranked."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from molft.errors import MolftError
from molft.files import sha256
from molft.use.model import CONFIG, Model, load
from molft.use.output import check_ending
from molft.use.ranking import Ranking
from molft.use.sweep import BLOCK_ROWS, Job, Progress, Question, Summary, sweep


def screen(
    model_dir: str | Path,
    library: str | Path,
    output: str | Path,
    *,
    top: int | None = None,
    by: str | None = None,
    ascending: bool = False,
    workers: int | None = None,
    resume: bool = False,
    overwrite: bool = False,
    smiles_column: str | None = None,
    block_rows: int = BLOCK_ROWS,
    progress: Progress | None = None,
) -> Summary:
    """Predict for every row of ``library`` and write ``output`` (.csv, .tsv, each also .gz, or .parquet).

    The output has the library's own columns, ``status`` (``ok`` or the reason), and one column a task: the
    probability of class 1, or the value in the label's unit, empty for a refused row. A name that the library
    already has gets ``_predicted`` after it. There is one row for every row, in order; with ``top`` only
    the so many best, ranked by the task ``by`` (the first if not given), highest first unless ``ascending``.

    ``library`` '-' is standard input. ``workers`` processes read molecules (default: all cores; 0: in this
    process, without protection against a molecule that crashes it). Finished parts are kept in
    ``OUTPUT.parts`` until the output is whole, so that ``resume`` goes on after a kill, to the same bytes.
    What can't be used, and what would overwrite or mix results, is a :class:`MolftError`.
    """
    job = Job(library, Path(output), smiles_column, block_rows, workers, resume, overwrite, progress)
    check_ending(job.output)
    model = load(model_dir)
    task = _check_ranking(model, top, by, ascending)
    question = Question(
        "screening",
        model.recipe,
        model.about.tasks,
        model.answer,
        {"model": sha256(Path(model_dir) / CONFIG), "top": top, "by": by, "ascending": ascending},
    )
    ranking = None if top is None else partial(_rank, top, task, ascending)
    return sweep(job, question, ranking)


def _check_ranking(model: Model, top: int | None, by: str | None, ascending: bool) -> int:
    """Place of the task to rank by."""
    if top is None and (by is not None or ascending):
        raise MolftError("--by and --ascending say how to rank; say how many to keep with --top")
    if top is not None and top < 1:
        raise MolftError(f"--top {top}: it must be at least 1")
    if by is not None and by not in model.about.tasks:
        raise MolftError(f"--by {by}: the model has no such task; it has {', '.join(model.about.tasks)}")
    return 0 if by is None else model.about.tasks.index(by)


def _rank(top: int, task: int, ascending: bool, names: list[str]) -> Ranking:
    """The ranking by a task; ``names`` are the new columns, ``status`` and then the tasks."""
    return Ranking(top, names[1 + task], ascending)
