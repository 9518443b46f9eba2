"""One training in several processes, started by torchrun.

Every process computes its share of each step; gradients are summed once a step, in one message. That is all
that data-parallel training needs where the model is a few megabytes, and unlike DistributedDataParallel it
doesn't mind parameters that a batch leaves unused or an encoder that is run several times in a step.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn

from molft.errors import MolftError

# The others wait while the first process packs the corpus.
_PATIENCE = timedelta(days=7)


@dataclass(frozen=True)
class Processes:
    """This process among those of a run: number ``rank`` of ``size``, the first being 0."""

    rank: int = 0
    size: int = 1

    def sum(self, tensors: Iterable[Tensor]) -> None:
        """Replace each tensor by its sum over all processes; they must be of one dtype and device."""
        kept = list(tensors)
        if self.size == 1 or not kept:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in kept])
        dist.all_reduce(flat)
        for tensor, values in zip(kept, flat.split([t.numel() for t in kept]), strict=True):
            tensor.copy_(values.view_as(tensor))

    def sum_gradients(self, model: nn.Module) -> None:
        """Sum gradients over all processes; a parameter without one counts as 0."""
        if self.size == 1:
            return
        parameters = [p for p in model.parameters() if p.requires_grad]
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        self.sum(p.grad for p in parameters if p.grad is not None)

    def any(self, flag: bool, device: torch.device) -> bool:
        """Whether the flag is set in any process."""
        if self.size == 1:
            return flag
        count = torch.tensor([float(flag)], device=device)
        self.sum([count])
        return bool(count > 0)

    def wait(self) -> None:
        """Go on when all processes are here."""
        if self.size > 1:
            dist.barrier()


def join_processes(device: str) -> tuple[Processes, torch.device]:
    """The processes that torchrun started (one, without torchrun), and this one's device.

    On ``cuda`` each takes the GPU of its local rank. :func:`leave_processes` ends it.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        return Processes(), torch.device(device)
    if "RANK" not in os.environ or "MASTER_ADDR" not in os.environ:
        raise MolftError("WORLD_SIZE is set but RANK or MASTER_ADDR is not; start the command with torchrun")
    own = torch.device("cuda", int(os.environ["LOCAL_RANK"])) if device == "cuda" else torch.device(device)
    if own.type == "cuda":
        torch.cuda.set_device(own)
    dist.init_process_group("nccl" if own.type == "cuda" else "gloo", timeout=_PATIENCE)
    return Processes(dist.get_rank(), size), own


def leave_processes() -> None:
    """End what :func:`join_processes` began."""
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()
