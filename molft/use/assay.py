"""The main job: an assay table in, a model folder out.

Read, curate, split, plan, train an ensemble, a forest and a Gaussian process, let validation choose between
them, score all on the test part, write everything down. Each finished training is kept in ``DIR/run``, so a
killed run goes on where it stopped and ends with the same numbers.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

from molft.errors import MolftError
from molft.files import read_json, sha256, write_json
from molft.use.dataset import read_dataset
from molft.use.encoders import encoder_folder
from molft.use.evaluate import Evaluation
from molft.use.fitting import fit, plan_model, start_encoder
from molft.use.model import CONFIG, Model
from molft.use.options import Options, Reporter, Silent
from molft.use.record import write_record


def finetune(
    table: str | Path,
    directory: str | Path,
    options: Options = Options(),
    *,
    reporter: Reporter | None = None,
    resume: bool = False,
) -> tuple[Model, Evaluation]:
    """Fine-tune on a table and write the model folder; returns the model and its scores.

    A folder that holds a model, or a run that was begun, is refused unless ``resume`` continues the latter;
    then table and options must be the same. What can't be used is a :class:`MolftError`.
    """
    table, directory, reporter = Path(table), Path(directory), reporter or Silent()
    if not table.exists():
        raise MolftError(f"{table}: no such file")
    run = _identify(table, options)
    _check(table, directory, options, run, resume)
    encoder, card = start_encoder(options)
    data = read_dataset(table, options, encoder.config.scheme, reporter)
    about, plan = plan_model(data, encoder, card, options, reporter)
    # Only now: what can't be used leaves no folder behind that the next try would stumble over.
    _claim(directory, run)
    fitted = fit(data, encoder, about, plan, directory / "run", options, reporter)
    write_record(directory, fitted.model, data, fitted.evaluation, fitted.history)
    fitted.model.save(directory)
    shutil.rmtree(directory / "run")
    return fitted.model, fitted.evaluation


def _claim(directory: Path, run: dict[str, Any]) -> None:
    """Make the folder and write down what it is for; again and the same for a run that goes on."""
    begun = directory / "run" / "run.json"
    try:
        begun.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MolftError(f"{directory}: can't be made a folder: {error.strerror}") from error
    write_json(begun, run)


def _check(table: Path, directory: Path, options: Options, run: dict[str, Any], resume: bool) -> None:
    """Refuse a folder that is in use for anything but this run."""
    if (directory / CONFIG).exists():
        raise MolftError(f"{directory} holds a finished model; choose another folder for a new one")
    begun = directory / "run" / "run.json"
    if not begun.exists():
        if any(path.is_file() and not path.name.startswith(".tmp-") for path in directory.rglob("*")):
            raise MolftError(f"{directory} is not empty and holds no molft run; choose another folder")
        return
    if not resume:
        raise MolftError(f"{directory} holds an unfinished run; go on with --resume, or remove the folder")
    known = read_json(begun)
    if not isinstance(known, dict) or known.keys() != run.keys() or not isinstance(known["options"], dict):
        raise MolftError(f"{begun} was not written by this molft; remove the folder to start anew")
    for what, name in (("table", table), ("encoder", options.encoder)):
        if known[what] != run[what] and known["options"].get(what) == run["options"].get(what):
            raise MolftError(
                f"{name} has changed since the run in {directory} was begun; remove the folder to start anew"
            )
    changed = [name for name, value in run["options"].items() if known["options"].get(name) != value]
    if changed:
        was = ", ".join(f"{name} was {known['options'].get(name)!r}" for name in changed)
        raise MolftError(
            f"the run in {directory} was begun with other options ({was}); use the same with --resume"
        )


def _identify(table: Path, options: Options) -> dict[str, Any]:
    """What must be the same for a run to go on, as it comes back from JSON."""
    encoder = None if options.encoder == "none" else sha256(encoder_folder(options.encoder) / CONFIG)
    # What changes speed and rounding only may differ between the runs.
    chosen = {**asdict(options), "device": None, "workers": None, "memory": None}
    run = {"table": sha256(table), "encoder": encoder, "options": chosen}
    plain: dict[str, Any] = json.loads(json.dumps(run))
    return plain
