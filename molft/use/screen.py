"""A library through a fine-tuned model: every row answered in order, or the best ones ranked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from molft.chem.prepare import Block
from molft.errors import MolftError
from molft.files import sha256
from molft.model.inference import folds
from molft.model.recurring import KEPT_BYTES
from molft.train.loop import RECALLED
from molft.use.ahead import Ahead
from molft.use.arrow import text_column
from molft.use.block_size import fit_job
from molft.use.heap import kept_heap
from molft.use.library import BLOCK_ROWS
from molft.use.model import CONFIG, TRAINING, Model, load
from molft.use.neighbours import Neighbours
from molft.use.output import check_ending, is_folder
from molft.use.precision import choose_precision
from molft.use.question import Question
from molft.use.ranking import Quota, Ranking
from molft.use.ray_engine import Cluster
from molft.use.sources import Given
from molft.use.structures import SDF, write_sdf
from molft.use.sweep import Job, Progress, Summary, sweep


def screen(
    model_dir: str | Path,
    library: Given,
    output: str | Path,
    *,
    top: int | None = None,
    by: str | None = None,
    ascending: bool = False,
    diverse: bool = False,
    per_scaffold: int | None = None,
    spread: bool = False,
    similarity: bool = False,
    workers: int | None = None,
    resume: bool = False,
    overwrite: bool = False,
    smiles_column: str | None = None,
    block_rows: int = BLOCK_ROWS,
    progress: Progress | None = None,
    ray: Cluster | None = None,
    memory: int | None = None,
    precision: str = "auto",
    tell: Callable[[str], None] | None = None,
    ahead: Ahead | None = None,
) -> Summary:
    """Predict for every row of ``library`` and write ``output`` (.csv, .tsv, each also .gz, or .parquet).

    An ``output`` without an ending is a folder of parquet files, one a part; with ``top`` it may be an
    .sdf. ``library`` is as in :mod:`molft.use.sources`, which also says how several files are one.

    The output has the library's own columns, ``status`` (``ok`` or the reason), and one column a task: the
    probability of class 1, or the value in the label's unit, empty for a refused row. A name that the library
    already has gets ``_predicted`` after it. There is one row for every row, in order; with ``top`` only
    the so many best, ranked by the task ``by`` (the first if not given), highest first unless ``ascending``.

    ``diverse`` keeps at most ``per_scaffold`` (1 if not given) of these for each Murcko scaffold, going down
    the whole ranking: the best of each series (a MaxMin choice would trade score for strangeness). An acyclic
    molecule is a series of its own.

    ``spread`` adds ``TASK_spread``, how far the networks disagree: the standard deviation of probabilities,
    or of values in the label's unit (the others' shares of a blend have none). ``similarity`` adds how near
    the nearest training molecule is, from 0 to 1 (:mod:`molft.use.neighbours`), and ``nearest``, its SMILES.

    ``workers`` processes read molecules (default: all cores; 0: in this process, without protection against
    a molecule that crashes it). With ``ray`` the tasks of a Ray cluster do, and have the network too
    (:mod:`molft.use.ray_engine`). Finished parts are kept in ``OUTPUT.parts``, so that ``resume`` goes on
    after a kill, to the same bytes. ``memory`` is what all processes may hold, in bytes: rows of a block and
    processes go by it (:mod:`molft.use.block_size`), and ``tell`` is told. ``precision`` "auto" computes
    layers in 16 bits ("bf16") where this processor has units for it, and tells: the ranking hardly changes
    (docs/scale.md); on a Ray cluster, whose processors may differ, and for what can't be had in 16 bits, it
    is "float32"; with ``resume`` it is what the run was begun with. ``ahead`` is the library where
    :func:`molft.use.ahead.read_ahead` has begun to read it (then without ``resume``, ``memory`` and ``ray``).
    What can't be used, and what would overwrite or mix results, is a :class:`MolftError`.
    """
    out = Path(output)
    job = Job(library, out, smiles_column, block_rows, workers, resume, overwrite, progress, ray, ahead)
    _check_output(job.output, top)
    model = _load(model_dir, precision, job, KEPT_BYTES if memory is None else 0)
    task, most = _check_ranking(model, top, by, ascending), _check_diversity(top, diverse, per_scaffold)
    columns = {"precision": "bf16" if model.half else "float32", "spread": spread, "similarity": similarity}
    rows = {"top": top, "by": by, "ascending": ascending, "rows of a scaffold": most}
    facts = {"model": sha256(Path(model_dir) / CONFIG), **columns, **rows}
    ranking = None if top is None else partial(_rank, model, top, task, ascending, most)
    write = partial(write_sdf, limits=model.recipe.limits) if job.output.suffix == SDF else None
    question = _ask(model, spread, similarity, facts)
    job = fit_job(job, question, memory, tell)
    if model.half and precision == "auto" and tell:
        tell("layers in 16 bits, for which this processor has units; in 32 with --precision float32")
    with kept_heap(memory is None):
        return sweep(job, question, ranking, write)


def _load(folder: str | Path, precision: str, job: Job, kept: int) -> Model:
    """The model with layers as fine as asked for; what can't be had is a :class:`MolftError`."""
    model = load(folder)
    shape, encoder = "", model.about.encoder
    if not all(folds(network.encoder, network.pool) for network in model.networks):
        shape = f"{encoder.conv!r} layers (jk {encoder.jk!r}) and the readout {model.about.readout!r}"
    if choose_precision(precision, job, shape, model.about.answer != "forest") == "bf16":
        return replace(model, half=True)
    return replace(model, kept=kept, rows=RECALLED)


def _check_output(output: Path, top: int | None) -> None:
    check_ending(output, more=(SDF,))
    if top is None and output.suffix == SDF:
        raise MolftError(
            f"{output}: an SDF is for the best, since a refused row has no structure; give --top"
        )
    if top is not None and is_folder(output):
        raise MolftError(f"{output}: a folder of parts is for all rows; let the name of the best end in .csv")


def _check_ranking(model: Model, top: int | None, by: str | None, ascending: bool) -> int:
    """Place of the task to rank by."""
    if top is None and (by is not None or ascending):
        raise MolftError("--by and --ascending say how to rank; say how many to keep with --top")
    if top is not None and top < 1:
        raise MolftError(f"--top {top}: it must be at least 1")
    if by is not None and by not in model.about.tasks:
        raise MolftError(f"--by {by}: the model has no such task; it has {', '.join(model.about.tasks)}")
    return 0 if by is None else model.about.tasks.index(by)


def _check_diversity(top: int | None, diverse: bool, per_scaffold: int | None) -> int | None:
    """How many rows of one scaffold are kept; None for any number."""
    if diverse and top is None:
        raise MolftError("--diverse chooses among the best; say how many to keep with --top")
    if per_scaffold is not None and not diverse:
        raise MolftError("--per-scaffold says how many of a series --diverse keeps; give both")
    if per_scaffold is not None and per_scaffold < 1:
        raise MolftError(f"--per-scaffold {per_scaffold}: it must be at least 1")
    return (per_scaffold or 1) if diverse else None


def _rank(
    model: Model, top: int, task: int, ascending: bool, most: int | None, names: list[str], column: str
) -> Ranking:
    """The ranking by a task; ``names`` are the new columns, ``status`` and then the tasks."""
    quota = None
    if most is not None:
        from molft.use.series import name_series  # imports all of rdkit.Chem.AllChem

        quota = Quota(most, column, partial(name_series, recipe=model.recipe))
    return Ranking(top, names[1 + task], ascending, quota)


def _ask(model: Model, spread: bool, similarity: bool, facts: dict[str, Any]) -> Question:
    """The question that a screen asks; what the model can't tell is a :class:`MolftError`."""
    recipe, columns, texts = model.recipe, list(model.about.tasks), {}
    if spread:
        _check_spread(model)
        columns += [f"{task}_spread" for task in model.about.tasks]
    if similarity:
        if model.neighbours is None:
            raise MolftError(
                f"--similarity: {model.directory} has no {TRAINING}, the molecules it was trained on: it was "
                "made by an earlier molft, or the file was taken out; fine-tune again, or leave "
                "--similarity out"
            )
        recipe = replace(recipe, fingerprints=True)
        columns += ["similarity", "nearest"]
        texts = {"nearest": text_column(model.neighbours.smiles)}
    answer = partial(_answer, model, spread, model.neighbours if similarity else None)
    return Question("screening", recipe, tuple(columns), answer, facts, texts, model.readers)


def _check_spread(model: Model) -> None:
    """Refuse a spread that would be zero, or not that of the answer."""
    if len(model.networks) < 2:
        raise MolftError(
            "--spread: the model has one network, and it takes two to disagree; fine-tune with "
            "--ensemble-size 3 or more"
        )
    if model.about.answer in ("forest", "gp"):
        raise MolftError(
            f"--spread: this model answers by its {model.about.answer} alone, of which the networks' spread "
            "says nothing; "
            "leave --spread out (--similarity says how far it is from what it knows)"
        )


def _answer(model: Model, spread: bool, neighbours: Neighbours | None, block: Block) -> NDArray[np.float64]:
    """The numbers of all columns for the accepted molecules, float64 [B, K]."""
    found = model.answers(block, spread=spread)
    columns = [found[model.about.answer]]
    if spread:
        columns.append(found["spread"])
    if neighbours is not None:
        similarity, place = neighbours.nearest(block)
        columns += [similarity[:, None], place[:, None].astype(np.float64)]
    return np.concatenate(columns, axis=1)
