"""Plans: what follows from the labels, what the user's options change, and what is refused."""

import json
from typing import Any

import pytest

from molft.errors import MolftError
from molft.train.plan import STRATEGIES, Plan, Stage, make_plan, with_loss

ALL, NOTHING = 6, 0  # frozen states of an encoder of five layers


def plan(labels: int = 500, task_type: str = "classification", **options: Any) -> Plan:  # noqa: ANN401
    return make_plan(labels, task_type, **{"pretrained": True, "layers": 5, **options})


@pytest.mark.parametrize(
    ("labels", "task_type", "pretrained", "strategy", "epochs", "batch", "encoder_rate", "dropout"),
    [
        (20, "classification", True, "lp-ft", 130, 32, 1e-4, 0.3),
        (249, "regression", True, "lp-ft", 130, 32, 3e-4, 0.1),
        (250, "regression", True, "gradual", 30, 32, 3e-4, 0.1),
        (1000, "regression", True, "gradual", 30, 32, 3e-4, 0.1),
        (1000, "classification", True, "lp-ft", 130, 32, 1e-4, 0.3),
        (1001, "classification", True, "lp-ft", 120, 64, 3e-4, 0.3),
        (1001, "regression", True, "gradual", 20, 64, 5e-4, 0.1),
        (20_000, "regression", True, "gradual", 20, 128, 5e-4, 0.1),
        (20, "classification", False, "full", 30, 32, 1e-3, 0.3),
        (20_000, "regression", False, "full", 20, 128, 1e-3, 0.1),
    ],
)
def test_the_plan_follows_from_labels_task_and_encoder(
    labels: int,
    task_type: str,
    pretrained: bool,
    strategy: str,
    epochs: int,
    batch: int,
    encoder_rate: float,
    dropout: float,
) -> None:
    found = plan(labels, task_type, pretrained=pretrained)
    assert (found.strategy, found.epochs, found.batch_size) == (strategy, epochs, batch)
    assert (found.encoder_rate, found.dropout) == (encoder_rate, dropout)
    assert found.head_rate == 1e-3
    assert plan(labels, task_type, strategy="frozen").head_rate == 1e-2
    assert found.reason.startswith(f"{labels} labelled training molecules, {task_type}: ")


@pytest.mark.parametrize(
    ("strategy", "epochs", "stages"),
    [
        ("frozen", 100, (Stage(0, ALL),)),
        ("full", 30, (Stage(0, NOTHING),)),
        ("gradual", 30, (Stage(0, ALL), Stage(3, 3), Stage(8, NOTHING))),
        ("gradual", 5, (Stage(0, ALL), Stage(1, 3), Stage(2, NOTHING))),
        ("gradual", 2, (Stage(0, ALL), Stage(1, 3))),  # no time to release everything
        ("gradual", 1, (Stage(0, ALL),)),
        ("lp-ft", None, (Stage(0, ALL), Stage(100, NOTHING))),
        ("lp-ft", 5, (Stage(0, ALL), Stage(25, NOTHING))),
        ("lp-ft", 1, (Stage(0, ALL), Stage(5, NOTHING))),
        ("lp-ft", 40, (Stage(0, ALL), Stage(100, NOTHING))),
        ("l2-sp", 30, (Stage(0, NOTHING),)),
        ("wise-ft", 30, (Stage(0, NOTHING),)),
        ("lora", 30, (Stage(0, ALL), Stage(100, NOTHING))),
        ("adapter", 5, (Stage(0, ALL), Stage(25, NOTHING))),
    ],
)
def test_stages(strategy: str, epochs: int | None, stages: tuple[Stage, ...]) -> None:
    assert plan(strategy=strategy, epochs=epochs).stages == stages


@pytest.mark.parametrize(
    ("epoch", "frozen"), [(0, ALL), (2, ALL), (3, 3), (7, 3), (8, NOTHING), (29, NOTHING)]
)
def test_the_stage_of_an_epoch(epoch: int, frozen: int) -> None:
    assert plan(strategy="gradual", epochs=30).stage_at(epoch).frozen == frozen


@pytest.mark.parametrize("layers", [1, 2, 5, 12])
@pytest.mark.parametrize("epochs", [1, 3, 10, 15, 100])
def test_stages_only_ever_release_more(layers: int, epochs: int) -> None:
    stages = plan(strategy="gradual", layers=layers, epochs=epochs).stages
    assert [s.epoch for s in stages] == sorted({s.epoch for s in stages})
    assert [s.frozen for s in stages] == sorted({s.frozen for s in stages}, reverse=True)
    assert stages[0] == Stage(0, layers + 1)


def test_lower_layers_learn_more_slowly() -> None:
    found = plan(500, "regression")
    assert [found.rate(state) for state in (5, 4, 0)] == pytest.approx([3e-4, 3e-4 * 0.8, 3e-4 * 0.8**5])


def test_a_new_encoder_learns_at_one_rate() -> None:
    found = plan(pretrained=False)
    assert {found.rate(state) for state in range(6)} == {1e-3}


@pytest.mark.parametrize(
    ("task_type", "minority", "loss", "select"),
    [
        ("classification", 0.5, "bce", "roc_auc"),
        ("classification", 0.2, "bce", "roc_auc"),
        ("classification", 0.19, "focal", "pr_auc"),
        ("regression", 0.5, "huber", "rmse"),
    ],
)
def test_loss_and_metric_follow_from_the_balance(
    task_type: str, minority: float, loss: str, select: str
) -> None:
    found = plan(500, task_type, minority=minority)
    assert (found.loss, found.select) == (loss, select)


def test_what_is_asked_for_is_kept() -> None:
    found = plan(50, strategy="full", loss="weighted", oversample=True, epochs=7, batch_size=9)
    assert (found.strategy, found.loss, found.oversample, found.epochs, found.batch_size) == (
        "full",
        "weighted",
        True,
        7,
        9,
    )
    assert found.reason.endswith("as asked")


@pytest.mark.parametrize(("epochs", "patience"), [(1, 5), (15, 5), (30, 10), (100, 33)])
def test_patience_grows_with_the_epochs(epochs: int, patience: int) -> None:
    found = plan(100, strategy="gradual", epochs=epochs)
    assert (found.patience, found.judged, found.first_judged) == (patience, 0, 0)


@pytest.mark.parametrize(
    ("strategy", "epochs", "first", "judged"),
    [("gradual", 30, 15, 15), ("lp-ft", None, 115, 15), ("full", 1, 0, 1), ("gradual", 5, 2, 3)],
)
def test_with_many_labels_validation_picks_from_the_end(
    strategy: str, epochs: int | None, first: int, judged: int
) -> None:
    found = plan(250, strategy=strategy, epochs=epochs)
    assert (found.first_judged, found.judged) == (first, judged)
    assert plan(250, strategy="frozen").judged == plan(249, strategy=strategy).judged == 0


def test_another_loss_changes_nothing_else() -> None:
    before, after = plan(minority=0.1), with_loss(plan(minority=0.1), "bce")
    assert before.loss == "focal"
    assert {k for k, v in vars(before).items() if v != getattr(after, k)} == {"loss"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strategy": "slow"}, "strategy 'slow' is unknown; expected auto, frozen, gradual, full"),
        ({"strategy": "frozen", "pretrained": False}, "strategy frozen needs a pre-trained encoder"),
        ({"strategy": "gradual", "pretrained": False}, "with --encoder none use full"),
        ({"strategy": "lp-ft", "pretrained": False}, "lp-ft needs a pre-trained encoder"),
        ({"strategy": "l2-sp", "pretrained": False}, "l2-sp needs a pre-trained encoder"),
        ({"strategy": "wise-ft", "pretrained": False}, "wise-ft needs a pre-trained encoder"),
        ({"strategy": "lora", "pretrained": False}, "lora needs a pre-trained encoder"),
        ({"loss": "mse"}, "loss 'mse' is unknown; expected auto, bce, weighted, focal"),
        ({"loss": "huber"}, "loss 'huber' is for regression"),
        (
            {"task_type": "regression", "loss": "focal"},
            "loss 'focal' is for classes; a regression uses huber",
        ),
        ({"task_type": "classes"}, "task type 'classes' is unknown; expected classification or regression"),
        ({"epochs": 0}, "epochs is 0; it must be at least 1"),
        ({"batch_size": 0}, "batch size is 0; it must be at least 1"),
        ({"batch_size": -1}, "batch size is -1"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(MolftError, match=message):
        plan(**options)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_plan_comes_back_from_json(strategy: str) -> None:
    found = plan(strategy=strategy)
    assert Plan.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_a_plan_from_before_a_setting_existed_is_read() -> None:
    old = plan(100, strategy="gradual")
    values = old.to_json()
    for name in ("probe", "anchor", "average", "rank", "floor", "judged", "adapter"):
        del values[name]
    assert Plan.from_json(values) == old


@pytest.mark.parametrize(
    ("strategy", "added"),
    [
        ("full", {}),
        ("gradual", {}),
        ("lp-ft", {"probe": 100}),
        ("l2-sp", {"anchor": 0.2}),
        ("wise-ft", {"average": True}),
        ("lora", {"rank": 8, "probe": 100}),
        ("adapter", {"adapter": 16, "probe": 100}),
    ],
)
def test_what_a_strategy_adds(strategy: str, added: dict[str, object]) -> None:
    found = plan(strategy=strategy)
    none = {"probe": 0, "anchor": 0.0, "average": False, "rank": 0, "adapter": 0}
    assert found.strategy == strategy
    assert {name: getattr(found, name) for name in none} == none | added
    assert found.updates == (strategy in ("lora", "adapter"))


@pytest.mark.parametrize(("labels", "anchor"), [(0, 1.0), (20, 1.0), (100, 1.0), (200, 0.5), (10_000, 0.01)])
def test_the_pull_to_the_pre_trained_weights_yields_to_labels(labels: int, anchor: float) -> None:
    assert plan(labels, strategy="l2-sp").anchor == pytest.approx(anchor)


def test_the_head_s_own_epochs_have_a_schedule_of_their_own() -> None:
    found = plan(100, strategy="lp-ft")
    assert (found.epochs, found.patience) == (130, 10)  # 30 epochs of training everything, a third of them
    assert [found.phase_at(epoch) for epoch in (0, 99, 100, 129)] == [(0, 100)] * 2 + [(100, 130)] * 2
    assert {plan(strategy="full").phase_at(epoch) for epoch in range(30)} == {(0, 30)}


@pytest.mark.parametrize("strategy", ["lora", "adapter"])
def test_updates_learn_like_a_head(strategy: str) -> None:
    found = plan(strategy=strategy)
    assert {found.rate(state) for state in range(6)} == {found.head_rate}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"magic": 1}, "magic"),
        ({"stages": [{"epoch": 0, "melted": 1}]}, "melted"),
        ({"stages": None}, "can't be read"),
    ],
)
def test_a_plan_of_another_version_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(MolftError, match=message):
        Plan.from_json(plan().to_json() | change)


@pytest.mark.parametrize("name", ["stages", "loss"])
def test_a_plan_with_a_missing_entry_is_refused(name: str) -> None:
    values = {key: value for key, value in plan().to_json().items() if key != name}
    with pytest.raises(MolftError, match=name):
        Plan.from_json(values)


def test_the_printed_plan_says_what_happens_when() -> None:
    rows = dict(plan(500, minority=0.1, oversample=True).rows())
    assert rows["why"] == (
        "500 labelled training molecules, classification: "
        "a head on the encoder as pre-trained comes first, then everything"
    )
    assert rows["trained"] == "epoch 1: head only; epoch 101: everything"
    assert rows["learning rate"] == "head 0.001, encoder 0.0001, 3e-05 at the atom tables"
    assert rows["schedule"] == (
        "10% warm-up, cosine, twice: for the head alone, then for all that is trained; "
        "AdamW, weight decay 0.01"
    )
    assert rows["epochs"] == "130; the one of the last 15 with the best validation pr_auc"
    few = dict(plan(249, strategy="gradual").rows())
    assert few["trained"] == "epoch 1: head only; epoch 4: head and top 3 layers; epoch 9: everything"
    assert few["epochs"] == "at most 30, stops after 10 without a better roc_auc"
    assert rows["batch"] == "32 molecules, dropout 0.3"
    assert rows["loss"] == "focal, rare classes oversampled"


LATER = "epoch 1: head only; epoch 101: head, and"


@pytest.mark.parametrize(
    ("strategy", "trained"),
    [
        ("lp-ft", "epoch 1: head only; epoch 101: everything"),
        ("l2-sp", "epoch 1: everything, pulled to the pre-trained weights with strength 0.2"),
        (
            "wise-ft",
            "epoch 1: everything, then averaged with the pre-trained weights as far as validation gains",
        ),
        ("lora", f"{LATER} updates of rank 8 to the encoder's linear layers"),
        (
            "adapter",
            "epoch 1: head only; epoch 101: head, and 16 more hidden units in each layer of the encoder",
        ),
    ],
)
def test_the_printed_plan_says_what_a_strategy_does(strategy: str, trained: str) -> None:
    rows = dict(plan(strategy=strategy).rows())
    assert (rows["strategy"], rows["trained"]) == (strategy, trained)
    twice = ", twice: for the head alone, then for all that is trained" in rows["schedule"]
    assert twice == (strategy in ("lp-ft", "lora", "adapter"))


def test_the_printed_plan_of_a_frozen_encoder() -> None:
    rows = dict(plan(40, strategy="frozen").rows())
    assert rows["trained"] == "epoch 1: head only"
    assert rows["learning rate"] == "head 0.01, encoder 0"
