"""Small trainings, and a process that is killed in the middle of one."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from molft.data.packed_corpus import LABEL_ROW, LABELS_FILE
from molft.data.store import write_store
from molft.model.config import NetworkConfig
from molft.model.network import Network, build_network
from molft.train.encoders import new_encoder
from molft.train.finetune import Examples, Task, finetune
from molft.train.plan import Stage, make_plan
from molft.train.pretrain import PretrainConfig, pretrain, target_arrays
from tests.series import block_of, halogen_examples, has_halogen, pyridines

LAYERS = 2

# Networks this small gain nothing from a second thread, and on a busy machine threads wait for each other;
# and bit for bit the same needs the same number in both processes.
torch.set_num_threads(1)


def tiny_network(tasks: int = 1, seed: int = 0, layers: int = LAYERS) -> Network:
    """Two layers of width 16 and a linear head."""
    torch.manual_seed(seed)
    return build_network(new_encoder("snap", layers=layers, width=16), NetworkConfig(tasks=tasks))


def accuracy(examples: Examples, outputs: NDArray[np.float32]) -> float | None:
    """Share of known labels on the right side."""
    known = np.isfinite(examples.labels)
    return float(((outputs > 0) == (examples.labels == 1))[known].mean()) if known.any() else None


def weights(network: Network) -> dict[str, Tensor]:
    """A copy of parameters and running statistics."""
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    """Whether two sets of weights are equal bit for bit."""
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def gradual_task(seed: int = 5, **changes: Any) -> Task:  # noqa: ANN401
    """Six epochs with dropout; the encoder is released in two stages. ``changes`` are those of the plan."""
    plan = make_plan(40, "classification", pretrained=True, layers=LAYERS, strategy="gradual", epochs=6)
    stages = (Stage(0, 3), Stage(2, 2), Stage(4, 0))
    plan = replace(plan, **{"stages": stages, "batch_size": 16, **changes})
    data = halogen_examples(40, missing=7)
    return Task(tiny_network(), data, data, plan, accuracy, seed)


def strategy_task(strategy: str, seed: int = 5, **changes: Any) -> Task:  # noqa: ANN401
    """Six epochs with dropout by the plan that a strategy makes; ``changes`` are those of the plan."""
    plan = make_plan(40, "classification", pretrained=True, layers=LAYERS, strategy=strategy, epochs=6)
    plan = replace(plan, **{"batch_size": 16, "encoder_rate": 0.01, **changes})
    data = halogen_examples(40, missing=7)
    return Task(tiny_network(), data, data, plan, accuracy, seed)


def small_store(folder: Path, scheme: str = "snap", count: int = 200) -> Path:
    """A store of pyridines with targets; every molecule but each fifth has the label "has a halogen"."""
    block = block_of(pyridines(count), scheme, forest=True)
    row = np.where(np.arange(count) % 5 == 4, -1, np.arange(count)).astype(np.int32)
    write_store(folder, scheme, [(block.graphs, target_arrays(block) | {LABEL_ROW: row})])
    np.save(folder.with_name(LABELS_FILE), has_halogen(pyridines(count))[:, None])
    return folder


SMALL = PretrainConfig(
    {"masking": 1.0, "descriptors": 0.5, "fingerprints": 2.0},
    epochs=2,
    batch_size=32,
    layers=2,
    width=16,
    seed=3,
)


def run_and_die(deed: str, folder: Path, at: int) -> int:
    """Do a deed in another process, which kills itself at its ``at``-th report; its return code."""
    command = [sys.executable, "-m", "tests.train_deeds", deed, str(folder), str(at)]
    return subprocess.run(command, cwd=Path(__file__).parents[1], check=False, timeout=120).returncode


def _die(when: bool) -> None:
    if when:
        os.kill(os.getpid(), signal.SIGKILL)


def _main(deed: str, folder: Path, at: int) -> None:
    if deed == "finetune":
        finetune(
            gradual_task(),
            folder / "checkpoint",
            save_every_s=-1.0,
            on_epoch=lambda record: _die(record["epoch"] == at),
        )
    if deed == "pretrain":
        pretrain(
            folder / "store",
            folder / "run",
            SMALL,
            checkpoint_every_s=-1.0,
            report_every=1,
            on_report=lambda facts: _die(facts["step"] == at),
        )


if __name__ == "__main__":
    _main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
