"""What changed between two versions, and which number follows from it. Pure: plain facts in, reasons out.

labels, input or preprocessing         -> major   who asks the model has to change, too
data, architecture, settings           -> minor   the same questions, other answers
code, packages, or trained once more   -> patch   the same inputs, made anew
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple, get_args

from gaia.config import yaml
from gaia.errors import GaiaError, shown
from gaia.registry.tags import Version

Bump = Literal["patch", "minor", "major"]  # the smallest first
BUMPS: tuple[Bump, ...] = get_args(Bump)


class Facts(NamedTuple):
    """What a version was made of, and for whom."""

    labels: list[str]
    input: dict[str, Any]  # of the contract: size, colour, scaling; or features with their columns and categories
    data: dict[str, str]  # path -> hash
    settings: dict[str, Any]
    code: dict[str, str]  # path -> hash
    packages: dict[str, str]


class Change(NamedTuple):
    """How large a step is, and the reasons, the weightiest first."""

    bump: Bump
    why: list[str]


def change(old: Facts, new: Facts) -> Change:
    """The step from one version to another. Of several reasons the weightiest decides."""
    reasons: dict[Bump, list[str]] = {
        "major": [*_labels(old.labels, new.labels), *_input(old.input, new.input)],
        "minor": [
            *_some("data", other_data(old.data, new.data)),
            *differences(flat(old.settings), flat(new.settings)),
        ],
        "patch": [
            *_some("code", sorted(k for k in {**old.code, **new.code} if old.code.get(k) != new.code.get(k))),
            *_some("packages", differences(old.packages, new.packages)),
        ],
    }
    why = [reason for bump in reversed(BUMPS) for reason in reasons[bump]]
    bump: Bump = next((bump for bump in reversed(BUMPS) if reasons[bump]), "patch")
    return Change(bump, why or ["trained once more from the same inputs"])


def widened(found: Change, asked: Bump | None) -> Change:
    """The change, or a larger step if one is asked for. Raises GaiaError if a smaller one is."""
    if asked is None or asked == found.bump:
        return found
    if BUMPS.index(asked) < BUMPS.index(found.bump):
        raise GaiaError(
            f"this is a {found.bump} step ({found.why[0]})", f"a {asked} one can't be had, a larger one can"
        )
    return Change(asked, [f"asked for as {asked}", *found.why])


def following(newest: Version, bump: Bump) -> Version:
    """The number after `newest`."""
    line, major, minor, patch = newest
    if bump == "major":
        return Version(line, major + 1, 0, 0)
    return Version(line, major, minor + 1, 0) if bump == "minor" else Version(line, major, minor, patch + 1)


def flat(content: Any) -> dict[str, Any]:
    """{"trainer": {"max_epochs": 3}} -> {"trainer.max_epochs": 3}"""
    return {yaml.dotted(keys): value for keys, value in yaml.leaves(content)}


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """`key: old -> new` for each key whose value is another one, or is only on one side."""
    found = []
    for key in sorted({**old, **new}):
        if key not in old:
            found.append(f"{key}: {_plain(new[key])} is new")
        elif key not in new:
            found.append(f"{key}: {_plain(old[key])} is gone")
        elif (type(old[key]), old[key]) != (type(new[key]), new[key]):
            found.append(f"{key}: {_plain(old[key])} -> {_plain(new[key])}")
    return found


def other_data(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    """`path changed`, `path is gone` or `path is new` for each file and folder of data, given with its hash. What only
    lies elsewhere now is the same data."""
    changed = [f"{path} changed" for path in old if path in new and old[path] != new[path]]
    gone = {path: md5 for path, md5 in old.items() if path not in new}
    come = {path: md5 for path, md5 in new.items() if path not in old}
    lost = [f"{path} is gone" for path, md5 in gone.items() if md5 not in come.values()]
    return [*changed, *lost, *(f"{path} is new" for path, md5 in come.items() if md5 not in gone.values())]


def _labels(old: list[str], new: list[str]) -> list[str]:
    return [] if old == new else [f"labels: {', '.join(old)} -> {', '.join(new)}"]


def _input(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """How the way of asking changed. A category more is no such change: who asked before may ask on as before."""
    before, after = ({f["name"]: f for f in side.get("features", [])} for side in (old, new))
    reasons = differences(*(flat({**side, "features": None}) for side in (old, new)))
    reasons += [f"{name} is new" for name in after if name not in before]
    reasons += [f"{name} is gone" for name in before if name not in after]
    for name in (name for name in before if name in after):
        was, now = before[name], after[name]
        how = ("column", "type", "order", "date")
        reasons += differences(*({f"{name}.{key}": f[key] for key in how if key in f} for f in (was, now)))
        lost = [c for c in was.get("categories", []) if c not in now.get("categories", [])]
        reasons += _some(f"{name} no longer takes", lost)
    return [f"input: {reason}" for reason in reasons]


def _some(what: str, items: Iterable[str]) -> list[str]:
    """One reason that names up to three items."""
    listed = list(items)
    more = f" and {len(listed) - 3} more" if len(listed) > 3 else ""
    return [f"{what}: {', '.join(listed[:3])}{more}"] if listed else []


def _plain(value: Any) -> str:
    return value if isinstance(value, str) and len(value) <= 80 else shown(value)
