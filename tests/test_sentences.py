"""What each verb says of a state of the project is what was found there, and its cure works: each one is carried out.

Kind: the cure that comes to mind first.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import Project, Store
from gaia.errors import GaiaError
from gaia.status import status
from gaia.storage import remotes
from gaia.versions import ready
from released import clone, share


def named(project: Project, part: str) -> list[tuple[str, str]]:
    """What `gaia status` finds wrong with one part, with what mends it."""
    return [(check.found, check.mend) for check in status(project.root) if check.part == part and check.mend]


def follow(project: Project, sentence: str) -> None:
    """Carry out the first command that a sentence marks."""
    project.run("bash", "-ec", re.findall("`([^`]+)`", sentence)[0])


# Nothing is built here, or something else than the commit's


def without_keys(project: Project, fresh: Project) -> str:
    shutil.copy(project.path(".env"), fresh.root.parent / ".env")
    fresh.path(".env").unlink()
    fresh.path(remotes.LOCAL).unlink()
    return "copy .env from where the storage was set up, and `make storage`, `dvc pull` bring it; else `dvc repro`"


def without_remotes(project: Project, fresh: Project) -> str:
    fresh.path(remotes.LOCAL).unlink()
    return "`make storage`, then `dvc pull` brings it; where the storage lacks it, `dvc repro` makes it anew"


def connected(project: Project, fresh: Project) -> str:
    return "`dvc pull` brings it; where the storage lacks it, `dvc repro` makes it anew"


@pytest.mark.parametrize("state", [without_keys, without_remotes, connected])
def test_in_a_fresh_clone_nothing_is_trained_anew(
    small: Project, store: Store, tmp_path: Path, state: Callable[[Project, Project], str]
) -> None:
    """`dvc repro` was advised, which trains everything anew; a pull takes seconds."""
    share(small)
    store.fill(small, "HEAD")
    fresh = clone(small, tmp_path / "fresh")
    mend = state(small, fresh)
    for part in ("lock", "cache"):
        ((found, said),) = named(fresh, part)
        assert "data/models/cultures, data/models/plants, data/prepared/cultures ..." in found
        assert said.startswith(mend)
    if "copy .env" in mend:
        shutil.copy(fresh.root.parent / ".env", fresh.path(".env"))
    if "make storage" in mend:
        fresh.run("gaia", "storage", "up")
    fresh.run("dvc", "pull")
    assert named(fresh, "lock") == named(fresh, "cache") == []


def test_what_a_pull_without_hooks_left_here_is_not_taken_for_the_commits(small: Project) -> None:
    """Only a change of settings was noticed."""
    first = small.run("git", "rev-parse", "HEAD").stdout.strip()
    small.edit("params.yaml", lambda params: params["lines"]["plants"].update(seed=7))
    small.repro()
    small.commit("another seed")
    small.run("git", "reset", "--quiet", "--hard", first)
    ((found, mend),) = named(small, "lock")
    assert found == "not here as dvc.lock names it: data/models/plants, data/prepared/plants"
    assert mend == "`dvc checkout --force data/models/plants data/prepared/plants` brings it from the cache"
    follow(small, mend)
    assert named(small, "lock") == []


def test_a_release_of_what_is_another_build_names_it(released: Project) -> None:
    model = released.path("data/models/spores/model.cbm")
    model.unlink()
    model.write_bytes(b"another one")
    with pytest.raises(GaiaError) as caught:
        ready.check_pipeline("spores", released.root)
    assert str(caught.value) == (
        "what lies here is not what dvc.lock names: data/models/spores; "
        "`dvc checkout --force data/models/spores` brings it from the cache."
    )
    follow(released, str(caught.value))
    ready.check_pipeline("spores", released.root)
