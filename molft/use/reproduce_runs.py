"""The seeds of a set, one after the other or in processes side by side; each is written down when it is done.

Every run computes with one thread, so its numbers don't depend on how many run at once.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import rdkit
import torch

import molft
from molft.errors import MolftError
from molft.files import read_json, write_json
from molft.use.benchmark_data import BenchmarkData
from molft.use.options import Reporter
from molft.use.protocols import Setting, Tell, run_seed

_POLL_S = 0.5
Record = dict[str, Any]


@dataclass(frozen=True)
class Work:
    """The runs of one set. ``about`` is what every record says beside its scores; ``folder`` keeps them."""

    data: BenchmarkData
    setting: Setting
    about: dict[str, Any]
    folder: Path


def versions() -> dict[str, str]:
    """What a number depends on beside data, options and seed."""
    return {"molft": molft.__version__, "torch": torch.__version__, "rdkit": rdkit.__version__}


def record_path(folder: Path, name: str, seed: int) -> Path:
    """Where the record of a set and seed is, once it is finished."""
    return folder / "runs" / f"{name}-{seed}.json"


def read_records(folder: Path) -> list[Record]:
    """All finished records of a folder, sorted by file name; a damaged one is a :class:`MolftError`."""
    records = []
    for path in sorted((folder / "runs").glob("*.json")):
        record = read_json(path)
        if not isinstance(record, dict) or not {"set", "seed", "scores"} <= record.keys():
            raise MolftError(f"{path} is no record of molft reproduce; remove it and go on with --resume")
        records.append(record)
    return records


def run_seeds(work: Work, seeds: Sequence[int], jobs: int, reporter: Reporter) -> None:
    """Run the seeds, ``jobs`` at a time in processes of their own (1: in this one); tell of each."""
    watch = _Watch(work.data.name, len(seeds), reporter)
    if jobs <= 1 or len(seeds) == 1:
        with _one_thread():
            for seed in seeds:
                watch.finish(seed, _run(work, seed, partial(watch.tell, seed)))
        return
    context = multiprocessing.get_context("spawn")
    queue = context.SimpleQueue()
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(min(jobs, len(seeds)), context, _begin, (work, queue))
    try:
        with _ignored_interrupt():
            waiting: dict[Future[Record], int] = {pool.submit(_run_here, seed): seed for seed in seeds}
        while waiting:
            done, _ = wait(waiting, _POLL_S, FIRST_COMPLETED)
            while not queue.empty():
                watch.tell(*queue.get())
            for future in done:
                watch.finish(waiting.pop(future), future.result())
        pool.shutdown()
    except BaseException as error:
        pool.shutdown(wait=False, cancel_futures=True)
        for child in set(multiprocessing.active_children()) - others:
            child.terminate()
        if isinstance(error, BrokenProcessPool):
            raise MolftError(
                f"a process of {work.data.name} ended before its run did (killed, out of memory?); what is "
                "finished is kept: go on with --resume and perhaps fewer --jobs"
            ) from error
        raise


def _run(work: Work, seed: int, tell: Tell) -> Record:
    """One run, from training to the record on disk."""
    started = time.monotonic()
    name, folder = work.data.name, work.folder
    found = run_seed(work.data, work.setting, seed, folder / "unfinished" / f"{name}-{seed}", tell)
    record = {
        "set": name,
        "seed": seed,
        "metric": work.data.metric,
        **work.about,
        **work.data.facts,
        **found,
        "seconds": round(time.monotonic() - started, 1),
        "versions": versions(),
    }
    write_json(record_path(folder, name, seed), record)
    with suppress(OSError):
        (folder / "unfinished").rmdir()  # stays while other runs have something in it
    return record


_here: list[tuple[Work, Any]] = []  # in a child process: what it works on, and where it tells of epochs


def _begin(work: Work, queue: Any) -> None:  # noqa: ANN401  (a queue of multiprocessing has no public type)
    torch.set_num_threads(1)
    _here.append((work, queue))


def _run_here(seed: int) -> Record:
    work, queue = _here[0]

    def tell(done: int, total: int, note: str) -> None:
        parent = multiprocessing.parent_process()
        if parent is None or not parent.is_alive():
            os._exit(1)  # the command was killed: without this, its runs would go on unseen
        queue.put((seed, done, total, note))

    return _run(work, seed, tell)


@contextmanager
def _ignored_interrupt() -> Iterator[None]:
    """Processes started meanwhile ignore Ctrl-C, which reaches them too: this one ends them."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may change this
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@dataclass
class _Watch:
    """Progress over all runs of a set in epochs; of a run that stops early the rest counts as done."""

    name: str
    runs: int
    reporter: Reporter
    epochs: dict[int, int] = field(default_factory=dict)
    most: int = 1

    def tell(self, seed: int, done: int, total: int, note: str) -> None:
        """An epoch of a run is over."""
        self.epochs[seed], self.most = done, max(self.most, total)
        whole = self.runs * self.most
        at = min(sum(self.epochs.values()), whole - 1)  # the last step is the last record
        self.reporter.progress(f"{self.name}: epochs", at, whole, f"seed {seed}: {note}")

    def finish(self, seed: int, record: Record) -> None:
        """A run is over and written down."""
        self.epochs[seed] = self.most
        self.reporter.line(describe(record))


def describe(record: Record) -> str:
    """One line on a finished run."""
    shown: Callable[[float | None], str] = partial(show, metric=record["metric"])
    scores = record["scores"]
    told = ", ".join(f"{name} {shown(found['test'])}" for name, found in scores.items() if name != "answer")
    best = " ".join(map(str, record["best_epoch"]))
    answer = f", answer {record['answer']}" if "answer" in scores else ""
    return (
        f"{record['set']} seed {record['seed']}: test {told}{answer}; best epoch {best}, "
        f"{record['seconds']:.0f} s"
    )


def show(value: float | None, metric: str) -> str:
    """A score for people: per cent for shares, the value itself for an RMSE.

    >>> show(0.6581, "roc_auc"), show(1.234, "rmse"), show(None, "rmse")
    ('65.8', '1.23', '-')
    """
    if value is None:
        return "-"
    return f"{value:.2f}" if metric == "rmse" else f"{100 * value:.1f}"
