"""The scores of a node fine-tuning as a table on the terminal."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.table import Table

from molft.train.resident import format_memory
from molft.use.node_scores import SCORES


def node_score_table(record: dict[str, Any]) -> Table:
    """Test scores of the network and of the simple answers beside it; the caption says on what."""
    table = Table(box=box.SIMPLE, pad_edge=False, caption_justify="left", caption_style="")
    table.add_column("answer")
    for name in SCORES:
        table.add_column(name.replace("_f1", " F1"), justify="right")
    for answer, scores in record["test"].items():
        table.add_row(answer, *(f"{scores[name]:.3f}" if scores else "" for name in SCORES))
    table.caption = (
        f"{record['trained_on']:,} labelled nodes, tested on {record['tested_on']:,}; "
        f"{record['seconds_per_epoch']:.1f} s an epoch, peak memory {format_memory(record['peak_bytes'])}"
    )
    return table
