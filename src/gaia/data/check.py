"""What would make training pointless is found before it: nothing usable, too few of a class, too many quarantined."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gaia.config.schema import Data, Photos
from gaia.console import console
from gaia.data.splits import SPLITS
from gaia.errors import GaiaError, nearest, printable
from gaia.inputs import tables

_CLASSES = 20  # more than that, all of them numbers, are hardly meant
_REASONS = 10  # shown on screen, the most frequent ones
_LOOKED_AT = {  # of ten million rows no more than what is
    "ok": ["label", "split", "group", "alike", "same"],
    "quarantined": ["source", "label", "reason"],
    "left out": ["label"],
}


def check(
    line: str, index: pd.DataFrame, config: Data, positive: str | None, left_out: Mapping[Path, str] | None = None
) -> list[str]:
    """The labels in order, after the checks that would make training pointless. `left_out`: what the index doesn't
    hold, with the reason; it is said on screen.

    Raises GaiaError: nothing usable, too many quarantined, fewer than two classes, a class with too few items or
    none in a split, a configured or positive class that isn't there.
    """
    usable, bad, out = (index.loc[index["verdict"] == verdict, columns] for verdict, columns in _LOOKED_AT.items())
    _summarise(line, usable, bad, out, left_out or {})
    _say_groups(usable, index["alike"].to_numpy())
    _say_reasons(bad)
    where = f"data/prepared/{line}/index.csv"
    asked = len(usable) + len(bad)
    share = len(bad) / max(1, asked)
    if share > config.max_quarantined:
        examples = "; ".join(f"{r.source}: {r.reason}" for r in bad.head(3).itertuples())
        raise GaiaError(
            f"{line}: {len(bad)} of {asked} items ({share:.0%}) can't be used, more than data.max_quarantined "
            f"allows ({config.max_quarantined:.0%}): {examples}. "
            f"All are in {where}",
            "mend or remove them, or raise the limit",
        )
    counts = usable["label"].value_counts()
    labels = config.classes or sorted(set(index["label"]) - {""})
    _check_spelling(line, Counter(index["label"]), config.classes)
    if len(labels) < 2:
        found = ", ".join(labels) or "none"
        raise GaiaError(f"{line}: at least two classes are needed, found {found}", "give each class items of its own")
    for label in labels:
        n = int(counts.get(label, 0))
        if n < config.min_per_class:
            if not config.classes and len(labels) > _CLASSES and not tables.numbers(labels)[1].any():
                raise GaiaError(
                    f"{line}: the label has {len(labels)} values, all numbers such as {label}",
                    "name a column of classes in data.label, or the values that are classes in data.classes",
                )
            raise GaiaError(
                f"{line}: the class '{label}' has {n} usable items, data.min_per_class asks for {config.min_per_class}",
                f"add some, or remove the class{nearest(label, set(index['label']) - set(labels))}",
            )
        for split in SPLITS:
            if not ((usable["label"] == label) & (usable["split"] == split)).any():
                raise GaiaError(
                    f"{line}: none of the {n} items of class '{label}' fell into the {split} split"
                    f"{_remedy(usable, label, config)}."
                )
    if positive is not None and positive not in labels:
        raise GaiaError(
            f"{line}: evaluation.positive is '{positive}', which is none of the classes "
            f"{', '.join(labels)}{nearest(positive, labels)}."
        )
    return labels


def folded(word: str) -> str:
    """A word without what case, spaces and ways of writing the same character tell apart."""
    return " ".join(unicodedata.normalize("NFKC", word).casefold().split())


def _check_spelling(line: str, counts: Mapping[str, int], named: list[str] | None) -> None:
    """Raise GaiaError for two labels that only case or spaces tell apart, unless both are named as classes."""
    alike: dict[str, str] = {}
    for label in sorted(set(counts) - {""}, key=lambda label: (label not in (named or []), -counts[label], label)):
        twin = alike.setdefault(folded(label), label)
        if twin != label and label not in (named or []) and (not named or twin in named):
            raise GaiaError(
                f"{line}: the label '{label}' ({counts[label]} items) stands beside '{twin}' ({counts[twin]})",
                "write them alike, or name both in data.classes if they differ",
            )


def _remedy(usable: pd.DataFrame, label: str, config: Data) -> str:
    """Why a class misses a split, and what would do: few groups can't be spread, however many items they hold."""
    members = usable[usable["label"] == label]
    if config.splits.column or config.splits.by:
        return f"; data.splits.{'column' if config.splits.column else 'by'} says which do"
    if members["group"].nunique() > len(members) / 2:
        return "; add items, or enlarge data.splits"
    if members["alike"].nunique() > members["group"].nunique():
        return f": they are {members['group'].nunique()} groups of data.group, and such share a split; add others"
    if not isinstance(config, Photos) or members["alike"].nunique() == members["same"].nunique():
        return f": only {members['group'].nunique()} of them differ; add items that do"
    largest = usable["group"].value_counts()[members["group"]].max()
    return (
        f": near-duplicates share a split, and these are {members['group'].nunique()} groups of such, the largest of "
        f"{largest} items; set data.near_duplicates to false if those differ, else add items that do"
    )


def _summarise(
    line: str, usable: pd.DataFrame, bad: pd.DataFrame, out: pd.DataFrame, left_out: Mapping[Path, str]
) -> None:
    splits = ", ".join(f"{split} {(usable['split'] == split).sum()}" for split in SPLITS)
    say(f"{line}: {len(usable)} usable ({_counts(usable)}; {splits}), {len(bad)} quarantined")
    if len(out):
        say(f"  left out {len(out)} that are none of data.classes: {_counts(out)}", style="yellow")
    for reason in dict.fromkeys(left_out.values()):
        there = sorted(path.as_posix() for path, why in left_out.items() if why == reason)
        say(f"  left out {len(there)} that are {reason}: {printable(', '.join(there[:3]))}")
    _say_alike(usable)


def _say_groups(usable: pd.DataFrame, alike: NDArray[np.integer]) -> None:
    """Say how many groups hold items that are not alike; `alike` of each item of the index, usable or not."""
    group = usable["group"].to_numpy()
    other = usable["alike"].to_numpy() != alike[group]  # than the one that speaks for the group: few, or none
    some = usable[usable["group"].isin(group[other])] if other.any() else usable[:0]
    if (some.groupby("group")["alike"].nunique() > 1).any():  # noqa: PD101 (of groups)
        sizes = usable["group"].value_counts()
        say(f"  {len(sizes)} groups of up to {sizes.max()} items that data.group joins; each stays in one split")


def _say_reasons(bad: pd.DataFrame) -> None:
    kinds = bad["reason"].str.split(":").str[0]
    counts = kinds.value_counts()
    for kind, n in counts.head(_REASONS).items():
        say(f"  quarantined {n} x {kind}: {', '.join(bad.loc[kinds == kind, 'source'].head(3))}", style="yellow")
    if len(counts) > _REASONS:
        say(f"  and {len(counts) - _REASONS} more reasons: {counts[_REASONS:].sum()} items", style="yellow")


def _say_alike(usable: pd.DataFrame) -> None:
    numbers = usable["alike"].to_numpy()
    often = np.bincount(numbers, minlength=1) > 1
    if not often.any():
        return
    grouped = usable[often[numbers]]
    same = grouped.duplicated(["alike", "same"], keep=False).sum()
    found = [f"{n} {kind}" for n, kind in ((same, "the same"), (len(grouped) - same, "nearly the same")) if n]
    alike = grouped.groupby("alike")["label"]
    mixed = int((alike.nunique() > 1).sum())  # noqa: PD101 (of groups)
    say(
        f"  {' and '.join(found)} as others, in {alike.ngroups} group{'s' * (alike.ngroups > 1)} of up to "
        f"{alike.size().max()}; each stays in one split{f'; {mixed} with different labels' if mixed else ''}",
        style="yellow" if mixed else None,
    )


def _counts(items: pd.DataFrame) -> str:
    """The labels in alphabetical order, each with the number of its items; at most twenty."""
    counts = items["label"].value_counts().sort_index()
    more = [f"{len(counts) - 20} more labels"] if len(counts) > 20 else []
    return ", ".join([*(f"{label} {n}" for label, n in counts.head(20).items()), *more])


def say(text: str, style: str | None = None) -> None:
    """Print a line as it is."""
    console.print(text, style=style, markup=False, emoji=False)  # file names may hold what looks like markup
