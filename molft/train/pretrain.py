"""Self-supervised pre-training of an encoder on a packed store.

Objectives are weighted and summed in one run: ``masking`` (atoms hidden and predicted), ``descriptors`` and
``fingerprints`` (RDKit values predicted from the whole molecule). The run writes ``metrics.jsonl``, an
atomic checkpoint every few minutes, and at the end the encoder; killed, it resumes where the last
checkpoint stood, bit for bit on a CPU.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from molft.chem.features import find_scheme
from molft.chem.graphs import Graphs
from molft.chem.prepare import Block
from molft.data.batch import Batch, make_batch
from molft.data.store import open_store
from molft.errors import MolftError
from molft.model.encoder import Encoder
from molft.model.segments import segment_sum
from molft.train.checkpoint import (
    load_checkpoint,
    optimizer_state,
    part,
    restore_optimizer,
    save_checkpoint,
    with_prefix,
)
from molft.train.encoders import new_encoder
from molft.train.objectives.descriptors import DescriptorValues, robust_scale
from molft.train.objectives.fingerprints import FingerprintBits, fold, unfold
from molft.train.objectives.masking import MaskedAtoms, choose_atoms
from molft.train.reports import append_report, forget_reports
from molft.train.schedule import epoch_order, split_evenly, warmup_cosine

OBJECTIVES = ("masking", "descriptors", "fingerprints")
_HELD_OUT = 4096  # molecules kept aside to watch the loss
_REPORTS = "metrics.jsonl"
_SUM_SCALE = 1 / 32  # brings sums over atoms to the size of means


@dataclass(frozen=True)
class PretrainConfig:
    """Options of a run; ``objectives`` maps a name to its weight in the loss."""

    objectives: Mapping[str, float]
    epochs: int = 1
    batch_size: int = 256
    learning_rate: float = 1e-3
    warmup: float = 0.05
    masked_share: float = 0.5
    layers: int = 5
    width: int = 300
    jk: str = "last"
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse unknown objectives by name, and what gives no training at all."""
        unknown = sorted(set(self.objectives) - set(OBJECTIVES))
        if unknown or not self.objectives:
            raise MolftError(f"objectives {unknown or 'none'}: expected some of {', '.join(OBJECTIVES)}")
        for name, value in {"epochs": self.epochs, "batch_size": self.batch_size, **self.objectives}.items():
            if not value > 0:
                raise MolftError(f"{name} is {value}; it must be above 0")


def target_arrays(block: Block) -> dict[str, NDArray[np.generic]]:
    """The graph-level targets of a block as they are stored: half-precision descriptors, packed bits."""
    if block.counts is None or block.descriptors is None:
        raise MolftError("the block was prepared without fragment counts and descriptors")
    largest = float(np.finfo(np.float16).max)
    return {
        "descriptors": np.clip(block.descriptors, -largest, largest).astype(np.float16),
        "bits": fold(block.counts),
    }


class Pretraining(nn.Module):
    """Encoder and the heads of the chosen objectives."""

    def __init__(self, encoder: Encoder, config: PretrainConfig, centre: Tensor, scale: Tensor) -> None:
        super().__init__()
        scheme = find_scheme(encoder.config.scheme)
        self.encoder = encoder
        self.config = config
        self.masking = MaskedAtoms(encoder.width, scheme.atom_sizes, scheme.mask_atom)
        self.descriptors = DescriptorValues(2 * encoder.width, centre, scale)
        self.fingerprints = FingerprintBits(2 * encoder.width)

    def forward(
        self, batch: Batch, targets: Mapping[str, Tensor], generator: torch.Generator
    ) -> dict[str, tuple[Tensor, Tensor]]:
        """Loss and a score between 0 and 1 for each objective.

        Only part of the molecules (``masked_share``) is masked, so the encoder sees whole ones too.
        """
        wanted = self.config.objectives
        hidden = torch.zeros(0, dtype=torch.int64)
        seen = batch
        if "masking" in wanted:
            chosen = torch.rand(batch.size, generator=generator) < self.config.masked_share
            chosen[0] = True  # a batch with nothing to predict has no mean
            hidden = choose_atoms(batch.graph, batch.size, generator, chosen)
            seen = batch._replace(atoms=self.masking.hide(batch.atoms, hidden))
        states = self.encoder(seen)
        out = {}
        if "masking" in wanted:
            out["masking"] = self.masking(states[hidden], batch.atoms[hidden])
        if len(wanted) > len(out):
            total = segment_sum(states, batch.graph, batch.size)
            atoms = torch.bincount(batch.graph, minlength=batch.size).clamp(min=1).unsqueeze(1)
            # The mean alone could not tell the size of a molecule.
            summary = torch.cat([total / atoms, total * _SUM_SCALE], dim=1)
            if "descriptors" in wanted:
                out["descriptors"] = self.descriptors(summary, targets["descriptors"])
            if "fingerprints" in wanted:
                out["fingerprints"] = self.fingerprints(summary, targets["bits"])
        return out


@dataclass
class _Corpus:
    """A store, its targets, and which molecules are held out."""

    graphs: Graphs
    arrays: dict[str, NDArray[np.generic]]
    train: NDArray[np.int64]
    held_out: NDArray[np.int64]

    def load(self, rows: NDArray[np.int64]) -> tuple[Batch, dict[str, Tensor]]:
        rows = np.sort(rows)  # neighbouring pages are read together; order inside a batch does not matter
        targets = {
            "descriptors": torch.from_numpy(self.arrays["descriptors"][rows].astype(np.float32)),
            "bits": torch.from_numpy(unfold(self.arrays["bits"][rows])),  # type: ignore[arg-type]
        }
        return make_batch(self.graphs.take(rows)), targets


def pretrain(
    store: Path,
    directory: Path,
    config: PretrainConfig,
    *,
    resume: bool = False,
    checkpoint_every_s: float = 120.0,
    report_every: int = 100,
    on_report: Callable[[dict[str, float]], None] | None = None,
) -> Encoder:
    """Train on the store and return the encoder; ``directory`` receives checkpoint and ``metrics.jsonl``.

    A finished or begun run in ``directory`` is refused unless ``resume``; then it continues.
    """
    graphs, arrays, scheme = open_store(store)
    if len(graphs) < 2:
        raise MolftError(f"{store} holds {len(graphs)} molecule(s); at least two are needed")
    held = min(_HELD_OUT, max(1, len(graphs) // 10))
    order = np.random.default_rng([config.seed, 2**31]).permutation(len(graphs))
    corpus = _Corpus(graphs, arrays, np.sort(order[held:]), np.sort(order[:held]))
    model, optimizer = _build(corpus, scheme, config)
    checkpoint = directory / "checkpoint.safetensors"
    step = _restore(checkpoint, model, optimizer, config, resume)
    directory.mkdir(parents=True, exist_ok=True)
    forget_reports(checkpoint.with_name(_REPORTS), step)
    _train(corpus, model, optimizer, step, checkpoint, checkpoint_every_s, report_every, on_report)
    model.eval()
    return model.encoder


def _build(corpus: _Corpus, scheme: str, config: PretrainConfig) -> tuple[Pretraining, torch.optim.Optimizer]:
    torch.manual_seed(config.seed)
    encoder = new_encoder(scheme, layers=config.layers, width=config.width, jk=config.jk)
    sample = corpus.train[:: max(1, len(corpus.train) // 20_000)]
    model = Pretraining(encoder, config, *robust_scale(corpus.arrays["descriptors"][sample]))  # type: ignore[arg-type]
    return model, torch.optim.Adam(model.parameters(), lr=config.learning_rate)


def _restore(
    path: Path, model: Pretraining, optimizer: torch.optim.Optimizer, config: PretrainConfig, resume: bool
) -> int:
    """The step to continue from; 0 for a new run."""
    if not path.exists():
        return 0
    if not resume:
        raise MolftError(
            f"{path.parent} holds a run already; continue it with --resume or choose another place"
        )
    tensors, facts = load_checkpoint(path)
    if facts["config"] != _plain(config):
        raise MolftError(
            f"{path.parent} was begun with other options: {facts['config']}, now {_plain(config)}"
        )
    weights = part("model", tensors)
    # The scale of the descriptors comes from the molecules, the sizes of the tables from their features.
    shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}
    if shapes != {name: tensor.shape for name, tensor in weights.items()} or not all(
        torch.allclose(weights[f"descriptors.{name}"], model.descriptors.get_buffer(name))
        for name in ("centre", "scale")
    ):
        raise MolftError(f"{path.parent} was begun on another store; continue it on the same one")
    model.load_state_dict(weights)
    restore_optimizer(optimizer, part("optimizer", tensors))
    return int(facts["step"])


def _plain(config: PretrainConfig) -> dict[str, object]:
    return {**asdict(config), "objectives": dict(config.objectives)}


def _train(
    corpus: _Corpus,
    model: Pretraining,
    optimizer: torch.optim.Optimizer,
    step: int,
    checkpoint: Path,
    checkpoint_every_s: float,
    report_every: int,
    on_report: Callable[[dict[str, float]], None] | None,
) -> None:
    config = model.config
    per_epoch = len(split_evenly(corpus.train, config.batch_size))
    steps = per_epoch * config.epochs
    saved = reported = time.monotonic()
    molecules = 0
    while step < steps:
        epoch, first = divmod(step, per_epoch)
        order = corpus.train[epoch_order(len(corpus.train), config.seed, epoch)]
        for rows in split_evenly(order, config.batch_size)[first:]:
            _step(corpus, model, optimizer, rows, step, steps)
            step += 1
            molecules += len(rows)
            now = time.monotonic()
            if step % report_every == 0 or step == steps:
                facts = _held_out_scores(corpus, model) | {
                    "step": step,
                    "steps": steps,
                    "epoch": step / per_epoch,
                }
                facts["molecules_per_s"] = molecules / (time.monotonic() - reported)
                reported, molecules = time.monotonic(), 0
                append_report(checkpoint.with_name(_REPORTS), facts)
                if on_report:
                    on_report(facts)
            if now - saved > checkpoint_every_s or step == steps:
                _save(checkpoint, model, optimizer, step)
                saved = now


def _step(
    corpus: _Corpus,
    model: Pretraining,
    optimizer: torch.optim.Optimizer,
    rows: NDArray[np.int64],
    step: int,
    steps: int,
) -> None:
    config = model.config
    for group in optimizer.param_groups:
        group["lr"] = config.learning_rate * warmup_cosine(step, steps, max(1, round(config.warmup * steps)))
    model.train()
    batch, targets = corpus.load(rows)
    generator = torch.Generator().manual_seed(config.seed * 1_000_003 + step)
    losses = model(batch, targets, generator)
    optimizer.zero_grad(set_to_none=True)
    total = torch.stack([config.objectives[name] * loss for name, (loss, _) in losses.items()]).sum()
    total.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 5.0)
    optimizer.step()


@torch.no_grad()
def _held_out_scores(corpus: _Corpus, model: Pretraining) -> dict[str, float]:
    """Mean loss and score of each objective over the molecules kept aside."""
    model.eval()
    sums: dict[str, float] = {}
    generator = torch.Generator().manual_seed(1)
    for rows in split_evenly(corpus.held_out, 512):
        for name, (loss, score) in model(*corpus.load(rows), generator).items():
            sums[f"{name}_loss"] = sums.get(f"{name}_loss", 0.0) + float(loss) * len(rows)
            sums[f"{name}_score"] = sums.get(f"{name}_score", 0.0) + float(score) * len(rows)
    return {name: value / len(corpus.held_out) for name, value in sums.items()}


def _save(path: Path, model: Pretraining, optimizer: torch.optim.Optimizer, step: int) -> None:
    tensors = with_prefix("model", model.state_dict()) | with_prefix("optimizer", optimizer_state(optimizer))
    save_checkpoint(path, tensors, {"step": step, "config": _plain(model.config)})
