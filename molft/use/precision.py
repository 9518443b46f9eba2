"""In how many bits a sweep over a library computes the layers of its networks."""

from __future__ import annotations

from molft.errors import MolftError
from molft.model.half import has_half_units
from molft.train.precision import check_precision
from molft.use.parts import begun_plan
from molft.use.sweep import Job


def choose_precision(precision: str, job: Job, shape: str, gains: bool = True) -> str:
    """``float32`` or ``bf16``, whichever is meant.

    "auto" is what an unfinished run was begun with; else 16 bits where this processor has units for them and
    there is something to gain, but not on a Ray cluster, whose processors may differ. ``shape`` says what the
    networks have that rules 16 bits out, "" for nothing: asked for, they are a :class:`MolftError` then.
    """
    if check_precision(precision) == "auto":
        begun = begun_plan(job.output) if job.resume else {}
        half = gains and not shape and job.ray is None and has_half_units()
        return str(begun.get("precision", "bf16" if half else "float32"))
    if precision == "bf16" and job.ray is not None and job.ray.gpus:
        raise MolftError("--precision bf16 is of processors; on GPUs leave it out")
    if precision == "bf16" and shape:
        raise MolftError(f"--precision bf16 needs GIN layers that are read by mean or sum; there are {shape}")
    return precision
