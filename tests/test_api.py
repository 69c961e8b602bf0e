"""The Python API: every public method has an example, and the examples run in turn, as they are written."""

from __future__ import annotations

import doctest
import inspect
from pathlib import Path

import pytest

import gaia
from conftest import Project
from gaia.errors import GaiaError


def test_every_public_method_has_an_example_that_runs(versioned: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NAME", "EMAIL"):
        monkeypatch.setenv(f"GIT_COMMITTER_{name}", versioned.environment[f"GIT_COMMITTER_{name}"])
    monkeypatch.chdir(versioned.path("data"))  # the project is found from below
    known = {"Path": Path} | {name: getattr(gaia, name) for name in gaia.__all__}
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.IGNORE_EXCEPTION_DETAIL)
    for made in (gaia.ModelVersionManager, gaia.ModelStorage):
        public = [method for name, method in vars(made).items() if inspect.isfunction(method) and name[0] != "_"]
        assert len(public) > 6
        for documented in (made, *public):
            text = inspect.getdoc(documented) or ""
            examples = doctest.DocTestParser().get_doctest(text, known, documented.__qualname__, None, None)
            assert examples.examples, f"{documented.__qualname__} has no example"
            said: list[str] = []
            runner.run(examples, out=said.append, clear_globs=False)
            known = examples.globs
            assert not said, "".join(said)


def test_outside_of_any_project_there_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for made in (gaia.ModelVersionManager, gaia.ModelStorage):
        with pytest.raises(GaiaError, match=f"{tmp_path} is not inside a Gaia project; `cd` into one, or name it"):
            made()
        assert made(tmp_path).root == tmp_path
