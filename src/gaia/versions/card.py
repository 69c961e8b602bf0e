"""One version as a whole: for scripts, for people, and as a model card."""

from __future__ import annotations

from typing import Any

from gaia.config import yaml
from gaia.errors import GaiaError
from gaia.evaluation.results import accuracy
from gaia.registry import tags
from gaia.versions.live import live
from gaia.versions.pins import Pinned
from gaia.versions.record import Record


def show(record: Record) -> dict[str, Any]:
    """Everything about a version, found from its tag. What only DVC's cache or the storage knows (the files of data and
    artifact, how training went) is None where neither has it any more.

    Raises GaiaError if the commit lacks what makes a version.
    """
    tag = record.tag
    assert tag, "only a version can be shown"
    stages = [stage for stage, version in live(record.line, record.root).items() if version.name == tag.name]
    return {
        "version": str(tag.name),
        "released": {"date": tag.date, "by": tag.tagger},
        "commit": record.commit,
        "number": tag.facts.get("number"),
        "live": stages,
        "deployments": _deployments(record),
        "question": record.settings.get("question"),
        "metrics": record.metrics,
        "gates": tag.facts.get("gates"),
        "data": [_listed(record, record.inputs[path]) for path in record.data],
        "artifact": _listed(record, record.artifact),
        "manifest": _or_none(lambda: record.manifest),
        "contract": _or_none(lambda: record.contract),
        "outputs": {path: pinned.md5 for path, pinned in record.outputs.items()},
        "code": record.code,
        "config": record.config,
        "packages": record.packages,
    }


def text(found: dict[str, Any]) -> list[str]:
    """What `show` found, in lines for people."""
    number, manifest = found["number"], found["manifest"]
    lines = [
        f"{found['version']}  {_why(number)}",
        f"released  {_released(found)}, commit {found['commit'][:8]}",
        f"live      {', '.join(found['live']) or 'no'}",
        f"accuracy  {_accuracy(found['metrics'])}",
        *(f"class     {label}: {_recall(numbers)}" for label, numbers in found["metrics"]["per_class"].items()),
        *(f"gate      {line}" for line in gate_lines(found["gates"] or [])),
        *(f"data      {_folder(pinned)}" for pinned in found["data"]),
        f"artifact  {_folder(found['artifact'])}",
        *([f"training  {_training(manifest)}"] if manifest else []),
        f"packages  {len(found['packages'])} pinned by requirements.lock",
    ]
    lines += [f"deployed  {d['tag']} {d['date']} by {d['by']}{_reason(d)}" for d in found["deployments"]]
    return [*lines, "config", *(f"  {line}" for line in yaml.dump(found["config"]).splitlines())]


def card(found: dict[str, Any]) -> str:
    """What `show` found, as a model card in Markdown."""
    metrics, manifest = found["metrics"], found["manifest"]
    classes = [
        f"| {label} | {_number(n['precision'])} | {_number(n['recall'])} | {_number(n['f1'])} | {n['n']} |"
        for label, n in metrics["per_class"].items()
    ]
    gates = [f"- {line}" for line in gate_lines(found["gates"] or [])] or ["- none recorded"]
    asked = found["contract"]["input"] if found["contract"] else {}
    inputs = [f"- {key}: {_input(value)}" for key, value in asked.items()] or ["- not to be had any more"]
    line = found["version"].partition("@")[0]
    parts = [
        f"# {found['version']}",
        f"{found['question'] or line}: {', '.join(metrics['per_class'])}.",
        f"Released {_released(found)}; {_why(found['number'])}. Live: {', '.join(found['live']) or 'no'}.",
        "## Input",
        "\n".join(inputs),
        "## Performance",
        f"On the test split, which training never saw: accuracy {_accuracy(metrics)}.",
        "\n".join(["| class | precision | recall | F1 | n |", "|---|---|---|---|---|", *classes]),
        "## Gates",
        "\n".join(gates),
        "## Data",
        "\n".join(f"- {_folder(pinned)}" for pinned in found["data"]),
        "## Training",
        _training(manifest) if manifest else "Not to be had any more.",
        f"```yaml\n{yaml.dump(found['config'])}```",
        "## Identity",
        f"- artifact: {_folder(found['artifact'])}\n- commit: `{found['commit']}`",
        f"`gaia reproduce {found['version']}` makes it once more; `git checkout {found['version']}` brings the whole "
        f"project as it was.",
    ]
    return "\n\n".join(parts) + "\n"


def gate_lines(gates: list[dict[str, Any]]) -> list[str]:
    """`accuracy_low: 0.868, asked for 0.8: passed`"""
    return [
        f"{g['gate']}: {'nothing to compare' if g['found'] is None else g['found']}, asked for {g['limit']}: "
        f"{'passed' if g['passed'] else 'FAILED'}"
        for g in gates
    ]


def _listed(record: Record, pinned: Pinned) -> dict[str, Any]:
    """A file or folder, and the files in it."""
    return pinned._asdict() | {"listing": _or_none(lambda: record.files(pinned))}


def _deployments(record: Record) -> list[dict[str, Any]]:
    return [
        {"tag": str(t.name), "date": t.date, "by": t.tagger, "reason": t.facts.get("reason")}
        for t in tags.deployments(record.line, record.root)
        if t.commit == record.commit
    ]


def _or_none(read: Any) -> Any:
    try:
        return read()
    except GaiaError:
        return None


def _released(found: dict[str, Any]) -> str:
    return f"{found['released']['date'][:16].replace('T', ' ')} by {found['released']['by'] or 'somebody'}"


def _why(number: dict[str, Any] | None) -> str:
    return f"{number['bump']}: {'; '.join(number['why'])}" if number else "tagged by hand, with no verdict"


def _accuracy(m: dict[str, Any]) -> str:
    return f"{accuracy(m)}, n {m['n']}"


def _recall(numbers: dict[str, Any]) -> str:
    return f"recall {_number(numbers['recall'])}, precision {_number(numbers['precision'])}, n {numbers['n']}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _folder(pinned: dict[str, Any]) -> str:
    files = f"{pinned['files']} file{'s' * (pinned['files'] != 1)}"
    return f"{pinned['path']}, {files}, {pinned['size'] / 1e6:.3g} MB, md5 {pinned['md5']}"


def _training(manifest: dict[str, Any]) -> str:
    optimizer = f" with {manifest['optimizer']}" if manifest.get("optimizer") else ""
    return (
        f"{manifest['architecture']}{optimizer}; kept epoch {manifest['best_epoch']} of {manifest['total_epochs']}, "
        f"validation loss {manifest['validation_loss']:.4g}, accuracy {manifest['validation_accuracy']:.3f}"
    )


def _reason(deployment: dict[str, Any]) -> str:
    return f": {deployment['reason']}" if deployment["reason"] else ""


def _input(value: Any) -> str:
    if isinstance(value, list):  # the features of a table
        return "; ".join(f"{f['name']} ({', '.join(f.get('categories', [])) or f['type']})" for f in value)
    return str(value)
