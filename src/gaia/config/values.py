"""What a single value of a configuration may be, and the sentence of one that isn't."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, WrapValidator

from gaia import paths
from gaia.errors import shown


class Unfit(ValueError):
    """What a value says or does that it may not, to be read after its key; and what would do."""

    def __init__(self, found: str, mend: str) -> None:
        super().__init__(f"{found}; {mend}")
        self.found, self.mend = found, mend


def _differ(classes: list[str]) -> list[str]:
    if found := twice(classes):
        raise Unfit(f"names '{found}' twice", "each class needs a name of its own")
    return classes


def twice(words: Iterable[str]) -> str | None:
    """The first word that stands there a second time."""
    seen: set[str] = set()
    return next((word for word in words if word in seen or seen.add(word)), None)  # type: ignore[func-returns-value]


def _separates(separator: str) -> str:
    if separator != "\t" and (len(separator) != 1 or not separator.isprintable() or separator in '" '):
        raise Unfit(f"is {shown(separator)}", "it should be one character, but no quote, space or line break")
    return separator


def _encodes(encoding: str) -> str:
    try:
        text = codecs.lookup(encoding)._is_text_encoding  # not base64, which Python has as a codec, too
    except (LookupError, ValueError):
        text = False
    if not text:
        raise Unfit(f"is {shown(encoding)}", "it should be an encoding of text that Python knows, such as utf-8")
    return encoding


def _captures(pattern: str) -> str:
    """A pattern with one part that is meant."""
    try:
        found = re.compile(pattern).groups
    except re.error as error:
        raise Unfit(f"is {shown(pattern)}, which is no pattern: {error}", "mind brackets and backslashes") from None
    if found != 1:
        raise Unfit(f"is {shown(pattern)}", r"put the part that is meant, and no other, in parentheses: '([a-z]+)_\d+'")
    return pattern


def _is_csv(name: str) -> str:
    if not paths.RAW.match(name) or not name.endswith(".csv"):
        raise Unfit(f"is {shown(name)}", "it should be a CSV file in the folder of photos, such as labels.csv")
    return name


def captures_group(pattern: str) -> None:
    """Raise Unfit, to be read after the section's key, if a group's pattern isn't one with one part that is meant."""
    try:
        _captures(pattern)
    except Unfit as wrong:
        mend = "it should be a pattern over the photos' paths, such as 'plant(\\d+)', or a column of the file in labels"
        raise Unfit(f"has group, which {wrong.found}", mend) from None


def _named(weights: Any) -> Any:
    """One word, or a file with what is to be said of it."""
    if isinstance(weights, dict):
        fits = weights.keys() <= {"file", "source", "licence"} and "file" in weights
        fits = fits and all(isinstance(said, str) and said for said in weights.values())
    else:
        fits = weights is None or (isinstance(weights, str) and weights != "")
    if not fits:
        should = "null, one word, or {file: <name>, source: <where it comes from>, licence: <its licence>}"
        raise Unfit(f"is {shown(weights)}", f"it should be {should}")
    return weights


def _freezes(parts: Any) -> Any:
    """Nothing, the backbone, or all up to a part of it."""
    until = parts["until"] if isinstance(parts, dict) and parts.keys() == {"until"} else None
    if parts not in (None, "none", "backbone") and not (isinstance(until, str) and until):
        should = "null, backbone, or {until: <the last part that stays as it is>}"
        raise Unfit(f"is {shown(parts)}", f"it should be {should}")
    return None if parts == "none" else parts


def without_nulls(columns: Any) -> Any:
    """A mapping without the keys whose value is null."""
    return {k: v for k, v in columns.items() if v is not None} if isinstance(columns, dict) else columns


def or_word(word: str, otherwise: str) -> tuple[WrapValidator, PlainSerializer]:
    """In the place of a mapping one word may stand. (A union would do, but its errors name its parts.)"""

    def wrap(value: Any, validate: Any) -> Any:
        if isinstance(value, str) and value != word:
            raise Unfit(f"is {shown(value)}", f"it should be {word}{otherwise}")
        return value if value == word else validate(value)

    return WrapValidator(wrap), PlainSerializer(lambda value: value)


def _ranked(order: list[str]) -> list[str]:
    if found := twice(word.casefold() for word in order):
        raise Unfit(f"names '{found}' twice", "each word has one place in the order")
    return order


Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
Text = Annotated[str, Field(min_length=1)]
Classes = Annotated[list[Text], Field(min_length=2), AfterValidator(_differ)]
Columns = Annotated[dict[str, Text], BeforeValidator(without_nulls)]  # null takes one away that another file names
REST = "rest"  # in the place of columns: all that no other key names
ColumnsOrRest = Annotated[Columns, *or_word(REST, ", or keys with values: the feature and its column")]
Weight = Annotated[float, Field(gt=0, le=1_000_000)]
BALANCED = "balanced"
Separator = Annotated[str, AfterValidator(_separates)]
Encoding = Annotated[str, AfterValidator(_encodes)]
CsvName = Annotated[str, AfterValidator(_is_csv)]
Pattern = Annotated[Text, AfterValidator(_captures)]
Order = Annotated[list[Text], Field(min_length=2), AfterValidator(_ranked)]
Start = Annotated[str | dict[str, Any] | None, BeforeValidator(_named)]  # what a network starts from
Freeze = Annotated[str | dict[str, Any] | None, BeforeValidator(_freezes)]
