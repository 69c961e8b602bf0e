"""`gaia cleanup --remote` says what went, and takes nothing that somebody may still need."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from conftest import Project, Store
from gaia.deployments import cleanup
from gaia.errors import GaiaError
from gaia.registry import tags
from released import share
from test_hosts import objects_of


@pytest.fixture
def littered(released: Project, store: Store) -> tuple[Project, set[tuple[str, str]]]:
    """A project whose storage and cache hold what nothing needs any more; the objects of the storage that it needs."""
    store.empty()
    store.connect(released)
    released.run("dvc", "push", "--all-tags")
    needed = objects_of(store)
    released.edit("params.yaml", lambda params: params["lines"]["spores"].update(turn=25))
    released.repro()
    released.run("dvc", "push")
    released.run("git", "reset", "--quiet", "--hard")
    share(released)
    return released, needed


def cached(project: Project) -> set[Path]:
    return {path for path in project.path(".dvc/cache/files").rglob("*") if path.is_file()}


def test_what_is_said_to_be_removed_is_what_was_removed(
    littered: tuple[Project, set[tuple[str, str]]], store: Store
) -> None:
    """Kind: another tool's output counted by its words."""
    project, needed = littered
    before, here = objects_of(store), cached(project)
    shown = json.loads(project.run("gaia", "cleanup", "spores", "--remote", "--json").stdout)
    assert (objects_of(store), cached(project)) == (before, here), "a dry run removed something"
    done = json.loads(project.run("gaia", "cleanup", "spores", "--remote", "--yes", "--json").stdout)
    gone = {f"{bucket}/{key}" for bucket, key in before - objects_of(store)}
    assert objects_of(store) == needed
    assert set(done["objects"]) == gone | {str(path) for path in here - cached(project)}
    assert gone and here - cached(project)
    assert set(shown["objects"]) == set(done["objects"])
    said = project.run("gaia", "cleanup", "spores", "--remote", "--yes").stdout
    assert "and 0 objects of buckets and cache removed" in said


@pytest.mark.parametrize("name", ["spores@v1.3.0", "spores#prod#1"])
@pytest.mark.parametrize("remove", [False, True])
def test_it_refuses_while_the_remote_lacks_a_tag_and_its_advice_is_enough(
    littered: tuple[Project, set[tuple[str, str]]], store: Store, name: str, remove: bool
) -> None:
    """Kind: deciding before looking. With `fetch.prune` the fetch itself takes such a tag, and the objects go, too."""
    project, needed = littered
    project.run("git", "config", "fetch.prune", "true")
    project.run("git", "tag", "-a", name, "-m", "never shared", "spores@v1.0.0^{}")
    before = objects_of(store)
    with pytest.raises(GaiaError, match=re.escape(f"{name} is not at origin")) as caught:
        cleanup.unused(remove, project.root)
    assert objects_of(store) == before
    assert name in project.run("git", "tag").stdout, "the fetch took the tag"
    advice = re.fullmatch("`(.+)` shares them", caught.value.problems[0].mend)
    assert advice
    project.run("bash", "-ec", advice[1])
    assert cleanup.unused(remove, project.root)
    assert name in project.run("git", "tag").stdout
    assert (objects_of(store) == needed) is remove


def test_nothing_on_this_host_goes_where_the_rest_is_refused(littered: tuple[Project, set[tuple[str, str]]]) -> None:
    project, _ = littered
    for version in ("v1.0.0", "v1.1.0", "v1.2.0"):
        project.run("gaia", "deploy", f"spores@{version}", "--yes")
    tags_before = project.run("git", "for-each-ref").stdout
    project.run("git", "tag", "-a", "spores@v1.3.0", "-m", "never shared", "spores@v1.0.0^{}")
    folders = sorted(project.path("deployments/spores/versions").iterdir())
    assert project.run("gaia", "cleanup", "spores", "--keep", "0", "--remote", "--yes", ok=False).returncode == 1
    assert sorted(project.path("deployments/spores/versions").iterdir()) == folders
    assert tags_before
    assert tags.versions("spores", project.root)
