"""Which recipe of pre-training serves assays best: objectives, features, what makes the vector.

    MOLFT_DATA=... python -m tests.benchmarks.recipes CORPUS... -o FOLDER [--sample 0.08] [--only NAME ...]

Each recipe trains a GIN 5 x 300 on the same molecules for as many steps, from the same seed. It is judged by
**validation** scores alone, on published scaffold splits: frozen, a linear model on its vectors (the penalty
is chosen by the same score, so it flatters, all alike); and fine-tuned by molft's plan. Test parts are not
read, and the benchmarks' validation and test molecules are left out of the corpus. Rows go to
data/results/recipes.csv (measured before encoders had a molecule vector; those with one are in
recipes_vector.csv, by ``--table``); those that stand there are not measured again, nor are recipes trained
twice.
"""

import argparse
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from molft.data.benchmark_leakage import benchmark_molecules
from molft.data.corpus import Filters, pack_corpus
from molft.model.encoder import Encoder
from molft.model.weights import load_encoder_files, save_encoder
from molft.train.encoders import new_encoder
from molft.train.finetune import Task, finetune
from molft.train.plan import make_plan
from molft.train.precision import choose_half
from molft.train.pretrain import pretrain
from molft.train.pretrain_config import PretrainConfig
from molft.train.pretrain_data import target_arrays
from molft.use.evaluate import PRIMARY, turn, validation_score
from tests.benchmarks.parts import network_on, read_parts
from tests.benchmarks.probe import SETS, embed, fit_linear
from tests.benchmarks.rows import RESULTS, append_row, is_known

TABLE = RESULTS / "recipes.csv"
FIELDS = ("recipe", "objectives", "features", "jk", "molecule_steps", "set", "use", "metric", "valid")


@dataclass(frozen=True)
class Recipe:
    """Objectives, feature scheme and layers that make the vector."""

    objectives: tuple[str, ...]
    features: str = "ogb"
    jk: str = "last"


USES = ("frozen", "fine-tuned")
CHEAP = ("masking", "descriptors", "fingerprints")
RECIPES = {
    "none": Recipe(()),
    "masking": Recipe(("masking",)),
    "context": Recipe(("context",)),
    "masking+context": Recipe(("masking", "context")),
    "descriptors": Recipe(("descriptors",)),
    "fingerprints": Recipe(("fingerprints",)),
    "cheap": Recipe(CHEAP),
    "all": Recipe((*CHEAP, "context")),
    "cheap-snap": Recipe(CHEAP, features="snap"),
    "cheap-sum": Recipe(CHEAP, jk="sum"),
}


def pack(corpus: list[Path], folder: Path, features: str, sample: float) -> Path:
    """The packed corpus with these features, made once."""
    store = folder / f"store-{features}"
    if not store.exists():
        filters = Filters(held_out=benchmark_molecules(data_dir=None))
        counts = pack_corpus(corpus, store, features, target_arrays, filters=filters, sample=sample)
        print(f"{features}: {counts.kept} molecules", flush=True)
    return store


def train(name: str, store: Path, folder: Path, epochs: int) -> tuple[Encoder, int]:
    """The encoder of a recipe, and the molecules it has seen, repetitions counted."""
    recipe, place = RECIPES[name], folder / name
    if not recipe.objectives:
        torch.manual_seed(0)
        return new_encoder(recipe.features, jk=recipe.jk).eval(), 0
    if not (place / "encoder").exists():
        config = PretrainConfig(dict.fromkeys(recipe.objectives, 1.0), epochs=epochs, jk=recipe.jk)
        seen: dict[str, float] = {}
        encoder = pretrain(
            store, place, config, resume=(place / "checkpoint.safetensors").exists(), on_report=seen.update
        )
        save_encoder(encoder, place / "encoder", {"objectives": dict(config.objectives), "held_out": seen})
    encoder, card = load_encoder_files(place / "encoder")
    return encoder, round(card["held_out"]["steps"]) * 256


def tune(encoder: Encoder, name: str, epochs: int) -> float | None:
    """Best validation score of a fine-tuning by molft's plan, one seed."""
    parts, task_type = read_parts(name, encoder.config.scheme)
    plan = make_plan(len(parts[0]), task_type, pretrained=True, layers=encoder.config.layers, epochs=epochs)
    metric = PRIMARY[task_type]
    torch.manual_seed(0)
    network = network_on(encoder, parts[0].labels.shape[1])
    score = partial(validation_score, select=metric)
    half = choose_half("auto", torch.device("cpu"), "gin")
    return turn(metric, finetune(Task(network, parts[0], parts[1], plan, score, 0, half)).best_score)


def main() -> None:
    """Train and judge the recipes that are asked for, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("corpus", nargs="+", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--sample", type=float, default=0.08)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--only", nargs="+", choices=list(RECIPES), default=list(RECIPES))
    parser.add_argument(
        "--uses", nargs="+", choices=["frozen", "fine-tuned"], default=["frozen", "fine-tuned"]
    )
    parser.add_argument("--sets", nargs="+", default=list(SETS))
    parser.add_argument("--tune-epochs", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--table", type=Path, default=TABLE)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    for use in chosen.uses:
        for name in chosen.only:
            recipe = RECIPES[name]
            store = pack(chosen.corpus, chosen.out, recipe.features, chosen.sample)
            for set_name in chosen.sets:
                key: dict[str, object] = {"recipe": name, "set": set_name, "use": use}
                if is_known(chosen.table, key):
                    continue
                encoder, steps = train(name, store, chosen.out, chosen.epochs)
                parts, task_type = read_parts(set_name, recipe.features)
                if use == "frozen":
                    valid = fit_linear(embed(encoder, parts), parts, task_type)[0]
                else:
                    valid = tune(encoder, set_name, chosen.tune_epochs)
                about = {"objectives": "+".join(recipe.objectives), "features": recipe.features}
                facts = {"jk": recipe.jk, "molecule_steps": steps, "metric": PRIMARY[task_type]}
                shown = "undefined" if valid is None else f"{valid:.4f}"
                append_row(chosen.table, FIELDS, {**key, **about, **facts, "valid": shown})


if __name__ == "__main__":
    main()
