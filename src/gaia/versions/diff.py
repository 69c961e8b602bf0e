"""What distinguishes two versions: config, data, packages, code, metrics, and the answers to the same test inputs."""

from __future__ import annotations

import csv
import io
from typing import Any

from gaia import paths
from gaia.registry.git import git
from gaia.versions.number import differences, flat, other_data
from gaia.versions.record import Record

SHOWN = 5  # items of a long list that people are shown; --json has all


def diff(old: Record, new: Record) -> dict[str, Any]:
    """What `new` has otherwise than `old`, by kind; an empty list where nothing differs.

    Raises GaiaError if a file that one of them pins can't be had any more.
    """
    return {
        "from": str(old),
        "to": str(new),
        "config": differences(flat(old.config), flat(new.config)),
        "inputs": other_data(old.data, new.data),
        "data": _data(_rows(old, _index(old)), _rows(new, _index(new))),
        "weights": differences(*(flat(side.manifest.get("weights") or {}) for side in (old, new))),
        "packages": differences(old.packages, new.packages),
        "code": _code(old, new),
        "metrics": _metrics(old.metrics, new.metrics),
        "answers": _answers(_rows(old, _predictions(old)), _rows(new, _predictions(new))),
    }


def text(found: dict[str, Any]) -> list[str]:
    """The differences in lines for people."""
    inputs, data, answers = found["inputs"], found["data"], found["answers"]
    lines = [f"{found['from']} -> {found['to']}"]
    lines += _section("config", found["config"])
    counts = [f"{len(items)} {kind}" for kind, items in data.items() if items]
    said = ", ".join(counts) or ("the same items" if inputs else "the same")
    relabelled = [f"{item['source']}: {item['from']} -> {item['to']}" for item in data["relabelled"]]
    named = [f"{kind} {source}" for kind in ("added", "removed") for source in data[kind][:SHOWN]]
    lines += _section(f"data: {said}", [*inputs, *relabelled[:SHOWN], *named], more=False)
    lines += _section("weights to start from", found["weights"], more=False) if found["weights"] else []
    lines += _section("packages", found["packages"])
    lines += _section("code", found["code"])
    lines += _section("metrics", [_metric(key, *sides) for key, sides in found["metrics"].items()], more=False)
    changed = [f"{a['source']} ({a['label']}): {a['from']} -> {a['to']}" for a in answers["changed"]]
    right = sum(a["to"] == a["label"] for a in answers["changed"])
    said = f", {right} of them for the better" if changed else ""
    lines += _section(f"answers: {len(changed)} of {answers['compared']} common test inputs changed{said}", changed)
    return lines


def _index(record: Record) -> str:
    return (paths.prepared(record.line) / "index.csv").as_posix()


def _predictions(record: Record) -> str:
    return (paths.reports(record.line) / "predictions.csv").as_posix()


def _rows(record: Record, path: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(record.read(path).decode("utf-8"), newline="")))


def _data(old: list[dict[str, str]], new: list[dict[str, str]]) -> dict[str, list[Any]]:
    """Items are the same if their content is, wherever they lie; of equal ones as many as there are on both sides."""
    before, after = _by_content(old), _by_content(new)
    added, removed, relabelled = [], [], []
    for sha in sorted({**before, **after}):
        gone, come = _more(before.get(sha, {}), after.get(sha, {})), _more(after.get(sha, {}), before.get(sha, {}))
        pairs = list(zip(gone, come, strict=False))
        relabelled += [{"source": now[1], "from": was[0], "to": now[0]} for was, now in pairs]
        removed += [source for _, source in gone[len(pairs) :]]
        added += [source for _, source in come[len(pairs) :]]
    return {"added": sorted(added), "removed": sorted(removed), "relabelled": relabelled}


def _by_content(rows: list[dict[str, str]]) -> dict[str, dict[str, list[str]]]:
    """content -> label -> where such items lie"""
    found: dict[str, dict[str, list[str]]] = {}
    for row in rows:
        found.setdefault(row["sha256"], {}).setdefault(row["label"], []).append(row["source"])
    return found


def _more(these: dict[str, list[str]], others: dict[str, list[str]]) -> list[tuple[str, str]]:
    """(label, source) of the items of one content that there are more of here than there."""
    return [(label, s) for label, sources in these.items() for s in sources[len(others.get(label, ())) :]]


def _code(old: Record, new: Record) -> list[str]:
    folders = sorted({**old.code, **new.code})
    said = git("diff", "--name-status", "--no-renames", old.commit, new.commit, "--", *folders, root=new.root)
    words = {"A": "is new", "D": "is gone", "M": "changed"}
    changes = (line.split("\t", 1) for line in said.splitlines())
    return [f"{path} {words.get(status, 'changed')}" for status, path in changes]


def _metrics(old: dict[str, Any], new: dict[str, Any]) -> dict[str, list[Any]]:
    """[before, after] of each metric; of the accuracy, each with the ends of its interval."""
    before, after = flat(old), flat(new)
    found = {key: [before.get(key), after.get(key)] for key in {**before, **after} if not key.startswith("accuracy")}
    interval = ("accuracy", "accuracy_low", "accuracy_high")
    first = {"accuracy": [[side.get(key) for key in interval] for side in (before, after)]}
    return first | {key: sides for key, sides in found.items() if sides[0] != sides[1]}


def _metric(key: str, before: Any, after: Any) -> str:
    if key == "accuracy":
        (was, low, high), (now, lower, higher) = before, after
        apart = "" if lower <= high and low <= higher else "; the intervals do not overlap"
        return f"accuracy: {was:.3f} ({low:.3f} - {high:.3f}) -> {now:.3f} ({lower:.3f} - {higher:.3f}){apart}"
    return f"{key}: {'-' if before is None else before} -> {'-' if after is None else after}"


def _answers(old: list[dict[str, str]], new: list[dict[str, str]]) -> dict[str, Any]:
    """Which items that both were tested with are answered otherwise now."""
    before = {row["sha256"]: row for row in old}
    common = [(before[row["sha256"]], row) for row in new if row["sha256"] in before]
    changed = [
        {"source": now["source"], "label": now["label"], "from": was["predicted"], "to": now["predicted"]}
        for was, now in common
        if was["predicted"] != now["predicted"]
    ]
    return {"compared": len(common), "changed": changed}


def _section(title: str, items: list[str], more: bool = True) -> list[str]:
    shown = items[:SHOWN] if more else items
    rest = [f"  ... and {len(items) - SHOWN} more"] if more and len(items) > SHOWN else []
    plain = title if items or ":" in title else f"{title}: the same"
    return [plain, *(f"  {item}" for item in shown), *rest]
