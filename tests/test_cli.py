"""The command `gaia` itself: where it can be asked, what it answers to people, shells and scripts."""

from __future__ import annotations

import argparse
import importlib.metadata
import io
import json
import os
import pty
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from conftest import ROOT, Project
from deployed import at
from gaia import cli
from gaia.cli.verb import one_document, print_json
from gaia.errors import GaiaError, Problem, missing_extra
from gaia.versions.gates import Gate
from gaia.versions.release import GatesFailed

COLOUR = re.compile(r"\x1b\[[\d;]*3\dm")


def verbs(parser: argparse.ArgumentParser) -> Iterator[tuple[str, ...]]:
    """The words of every verb: ("deploy",), ("storage", "up"), ..."""
    inner = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    for action in inner:
        for name, below in action.choices.items():
            yield from ((name, *words) for words in verbs(below))
    if not inner:
        yield ()


VERBS = [words for words in verbs(cli.parser()) if words != ("help",)]
ANYWHERE = [("fetch",)]  # a host without a project


def ask(project: Project, *words: str, at: str = ".") -> tuple[int, str, str]:
    """The exit code, stdout and stderr of `gaia <words>`, asked in a folder of the project."""
    done = subprocess.run(
        ["gaia", *words], cwd=project.path(at), env=project.environment, text=True, capture_output=True
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that belongs to no project, and is the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def deaf(kept: Project) -> Project:
    """A released project, not to be changed, whose storage doesn't answer."""
    return without_storage(kept.root)


def without_storage(root: Path) -> Project:
    project = Project(root)
    project.environment |= {
        "S3_ENDPOINT": "http://127.0.0.1:9", "S3_ACCESS_KEY": "nobody", "S3_SECRET_KEY": "k" * 20
    }  # fmt: skip
    return project


# What can be asked


@pytest.mark.parametrize("command", [["gaia"], [sys.executable, "-m", "gaia"]])
def test_the_version_is_that_of_the_package(command: list[str], nowhere: Path) -> None:
    said = subprocess.run([*command, "--version"], text=True, capture_output=True, check=True).stdout
    assert said == f"gaia {importlib.metadata.version('gaia-vision')}\n"


def test_help_of_a_verb_is_what_the_verb_says_of_itself(nowhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in [(), *VERBS, ("storage",)]:
        said = []
        for asked in (["help", *words], [*words, "--help"]):
            with pytest.raises(SystemExit) as end:
                cli.run(asked)
            assert end.value.code == 0
            said.append(capsys.readouterr().out)
        assert said[0] == said[1] and said[0].startswith(f"usage: gaia {' '.join(words)}".rstrip())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("depoy x", "'depoy' is no verb (did you mean 'deploy'?); `gaia --help` shows how it is asked."),
        ("help rolback", "'rolback' is no verb (did you mean 'rollback'?); `gaia --help` shows how it is asked."),
        ("storage verfy", "'verfy' is no verb (did you mean 'verify'?); `gaia storage --help` shows how it is asked."),
        (
            "release x --bump mino",
            "'mino' is no --bump (did you mean 'minor'?); `gaia release --help` shows how it is asked.",
        ),
        (
            "release x --bump 7",
            "'7' is no --bump, those are patch, minor, major; `gaia release --help` shows how it is asked.",
        ),
        (
            "deploy",
            "the following arguments are required: line[@version]; `gaia deploy --help` shows how it is asked.",
        ),
        ("", "no verb is given; `gaia --help` shows how it is asked."),
    ],
)
def test_wrong_arguments_are_a_sentence_with_the_nearest_word_and_exit_code_2(words: str, said: str) -> None:
    done = subprocess.run(["gaia", *words.split()], text=True, capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"error: {said}\n")


def test_a_shell_completes_verbs_options_and_files(nowhere: Path) -> None:
    Path("photo.jpg").touch()
    Path("complete.sh").write_text(
        'eval "$(gaia --print-completion bash)"\n'
        'COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()\n'
        "shopt -s extglob progcomp; compopt() { :; }\n"
        '$(complete -p gaia | sed "s/.*-F \\([^ ]*\\) .*/\\1/") gaia "${COMP_WORDS[COMP_CWORD]}" gaia\n'
        'printf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    for words, expected in (
        (("depl",), "deploy"),
        (("storage", "ver"), "verify"),
        (("release", "--dry"), "--dry-run"),
        (("predict", "plants", "pho"), "photo.jpg"),
    ):
        done = subprocess.run(["bash", "complete.sh", "gaia", *words], text=True, capture_output=True)
        assert expected in [word.strip() for word in done.stdout.splitlines()], done
    zsh = subprocess.run(["gaia", "--print-completion", "zsh"], text=True, capture_output=True, check=True).stdout
    assert zsh.startswith("#compdef gaia")
    assert ":_files" in zsh


def seen(terminal: bool, code: str, **variables: str) -> str:
    """What a Python program shows on a terminal, or writes into a pipe."""
    environment = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR")} | variables
    command = [sys.executable, "-c", code]
    if not terminal:
        return subprocess.run(command, env=environment, text=True, stdout=-1, stderr=subprocess.STDOUT).stdout
    ours, theirs = pty.openpty()
    process = subprocess.Popen(command, env=environment, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""
    with suppress(OSError):  # the terminal's end
        while piece := os.read(ours, 1024):
            shown += piece
    process.wait()
    os.close(ours)
    return shown.decode()


@pytest.mark.parametrize(
    "code",
    [
        "from gaia.errors import exit_with_a_sentence as run, GaiaError\ndef main(): raise GaiaError('bad')\nrun(main)",
        "from gaia.console import console; console.print('[red]bad')",
    ],
)
def test_colours_are_for_a_terminal_that_wants_them(code: str, nowhere: Path) -> None:
    assert COLOUR.search(seen(True, code, TERM="xterm"))
    for shown in (
        seen(True, code, TERM="xterm", NO_COLOR="1"), seen(True, code, TERM="dumb"), seen(False, code, TERM="xterm")
    ):  # fmt: skip
        assert "bad" in shown and "\x1b" not in shown


# Where it can be asked


def test_below_the_root_every_answer_is_the_same(released: Project) -> None:
    for words in (("history", "spores"), ("current",), ("cleanup", "spores")):
        there = ask(released, *words)
        assert there[0] == 0, there
        assert ask(released, *words, at="data/models") == there


def test_a_path_is_where_the_user_stands(released: Project) -> None:
    released.path("rows.csv").write_text("species,days\noyster,3\nshiitake,30\n")
    released.path("data/models/rows.csv").write_text("species,days\noyster,30\n")
    row = ask(released, "predict", "spores", "species=oyster", "days=3")
    assert row == ask(released, "predict", "spores", "species=oyster", "days=3", at="data/models")
    for at_, name, count in (
        (".", "rows.csv", 2),
        ("data/models", "rows.csv", 1),
        ("data/models", "../../rows.csv", 2),
    ):
        code, out, _ = ask(released, "predict", "spores", name, "--json", at=at_)
        assert (code, len(json.loads(out))) == (0, count)
    whole = str(released.path("rows.csv"))
    assert len(json.loads(ask(released, "predict", "spores", whole, "--json", at="data/models")[1])) == 2


def test_a_photo_is_called_what_the_user_calls_it(built: Project) -> None:
    photo = next(built.path("data/raw/demo_plants/grass").glob("*.jpg")).name
    code, out, _ = ask(built, "predict", "plants", photo, "--json", at="data/raw/demo_plants/grass")
    assert (code, json.loads(out)[0]["input"]) == (0, photo)
    code, out, err = ask(built, "predict", "plants", photo, "none.jpg", "--json", at="data/raw/demo_plants/grass")
    good, missing = json.loads(out)
    assert (code, good["input"], good["answer"] in ("dandelion", "grass")) == (1, photo, True)
    assert missing == {"input": "none.jpg", "error": "none.jpg: No such file or directory."}
    assert err.startswith("error: none.jpg: No such file or directory.\n")


def test_below_the_root_a_complaint_says_what_its_commands_are_relative_to(kept: Project) -> None:
    code, out, err = ask(kept, "versions", "spore", at="data/models")
    note = "note: commands, and paths that you didn't give, are meant from ../.., the project's root\n"
    assert (code, out, err.endswith(note)) == (1, "", True)
    assert "note:" not in ask(kept, "versions", "spore")[2]


def test_outside_of_any_project_one_sentence_says_what_a_project_is(nowhere: Path) -> None:
    said = "this is not inside a Gaia project; `cd` into one: a folder with dvc.yaml and params.yaml, or one below it"
    for words in VERBS:
        with pytest.raises(GaiaError) as caught:
            cli.run([*words, *needed(words)])
        assert str(caught.value) == f"{said}." or words in ANYWHERE, words


def test_a_folder_that_has_been_removed_is_a_sentence(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    done = subprocess.run(
        ["bash", "-c", f"cd {gone} && rmdir {gone} && gaia current"], text=True, capture_output=True
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.endswith(
        "error: the folder that this is asked in has been removed; `cd` to one that is there.\n"
    )


# What scripts get


def needed(words: tuple[str, ...]) -> list[str]:
    """Something for each argument that a verb demands."""
    parser: Any = cli.parser()
    for word in words:
        (inner,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
        parser = inner.choices[word]
    asked = [action for action in parser._actions if action.required and not action.option_strings]
    return [next(iter(action.choices or ["spore@v1"])) for action in asked]


def the_document(out: str) -> Any:
    """What a script reads: exactly one JSON document, and nothing beside it. Each line of it may be read alone, too."""
    return json.loads(out)


@pytest.mark.parametrize("words", VERBS, ids=" ".join)
def test_whatever_fails_there_is_one_json_document(
    words: tuple[str, ...], nowhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(GaiaError) as caught:
        cli.run([*words, *needed(words), "--json"])
    found = the_document(capsys.readouterr().out)
    assert found == {**caught.value.facts(), "mend": caught.value.problems[0].mend}
    project = "`cd` into one: a folder with dvc.yaml and params.yaml, or"
    mend = "a version is written line@v" if words in ANYWHERE else project
    assert found["code"] == "error" and found["mend"].startswith(mend)
    with pytest.raises(GaiaError):
        cli.run([*words, *needed(words), "--json", "--nonsense"])
    assert the_document(capsys.readouterr().out)["code"] == "wrong_arguments"


def test_an_error_that_ends_a_verb_is_told_to_scripts_and_to_people(deaf: Project) -> None:
    for words in (
        ("release", "spores"), ("deploy", "spore", "--yes"), ("rollback", "spores", "--yes"), ("versions", "spore"),
        ("show", "spores@v9.0.0"), ("diff", "spores@v1.0.0", "spores@v9.0.0"), ("reproduce", "spores@v9.0.0"),
        ("history", "spore"), ("sync", "spores", "--watch", "0"), ("cleanup", "spore"), ("current", "spore"),
        ("predict", "spore", "x"), ("predict", "spores", "x"), ("storage", "ls"), ("storage", "url", "spores@v9.0.0"),
    ):  # fmt: skip
        code, out, err = ask(deaf, *words, "--json")
        found = the_document(out)
        assert code == 1, words
        said = [line for line in err.splitlines() if not line.startswith("warning: ")]
        assert [f"error: {line}" for line in found["error"].splitlines()] == said, words
        assert {"found", "mend"} == set(found["problems"][0])
        assert found["problems"][0]["mend"] == found["mend"]


def test_a_result_that_is_also_a_failure_is_the_one_document(released: Project) -> None:
    released = without_storage(released.root)
    at(released, 1, "v1.0.0", "2026-01-01T00:00:00Z")
    shutil.rmtree(released.path(".dvc/cache"))
    released.path("make.py").write_text("raise SystemExit\n")
    for words, failing in (
        (("sync",), lambda each: each["problem"]),
        (("audit",), lambda each: not each["restorable"]),
        (("status",), lambda each: each["mend"]),
        (("storage", "verify"), lambda each: not each["ok"]),
    ):
        code, out, err = ask(released, *words, "--json")
        found = the_document(out)
        assert (code, isinstance(found, list)) == (1, True), words
        assert any(failing(each) for each in found), words
        assert err.startswith("error: "), words


def test_gates_that_failed_are_told_with_their_numbers() -> None:
    failed = GatesFailed("spores", [Gate("recall of oyster", 0.9, 0.5, False), Gate("golden", 0.001, 0.0, True)])
    facts = failed.facts()
    assert facts["code"] == "gates_failed"
    assert [problem["found"] for problem in facts["problems"]] == [
        "spores: the gate recall of oyster asks for at least 0.9, found 0.5.",
        "no version is made",
    ]
    assert facts["problems"][1]["mend"] == "build a better one, or choose other gates (conf/gates/)"
    assert [gate["gate"] for gate in facts["gates"]] == ["recall of oyster", "golden"]


def test_what_is_printed_beside_a_document_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    from gaia.console import console

    with pytest.raises(GaiaError), one_document():
        print("a word of a library")
        console.print("a word of ours")
        print_json([1, "ä", "\udcff"])
        raise GaiaError.several([Problem("late", "too late")])
    said = capsys.readouterr()
    assert the_document(said.out) == [1, "ä", "\udcff"]
    assert said.err == "a word of a library\na word of ours\n"


def test_watching_answers_line_by_line(released: Project) -> None:
    at(released, 1, "v1.0.0", "2026-01-01T00:00:00Z")
    command = ["gaia", "sync", "--watch", "0.1", "--json"]
    with subprocess.Popen(command, cwd=released.root, env=released.environment, text=True, stdout=-1) as watcher:
        assert watcher.stdout
        try:
            for counter, version in ((2, "v1.1.0"), (3, "v1.2.0")):
                (found,) = json.loads(watcher.stdout.readline())
                assert found["line"] == "spores" and found["version"] != version
                at(released, counter, version, f"2026-01-0{counter}T00:00:00Z")
            assert json.loads(watcher.stdout.readline())[0]["version"] == "v1.2.0"
        finally:
            watcher.terminate()


# How it comes


def test_the_wheel_says_that_it_is_typed(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT, check=True, capture_output=True,
    )  # fmt: skip
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(io.BytesIO(wheel.read_bytes())).namelist()
    assert {"gaia/py.typed", "gaia/__main__.py"} <= set(names)


def test_make_shows_each_target_with_what_it_does() -> None:
    said = subprocess.run(["make", "-C", str(ROOT), "--no-print-directory"], text=True, capture_output=True).stdout
    phony = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[0].split()
    shown = dict(re.findall(r"^make (\w+) +(\S.*)$", said, re.MULTILINE))
    assert list(shown) == phony
    assert "lint" in (ROOT / ".ci/run").read_text()


@pytest.mark.parametrize(
    ("package", "extra"), [("torchvision", "train"), ("uvicorn", "serve"), ("fastapi", "serve"), ("optuna", "sweep")]
)
def test_a_package_that_is_not_installed_is_a_sentence_that_names_the_extra(package: str, extra: str) -> None:
    named = re.escape(f"{package} is not installed; `pip install 'gaia-vision[{extra}]'")
    with pytest.raises(GaiaError, match=named), missing_extra():
        raise ModuleNotFoundError(f"No module named '{package}'", name=f"{package}.models")


def test_what_lacks_in_gaia_itself_is_no_extra() -> None:
    with pytest.raises(ModuleNotFoundError), missing_extra():
        raise ModuleNotFoundError("No module named 'gaia.nothing'", name="gaia.nothing")
