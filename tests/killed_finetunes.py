"""Fine-tunings that are killed, each in the moment before a file gets its name; test_assay.py runs this.

Arguments: the assay table, the encoder, and the folder in which folder N is the run killed at the Nth file
and folder 0 a run that was left alone. Checkpoints are written after every epoch.
"""

import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path
from unittest.mock import patch

import torch

from molft.train.finetune import finetune as train
from molft.use.assay import finetune
from molft.use.options import Options
from tests.small import small_options


def options(encoder: str) -> Options:
    """two networks of two epochs each; all of it is trained."""
    return small_options(encoder, strategy="full", epochs=2, ensemble_size=2, batch_size=16)


def run(table: Path, encoder: str, folder: Path, resume: bool = False) -> None:
    """One fine-tuning without the page to read, which takes longer than all the rest."""
    torch.set_num_threads(1)
    with (
        patch("molft.use.ensemble.finetune", partial(train, save_every_s=-1)),
        patch("molft.use.record.render_report", lambda *_: "<html></html>"),
    ):
        finetune(table, folder, options(encoder), resume=resume)


def die_at(moment: int) -> Callable[[str, str], None]:
    """An ``os.replace`` whose call number ``moment`` is the process's last."""
    replace, calls = os.replace, count(1)

    def stand_in(source: str, target: str) -> None:
        if next(calls) == moment:
            os.kill(os.getpid(), signal.SIGKILL)
        replace(source, target)

    return stand_in


def main(table: str, encoder: str, folder: str) -> None:
    """Run and die at file 1, 2, ... until a run ends by itself; print how many were killed."""
    run(Path(table), encoder, Path(folder) / "0")
    for moment in count(1):
        # A fork, so that everything is imported once for all of them.
        child = os.fork()
        if child == 0:
            with patch("os.replace", die_at(moment)):
                run(Path(table), encoder, Path(folder) / str(moment))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if os.waitstatus_to_exitcode(status) == 0:
            print(moment - 1)
            return
        if os.waitstatus_to_exitcode(status) != -signal.SIGKILL:
            sys.exit(f"moment {moment}: ended with {os.waitstatus_to_exitcode(status)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
