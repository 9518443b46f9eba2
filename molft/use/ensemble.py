"""Training the networks of a model, each kept when it is finished, so that a killed run loses one at most."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from molft.model.encoder import Encoder
from molft.model.network import Network
from molft.train.budget import Budget
from molft.train.checkpoint import load_checkpoint, save_checkpoint
from molft.train.finetune import Examples, Progress, Task, finetune
from molft.train.plan import Plan, with_loss
from molft.train.precision import choose_half, may_halve
from molft.use.evaluate import turn, validation_score
from molft.use.model import About, build_network
from molft.use.options import Options, Reporter


@dataclass(frozen=True)
class Ensemble:
    """What is the same for all networks of a model.

    ``encoder`` is what each one starts from: itself when pre-trained, a fresh one of its shape otherwise.
    ``run`` is the folder of finished networks and checkpoints.
    """

    run: Path
    about: About
    plan: Plan
    encoder: Encoder
    train: Examples
    valid: Examples
    options: Options
    reporter: Reporter


def train_networks(job: Ensemble) -> tuple[list[Network], Plan, list[Progress]]:
    """All networks, the plan with the loss that was used, and how each training went.

    A focal loss that was chosen automatically has to do better than cross-entropy on validation first.
    """
    first, progress = _train_one(job, job.plan, 0)
    plan = job.plan
    if plan.loss == "focal" and job.options.loss == "auto":
        plain = with_loss(plan, "bce")
        other, other_progress = _train_one(job, plain, 0)
        told = f"validation {plan.select}: focal {_shown(plan, progress)}, bce {_shown(plan, other_progress)}"
        if other_progress.best_score >= progress.best_score:
            plan, first, progress = plain, other, other_progress
        job.reporter.line(f"loss {plan.loss} is used ({told})")
    others = [_train_one(job, plan, number) for number in range(1, job.about.members)]
    return [first, *(network for network, _ in others)], plan, [progress, *(p for _, p in others)]


def _shown(plan: Plan, progress: Progress) -> str:
    value = turn(plan.select, progress.best_score) if progress.best_epoch >= 0 else None
    return "undefined" if value is None else f"{value:.3f}"


def _train_one(job: Ensemble, plan: Plan, number: int) -> tuple[Network, Progress]:
    """Train network ``number``, or read it back if it was finished before."""
    name = f"network-{number}-{plan.loss}"
    seed = job.options.seed * 1000 + number
    torch.manual_seed(seed)
    encoder = Encoder(job.encoder.config)
    if job.options.encoder != "none":
        encoder.load_state_dict(job.encoder.state_dict())
    network = build_network(job.about, encoder)
    finished = job.run / f"{name}.safetensors"
    if finished.exists():
        tensors, facts = load_checkpoint(finished)
        network.load_state_dict(tensors)
        return network.eval(), Progress.from_json(facts)
    network.to(job.options.device)
    checkpoint = job.run / f"{name}.checkpoint"
    device = torch.device(job.options.device)
    half = choose_half(job.options.precision, device, encoder.config.conv)
    size = job.options.memory
    task = Task(
        network,
        job.train,
        job.valid,
        plan,
        partial(validation_score, select=plan.select),
        seed,
        half,
        None if size is None else Budget(size, device, job.reporter.line),
        may_halve(job.options.precision, device, encoder.config.conv),
    )
    progress = finetune(task, checkpoint, on_epoch=partial(_tell, job, plan, number))
    network.to("cpu")
    save_checkpoint(finished, network.state_dict(), progress.to_json())
    checkpoint.unlink(missing_ok=True)
    return network, progress


def _tell(job: Ensemble, plan: Plan, number: int, record: dict[str, Any]) -> None:
    value = turn(plan.select, record["valid_score"])
    shown = "undefined" if value is None else f"{value:.3f}"
    rate = record["molecules"] / max(record["seconds"], 0.01)
    job.reporter.progress(
        f"network {number + 1} of {job.about.members}, {plan.loss}",
        record["epoch"],
        plan.epochs,
        f"loss {record['train_loss']:.3f}, validation {plan.select} {shown}, {rate:.0f} molecules/s",
    )
