"""Which answer: how many networks, how much forest, what the forest reads, and a Gaussian process beside.

    MOLFT_DATA=... python -m tests.benchmarks.blends [--sets bace esol] [--labels 100 500] [--seeds 3]

On the same molecules five networks fine-tuned by molft's plan; two forests, molft's, on fragment counts and
descriptors, and one that reads the frozen encoder's molecule vectors as well; and two Gaussian processes,
molft's, on descriptors and these vectors, and one on descriptors alone. All their means are scored:
``network x3 + forest`` gives three networks the weight of one forest, ``network x3 + forest + gp`` is a mean
of three; in ``network x3 0.25 + forest`` the forest has the other three quarters.

The split is an inner one (see :func:`tests.benchmarks.parts.read_parts`), so its test part may choose a
default; the published test part isn't read. Rows go to data/results/blends.csv, with the sha256 of the
encoder's weights; a draw that stands there is not measured again. In the end the means over all draws are
printed, by metric.
"""

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from molft.chem.descriptors import FINGERPRINT_BITS
from molft.model.encoder import Encoder
from molft.train.finetune import Examples
from molft.train.loop import predict
from molft.use.evaluate import PRIMARY
from molft.use.gaussian_process import fit_process
from tests.benchmarks.label_efficiency import draw
from tests.benchmarks.parts import (
    finish,
    grow_forest,
    open_start,
    read_fragments,
    read_parts,
    subset,
    train_network,
)
from tests.benchmarks.probe import embed, rate
from tests.benchmarks.rows import RESULTS, append_row, is_known, read_rows

TABLE = RESULTS / "blends.csv"
KEY = ("sha256", "set", "labels", "seed")
FIELDS = (*KEY, "answer", "metric", "valid", "test")
MEMBERS = 5
WEIGHTS_OF_NETWORK = (0.25, 0.75)

Tables = list[NDArray[np.float32]]
Predictions = list[NDArray[np.float64]]
"""Of the validation and test part, float64 [B, T] each."""


def train(start: Encoder, parts: list[Examples], task_type: str, seed: int) -> Predictions:
    """What a fine-tuned network predicts."""
    network = train_network(start, parts, task_type, seed)
    return [finish(predict(network, part.graphs), task_type) for part in parts[1:]]


def grow(features: Tables, parts: list[Examples], task_type: str) -> Predictions:
    """What a forest predicts."""
    forest = grow_forest(features[0], parts[0].labels, task_type)
    return [forest.predict(table) for table in features[1:]]


def liken(descriptors: Tables, vectors: Tables | None, parts: list[Examples], task_type: str) -> Predictions:
    """What a Gaussian process predicts."""
    tasks = [str(task) for task in range(parts[0].labels.shape[1])]
    read = [None] * len(parts) if vectors is None else vectors
    process = fit_process(descriptors[0], read[0], parts[0].labels, task_type, tasks)  # type: ignore[arg-type]
    return [process.predict(*tables) for tables in zip(descriptors[1:], read[1:], strict=True)]


def mean(*several: Predictions) -> Predictions:
    """Their mean."""
    return [np.mean(part, axis=0) for part in zip(*several, strict=True)]


def mix(first: Predictions, second: Predictions, share: float) -> Predictions:
    """``share`` of the first and the rest of the second."""
    return [share * one + (1 - share) * other for one, other in zip(first, second, strict=True)]


def combine(
    networks: list[Predictions],
    forest: Predictions,
    informed: Predictions,
    process: Predictions,
    blind: Predictions,
) -> dict[str, Predictions]:
    """All answers by name; ``informed`` is the forest that reads vectors too, ``blind`` the gp without."""
    together = {count: mean(*networks[:count]) for count in (1, 3, MEMBERS)}
    answers = {f"network x{count}": found for count, found in together.items()}
    answers |= {"forest": forest, "forest with vectors": informed, "gp": process, "gp without vectors": blind}
    for count, found in together.items():
        answers[f"network x{count} + forest"] = mean(found, forest)
    for share in WEIGHTS_OF_NETWORK:
        answers[f"network x3 {share} + forest"] = mix(together[3], forest, share)
    answers["network x3 + forest with vectors"] = mean(together[3], informed)
    answers["network x3 + gp"] = mean(together[3], process)
    for count, found in together.items():
        answers[f"network x{count} + forest + gp"] = mean(found, forest, process)
    return answers


def summarize(rows: list[dict[str, str]]) -> list[str]:
    """Mean scores of each answer by metric and labels."""
    found: dict[tuple[str, str], dict[str, list[tuple[float, float]]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for row in rows:
        found[row["metric"], row["labels"]][row["answer"]].append((float(row["valid"]), float(row["test"])))
    lines = []
    for (metric, labels), answers in sorted(found.items()):
        lines.append(f"{metric}, {labels} labels: mean validation and test score")
        for answer, scores in answers.items():
            valid, test = np.nanmean(np.array(scores), axis=0)
            lines.append(f"  {answer:34} {valid:.4f} {test:.4f}  {len(scores)} draws")
    return lines


def main() -> None:
    """Measure what isn't in the table yet, and sum up."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sets", nargs="+", default=["bace", "bbbp", "clintox", "esol", "lipophilicity"])
    parser.add_argument("--labels", nargs="+", default=["100", "500"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--encoder", default="default")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--table", type=Path, default=TABLE)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    start, digest = open_start(chosen.encoder)
    for seed in range(chosen.seeds):
        for name in chosen.sets:
            keys = [dict(zip(KEY, (digest, name, labels, seed), strict=True)) for labels in chosen.labels]
            missing = [key for key in keys if not is_known(chosen.table, key)]
            if not missing:
                continue
            parts, task_type = read_parts(name, start.config.scheme, seed)
            fragments, vectors = read_fragments(name, seed), embed(start, parts)
            descriptors = [table[:, FINGERPRINT_BITS:] for table in fragments]
            both = [np.concatenate(pair, axis=1) for pair in zip(fragments, vectors, strict=True)]
            for key in missing:
                rows = draw(len(parts[0]), str(key["labels"]), seed)
                some = [subset(parts[0], rows), *parts[1:]]
                networks = [train(start, some, task_type, MEMBERS * seed + n) for n in range(MEMBERS)]
                forests = [grow([table[0][rows], *table[1:]], some, task_type) for table in (fragments, both)]
                own = [[table[0][rows], *table[1:]] for table in (descriptors, vectors)]
                processes = [liken(own[0], read, some, task_type) for read in (own[1], None)]
                for answer, found in combine(networks, *forests, *processes).items():
                    scores = [rate(part, out, task_type) for part, out in zip(parts[1:], found, strict=True)]
                    told = {"valid": f"{scores[0]:.4f}", "test": f"{scores[1]:.4f}"}
                    row = {**key, "answer": answer, "metric": PRIMARY[task_type], **told}
                    append_row(chosen.table, FIELDS, row)
    print("\n".join(summarize([row for row in read_rows(chosen.table) if row["sha256"] == digest])))


if __name__ == "__main__":
    main()
