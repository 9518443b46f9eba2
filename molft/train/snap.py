"""The fine-tuning protocol of Hu, Liu et al. (ICLR 2020, section 5.2 and their public code) as a plan."""

from __future__ import annotations

from molft.errors import MolftError
from molft.train.plan import TASK_TYPES, Plan, Stage

EPOCHS = 100
_NEVER = 1e9  # a gradient norm that is not met: their gradients are not clipped


def snap_plan(task_type: str, layers: int, epochs: int = EPOCHS) -> Plan:
    """One plan for every set: 100 epochs, batches of 32, Adam at 1e-3 without schedule, dropout 0.5.

    Everything is trained from the first step to the last epoch. AdamW without weight decay is Adam. The loss
    is the mean cross-entropy of the labels that are known; for values, which that paper doesn't report, the
    Huber loss of standardised labels. Two things differ and change no number beyond chance: our batches have
    equal sizes (31 or 32 molecules instead of 32 and a remainder), and the loss is summed in float32.
    """
    if task_type not in TASK_TYPES:
        raise MolftError(f"task type {task_type!r} is unknown; expected {' or '.join(TASK_TYPES)}")
    if epochs < 1:
        raise MolftError(f"epochs is {epochs}; it must be at least 1")
    classes = task_type == "classification"
    return Plan(
        strategy="full",
        task_type=task_type,
        loss="bce" if classes else "huber",
        stages=(Stage(0, 0),),
        layers=layers,
        epochs=epochs,
        batch_size=32,
        head_rate=1e-3,
        encoder_rate=1e-3,
        layer_decay=1.0,
        dropout=0.5,
        warmup=0.0,
        weight_decay=0.0,
        clip=_NEVER,
        patience=epochs + 1,
        select="roc_auc" if classes else "rmse",
        oversample=False,
        reason="the protocol of Hu, Liu et al. (ICLR 2020)",
        floor=1.0,
    )
