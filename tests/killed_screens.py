"""Screens that are killed, each in the moment before a file gets its name; test_screen.py runs this.

Arguments: the model, the library, and the folder in which MOMENT-NAME are the outputs.
"""

import os
import signal
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path

import torch

from molft.use.screen import screen

BLOCK_ROWS = 16
OUTPUTS = {"all.csv": {}, "best.parquet": {"top": 5}, "diverse.csv": {"top": 5, "diverse": True}}


def die_at(moment: int) -> Callable[[str, str], None]:
    """An ``os.replace`` whose call number ``moment`` is the process's last."""
    replace, calls = os.replace, count(1)

    def stand_in(source: str, target: str) -> None:
        if next(calls) == moment:
            os.kill(os.getpid(), signal.SIGKILL)
        replace(source, target)

    return stand_in


def main(model: str, library: str, folder: str, moments: str) -> None:
    """Screen once for each moment and output; print how many of these runs were killed."""
    torch.set_num_threads(1)
    killed = 0
    for moment in range(1, int(moments) + 1):
        for name, options in OUTPUTS.items():
            # A fork, so that torch is imported once for all of them.
            child = os.fork()
            if child == 0:
                os.replace = die_at(moment)
                output = Path(folder) / f"{moment}-{name}"
                screen(
                    model, library, output, block_rows=BLOCK_ROWS, workers=0, precision="float32", **options
                )
                os._exit(0)
            killed += os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    print(killed)


if __name__ == "__main__":
    main(*sys.argv[1:])
