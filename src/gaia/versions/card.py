"""One version as a whole: for scripts, for people, and as a model card."""

from __future__ import annotations

from typing import Any

from gaia.config import yaml
from gaia.errors import GaiaError, printable
from gaia.evaluation.results import accuracy
from gaia.registry import history
from gaia.registry.history import History
from gaia.registry.pins import Pinned
from gaia.registry.tags import Tag, Version
from gaia.runtime.contract import category
from gaia.versions import verdict
from gaia.versions.record import Record


def show(record: Record) -> dict[str, Any]:
    """Everything about a version, found from its tag. What only DVC's cache or the storage knows (the files of data and
    artifact, how training went) is None where neither has it any more.

    Raises GaiaError if the commit lacks what makes a version.
    """
    tag = record.tag
    assert tag, "only a version can be shown"
    known, said = history.look(record.line, record.root), verdict.read(tag)
    withdrawn = known.withdrawn.get(tag.name)
    return {
        "version": str(tag.name),
        "released": {"date": tag.date, "by": tag.tagger},
        "commit": record.commit,
        "number": {"bump": said.bump, "why": said.why} if said else None,
        "live": history.places(known.events).get(tag.name, []),
        "withdrawn": {"at": withdrawn.date, "by": withdrawn.tagger, "reason": withdrawn.reason} if withdrawn else None,
        "deployments": _deployments(tag, known),
        "question": record.settings.get("question"),
        "metrics": record.metrics,
        "gates": [gate._asdict() for gate in said.gates] if said else None,
        "data": [_listed(record, record.inputs[path]) for path in record.data],
        "artifact": _listed(record, record.artifact),
        "manifest": _or_none(lambda: record.manifest),
        "contract": _or_none(lambda: record.contract),
        "outputs": {path: pinned.md5 for path, pinned in record.outputs.items()},
        "code": record.code,
        "config": record.config,
        "packages": record.packages,
    }


def of_release(record: Record) -> str:
    """The model card that lies with the version's files, where nobody can know what is live or was withdrawn since."""
    return card(show(record) | {"live": None, "withdrawn": None})


def text(found: dict[str, Any]) -> list[str]:
    """What `show` found, in lines for people."""
    number, manifest = found["number"], found["manifest"]
    lines = [
        f"{found['version']}  {_why(number)}",
        f"released  {_released(found)}, commit {found['commit'][:8]}",
        f"live      {', '.join(found['live']) or 'no'}",
        *([f"withdrawn {_withdrawn(found)}"] if found["withdrawn"] else []),
        f"accuracy  {_accuracy(found['metrics'])}",
        *(f"decides   {said}" for said in _decision(found["contract"])),
        *(f"class     {label}: {_recall(numbers)}" for label, numbers in found["metrics"]["per_class"].items()),
        *(f"gate      {line}" for line in gate_lines(found["gates"] or [])),
        *(f"data      {_folder(pinned)}" for pinned in found["data"]),
        f"artifact  {_folder(found['artifact'])}",
        *([f"training  {_training(manifest)}"] if manifest else []),
        f"packages  {len(found['packages'])} pinned by requirements.lock",
    ]
    words = {history.ROLLBACK: "back to", history.UNDEPLOY: "ended"}
    deployed = [(words.get(d["action"], "deployed"), d) for d in found["deployments"]]
    lines += [f"{word:<10}{d['tag']} {d['date']} by {d['by']}{_reason(d)}" for word, d in deployed]
    lines += ["config", *(f"  {line}" for line in yaml.dump(found["config"]).splitlines())]
    return [printable(line) for line in lines]


def card(found: dict[str, Any]) -> str:
    """What `show` found, as a model card in Markdown, headed by the metadata that Hugging Face's hub reads."""
    return f"---\n{yaml.dump(_metadata(found))}---\n{body(found)}"


def body(found: dict[str, Any]) -> str:
    """The model card without that head."""
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
        f"Released {_released(found)}; {_why(found['number'])}."
        + ("" if found["live"] is None else f" Live: {', '.join(found['live']) or 'no'}."),
        *([f"**Withdrawn** {_withdrawn(found)}."] if found["withdrawn"] else []),
        "## Input",
        "\n".join(inputs),
        "## Performance",
        f"On the test split, which training never saw: accuracy {_accuracy(metrics)}.",
        *(f"The answer is {said}." for said in _decision(found["contract"])),
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
    return "\n".join(printable(line) for line in "\n\n".join(parts).split("\n")) + "\n"


def _metadata(found: dict[str, Any]) -> dict[str, Any]:
    """https://huggingface.co/docs/hub/model-cards#model-card-metadata; no licence, since nothing here knows one."""
    contract, metrics = found["contract"] or {}, found["metrics"]
    kind = "tabular-classification" if contract.get("input", {}).get("kind") == "table" else "image-classification"
    library = "onnx" if str(contract.get("model")).endswith(".onnx") else contract.get("framework")
    measured = [
        {"type": key, "value": metrics[key]} for key in ("accuracy", "f1", "roc_auc") if metrics.get(key) is not None
    ]
    line = found["version"].partition("@")[0]
    result = {
        "task": {"type": kind},
        "dataset": {"type": line, "name": f"the test split of {line}", "split": "test"},
        "metrics": measured,
    }
    return {
        **({"library_name": library} if library else {}),
        "pipeline_tag": kind,
        "tags": ["gaia-vision", line],
        "model-index": [{"name": found["version"], "results": [result]}],
    }


def gate_lines(gates: list[dict[str, Any]]) -> list[str]:
    """`accuracy_low: 0.868, asked for at least 0.8: passed`"""
    judged = [verdict.Gate(*(gate[key] for key in verdict.Gate._fields)) for gate in gates]
    return [
        f"{gate.gate}: {'nothing to compare' if gate.found is None else gate.found}, asked for {gate.asked}: "
        f"{'passed' if gate.passed else 'FAILED'}"
        for gate in judged
    ]


def _listed(record: Record, pinned: Pinned) -> dict[str, Any]:
    """A file or folder, and the files in it."""
    return pinned._asdict() | {"listing": _or_none(lambda: record.files(pinned))}


def _deployments(tag: Tag[Version], known: History) -> list[dict[str, Any]]:
    return [
        {"tag": str(e.tag.name), "action": e.action, "date": e.tag.date, "by": e.tag.tagger, "reason": e.reason or None}
        for e in known.events
        if e.version.name == tag.name
    ]


def _withdrawn(found: dict[str, Any]) -> str:
    said = found["withdrawn"]
    return f"{said['at'][:16].replace('T', ' ')} by {said['by'] or 'somebody'}" + _reason(said)


def _or_none(read: Any) -> Any:
    try:
        return read()
    except GaiaError:
        return None


def _released(found: dict[str, Any]) -> str:
    return f"{found['released']['date'][:16].replace('T', ' ')} by {found['released']['by'] or 'somebody'}"


def _why(number: dict[str, Any] | None) -> str:
    return f"{number['bump']}: {'; '.join(number['why'])}" if number else "no verdict: no gate judged it"


def _accuracy(m: dict[str, Any]) -> str:
    return f"{accuracy(m)}, n {m['n']}"


def _decision(contract: dict[str, Any] | None) -> list[str]:
    """`contaminated from a probability of 0.31 on`, where there are two classes."""
    if contract is None or len(contract["labels"]) != 2:
        return []
    return [f"{contract['positive']} from a probability of {contract['threshold']:g} on"]


def _recall(numbers: dict[str, Any]) -> str:
    return f"recall {_number(numbers['recall'])}, precision {_number(numbers['precision'])}, n {numbers['n']}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _folder(pinned: dict[str, Any]) -> str:
    files = f"{pinned['files']} file{'s' * (pinned['files'] != 1)}"
    return f"{pinned['path']}, {files}, {pinned['size'] / 1e6:.3g} MB, md5 {pinned['md5']}"


def _training(manifest: dict[str, Any]) -> str:
    optimizer = f" with {manifest['optimizer']}" if manifest.get("optimizer") else ""
    optimizer += f", from {_weights(manifest['weights'])}" if manifest.get("weights") else ""
    refitted = manifest.get("refitted_on")
    again = f"; trained anew for as many epochs on all {refitted} items of train and validation" if refitted else ""
    return (
        f"{manifest['architecture']}{optimizer}; kept epoch {manifest['best_epoch']} of {manifest['total_epochs']}, "
        f"validation loss {manifest['validation_loss']:.4g}, accuracy {manifest['validation_accuracy']:.3f}{again}"
    )


def _weights(found: dict[str, Any]) -> str:
    """What training started from."""
    source = f" of {found['source']}" if found["source"] not in (None, found["name"]) else ""
    licence = f"licence {found['licence']}" if found["licence"] else "licence not declared"
    return f"the weights {found['name']}{source} ({licence}, sha256 {found['sha256'][:12]})"


def _reason(deployment: dict[str, Any]) -> str:
    return f": {deployment['reason']}" if deployment["reason"] else ""


def _input(value: Any) -> str:
    if isinstance(value, list):  # the features of a table
        return "; ".join(f"{f['name']} ({_values(f)})" for f in value)
    return str(value)


def _values(feature: dict[str, Any]) -> str:
    """What a feature may be, as far as the contract lists it."""
    listed = map(category, feature.get("categories") or feature.get("order") or [])
    return ", ".join(listed) or ("date" if feature.get("date") else feature["type"])
