"""A version can be made once more from its tag; and if it comes out otherwise, the first differing input is named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from conftest import Project, Store
from gaia.registry import git
from gaia.versions import record, reproduce
from gaia.versions.record import Record


def test_a_version_is_made_again_from_its_tag_byte_for_byte_and_leaves_no_trace(
    versioned: Project, store: Store, tmp_path: Path
) -> None:
    versioned.run("git", "push", "--quiet", "origin", "main")
    versioned.run("git", "clone", "--quiet", "../origin.git", str(tmp_path / "fresh"))
    fresh = store.connect(Project(tmp_path / "fresh"))
    fresh.environment["TMPDIR"] = str(tmp_path / "scratch")
    (tmp_path / "scratch").mkdir()
    refs = fresh.run("git", "show-ref").stdout
    done = fresh.run("gaia", "reproduce", "cultures@v1.1.0")
    assert "cultures@v1.1.0: identical" in done.stdout
    assert "Running stage 'train@cultures'" in done.stdout
    assert list((tmp_path / "scratch").glob("gaia-*")) == []
    assert fresh.run("git", "show-ref").stdout == refs
    assert fresh.run("git", "worktree", "list").stdout.count("\n") == 1
    assert fresh.run("git", "status", "--porcelain").stdout == ""
    assert not fresh.path("data/models/cultures").exists()
    assert not fresh.path(f".dvc/cache/{_key(versioned)}").exists(), "what was made again is kept nowhere"


@pytest.mark.parametrize(("lock", "stage"), [("compose@a", "compose@a"), ("compose", "compose"), ("both", "compose")])
def test_settings_are_composed_by_the_stage_that_a_lock_names(tmp_path: Path, lock: str, stage: str) -> None:
    """Each line had a stage of its own once; where both stand, the old one is what DVC leaves in a lock."""
    project = Project.empty(tmp_path / "project")
    names = ("compose@a", "compose") if lock == "both" else (lock,)
    project.edit("dvc.lock", lambda content: content.update(stages={name: {"cmd": "true"} for name in names}))
    project.commit()
    made = reproduce._repro(Record("a", "HEAD", root=project.root))
    assert made[-4:] == [stage, "prepare@a", "train@a", "evaluate@a"]


def _key(project: Project) -> str:
    found = record.of("cultures@v1.1.0", project.root)
    md5 = found.files(found.artifact)["data/models/cultures/model.cbm"]
    return f"files/md5/{md5[:2]}/{md5[2:]}"


def test_a_version_that_its_code_did_not_make_is_found_out(versioned: Project) -> None:
    versioned.run("git", "checkout", "--quiet", "cultures@v1.1.0")
    versioned.replace(
        "src/gaia/frameworks/catboost/fit.py", '"random_seed": config.seed', '"random_seed": config.seed + 1'
    )
    versioned.commit("code that the lock knows nothing of")
    versioned.run("git", "tag", "-a", "-m", "by hand", "cultures@v1.1.1")
    done = versioned.run("gaia", "reproduce", "cultures@v1.1.1", ok=False)
    assert done.returncode == 1
    assert "cultures@v1.1.1: different" in done.stdout
    assert "code: src/gaia/frameworks/catboost is not what the version was made with" in done.stdout


# what a lock says otherwise -> the input that is named for it; the first in this order, if there are several
SPOILED = {
    "- path: data/raw/own": "data: data/raw/own changed",
    "depth: 3": "config: model.depth: 4 -> 3",
    "- path: src/gaia/frameworks/catboost": "code: src/gaia/frameworks/catboost",
    "- path: requirements.lock": "packages: requirements.lock",
    "- path: data/models/cultures": "",
}


@pytest.mark.parametrize("first", range(len(SPOILED)))
def test_the_first_differing_input_is_named_in_the_order_in_which_they_are_used(versioned: Project, first: int) -> None:
    built = Record("cultures", git.commit("HEAD", versioned.root), root=versioned.root)
    text = versioned.path("dvc.lock").read_text()
    for place in list(SPOILED)[first:]:
        assert place in text
        text = re.sub(rf"({place}\n +hash: md5\n +md5: )[0-9a-f]{{8}}", r"\g<1>00000000", text)
        text = text.replace("depth: 3", "depth: 4") if place == "depth: 3" else text
    versioned.path("dvc.lock").write_text(text)
    versioned.commit("a lock that says otherwise")
    said = Record("cultures", git.commit("HEAD", versioned.root), root=versioned.root)
    found = reproduce.compare(said, built)
    assert found["verdict"] == "equal within tolerance"
    assert found["outputs"] == ["data/models/cultures"]
    expected = list(SPOILED.values())[first]
    assert found["because"].startswith(expected or ("no input differs", "packages: "))


def test_answers_that_are_apart_are_different_and_those_that_are_close_are_equal(versioned: Project) -> None:
    built = Record("cultures", git.commit("HEAD", versioned.root), root=versioned.root)
    other = record.of("cultures@v1.0.0", versioned.root)
    assert reproduce.compare(built, built)["verdict"] == "identical"
    found = reproduce.compare(other, built)
    assert found["verdict"] == "different"
    assert found["because"].startswith("data: ")
    file = versioned.path("data/reports/cultures/predictions.csv")
    rows = file.read_text().splitlines()
    for shift, verdict in ((0.0004, "equal within tolerance"), (0.004, "different")):
        cells = rows[1].split(",")
        moved = ",".join([*cells[:-1], f"{float(cells[-1]) + shift:.6f}"])
        file.unlink(missing_ok=True)
        file.write_text("\n".join([rows[0], moved, *rows[2:]]) + "\n")
        lock = re.sub(r"(- path: data/models/cultures\n +hash: md5\n +md5: )[0-9a-f]{8}", r"\g<1>00000000",
                      versioned.path("dvc.lock").read_text())  # fmt: skip
        versioned.path("dvc.lock").write_text(lock)
        versioned.commit("another artifact")
        said = Record("cultures", git.commit("HEAD", versioned.root), root=versioned.root)
        found = reproduce.compare(said, built)
        assert found["verdict"] == verdict
        assert found["difference"] == pytest.approx(shift, abs=1e-6)
