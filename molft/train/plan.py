"""How a fine-tuning goes, decided from the labels before it starts: printed, saved, overridable.

For classes, and for values with few labels, a pre-trained encoder is first given a head while it is fixed,
which costs next to nothing, then everything is trained (LP-FT): a trainable encoder under a head that knows
nothing forgets more than it learns. For values with 250 labels or more layers are released from the top, with
one schedule of the learning rate for all. How far the training may go is decided by the number of labelled
training molecules. The evidence is ``tests/benchmarks/strategies.py`` (data/results/strategies.csv), on
scaffold splits within the published training and validation parts of BACE, BBBP, ESOL and Lipophilicity, with
few labels of ClinTox (50, 100) and SIDER (100) too: for classes LP-FT is as good as any with 50, 100, 500 and
all labels, and 5 to 7 points ahead of all that trains the encoder at once with 50; for values it is as
good as any with 50 and 100, ties with the gradual release with 500, and is 7 % behind it on ESOL and
Lipophilicity with all labels. LoRA and adapters come after a head of their own as well: at once (the rows
"-at-once") they are ahead with 100 labels of BACE, BBBP and SIDER, and hardly better than chance on ClinTox.
With few labels validation picks the epoch, of the head alone too: what is trained to the end has learned
these labels by heart. With 250 or more it picks from the end of the training only (``lp-ft-any`` there is the
same without this rule, and for classes worse): an early epoch that does best on a hundred molecules was
mostly lucky.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from molft.errors import MolftError
from molft.train.losses import CLASS_LOSSES

STRATEGIES = ("frozen", "gradual", "full", "lp-ft", "l2-sp", "wise-ft", "lora", "adapter")
UPDATES = ("lora", "adapter")
HEAD_FIRST = ("lp-ft", *UPDATES)
TASK_TYPES = ("classification", "regression")
FEW, SOME = 250, 1000
RANK = 8
UNITS = 16


@dataclass(frozen=True)
class Stage:
    """From ``epoch`` on, the first ``frozen`` states of the encoder are fixed (see ``Encoder.freeze``)."""

    epoch: int
    frozen: int


@dataclass(frozen=True)
class Plan:
    """Everything that determines a fine-tuning, apart from data, encoder and seed.

    ``encoder_rate`` is the learning rate of the encoder's top layer; each layer below learns
    ``layer_decay`` times as fast. ``select`` is the validation metric that picks the epoch.
    ``judged`` epochs at the end are those it picks from: before, the learning rate is high and a score is
    mostly luck, of which a small validation part has much. 0 lets it pick from all of them. ``patience``
    counts epochs without improvement among these, once everything that will be released is released.

    ``probe`` epochs train the head alone before the learning rate's schedule begins anew (LP-FT, Kumar et
    al., ICLR 2022; so do LoRA and adapters). ``anchor`` is the strength of the pull to the pre-trained
    weights (L2-SP, Li et al., ICML 2018). ``average`` says that validation may mix both sets of weights
    in the end (WiSE-FT, Wortsman et al., CVPR 2022). With a ``rank`` above 0, only low-rank updates of
    the encoder's linear layers are trained, and merged in the end (LoRA, Hu et al., ICLR 2022); with an
    ``adapter`` above 0, only so many more hidden units of each layer (AdapterGNN, Li et al., AAAI 2024).
    ``floor`` is the share of its peak at which the learning rate ends: 1 keeps it constant.
    """

    strategy: str
    task_type: str
    loss: str
    stages: tuple[Stage, ...]
    layers: int
    epochs: int
    batch_size: int
    head_rate: float
    encoder_rate: float
    layer_decay: float
    dropout: float
    warmup: float
    weight_decay: float
    clip: float
    patience: int
    select: str
    oversample: bool
    reason: str
    # With defaults, because the plans of older models don't have them.
    probe: int = 0
    anchor: float = 0.0
    average: bool = False
    rank: int = 0
    floor: float = 0.0
    judged: int = 0
    adapter: int = 0

    @property
    def updates(self) -> bool:
        """Whether the encoder's own weights stay as they are, and updates beside them are trained."""
        return self.rank > 0 or self.adapter > 0

    def rate(self, state: int) -> float:
        """Learning rate of the parameters that make encoder state ``state`` (0 the atom tables)."""
        return self.encoder_rate * self.layer_decay ** (self.layers - state)

    def stage_at(self, epoch: int) -> Stage:
        """The stage that holds in ``epoch``."""
        return [stage for stage in self.stages if stage.epoch <= epoch][-1]

    @property
    def first_judged(self) -> int:
        """Number of epochs before the first one that validation may pick."""
        return self.epochs - self.judged if self.judged else 0

    def phase_at(self, epoch: int) -> tuple[int, int]:
        """First epoch of the learning rate's schedule that holds in ``epoch``, and the one after its last."""
        return (0, self.probe) if epoch < self.probe else (self.probe, self.epochs)

    def rows(self) -> list[tuple[str, str]]:
        """The plan as name and value, for printing."""
        stages = "; ".join(f"epoch {s.epoch + 1}: {self._released(s.frozen)}" for s in self.stages)
        lowest = f", {self.rate(0):.1g} at the atom tables" if self.layer_decay < 1 else ""
        anew = ", twice: for the head alone, then for all that is trained" if self.probe else ""
        return [
            ("strategy", self.strategy),
            ("why", self.reason),
            ("trained", stages + self._kept_near()),
            ("learning rate", f"head {self.head_rate:g}, encoder {self.encoder_rate:g}{lowest}"),
            (
                "schedule",
                f"{self.warmup:.0%} warm-up, cosine{anew}; AdamW, weight decay {self.weight_decay:g}",
            ),
            ("epochs", self._epochs_and_choice()),
            ("batch", f"{self.batch_size} molecules, dropout {self.dropout:g}"),
            ("loss", self.loss + (", rare classes oversampled" if self.oversample else "")),
        ]

    def _released(self, frozen: int) -> str:
        if frozen == self.layers + 1:
            return "head only"
        if self.rank:
            return f"head, and updates of rank {self.rank} to the encoder's linear layers"
        if self.adapter:
            return f"head, and {self.adapter} more hidden units in each layer of the encoder"
        return "everything" if frozen == 0 else f"head and top {self.layers + 1 - frozen} layers"

    def _kept_near(self) -> str:
        if self.anchor:
            return f", pulled to the pre-trained weights with strength {self.anchor:g}"
        if self.average:
            return ", then averaged with the pre-trained weights as far as validation gains"
        return ""

    def _epochs_and_choice(self) -> str:
        if self.judged:
            return f"{self.epochs}; the one of the last {self.judged} with the best validation {self.select}"
        return f"at most {self.epochs}, stops after {self.patience} without a better {self.select}"

    def to_json(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Plan:
        """Plan from :meth:`to_json`; missing or unknown entries are a :class:`MolftError`."""
        try:
            stages = tuple(Stage(**stage) for stage in values["stages"])
            return cls(**{**values, "stages": stages})
        except (KeyError, TypeError) as error:
            raise MolftError(f"the plan can't be read ({error}); was it written by another molft?") from error


def make_plan(
    labels: int,
    task_type: str,
    *,
    pretrained: bool,
    layers: int,
    minority: float = 0.5,
    strategy: str = "auto",
    loss: str = "auto",
    oversample: bool = False,
    epochs: int | None = None,
    batch_size: int | None = None,
) -> Plan:
    """The plan for ``labels`` labelled training molecules.

    ``minority`` is the share of the rarer class. Whatever is given explicitly is kept; the rest follows
    from the table in this module. Options that contradict each other are a :class:`MolftError`.
    """
    if task_type not in TASK_TYPES:
        raise MolftError(f"task type {task_type!r} is unknown; expected {' or '.join(TASK_TYPES)}")
    for name, value in (("epochs", epochs), ("batch size", batch_size)):
        if value is not None and value < 1:
            raise MolftError(f"{name} is {value}; it must be at least 1")
    if strategy not in ("auto", *STRATEGIES):
        raise MolftError(f"strategy {strategy!r} is unknown; expected auto, {', '.join(STRATEGIES)}")
    if not pretrained and strategy not in ("auto", "full"):
        raise MolftError(f"strategy {strategy} needs a pre-trained encoder; with --encoder none use full")
    classes = task_type == "classification"
    chosen, reason = strategy, "as asked"
    if strategy == "auto":
        chosen, reason = _choose_strategy(pretrained, head_first=classes or labels < FEW)
    probe, chosen_epochs = _choose_epochs(labels, chosen, epochs)
    # With few labels a training that goes on to its end has learned them by heart.
    judged = 0 if labels < FEW or chosen == "frozen" else (chosen_epochs - probe + 1) // 2
    return Plan(
        strategy=chosen,
        task_type=task_type,
        loss=_choose_loss(loss, classes, minority),
        stages=_stages(chosen, chosen_epochs, layers, probe),
        layers=layers,
        epochs=chosen_epochs,
        batch_size=batch_size or (32 if labels <= SOME else 64 if labels <= 10 * SOME else 128),
        # Alone on fixed vectors a linear head may hurry; above a moving encoder it may not.
        head_rate=1e-2 if chosen == "frozen" else 1e-3,
        encoder_rate=_encoder_rate(chosen, labels, classes, pretrained),
        layer_decay=0.8 if pretrained and chosen not in ("frozen", *UPDATES) else 1.0,
        dropout=0.0 if chosen == "frozen" else 0.3 if classes else 0.1,
        warmup=0.1 if labels <= SOME else 0.05,
        weight_decay=0.01,
        clip=5.0,
        patience=judged or max(5, (chosen_epochs - probe) // 3),
        select=("pr_auc" if minority < 0.2 else "roc_auc") if classes else "rmse",
        oversample=oversample,
        reason=f"{labels} labelled training molecules, {task_type}: {reason}",
        probe=probe,
        # A prior counts like so many labels: against their mean loss it weighs the less, the more there are.
        anchor=min(1.0, 100 / max(labels, 1)) if chosen == "l2-sp" else 0.0,
        average=chosen == "wise-ft",
        rank=RANK if chosen == "lora" else 0,
        judged=judged,
        adapter=UNITS if chosen == "adapter" else 0,
    )


def _choose_strategy(pretrained: bool, *, head_first: bool) -> tuple[str, str]:
    if not pretrained:
        return "full", "no pre-trained encoder, so everything is trained from the start"
    if head_first:
        return "lp-ft", "a head on the encoder as pre-trained comes first, then everything"
    return "gradual", "the head, then the upper layers, then everything"


def _choose_epochs(labels: int, strategy: str, asked: int | None) -> tuple[int, int]:
    """Epochs for the head alone that have a schedule of their own, and epochs in all.

    Those that are asked for are of the training proper: a head alone has its own on top.
    """
    alone = 100  # the frozen encoder runs once, so an epoch costs next to nothing
    if strategy == "frozen":
        return 0, asked or alone
    proper = asked or (30 if labels <= SOME else 20)
    probe = min(alone, 5 * proper) if strategy in HEAD_FIRST else 0
    return probe, probe + proper


def _choose_loss(loss: str, classes: bool, minority: float) -> str:
    if not classes:
        if loss not in ("auto", "huber"):
            raise MolftError(f"loss {loss!r} is for classes; a regression uses huber")
        return "huber"
    if loss == "huber":
        raise MolftError("loss 'huber' is for regression; classes use bce, weighted or focal")
    if loss not in ("auto", *CLASS_LOSSES):
        raise MolftError(f"loss {loss!r} is unknown; expected auto, {', '.join(CLASS_LOSSES)}")
    return loss if loss != "auto" else "focal" if minority < 0.2 else "bce"


def _encoder_rate(strategy: str, labels: int, classes: bool, pretrained: bool) -> float:
    if strategy == "frozen":
        return 0.0
    if not pretrained or strategy in UPDATES:
        return 1e-3  # updates start from zero, as a head does
    if labels <= SOME:
        return 1e-4 if classes else 3e-4
    return 3e-4 if classes else 5e-4


def _stages(strategy: str, epochs: int, layers: int, probe: int) -> tuple[Stage, ...]:
    if strategy == "frozen":
        return (Stage(0, layers + 1),)
    if strategy in HEAD_FIRST:
        stages = [Stage(0, layers + 1), Stage(probe, 0)]
    elif strategy == "gradual":
        # Head alone for a tenth of the time, then the upper half, then all.
        head, upper = max(1, round(0.1 * epochs)), max(2, round(0.25 * epochs))
        stages = [Stage(0, layers + 1), Stage(head, (layers + 2) // 2), Stage(upper, 0)]
    else:
        return (Stage(0, 0),)
    return tuple(stage for stage in stages if stage.epoch < epochs)


def with_loss(plan: Plan, loss: str) -> Plan:
    """The same plan with another loss."""
    return replace(plan, loss=loss)
