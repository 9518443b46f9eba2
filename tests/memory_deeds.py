"""Training steps of networks of the default shape, in a process of its own, within real memory.

    python -m tests.memory_deeds finetune|pretrain BUDGET LIMIT

Each line of JSON tells one training: first within BUDGET, then without one (with LIMIT the other way round).
BUDGET and LIMIT (or "None") are megabytes above what is held before: what molft is to keep within, and how
much more address space the kernel allows. Told are the peak above what was held before, what was said, and
the error, if it ended in one.
"""

import json
import resource
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

MB = 10**6
MOLECULES = 400


def run_deed(deed: str, budget: int, limit: int | None = None) -> list[dict[str, Any]]:
    """Do it in another process; what that told."""
    command = [sys.executable, "-m", "tests.memory_deeds", deed, str(budget), str(limit)]
    done = subprocess.run(
        command, cwd=Path(__file__).parents[1], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(name))


def _tell(train: Callable[[Any], object], size: int | None) -> None:
    import torch

    from molft.train.budget import Budget

    held, lines, error = _status("VmRSS"), [], ""
    Path("/proc/self/clear_refs").write_text("5")
    budget = None if size is None else Budget(held + size * MB, torch.device("cpu"), lines.append)
    with _highest() as peaks:
        try:
            train(budget)
        except RuntimeError as found:
            error = str(found)
    print(json.dumps({"peak": (max(peaks) - held) / MB, "lines": lines, "error": error}))


@contextmanager
def _highest() -> Iterator[list[int]]:
    """Peaks within, read every other millisecond: a budget makes the kernel forget its own."""
    peaks: list[int] = []
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.002):
            peaks.append(_status("VmHWM"))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield peaks
    finally:
        over.set()
        watcher.join()
        peaks.append(_status("VmHWM"))


def _finetuning(molecules: int) -> Callable[[Any], object]:
    import numpy as np

    from molft.model.config import NetworkConfig
    from molft.model.network import build_network
    from molft.train.encoders import new_encoder
    from molft.train.finetune import Examples, Task, finetune
    from molft.train.forgetting import reference_molecules
    from molft.train.plan import make_plan

    graphs = reference_molecules("ogb")
    assert graphs is not None
    labels = (np.arange(molecules) % 2).astype(np.float32)[:, None]
    data = Examples(graphs.take(np.arange(molecules)), labels, np.zeros(labels.shape, np.int8))
    few = Examples(graphs.take(np.arange(8)), labels[:8], data.bounds[:8])
    network = build_network(new_encoder("ogb"), NetworkConfig(tasks=1))
    plan = make_plan(400, "classification", pretrained=False, layers=5, epochs=1, batch_size=molecules)
    return lambda budget: finetune(Task(network, data, few, plan, lambda *_: 0.0, 0, budget=budget))


def _pretraining(molecules: int, folder: Path) -> Callable[[Any], object]:
    import numpy as np

    from molft.data.store import write_store
    from molft.train.forgetting import reference_molecules
    from molft.train.pretrain import PretrainConfig, pretrain

    graphs = reference_molecules("ogb")
    assert graphs is not None
    write_store(folder / "store", "ogb", [(graphs.take(np.arange(molecules * 10 // 9)), {})])
    config = PretrainConfig({"masking": 1.0}, batch_size=molecules, precision="float32")
    return lambda budget: pretrain(folder / "store", folder / f"run-{budget is None}", config, budget=budget)


def _main(deed: str, budget: str, limit: str) -> None:
    import torch

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:

        def begin(molecules: int) -> Callable[[Any], object]:
            folder = Path(name) / str(molecules)
            return _finetuning(molecules) if deed == "finetune" else _pretraining(molecules, folder)

        # A small one first: kernels, gradients and the optimiser's numbers are no matter of the batch.
        begin(8)(None)
        train = begin(MOLECULES)
        if limit == "None":
            _tell(train, int(budget))
            _tell(train, None)
        else:
            most = _status("VmSize") + int(limit) * MB
            resource.setrlimit(resource.RLIMIT_AS, (most, most))
            _tell(train, None)
            _tell(train, int(budget))


if __name__ == "__main__":
    _main(*sys.argv[1:])
