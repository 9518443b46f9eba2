"""Self-supervised pre-training of an encoder on a packed corpus.

Objectives (:mod:`molft.train.objectives`) are weighted and summed in one run. The run writes
``metrics.jsonl``, an atomic checkpoint every few minutes and when it is asked to stop, and returns the
encoder; killed, it resumes where the last checkpoint stood, bit for bit on a CPU. Several processes share
the parts of a step: as many parts as there are processes give the same training as one process that
computes these parts one after the other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from molft.data.packed_corpus import open_corpus
from molft.errors import MolftError
from molft.files import sha256
from molft.model.encoder import Encoder
from molft.model.network import vector_width
from molft.train.budget import Budget
from molft.train.checkpoint import (
    load_checkpoint,
    optimizer_state,
    part,
    restore_optimizer,
    save_checkpoint,
    with_prefix,
)
from molft.train.encoders import new_encoder
from molft.train.interruption import Interruption, catch_sigterm
from molft.train.lean import Lean, heaviest_batch
from molft.train.objectives.distillation import Teacher, make_teacher
from molft.train.objectives.joint import Pretraining
from molft.train.precision import choose_autocast, choose_half, may_halve
from molft.train.prefetch import Prefetch
from molft.train.pretrain_config import OBJECTIVES, PretrainConfig
from molft.train.pretrain_data import Loaded, PretrainData, divide, target_arrays
from molft.train.processes import Processes
from molft.train.reports import append_report, forget_reports
from molft.train.running_statistics import RunningStatistics
from molft.train.schedule import epoch_order, split_evenly, warmup_cosine
from molft.train.ways import list_ways

__all__ = ["OBJECTIVES", "PretrainConfig", "Pretraining", "pretrain", "target_arrays"]

REPORTS = "metrics.jsonl"
_CHECKPOINT = "checkpoint.safetensors"
_CLIP = 5.0
_REPORTED = 512  # held-out molecules that are scored at a time
_ONE_PROCESS = Processes()
_CPU = torch.device("cpu")

Report = Callable[[dict[str, float]], None]


@dataclass(frozen=True)
class Pace:
    """How often a run saves (seconds) and reports (steps), and whom it tells."""

    checkpoint_every_s: float
    report_every: int
    on_report: Report | None


@dataclass
class _Run:
    """A run in progress: ``step`` steps of ``steps`` are done."""

    data: PretrainData
    model: Pretraining
    optimizer: torch.optim.Optimizer
    directory: Path
    store: str
    device: torch.device
    processes: Processes
    step: int = 0
    lean: Lean | None = None
    parts: int = 1
    reported: int = _REPORTED
    batches: Prefetch[Loaded] = field(init=False)

    def __post_init__(self) -> None:
        """Batches are read from the corpus on the CPU, one ahead where a GPU trains."""
        on_gpu = self.device.type == "cuda"
        self.batches = Prefetch(lambda rows: self.data.load(rows, on_gpu), on_gpu)

    @property
    def config(self) -> PretrainConfig:
        """The options; what a budget makes of the parts of a step is among them."""
        config = self.model.config
        return config if self.lean is None else replace(config, parts=self.parts * self.lean.parts)

    @property
    def per_epoch(self) -> int:
        return len(split_evenly(self.data.train, self.config.batch_size))

    @property
    def steps(self) -> int:
        return self.per_epoch * self.config.epochs


def pretrain(
    store: Path,
    directory: Path,
    config: PretrainConfig,
    *,
    init: Encoder | None = None,
    teacher: Encoder | None = None,
    resume: bool = False,
    checkpoint_every_s: float = 120.0,
    report_every: int = 100,
    on_report: Report | None = None,
    device: torch.device = _CPU,
    processes: Processes = _ONE_PROCESS,
    budget: Budget | None = None,
) -> Encoder:
    """Train on the store and return the encoder; ``directory`` receives checkpoint and ``metrics.jsonl``.

    ``init`` is an encoder to start from (it may be changed), ``teacher`` the one that a distillation learns
    from. A finished or begun run in ``directory`` is refused unless ``resume``; then it continues. Asked to
    stop (SIGTERM), the run saves and raises :class:`MolftError`. Within a ``budget`` steps are computed as
    :mod:`molft.train.ways` says; parts that takes are entered into the checkpoint's options, and a run that
    goes on within a budget starts from them.
    """
    data = divide(open_corpus(store), config.objectives, config.seed)
    if config.parts % processes.size:
        raise MolftError(f"{config.parts} part(s) of a step can't be shared by {processes.size} processes")
    model = _build(data, config, init, _ask_teacher(teacher, data, config, device)).to(device)
    for module in model.modules():
        if isinstance(module, Encoder):
            module.bf16 = choose_half(config.precision, device, config.conv)
    optimizer = torch.optim.Adam(model.parameters(), lr=config.learning_rate, fused=True)
    run = _Run(data, model, optimizer, directory, sha256(store / "store.json"), device, processes)
    if budget is not None:
        budget.begin()
        half = any(module.bf16 for module in model.modules() if isinstance(module, Encoder))
        half = half or choose_autocast(config.precision, device)
        ways = list_ways(config.conv, half, may_halve(config.precision, device, config.conv))
        run.lean = Lean(budget, model, ways, 2, processes)
    run.parts = config.parts
    run.step = _restore(run, resume)
    if run.lean is not None:
        _choose_way(run, run.lean)
    if processes.rank == 0:
        directory.mkdir(parents=True, exist_ok=True)
        forget_reports(directory / REPORTS, run.step)
    with catch_sigterm() as interruption:
        _train(run, Pace(checkpoint_every_s, report_every, on_report), interruption)
    model.eval()
    model.encoder.bf16, model.encoder.keeping = False, "all"
    return model.encoder


def _build(
    data: PretrainData, config: PretrainConfig, init: Encoder | None, teacher: tuple[Teacher, int] | None
) -> Pretraining:
    scheme = data.corpus.scheme.name
    torch.manual_seed(config.seed)
    encoder = init or new_encoder(
        scheme, conv=config.conv, layers=config.layers, width=config.width, jk=config.jk
    )
    _check_features(encoder, data, "the encoder to start from")
    centre, scale = data.descriptor_scale()
    return Pretraining(encoder, config, centre, scale, data.label_scale(), teacher)


def _ask_teacher(
    encoder: Encoder | None, data: PretrainData, config: PretrainConfig, device: torch.device
) -> tuple[Teacher, int] | None:
    if (encoder is None) == ("distillation" in config.objectives):
        raise MolftError("the objective 'distillation' and an encoder to learn from need each other")
    if encoder is None:
        return None
    _check_features(encoder, data, "the encoder to learn from")
    half = choose_half(config.precision, device, encoder.config.conv)
    return make_teacher(encoder.to(device), half), vector_width(encoder.config)


def _check_features(encoder: Encoder, data: PretrainData, what: str) -> None:
    reads, scheme = encoder.config.scheme, data.corpus.scheme.name
    if reads != scheme:
        raise MolftError(
            f"{what} reads {reads!r} features, the corpus has {scheme!r}; pack it with --features {reads}"
        )


def _restore(run: _Run, resume: bool) -> int:
    """The step to continue from; 0 for a new run."""
    path = run.directory / _CHECKPOINT
    if not path.exists():
        return 0
    if not resume:
        raise MolftError(
            f"{path.parent} holds a run already; continue it with --resume or choose another place"
        )
    tensors, facts = load_checkpoint(path)
    if run.lean is not None:
        run.parts = int(facts["config"]["parts"])
    if facts["config"] != run.config.to_json():
        raise MolftError(
            f"{path.parent} was begun with other options: {facts['config']}, now {run.config.to_json()}"
        )
    if facts["store"] != run.store:
        raise MolftError(f"{path.parent} was begun on another store; continue it on the same one")
    run.model.load_state_dict(part("model", tensors))
    restore_optimizer(run.optimizer, part("optimizer", tensors))
    return int(facts["step"])


def _train(run: _Run, pace: Pace, interruption: Interruption) -> None:
    saved = reported = time.monotonic()
    molecules = 0
    while run.step < run.steps:
        epoch, first = divmod(run.step, run.per_epoch)
        order = run.data.train[epoch_order(len(run.data.train), run.config.seed, epoch)]
        for rows in run.batches.through(split_evenly(order, run.config.batch_size)[first:]):
            loss = _take_step(run, rows)
            molecules += len(rows)
            last = run.step == run.steps
            if run.step % pace.report_every == 0 or last:
                _report(run, loss, molecules / (time.monotonic() - reported), pace.on_report)
                reported, molecules = time.monotonic(), 0
            stop = run.processes.any(interruption.asked, run.device)
            if time.monotonic() - saved > pace.checkpoint_every_s or last or stop:
                _save(run)
                saved = time.monotonic()
            if stop and not last:
                raise MolftError(
                    f"asked to stop at step {run.step} of {run.steps}; the checkpoint is written, "
                    "go on with --resume"
                )


def _choose_way(run: _Run, lean: Lean) -> None:
    """Measure with the heaviest step, and how many held-out molecules can be scored at a time."""
    data, config = run.data, run.config
    sizes = np.diff(data.corpus.graphs.atom_ptr)
    orders = (data.train[epoch_order(len(data.train), config.seed, e)] for e in range(config.epochs))
    batches = (rows for order in orders for rows in split_evenly(order, config.batch_size))
    rows = np.array_split(heaviest_batch(batches, sizes), run.parts)[0]

    def learn(number: int) -> None:
        run.model.train()
        _learn(run, rows[:number], torch.Generator(run.device).manual_seed(0))

    lean.choose(learn, sizes[rows], run.optimizer)
    held = data.held_out[:_REPORTED]
    found = lean.budget.most(sizes[held], lambda number: _score(run, [held[:number]]))
    run.reported = max(1, found.molecules)


def _take_step(run: _Run, rows: NDArray[np.int64]) -> float:
    """Train on the molecules ``rows``; the loss, as the weighted sum over objectives."""
    config, processes = run.config, run.processes
    factor = warmup_cosine(run.step, run.steps, max(1, round(config.warmup * run.steps)))
    for group in run.optimizer.param_groups:
        group["lr"] = config.learning_rate * factor
    run.model.train()
    run.optimizer.zero_grad(set_to_none=True)
    if run.lean is None:
        loss, statistics, parts = _learn_parts(run, rows)
    else:
        loss, statistics, parts = run.lean.attempt(lambda: _learn_parts(run, rows), len(rows) // run.parts)
    processes.sum_gradients(run.model)
    statistics.end_step(parts, processes)
    processes.sum([loss])
    nn.utils.clip_grad_norm_(run.model.parameters(), _CLIP)
    run.optimizer.step()
    run.step += 1
    return loss.item()


def _learn_parts(run: _Run, rows: NDArray[np.int64]) -> tuple[torch.Tensor, RunningStatistics, int]:
    """Add the gradients of this process's parts of a step; their loss and statistics, and how many in all."""
    config, processes = run.config, run.processes
    loss = torch.zeros(1, device=run.device)
    statistics = RunningStatistics(run.model)
    pieces = np.array_split(rows, config.parts) if config.parts > 1 else [rows]
    for number in range(processes.rank, config.parts, processes.size):
        seed = (config.seed * 1_000_003 + run.step) * config.parts + number
        if len(pieces[number]):
            loss += _learn(run, pieces[number], torch.Generator(run.device).manual_seed(seed))
        statistics.end_part()
    return loss, statistics, config.parts


def _learn(run: _Run, rows: NDArray[np.int64], generator: torch.Generator) -> torch.Tensor:
    """Add the gradients of one part of a step; its share of the loss."""
    batch, targets = run.data.move(run.batches.take(rows), run.device)
    with _autocast(run):
        results = run.model(batch, targets, generator)
    weights = run.config.objectives
    total = (
        torch.stack([weights[name] * loss for name, (loss, _) in results.items()]).sum() / run.config.parts
    )
    total.backward()
    return total.detach()


def _autocast(run: _Run) -> torch.autocast:
    on = choose_autocast(run.config.precision, run.device)
    return torch.autocast(run.device.type, torch.bfloat16, enabled=on)


def _report(run: _Run, loss: float, rate: float, on_report: Report | None) -> None:
    """Held-out losses to ``metrics.jsonl``; the first process does it, the others go on and wait."""
    if run.processes.rank:
        return
    facts = {"train_loss": loss} | _held_out_scores(run)
    facts |= {
        "step": run.step,
        "steps": run.steps,
        "epoch": run.step / run.per_epoch,
        "molecules_per_s": rate,
    }
    if run.lean is not None:
        facts["parts"] = run.config.parts
    append_report(run.directory / REPORTS, facts)
    if on_report:
        on_report(facts)


def _held_out_scores(run: _Run) -> dict[str, float]:
    """Mean loss and score of each objective over the molecules kept aside."""
    return _score(run, split_evenly(run.data.held_out, run.reported))


@torch.no_grad()
def _score(run: _Run, batches: Sequence[NDArray[np.int64]]) -> dict[str, float]:
    run.model.eval()
    sums: dict[str, float] = {}
    counts: dict[str, int] = {}
    generator = torch.Generator(run.device).manual_seed(1)
    for rows in batches:
        batch, targets = run.data.move(run.data.load(rows), run.device)
        with _autocast(run):
            results = run.model(batch, targets, generator)
        for name, (loss, score) in results.items():
            # Molecules with labels lie together, so a batch may have none: its zeros must not count.
            count = int(torch.isfinite(targets["labels"]).sum()) if name == "labels" else len(rows)
            for key, value in ((f"{name}_loss", loss), (f"{name}_score", score)):
                sums[key] = sums.get(key, 0.0) + float(value) * count
                counts[key] = counts.get(key, 0) + count
    return {key: value / max(counts[key], 1) for key, value in sums.items()}


def _save(run: _Run) -> None:
    if run.processes.rank:
        return
    model, optimizer = run.model.state_dict(), optimizer_state(run.optimizer)
    facts = {"step": run.step, "config": run.config.to_json(), "store": run.store}
    tensors = with_prefix("model", model) | with_prefix("optimizer", optimizer)
    save_checkpoint(run.directory / _CHECKPOINT, tensors, facts)
