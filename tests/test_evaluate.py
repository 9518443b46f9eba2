"""Who answers, and how good it is: validation decides, the test part is only looked at."""

import json
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from molft.errors import MolftError
from molft.train.finetune import Examples
from molft.use.evaluate import choose_answer, evaluate, rank_answers, turn, validation_score
from molft.use.forest import fit_forest, join_features
from molft.use.model import Model
from tests.series import block_of, has_halogen, pyridines
from tests.small import small_model

VALID, TEST = pyridines(40)[:24], pyridines(40)[24:]
LABELS = np.array([[0], [0], [1], [1]], np.float32)
NAN = np.nan


@dataclass
class Scripted(Model):
    """A model whose answers are given, by the number of molecules asked for."""

    script: dict[int, dict[str, np.ndarray]] = field(default_factory=dict)

    def answers(self, block: object, every: bool = False) -> dict[str, np.ndarray]:
        return self.script[len(block.graphs)]  # type: ignore[attr-defined]


def scripted(
    answers: dict[str, list[list[float]]],
    tasks: tuple[str, ...] = ("halogen",),
    task_type: str = "classification",
) -> Scripted:
    """Answers for the four molecules of ``examples``."""
    about = replace(small_model(task_type, "network", tasks).about)
    script = {4: {name: np.array(a, float) for name, a in answers.items()}}
    return Scripted(about, [], None, script=script)


def examples(labels: np.ndarray | list[list[float]], bounds: list[list[int]] | None = None) -> Examples:
    values = np.array(labels, np.float32)
    sides = np.zeros(values.shape, np.int8) if bounds is None else np.array(bounds, np.int8)
    return Examples(block_of(["C", "CC", "CCC", "CCCC"][: len(values)]).graphs, values, sides)


def part(smiles: list[str], labels: np.ndarray) -> tuple[object, Examples]:
    block = block_of(smiles, forest=True)
    return block, Examples(block.graphs, labels.astype(np.float32), np.zeros(labels.shape, np.int8))


@pytest.mark.parametrize(
    ("ranks", "answer", "verdict"),
    [
        ({"network": 0.7, "forest": 0.8, "blend": 0.75}, "forest", "forest: best validation roc_auc (netw"),
        ({"network": 0.7, "forest": 0.8, "blend": 0.81}, "blend", "blend: best"),
        ({"network": 0.9, "forest": 0.8, "blend": 0.85}, "network", "network: best"),
        ({"network": 0.8, "forest": 0.8, "blend": 0.8}, "blend", "blend: best"),  # a tie: the mean errs least
        ({"network": 0.1, "forest": 0.8, "blend": 0.8}, "blend", "blend: best"),
        ({"network": 0.8, "forest": 0.8, "blend": 0.7}, "forest", "forest: best"),
        ({"network": None, "forest": 0.3, "blend": None}, "forest", "forest: best validation roc_auc (fo"),
        ({"network": None, "forest": None, "blend": None}, "blend", "blend: the validation roc_auc is"),
        ({"network": 0.5}, "network", "network: best"),
        ({"network": None}, "network", "network: the validation roc_auc is undefined"),
    ],
)  # fmt: skip
def test_choice(ranks: dict[str, float | None], answer: str, verdict: str) -> None:
    chosen, told = choose_answer(ranks, "roc_auc")
    assert chosen == answer
    assert told.startswith(verdict)


@pytest.mark.parametrize(
    ("noise", "answer"), [(0.0, "network"), (0.04, "network"), (0.06, "blend"), (0.5, "blend")]
)
def test_another_answer_must_beat_the_blend_by_more_than_the_noise(noise: float, answer: str) -> None:
    ranks = {"network": 0.84, "forest": 0.7, "blend": 0.8}
    chosen, told = choose_answer(ranks, "roc_auc", noise)
    assert chosen == answer
    assert "(network 0.840, forest 0.700, blend 0.800)" in told
    errors = {"network": -0.8, "forest": -0.9, "blend": -0.84}
    assert choose_answer(errors, "rmse", noise)[0] == ("network" if noise < 0.047 else "blend")


def test_the_smaller_error_wins_and_is_told_as_it_is() -> None:
    chosen, told = choose_answer({"network": -0.9, "forest": -0.7, "blend": -0.8}, "rmse")
    assert (chosen, told) == (
        "forest",
        "forest: best validation rmse (network 0.900, forest 0.700, blend 0.800)",
    )


def test_turned_scores() -> None:
    assert [turn("rmse", 0.5), turn("roc_auc", 0.5), turn("rmse", None)] == [-0.5, 0.5, None]


def test_validation_score_by_hand() -> None:
    perfect, wrong = (
        np.array([[-2], [-1], [1], [2]], np.float32),
        np.array([[2], [1], [-1], [-2]], np.float32),
    )
    assert validation_score(examples(LABELS), perfect, "roc_auc") == 1.0
    assert validation_score(examples(LABELS), wrong, "roc_auc") == 0.0
    assert validation_score(
        examples([[1.0], [3.0]]), np.array([[1.0], [1.0]], np.float32), "rmse"
    ) == -np.sqrt(2)


@pytest.mark.parametrize(
    ("labels", "select"),
    [
        ([[1], [1], [1], [1]], "roc_auc"),
        ([[NAN], [NAN], [NAN], [NAN]], "roc_auc"),
        ([[0], [0], [NAN], [NAN]], "pr_auc"),
        ([[NAN], [NAN], [NAN], [NAN]], "rmse"),
    ],
)
def test_a_validation_that_says_nothing_is_undefined(labels: list[list[float]], select: str) -> None:
    assert validation_score(examples(labels), np.zeros((4, 1), np.float32), select) is None


def test_a_censored_label_is_not_scored_as_if_it_were_exact() -> None:
    outputs = np.array([[1.0], [9.0]], np.float32)
    assert validation_score(examples([[1.0], [2.0]], [[0], [1]]), outputs, "rmse") == 0.0
    assert validation_score(examples([[1.0], [2.0]], [[1], [1]]), outputs, "rmse") is None


def test_every_answer_is_scored_on_every_part_and_thresholds_are_those_of_the_chosen() -> None:
    model = small_model()
    parts = {
        "valid": part(VALID, has_halogen(VALID)[:, None]),
        "test": part(TEST, has_halogen(TEST)[:, None]),
    }
    chosen, evaluation = evaluate(model, parts, "roc_auc")  # type: ignore[arg-type]
    assert {p: list(found) for p, found in evaluation.scores.items()} == {
        "valid": ["network", "forest", "blend"],
        "test": ["network", "forest", "blend"],
    }
    # The forest saw these molecules, the networks are untrained: forest and blend rank them perfectly.
    assert chosen.about.answer == "blend"
    assert evaluation.verdict.startswith("blend: best validation roc_auc")
    assert 0 < chosen.about.thresholds[0] < 1
    assert model.about.answer == "blend"  # the model that was given is as it was
    found = evaluation.to_json()["test"]["blend"]["tasks"]["halogen"]["mcc"]
    calls = evaluation.predictions["test"]["blend"][:, 0] >= chosen.about.thresholds[0]
    assert found["value"] == pytest.approx(np.corrcoef(calls, has_halogen(TEST))[0, 1])
    json.dumps(evaluation.to_json(), allow_nan=False)


def test_labels_of_the_test_part_change_only_its_scores() -> None:
    honest = has_halogen(TEST)[:, None]
    found = [
        evaluate(
            small_model(),
            {"valid": part(VALID, has_halogen(VALID)[:, None]), "test": part(TEST, labels)},  # type: ignore[dict-item]
            "roc_auc",
        )
        for labels in (honest, 1 - honest, np.full_like(honest, NAN), np.ones_like(honest))
    ]
    first_model, first = found[0]
    for model, evaluation in found[1:]:
        assert model.about == first_model.about
        assert evaluation.verdict == first.verdict
        assert evaluation.scores["valid"] == first.scores["valid"]
        for name, values in evaluation.predictions["test"].items():
            np.testing.assert_array_equal(values, first.predictions["test"][name])
    flipped = found[1][1].scores["test"]["forest"].mean["roc_auc"].value
    kept = first.scores["test"]["forest"].mean["roc_auc"].value
    assert kept is not None and flipped == pytest.approx(1 - kept)
    for _, evaluation in found[2:]:
        assert evaluation.scores["test"]["forest"].mean["roc_auc"].value is None


def test_without_a_test_part_validation_is_scored_alone() -> None:
    _, evaluation = evaluate(small_model(), {"valid": part(VALID, has_halogen(VALID)[:, None])}, "roc_auc")  # type: ignore[dict-item]
    assert list(evaluation.scores) == ["valid"]


@pytest.mark.parametrize("labels", [np.ones((24, 1)), np.full((24, 1), NAN)])
def test_undefined_validation_is_said_and_never_nan(labels: np.ndarray) -> None:
    model, evaluation = evaluate(small_model(), {"valid": part(VALID, labels)}, "roc_auc")  # type: ignore[dict-item]
    assert model.about.answer == "blend"
    assert evaluation.verdict == "blend: the validation roc_auc is undefined, so nothing could choose"
    assert model.about.thresholds == (0.5,)
    assert evaluation.to_json()["valid"]["blend"]["mean"]["roc_auc"]["value"] is None  # type: ignore[index]
    assert evaluation.scores["valid"]["blend"].tasks["halogen"]["roc_auc"].text.startswith("undefined (")
    json.dumps(evaluation.to_json(), allow_nan=False)


def test_answers_are_compared_on_the_tasks_that_all_of_them_answer() -> None:
    tasks = ("easy", "hard")
    labels = examples(np.hstack([LABELS, LABELS]))
    good, fair, bad = [0.1, 0.2, 0.8, 0.9], [0.1, 0.8, 0.7, 0.9], [0.9, 0.8, 0.2, 0.1]
    # The forest has no answer for the hard task; alone on the easy one it is worse than the network there.
    answers = {
        "network": np.array([good, bad]).T.tolist(),
        "forest": np.array([fair, [NAN] * 4]).T.tolist(),
        "blend": np.array([fair, [NAN] * 4]).T.tolist(),
    }
    model = scripted(answers, tasks)
    ranks = rank_answers(model, labels, model.script[4], "roc_auc")
    assert ranks == {"network": 1.0, "forest": 0.75, "blend": 0.75}
    chosen, evaluation = evaluate(model, {"valid": (block_of(["C"] * 4), labels)}, "roc_auc")
    # Four molecules give no interval, so they can't speak against the blend, however the ranks are.
    assert chosen.about.answer == "blend"
    assert evaluation.verdict.startswith("blend: within the noise of the best validation roc_auc")
    assert evaluation.scores["valid"]["forest"].tasks["hard"]["roc_auc"].value is None
    assert evaluation.scores["valid"]["network"].mean["roc_auc"].value == 0.5  # of both tasks, and it says so
    assert evaluation.scores["valid"]["forest"].mean["roc_auc"].note == "1 of 2 tasks"


def test_answers_that_share_no_task_can_not_be_compared() -> None:
    answers = {"network": [[0.1], [0.2], [0.8], [0.9]], "forest": [[NAN]] * 4, "blend": [[NAN]] * 4}
    model = scripted(answers)
    assert rank_answers(model, examples(LABELS), model.script[4], "roc_auc") == dict.fromkeys(answers)


def test_a_real_forest_without_labels_for_a_task_does_not_win_by_silence() -> None:
    smiles = pyridines(30)
    block = block_of(smiles, forest=True)
    assert block.counts is not None and block.descriptors is not None
    labels = np.stack([has_halogen(smiles), np.full(30, NAN)], axis=1)
    model = small_model(tasks=("halogen", "unknown"))
    features = join_features(block.counts, block.descriptors)
    forest = fit_forest(features, labels, "classification", model.about.tasks, trees=20, jobs=1)
    model = replace(model, forest=forest)
    valid = np.repeat(has_halogen(VALID)[:, None], 2, axis=1)
    chosen, evaluation = evaluate(model, {"valid": part(VALID, valid)}, "roc_auc")  # type: ignore[dict-item]
    alone = {name: s.tasks["halogen"]["roc_auc"].value for name, s in evaluation.scores["valid"].items()}
    assert chosen.about.answer == "blend"
    assert evaluation.verdict.endswith(
        f"({', '.join(f'{name} {value:.3f}' for name, value in alone.items())})"
    )
    json.dumps(evaluation.to_json(), allow_nan=False)


def test_the_task_with_the_largest_numbers_does_not_decide_alone() -> None:
    truth = np.array([[0, 0], [0, 1], [0, 0], [0, 1]], np.float32) * [1, 1000]
    # Off by 1 % of the spread in the large task, against off by a whole spread in the small one.
    network, forest = truth + np.array([0.0, 10.0]), truth + np.array([1.0, 0.0])
    model = scripted(
        {"network": network.tolist(), "forest": forest.tolist()}, ("small", "large"), "regression"
    )
    model = replace(model, about=replace(model.about, scale=(1.0, 1000.0)))
    ranks = rank_answers(model, examples(truth), model.script[4], "rmse")
    assert ranks["network"] is not None and ranks["forest"] is not None
    assert ranks["network"] > ranks["forest"]


def test_a_regression_has_no_thresholds() -> None:
    answers = {"network": [[0.0], [1.0], [2.0], [3.0]], "forest": [[0.0], [1.0], [2.0], [4.0]]}
    labels = examples([[0.0], [1.0], [2.0], [3.0]])
    chosen, evaluation = evaluate(
        scripted(answers, task_type="regression"), {"valid": (block_of(["C"] * 4), labels)}, "rmse"
    )
    assert chosen.about.answer == "network"
    assert chosen.about.thresholds == (0.0,)
    assert evaluation.verdict == "network: best validation rmse (network 0.000, forest 0.500)"


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([[0.0], [2.0], [1.0], [1.0]], "a class label is 2, expected 0 or 1"),
        ([[0.0, 1.0]] * 4, "labels of shape"),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels: list[list[float]], message: str) -> None:
    model = scripted({"network": [[0.5]] * 4})
    with pytest.raises(MolftError, match=message):
        evaluate(model, {"valid": (block_of(["C"] * 4), examples(labels))}, "roc_auc")
