"""From curated molecules to a model: plan, networks, forest, and the choice between them."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from molft.chem.prepare import Block, Recipe
from molft.chem.smiles import Limits
from molft.errors import MolftError
from molft.model.adapters import adapted
from molft.model.encoder import Encoder
from molft.model.network import Network, build_reader, suited_readout
from molft.train.budget import Budget
from molft.train.encoders import new_encoder
from molft.train.finetune import Examples
from molft.train.loop import PREDICTED, predict, predict_each
from molft.train.losses import ClassBalance
from molft.train.plan import Plan, make_plan
from molft.train.reading import rows_within
from molft.train.task import Progress
from molft.use.dataset import Dataset
from molft.use.encoders import find_encoder
from molft.use.ensemble import Ensemble, train_networks
from molft.use.evaluate import Evaluation, evaluate
from molft.use.forest import Forest, fit_forest, join_features
from molft.use.gaussian_process import MOST, GaussianProcess, fit_process
from molft.use.model import About, Model
from molft.use.molecules import take_rows
from molft.use.neighbours import Neighbours
from molft.use.options import Options, Reporter
from molft.use.retention import tell_retention

GROWING, LIKENING = "forest, tasks", "gaussian process, tasks"
SMALL = 2000  # up to so many molecules three networks are trained, above one
History = list[list[dict[str, Any]]]


class Fitted(NamedTuple):
    """A model, its scores, and how the training of each of its networks went."""

    model: Model
    evaluation: Evaluation
    progress: list[Progress]

    @property
    def history(self) -> History:
        """The epochs of each network."""
        return [found.history for found in self.progress]


def start_encoder(options: Options) -> tuple[Encoder, dict[str, Any]]:
    """The encoder to start from, and its card; a new one of the default shape for ``none``."""
    if options.encoder != "none":
        return find_encoder(options.encoder)
    torch.manual_seed(options.seed)
    return new_encoder("ogb"), {}


def fit(
    data: Dataset,
    encoder: Encoder,
    about: About,
    plan: Plan,
    run: Path,
    options: Options,
    reporter: Reporter,
) -> Fitted:
    """Train networks and forest on the training part, let validation choose, score the rest.

    ``about`` and ``plan`` are those of :func:`plan_model`. Finished networks are kept in ``run`` and not
    trained again. A split without a test part gives scores on validation only.
    """
    train, valid = (standardize_labels(data, rows, about) for rows in data.split[:2])
    job = Ensemble(run, about, plan, encoder, train, valid, options, reporter)
    networks, plan, progress = train_networks(job)
    forest = grow_forest(data, about, options, reporter)
    facts = about.facts | {"plan": plan.to_json()}
    if plan.average:
        shares = ", ".join(f"{found.share:.0%}" for found in progress)
        reporter.line(f"share of the fine-tuned weights in the averages: {shares}")
    rows = _rows_at_a_time(networks, data, options)
    if options.encoder != "none":
        facts |= tell_retention(encoder, networks, about.recipe.scheme, reporter, rows)
    neighbours = Neighbours.of(
        take_rows(data.block, data.split.train), [data.assay.smiles[row] for row in data.split.train]
    )
    about = replace(about, facts=facts)
    process = fit_likeness(data, about, encoder, rows, options, reporter)
    model = Model(about, networks, forest, neighbours=neighbours, rows=rows, process=process)
    parts = {
        name: (take_rows(data.block, rows), data.examples(rows))
        for name, rows in (("valid", data.split.valid), ("test", data.split.test))
        if len(rows)
    }
    model, evaluation = evaluate(model, parts, plan.select)
    return Fitted(model, evaluation, progress)


def _rows_at_a_time(networks: list[Network], data: Dataset, options: Options) -> int:
    """How many molecules the finished networks may read at a time: as always, or what a budget allows."""
    if options.memory is None:
        return PREDICTED
    budget = Budget(options.memory, torch.device("cpu"))
    try:
        return rows_within(budget, data.block.graphs, lambda some: predict_each(networks, some), PREDICTED)
    except MolftError:
        return 1  # all is trained: rather a little above the budget than for nothing


def plan_model(
    data: Dataset, encoder: Encoder, card: dict[str, Any], options: Options, reporter: Reporter
) -> tuple[About, Plan]:
    """What the model will be, and how it will be trained, from the labels of the training part.

    Options that don't fit the data (a class loss for values, a frozen encoder that is not pre-trained) are
    a :class:`MolftError`.
    """
    assay = data.assay
    labels = assay.labels[data.split.train]
    classes = assay.task_type == "classification"
    plan = make_plan(
        int(np.isfinite(labels).any(axis=1).sum()),
        assay.task_type,
        pretrained=options.encoder != "none",
        layers=encoder.config.layers,
        minority=ClassBalance.of(labels).minority if classes else 0.5,
        strategy=options.strategy,
        loss=options.loss,
        oversample=options.oversample,
        epochs=options.epochs,
        batch_size=options.batch_size,
    )
    members = options.ensemble_size or (3 if len(assay.smiles) <= SMALL else 1)
    reporter.rows("plan", [*plan.rows(), ("networks", f"{members}, averaged")])
    centre, scale = (np.zeros(labels.shape[1]), np.ones(labels.shape[1])) if classes else _scaling(labels)
    about = About(
        tasks=assay.names,
        task_type=assay.task_type,
        answer="network",
        recipe=Recipe(scheme=encoder.config.scheme, limits=Limits(atoms=options.max_atoms)),
        encoder=adapted(encoder.config, plan.adapter) if plan.adapter else encoder.config,
        readout=suited_readout(encoder.config),
        head="linear",
        members=members,
        centre=tuple(centre.tolist()),
        scale=tuple(scale.tolist()),
        thresholds=(0.5,) * len(assay.names),
        facts={
            "data": data.source,
            "split": data.split_name,
            "seed": options.seed,
            "encoder": {"name": options.encoder, **card},
        },
    )
    return about, plan


def _scaling(labels: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of each task's training labels; 0 and 1 where they say nothing."""
    known = np.isfinite(labels)
    count = np.maximum(known.sum(axis=0), 1)
    centre = np.where(known, labels, 0.0).sum(axis=0, dtype=np.float64) / count
    spread = np.sqrt(np.where(known, (labels - centre) ** 2, 0.0).sum(axis=0) / count)
    return centre, np.where(spread > 0, spread, 1.0)


def standardize_labels(data: Dataset, rows: NDArray[np.int64], about: About) -> Examples:
    """Molecules with labels as the network learns them."""
    unit = data.examples(rows)
    labels = (unit.labels - np.asarray(about.centre)) / np.asarray(about.scale)
    return Examples(unit.graphs, labels.astype(np.float32), unit.bounds)


def grow_forest(data: Dataset, about: About, options: Options, reporter: Reporter) -> Forest:
    """The forest on the training molecules. It can't use a bound: ``>10`` counts as 10 there."""
    train = data.split.train
    reporter.line(
        f"forest: {options.trees} trees on fragment counts and descriptors of {len(train)} molecules"
    )
    forest = fit_forest(
        forest_features(data.block)[train],
        data.assay.labels[train],
        about.task_type,  # type: ignore[arg-type]
        about.tasks,
        trees=options.trees,
        seed=options.seed,
        jobs=max(1, options.workers),  # 0 workers: in this process
        progress=partial(_tell_tasks, reporter, GROWING),
    )
    for note in forest.notes:
        reporter.line(f"forest: {note}")
    return forest


def fit_likeness(
    data: Dataset, about: About, encoder: Encoder, rows: int, options: Options, reporter: Reporter
) -> GaussianProcess | None:
    """The Gaussian process on the training molecules; None for too many. Like the forest, it knows no bounds.

    Its vectors are those of the encoder as it was pre-trained, if it was; ``rows`` molecules go through that
    at a time.
    """
    train = data.split.train
    if len(train) > MOST:
        reporter.line(f"gaussian process: left out above {MOST:,} training molecules")
        return None
    if data.block.descriptors is None:
        raise MolftError("the molecules were prepared without descriptors (Recipe.forest)")
    reader = build_reader(encoder).eval() if options.encoder != "none" else None
    read = "descriptors" if reader is None else "descriptors and the encoder's vectors"
    reporter.line(f"gaussian process: on {read} of {len(train)} molecules")
    process = fit_process(
        data.block.descriptors[train],
        None if reader is None else predict(reader, data.block.graphs.take(train), rows),
        data.assay.labels[train],
        about.task_type,  # type: ignore[arg-type]
        about.tasks,
        seed=options.seed,
        progress=partial(_tell_tasks, reporter, LIKENING),
    )
    return replace(process, reader=reader)


def _tell_tasks(reporter: Reporter, what: str, done: int, total: int) -> None:
    if total > 1:
        reporter.progress(what, done, total)


def forest_features(block: Block) -> NDArray[np.float32]:
    """What the forest reads of each molecule, float32 [B, F]; they must have been prepared with it."""
    if block.counts is None or block.descriptors is None:
        raise MolftError("the molecules were prepared without the forest's features (Recipe.forest)")
    return join_features(block.counts, block.descriptors)
