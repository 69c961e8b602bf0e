"""Words that count as numbers: dates, and words with an order, such as small, medium, large or no, yes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gaia.inputs import tables

TRUTHS = (["false", "true"], ["no", "yes"])
_EPOCH = datetime(1970, 1, 1)


def values(
    texts: Iterable[str], decimal: str, feature: Mapping[str, Any]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The cells of a number's column as float64 [n], NaN where the cell is empty; and a mask of those that are none.

    `feature`, as the contract has it, says whether they are numbers, dates (`date`) or words in an `order`.
    """
    if feature.get("date"):
        return dates(texts)
    return places(texts, order) if (order := feature.get("order")) else tables.numbers(texts, decimal)


def written(value: float, feature: Mapping[str, Any]) -> Any:
    """What a person would give for a value of `values`: the word, the date, the number itself; None where NaN."""
    if value != value:
        return None
    if feature.get("date"):
        return as_date(value)
    return order[round(value)] if (order := feature.get("order")) else value


def asked(feature: Mapping[str, Any]) -> str:
    """What a cell of a number's column should be, to be read after "is not"."""
    if feature.get("date"):
        return "a date such as 2026-11-24"
    return f"one of {', '.join(order)}" if (order := feature.get("order")) else "a number"


def places(texts: Iterable[str], order: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Where each text stands in the order, from 0, in capitals or not: float64 [n], NaN where the cell is empty; and a
    mask of those that it doesn't hold."""
    at = {word.casefold(): float(place) for place, word in enumerate(order)}
    return tables.each(texts, lambda cell: at.get(cell.casefold()))


def dates(texts: Iterable[str]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Days since 1970-01-01 of dates as in ISO 8601, with the time of day as a fraction (in UTC if a zone is given):
    float64 [n], NaN where the cell is empty; and a mask of those that are no such date."""
    return tables.each(texts, _days)


def as_date(days: float) -> str:
    """Days since 1970-01-01 as a date in ISO 8601, with the time of day where it isn't midnight."""
    moment = _EPOCH + timedelta(microseconds=round(days * 86_400_000) * 1000)
    return moment.isoformat() if moment.time() != _EPOCH.time() else moment.date().isoformat()


def _days(text: str) -> float | None:
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo:
            moment = moment.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        return None
    return (moment - _EPOCH) / timedelta(days=1)
