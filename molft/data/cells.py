"""One column of label cells to numbers: missing is missing, and ``>10`` is not 10.

A column is judged as a whole, because a cell alone says little: ``-`` is "negative" beside ``+`` and
"missing" beside numbers; ``1,234`` is a decimal comma beside ``0,5`` and refused beside ``0.5``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

MISSING = frozenset(
    ("", "na", "n/a", "n.a.", "#n/a", "nan", "<na>", "null", "none", "nil", "nd", "n.d.", "nt", "n.t.", "-",
     "--", "---", "?", ".", "*", "missing", "unknown", "not determined", "not tested", "not available",
     "#value!", "#div/0!", "#num!", "#ref!", "#name?", "#null!")
)  # fmt: skip
POSITIVE = frozenset(("active", "yes", "y", "true", "t", "positive", "pos", "+"))
NEGATIVE = frozenset(
    ("inactive", "no", "n", "false", "f", "negative", "neg", "-", "non-active", "not active")
)

# What a relation says of the true value: it is above (+1) or below (-1) the number, or the number itself.
RELATIONS = {">": 1, ">=": 1, "≥": 1, ">>": 1, "<": -1, "<=": -1, "≤": -1, "<<": -1,
             "=": 0, "==": 0, "~": 0, "≈": 0}  # fmt: skip

MOST_UNREADABLE = 0.2
_LARGEST = float(np.finfo(np.float32).max)  # labels end as 32-bit numbers

_RELATION = re.compile(r"(>>|<<|>=|<=|==|[<>=~≥≤≈]?)\s*(.*)", re.DOTALL)
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_COMMA_NUMBER = re.compile(r"[+-]?([0-9]+,[0-9]*|,[0-9]+)([eE][+-]?[0-9]+)?")
_THOUSANDS = re.compile(r"[+-]?[1-9][0-9]{0,2}(,[0-9]{3})+")
_DASHES = str.maketrans("\u2212\u2013\u00a0", "-- ")  # minus sign, en dash, non-breaking blank

Kind = Literal["binary", "number", "text", "empty"]


class Cells(NamedTuple):
    """One column of labels, read. ``unreadable`` gives the reason of every filled cell without a value.

    Shapes: values float64 [R], NaN is missing; bounds int8 [R], +1 the true value is above, -1 below.
    """

    kind: Kind
    values: npt.NDArray[np.float64]
    bounds: npt.NDArray[np.int8]
    unreadable: dict[int, str]
    notes: tuple[str, ...] = ()


class _Reading(NamedTuple):
    """One distinct text: a value with its bound, or why there is none ('' where it is just missing)."""

    value: float = np.nan
    bound: int = 0
    fault: str = ""


_GONE = _Reading()


def decimal_mark(columns: Iterable[pd.Series], delimiter: str = ",") -> str:
    """Tell whether a table writes 0,5 or 0.5: ',' or '.'.

    A comma is believed where no number has a point, and either some number can't be thousands (``0,5``)
    or the delimiter of the file is another one, as in a German or French Excel.

    >>> decimal_mark([pd.Series(["5,31", ">6,2"])])
    ','
    """
    texts = {_split(clean(cell))[1] for column in columns for cell in column.unique()}
    commas = [text for text in texts if _COMMA_NUMBER.fullmatch(text)]
    if not commas or any("." in text and _NUMBER.fullmatch(text) for text in texts):
        return "."
    certain = any(not _THOUSANDS.fullmatch(text) for text in commas)
    return "," if certain or delimiter not in ("", ",") else "."


def parse_labels(column: pd.Series, decimal: str = ".", numbers_only: bool = False) -> Cells:
    """Read one column of labels, each distinct text once.

    A class is 0/1, -1/1 without a 0, or a word or sign (active, yes, true, positive, +; inactive, no,
    false, negative, -), unless ``numbers_only``. A number may have ``> < >= <= ≥ ≤ ~`` in front. Thousands
    marks, units, percentages, ranges and infinity are unreadable, never guessed. With more than 20 % of the
    filled cells unreadable the column is ``text``.
    """
    codes, texts = pd.factorize(column.astype(object))
    words = [clean(text).lower() for text in texts]
    counts = np.bincount(codes, minlength=len(words))
    filled = np.array([not _is_missing(word, words) for word in words], dtype=bool)
    if not filled.any():
        return _spread("empty", [_GONE] * len(words), codes)
    numbers = [
        _read_number(word, decimal) if fill else _GONE for word, fill in zip(words, filled, strict=True)
    ]
    if not numbers_only:
        classes, notes = _read_classes(words, numbers, filled)
        if _readable(classes, counts, filled):
            return _spread("binary", classes, codes, notes)
    kind: Kind = "number" if _readable(numbers, counts, filled) else "text"
    approximate = counts[[word[:1] in ("~", "≈") for word in words]].sum() if kind == "number" else 0
    notes = (f"{approximate} values with ~ read as exact",) if approximate else ()
    return _spread(kind, numbers, codes, notes)


def clean(cell: str) -> str:
    """Take blanks and quotes off the ends of a cell, and write every minus sign as '-'."""
    return cell.translate(_DASHES).strip().strip("'\"").strip()


def read_relations(column: pd.Series) -> npt.NDArray[np.int8] | None:
    """Read a column of relations alone (``>``, ``=``, ...); None if it holds anything else, or nothing.

    Shapes: int8 [R], as the bounds of :class:`Cells`.
    """
    codes, texts = pd.factorize(column.astype(object))
    words = [clean(text) for text in texts]
    if not any(words) or any(word and word not in RELATIONS for word in words):
        return None
    return np.array([RELATIONS.get(word, 0) for word in words], dtype=np.int8)[codes]


def _is_missing(word: str, words: list[str]) -> bool:
    return word in MISSING and not (word == "-" and "+" in words)


def _split(text: str) -> tuple[str, str]:
    match = _RELATION.fullmatch(text)
    return (match.group(1), match.group(2)) if match else ("", text)


def _read_number(word: str, decimal: str) -> _Reading:
    relation, text = _split(word)
    if "," in text and decimal == ".":
        return _Reading(fault=f"{word!r}: a comma; decimal comma or thousands? Write 1.5 or 1500")
    if "." in text and decimal == ",":
        return _Reading(fault=f"{word!r}: a point among decimal commas; write numbers in one way")
    text = text.replace(",", ".")
    if not _NUMBER.fullmatch(text):
        return _Reading(fault=f"{word!r} is not a number")
    value = float(text)
    if abs(value) > _LARGEST:
        return _Reading(fault=f"{word!r} is too large")
    return _Reading(value, RELATIONS.get(relation, 0))


def _read_classes(
    words: list[str], numbers: list[_Reading], filled: npt.NDArray[np.bool_]
) -> tuple[list[_Reading], tuple[str, ...]]:
    """Read the distinct texts as classes; a number that is no class makes all of them unreadable."""
    plain = {reading.value for reading in numbers if not reading.fault and reading.bound == 0}
    signs = -1.0 in plain and 0.0 not in plain
    allowed = {-1.0, 1.0} if signs else {0.0, 1.0}
    if any(
        fill and not n.fault and (n.bound or n.value not in allowed)
        for n, fill in zip(numbers, filled, strict=True)
    ):
        return [_Reading(fault="not a class")] * len(words), ()
    read, used = [], {}
    for word, number, fill in zip(words, numbers, filled, strict=True):
        if not fill:
            read.append(_GONE)
        elif word in POSITIVE or word in NEGATIVE:
            read.append(_Reading(float(word in POSITIVE)))
            used[word] = int(word in POSITIVE)
        elif number.fault:
            read.append(_Reading(fault=f"{word!r} is not a class (0/1, active/inactive, yes/no, +/-)"))
        else:
            read.append(_Reading(max(number.value, 0.0)))
    notes = (", ".join(f"{word!r} is {value}" for word, value in sorted(used.items())),) if used else ()
    return read, (*notes, "-1 read as 0") if signs else notes


def _readable(read: list[_Reading], counts: npt.NDArray[np.int64], filled: npt.NDArray[np.bool_]) -> bool:
    faulty = np.array([bool(reading.fault) for reading in read])
    return bool(counts[faulty].sum() <= MOST_UNREADABLE * counts[filled].sum())


def _spread(
    kind: Kind, read: list[_Reading], codes: npt.NDArray[np.int64], notes: tuple[str, ...] = ()
) -> Cells:
    """Give every row what was read for its text."""
    values = np.array([reading.value for reading in read], dtype=np.float64)[codes]
    bounds = np.array([reading.bound for reading in read], dtype=np.int8)[codes]
    faulty = np.flatnonzero(np.array([bool(reading.fault) for reading in read], dtype=bool)[codes])
    return Cells(kind, values, bounds, {int(row): read[codes[row]].fault for row in faulty}, notes)
