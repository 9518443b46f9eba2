"""What an encoder and a network are, apart from their weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

from molft.errors import MolftError
from molft.model.dropout import check_rate

CONV_NAMES = ("gin", "gcn", "graphsage", "gat")
JK_NAMES = ("last", "concat", "max", "sum")


@dataclass(frozen=True)
class EncoderConfig:
    """Everything that determines the function of an encoder, apart from its weights.

    ``scheme`` names the features it reads; ``atom_sizes`` and ``bond_sizes`` are that scheme's table rows and
    ``loop_bond`` its self-loop code. ``jk`` says how the states of all layers become one ("jumping
    knowledge", Xu et al., ICML 2018). ``dropout`` is the rate in training. ``summary`` is the width of the
    pre-trained molecule vector (:class:`molft.model.summary.Summary`), 0 for an encoder without one.
    ``adapter`` counts the hidden units beyond twice the width that adapters gave each layer of a GIN
    (:mod:`molft.model.adapters`).
    """

    conv: str = "gin"
    layers: int = 5
    width: int = 300
    jk: str = "last"
    dropout: float = 0.0
    scheme: str = "snap"
    atom_sizes: tuple[int, ...] = (120, 3)
    bond_sizes: tuple[int, ...] = (6, 3)
    loop_bond: tuple[int, ...] = (4, 0)
    summary: int = 0
    adapter: int = 0

    def __post_init__(self) -> None:
        """Refuse what no encoder can be made of."""
        for name, allowed in (("conv", CONV_NAMES), ("jk", JK_NAMES)):
            if getattr(self, name) not in allowed:
                raise MolftError(
                    f"encoder option {name} is {getattr(self, name)!r}; expected one of {', '.join(allowed)}"
                )
        if self.layers < 1 or self.width < 1:
            raise MolftError(f"layers is {self.layers} and width {self.width}; both must be at least 1")
        if not (self.atom_sizes and self.bond_sizes) or min((*self.atom_sizes, *self.bond_sizes)) < 1:
            raise MolftError(
                f"table sizes must be at least 1: atoms {self.atom_sizes}, bonds {self.bond_sizes}"
            )
        if self.summary < 0:
            raise MolftError(f"summary is {self.summary}; it must be a width, or 0 for none")
        if self.adapter < 0 or (self.adapter and self.conv != "gin"):
            raise MolftError(f"adapter is {self.adapter}; it must be 0 or, in a 'gin', more")
        check_rate(self.dropout)
        if len(self.loop_bond) != len(self.bond_sizes) or not all(
            0 <= code < size for code, size in zip(self.loop_bond, self.bond_sizes, strict=False)
        ):
            raise MolftError(f"loop_bond {self.loop_bond} is no code of bond tables {self.bond_sizes}")

    @property
    def atom_width(self) -> int:
        """Width D of an atom's final vector: (layers + 1) times the state's for ``jk="concat"``."""
        return self.width * (self.layers + 1 if self.jk == "concat" else 1)

    def to_json(self) -> dict[str, object]:
        """Plain values for a JSON file.

        >>> EncoderConfig.from_json(EncoderConfig(jk="max").to_json()).jk
        'max'
        """
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @classmethod
    def from_json(cls, values: Mapping[str, object]) -> EncoderConfig:
        """Configuration from :meth:`to_json`; unknown keys and wrong types are a :class:`MolftError`."""
        return cls(**read_fields(values, {f.name: f.default for f in fields(cls)}, "encoder"))  # type: ignore[arg-type]


@dataclass(frozen=True)
class NetworkConfig:
    """Everything that determines a network, apart from its weights and its encoder's options.

    ``readout`` and ``head`` are names of :mod:`molft.model.readout` and :mod:`molft.model.heads`; ``hidden``
    and ``dropout`` are the width and the dropout rate inside an ``mlp`` head.
    """

    tasks: int = 1
    readout: str = "mean"
    head: str = "linear"
    hidden: int = 300
    dropout: float = 0.0

    def to_json(self) -> dict[str, object]:
        """Plain values for a JSON file."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, object]) -> NetworkConfig:
        """Configuration from :meth:`to_json`; unknown keys and wrong types are a :class:`MolftError`.

        >>> NetworkConfig.from_json({"tasks": 12, "head": "mlp"}).hidden
        300
        """
        return cls(**read_fields(values, {f.name: f.default for f in fields(cls)}, "network"))  # type: ignore[arg-type]


def read_fields(values: Mapping[str, object], defaults: Mapping[str, object], what: str) -> dict[str, object]:
    """JSON values checked against the names and types of ``defaults``; lists of integers become tuples."""
    unknown = sorted(set(values) - set(defaults))
    if unknown:
        raise MolftError(
            f"unknown {what} option {', '.join(unknown)}; expected some of {', '.join(defaults)} "
            "(was the model written by a newer molft?)"
        )
    out: dict[str, object] = {}
    for name, value in values.items():
        wanted = type(defaults[name])
        if wanted is tuple and isinstance(value, list) and all(type(v) is int for v in value):
            value = tuple(value)
        if wanted is float and type(value) is int:
            value = float(value)
        if type(value) is not wanted:
            raise MolftError(f"{what} option {name} is {value!r}; expected a value like {defaults[name]!r}")
        out[name] = value
    return out
