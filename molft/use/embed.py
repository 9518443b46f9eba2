"""A library through an encoder: one vector for every molecule."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

import numpy as np
import pyarrow as pa
from numpy.lib import format as npy
from numpy.typing import NDArray

from molft.chem.prepare import Block
from molft.files import atomic, sha256
from molft.model.inference import folds
from molft.model.network import build_reader
from molft.model.recurring import KEPT_BYTES
from molft.model.weights import CONFIG
from molft.train.loop import RECALLED
from molft.use.block_size import fit_job
from molft.use.encoders import MoleculeEncoder, encoder_folder, load_encoder
from molft.use.heap import kept_heap
from molft.use.library import BLOCK_ROWS
from molft.use.output import check_ending
from molft.use.precision import choose_precision
from molft.use.question import Question
from molft.use.sources import Given
from molft.use.sweep import Job, Progress, Summary, sweep

NPZ = ".npz"


def embed(
    library: Given,
    output: str | Path,
    encoder: str | Path = "default",
    *,
    workers: int | None = None,
    resume: bool = False,
    overwrite: bool = False,
    smiles_column: str | None = None,
    block_rows: int = BLOCK_ROWS,
    progress: Progress | None = None,
    memory: int | None = None,
    tell: Callable[[str], None] | None = None,
    precision: str = "float32",
) -> Summary:
    """Write the encoder's vector (:meth:`MoleculeEncoder.embed`) of every molecule of ``library``.

    ``output`` .parquet (or .csv, .tsv): the library's own columns, ``status``, then ``e0``, ``e1``, ...;
    one row for every row, in order, empty numbers for a refused one. ``output`` .npz: ``vectors``
    float32 [B, D] of the accepted molecules, ``rows`` int64 [B] the row of each (from 0), and
    ``refused_rows`` with ``reasons`` for the others. ``encoder`` is a name of
    :func:`molft.use.encoders.find_encoder`; the rest is as in :func:`molft.use.screen.screen`, but that
    ``precision`` is "float32" if not given: by 16 bits a vector is off by about 1 %.
    """
    job = Job(library, Path(output), smiles_column, block_rows, workers, resume, overwrite, progress)
    check_ending(job.output, more=(NPZ,))
    found = load_encoder(encoder)
    bits = choose_precision(precision, job, _odd_shape(found))
    if bits == "bf16":
        found = replace(found, half=True)
    else:
        found = replace(found, kept=KEPT_BYTES if memory is None else 0, rows=RECALLED)
    facts = {"encoder": sha256(encoder_folder(encoder) / CONFIG), "precision": bits}
    question = _ask(found, facts)
    job = fit_job(job, question, memory, tell)

    def to_npz(path: Path, tables: Iterable[pa.Table], _smiles_column: str) -> None:
        write_npz(path, tables, found.width)

    with kept_heap(memory is None):
        return sweep(job, question, write=to_npz if job.output.suffix == NPZ else None)


def _odd_shape(found: MoleculeEncoder) -> str:
    """What the encoder has that it can't be folded with; "" for nothing."""
    reader, config = build_reader(found.encoder), found.encoder.config
    return "" if folds(reader.encoder, reader.pool) else f"{config.conv!r} layers (jk {config.jk!r})"


def _ask(encoder: MoleculeEncoder, facts: dict[str, Any]) -> Question:
    def answer(block: Block) -> NDArray[np.float32]:
        return encoder.vectors(block.graphs)

    columns = tuple(f"e{number}" for number in range(encoder.width))
    return Question("embedding", encoder.recipe, columns, answer, facts)


def write_npz(path: Path, tables: Iterable[pa.Table], width: int) -> None:
    """Write the vectors, the last ``width`` columns after ``status``, as arrays for :func:`numpy.load`.

    Memory does not grow with the number of vectors; the same tables give the same bytes.
    """
    start, rows, refused, reasons = 0, [np.zeros(0, np.int64)], [], []
    with atomic(path) as temporary, TemporaryFile(dir=path.parent) as raw:
        for table in tables:
            status = table.column(table.num_columns - width - 1).to_pylist()
            kept = np.flatnonzero([text == "ok" for text in status])
            raw.write(_matrix(table, width)[kept].tobytes())
            rows.append(kept + start)
            bad = [(row + start, text) for row, text in enumerate(status) if text != "ok"]
            refused += [row for row, _ in bad]
            reasons += [text for _, text in bad]
            start += len(status)
        index = np.concatenate(rows)
        raw.seek(0)
        with zipfile.ZipFile(temporary, "w") as archive:
            _store_rows(archive, raw, (len(index), width))
            _store(archive, "rows", index)
            _store(archive, "refused_rows", np.array(refused, np.int64))
            _store(archive, "reasons", np.array(reasons, np.str_))


def _matrix(table: pa.Table, width: int) -> NDArray[np.float32]:
    """The last columns of a table, float32 [R, width]; NaN where a cell is empty."""
    columns = table.columns[table.num_columns - width :]
    return np.stack([column.to_numpy().astype(np.float32) for column in columns], axis=1)


def _store_rows(archive: zipfile.ZipFile, raw: IO[bytes], shape: tuple[int, int]) -> None:
    # ZipInfo's own date, so that the same vectors give the same bytes.
    with archive.open(zipfile.ZipInfo("vectors.npy"), "w", force_zip64=True) as file:
        npy.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
        shutil.copyfileobj(raw, file)


def _store(archive: zipfile.ZipFile, name: str, array: NDArray[np.generic]) -> None:
    with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as file:
        npy.write_array(file, array, allow_pickle=False)
