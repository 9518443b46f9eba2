"""A run over a library as a folder of finished parts, so that a killed one goes on where it stopped.

``OUTPUT.parts/_plan.json`` says what the run is; ``part-00000.parquet`` and so on hold the rows of one block
each, written whole or not at all. The parts that are there are the progress, and nothing else is. A finished
folder can itself be the output: readers of parquet folders pass over names that begin with ``_``.
"""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count, takewhile
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from molft.errors import MolftError
from molft.files import atomic, read_json, synchronise, write_json

PLAN = "_plan.json"
_TALLY = b"molft"
_PART = re.compile(r"part-\d{5,}\.parquet")


@dataclass(frozen=True)
class Tally:
    """How many rows were read, how many are ``ok``, and how many each stage refused."""

    rows: int = 0
    ok: int = 0
    rejected: Counter[str] = field(default_factory=Counter)

    def __add__(self, other: Tally) -> Tally:
        """Both together."""
        return Tally(self.rows + other.rows, self.ok + other.ok, self.rejected + other.rejected)


def parts_folder(output: Path) -> Path:
    """Where the parts of an output are kept until it is complete.

    >>> parts_folder(Path("hits.csv")).name
    'hits.csv.parts'
    """
    return output.with_name(output.name + ".parts")


def claim(output: Path, plan: Mapping[str, object], *, resume: bool, overwrite: bool) -> Path:
    """Begin a run, or go on with the one that was begun; gives the folder of its parts.

    An output that is there is refused unless ``overwrite``; an unfinished run is refused unless ``resume``
    (then the plan must be the same) or ``overwrite`` (then it is removed). Each is a :class:`MolftError`.
    """
    folder = parts_folder(output)
    if resume and overwrite:
        raise MolftError("--resume keeps what was done, --overwrite removes it: give one of them")
    if overwrite and folder.exists():
        shutil.rmtree(folder)
    if overwrite and output.is_dir():
        _check_own(output)
    if (folder / PLAN).exists():
        if not resume:
            raise MolftError(
                f"{folder} holds an unfinished run; go on with --resume, or start anew with --overwrite"
            )
        _check_plan(folder, plan)
        return folder
    if output.exists() and not overwrite:
        hint = "it is finished, or not of this run" if resume else "choose another name"
        raise MolftError(f"{output} is there already: {hint}; --overwrite replaces it")
    if any(folder.glob("part-*.parquet")):
        raise MolftError(f"{folder} holds parts of an unknown run (no {PLAN}); --overwrite removes them")
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / PLAN, plan)
    return folder


def begun_plan(output: Path) -> dict[str, Any]:
    """The plan that an unfinished run of this output was begun with; empty where there is none."""
    plan = parts_folder(output) / PLAN
    return read_json(plan) if plan.exists() else {}


def publish(folder: Path, output: Path) -> None:
    """Give the folder of a complete run the name of its output; an older output of this kind goes."""
    if output.exists():
        _check_own(output)
        shutil.rmtree(output)
    folder.rename(output)
    synchronise(output.parent)


def _check_own(output: Path) -> None:
    """Refuse to replace a folder that is more than the output of a run."""
    foreign = [path.name for path in output.iterdir() if path.name != PLAN and not _PART.fullmatch(path.name)]
    if foreign or not (output / PLAN).exists():
        found = f"it holds {sorted(foreign)[0]}" if foreign else f"it has no {PLAN}"
        raise MolftError(
            f"{output} is no folder of parts ({found}), so it is not replaced; give another name"
        )


def _check_plan(folder: Path, plan: Mapping[str, object]) -> None:
    begun = read_json(folder / PLAN)
    wanted = json.loads(json.dumps(plan))  # as the file gives it back: lists for tuples
    changed = [name for name in {**begun, **wanted} if begun.get(name) != wanted.get(name)]
    if changed:
        told = "; ".join(_tell_change(name, begun.get(name), wanted.get(name)) for name in changed)
        raise MolftError(
            f"{folder} was begun with something else: {told}. Rows of two runs are never mixed: go on with "
            "what it was begun with, or start anew with --overwrite"
        )


def _tell_change(name: str, old: object, new: object) -> str:
    """What is not as it was; of several files, which of them."""
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return f"{name} was {_shown(old)}, now {_shown(new)}"
    changes = {
        "gone": [file for file in old if file not in new],
        "added": [file for file in new if file not in old],
        "changed": [file for file in old if file in new and old[file] != new[file]],
    }
    told = (
        f"{', '.join(files[:3])}{', ...' * (len(files) > 3)} {how}" for how, files in changes.items() if files
    )
    return f"{name}: {', '.join(told)}"


def _shown(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 24 else text[:20] + '..."'


def count_parts(folder: Path) -> int:
    """How many parts are finished: those from the first on without a gap."""
    return sum(1 for _ in takewhile(Path.exists, (_part(folder, number) for number in count())))


def write_part(folder: Path, number: int, rows: pa.Table, tally: Tally) -> None:
    """Write a part whole or not at all, with the tally of the block that it came from."""
    facts = json.dumps({"rows": tally.rows, "ok": tally.ok, "rejected": tally.rejected})
    with atomic(_part(folder, number)) as temporary:
        table = rows.replace_schema_metadata({_TALLY: facts})
        parquet.write_table(table, temporary, write_page_checksum=True)


def read_parts(folder: Path) -> Iterator[tuple[pa.Table, Tally]]:
    """Yield the finished parts in order; a damaged one is a :class:`MolftError`."""
    for number in range(count_parts(folder)):
        path = _part(folder, number)
        try:
            with parquet.ParquetFile(path, page_checksum_verification=True) as file:
                table = file.read()
            facts = json.loads(table.schema.metadata[_TALLY])
        except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
            raise MolftError(
                f"{path} is damaged ({error}); remove it and those after it, then go on with --resume"
            ) from error
        rejected: Counter[str] = Counter(facts["rejected"])
        yield table.replace_schema_metadata(None), Tally(facts["rows"], facts["ok"], rejected)


def _part(folder: Path, number: int) -> Path:
    return folder / f"part-{number:05d}.parquet"
