"""The notebooks run as they are, from top to bottom; only a yes changes anything."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode

from conftest import ROOT, Project, Store, merge
from gaia.deployments import host
from gaia.registry import tags

LINES = ("cultures", "bags")
OPEN = {"use": "default", "accuracy_low": 0, "recall": 0, "latency_ms": 1000}  # to a model that has seen 120 photos


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What Jupyter keeps of running kernels does not go to the tester's home."""
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "jupyter"))


def read(project: Project, line: str) -> NotebookNode:
    """A project's notebook."""
    return nbformat.read(project.path("notebooks", f"{line}.ipynb"), as_version=4)


def execute(project: Project, notebook: NotebookNode, folder: str) -> dict[str, Any]:
    """Run a notebook in a folder of the project, where nobody can answer: what each cell gave, as text, and `images`,
    how many there were. Raises CellExecutionError if a cell fails."""
    client = NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(project.path(folder))}})
    client.execute(env=project.environment)
    outputs = {cell.id: cell.outputs for cell in notebook.cells if cell.cell_type == "code"}
    shown = {name: "".join(text(output) for output in found) for name, found in outputs.items()}
    images = [name for name, found in outputs.items() for output in found if "image/png" in output.get("data", {})]
    return shown | {"images": images}


def text(output: NotebookNode) -> str:
    """What a reader sees of an output."""
    return output.get("text", "") + output.get("data", {}).get("text/plain", "")


def refusal(project: Project, notebook: NotebookNode) -> str:
    """All that the last cell shows as it fails."""
    with pytest.raises(CellExecutionError):
        execute(project, notebook, "notebooks")
    return "\n".join(line for output in notebook.cells[-1].outputs for line in output.get("traceback", ()))


def state(project: Project, store: Store) -> tuple[object, ...]:
    """All that a release or a deployment would change."""
    kept = [found for bucket in store.settings.buckets.values() for found in store.client.list_objects(bucket)]
    git = [project.run("git", *c).stdout for c in (("status", "--porcelain"), ("for-each-ref",))]
    return *git, len(kept), project.path("deployments").exists()


@pytest.mark.parametrize("line", LINES)
def test_a_notebook_is_kept_without_outputs_and_ready_to_refuse(line: str) -> None:
    notebook = json.loads((ROOT / "notebooks" / f"{line}.ipynb").read_text())
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    assert set(notebook["metadata"]) == {"kernelspec"}
    assert "CONFIRM = False\n" in code[0]["source"]


def test_without_a_yes_a_notebook_shows_training_and_plan_and_changes_nothing(project: Project, store: Store) -> None:
    store.connect(project)
    project.edit("params.yaml", lambda p: merge(p, {"lines": {line: {"gates": dict(OPEN)} for line in LINES}}))
    project.repro("compose")
    project.commit("gates that a tiny model passes")
    store.empty()
    before = state(project, store)
    for line, folder in zip(LINES, ("notebooks", "."), strict=True):
        shown = execute(project, read(project, line), folder)
        metrics = json.loads(project.path("data/reports", line, "metrics.json").read_text())
        assert f"{metrics['accuracy']:.3f}" in shown["results"]
        assert all(label in shown["classes"] for label in metrics["per_class"])
        assert shown["images"] == ["curves", "curves", "mistakes"]
        assert f"{line}@v1.0.0 would be made of" in shown["release"]
        assert "the first version\nlive until now: nothing\n" in shown["release"]
        assert "golden: " in shown["release"]
        assert shown["release"].endswith("not confirmed; nothing was changed.\n")
        assert state(project, store) == before


def test_with_a_yes_the_version_is_live_and_tested_and_a_refusal_is_one_sentence(versioned: Project) -> None:
    notebook = read(versioned, "cultures")
    choice = notebook.cells[1]
    choice.source = choice.source.replace("CONFIRM = False", "CONFIRM = True")

    versioned.path("notebooks/cultures.ipynb").write_text(nbformat.writes(notebook))
    said = refusal(versioned, notebook)
    assert "the working tree differs from the last commit: notebooks/cultures.ipynb; `git commit`" in said
    assert "\n" not in said.strip()
    assert not versioned.path("deployments").exists()
    assert len(tags.versions("cultures", versioned.root)) == 2

    versioned.run("git", "restore", "notebooks")
    said = execute(versioned, notebook, "notebooks")["release"]
    newest = tags.of_line("cultures", versioned.root)[-1]
    assert newest.name.number == "v1.2.0"
    assert "cultures@v1.2.0 is live in prod (cultures#prod#1)" in said
    assert "tested here: every hash, 8 golden answers agree to " in said
    assert host.current("cultures", root=versioned.root) == host.folder(newest, versioned.root)
    assert "cultures@v1.2.0 is live in prod" in versioned.run("gaia", "current", "cultures").stdout

    again = execute(versioned, notebook, "notebooks")["release"]  # was red: this commit is v1.2.0 already
    assert again == "released already as cultures@v1.2.0, and live\n"
