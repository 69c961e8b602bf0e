"""What docs/ says is so: it names every verb, option and public function, and its examples run."""

from __future__ import annotations

import argparse
import ast
import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import gaia
from conftest import ROOT, Project, Store, checkout, merge
from gaia.cli import parser
from gaia.data import index
from gaia.evaluation.metrics import Metrics
from gaia.runtime import answers, load
from gaia.runtime.artifact import Manifest
from gaia.runtime.contract import Contract
from gaia.runtime.golden import Golden
from gaia.runtime.predictor import Predictor
from gaia.runtime.typed import misfit
from gaia.storage import S3Client

PAGES = sorted([*(ROOT / "docs").glob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"])
TEXTS = {page.relative_to(ROOT).as_posix(): page.read_text(encoding="utf-8") for page in PAGES}
every_page = pytest.mark.parametrize("page", TEXTS)


def blocks(page: str, language: str) -> list[str]:
    """The code of a page in a language, block by block."""
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXTS[page], re.DOTALL | re.MULTILINE)


def prose(page: str) -> str:
    """A page without its blocks of code."""
    return re.sub(r"^```.*?^```$", "", TEXTS[page], flags=re.DOTALL | re.MULTILINE)


def verbs(at: argparse.ArgumentParser, words: tuple[str, ...] = ()) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Every verb of the command line, `storage verify` among them, and its parser."""
    inner = [action for action in at._actions if isinstance(action, argparse._SubParsersAction)]
    if not inner:
        yield " ".join(words), at
    for action in inner:
        for word, below in action.choices.items():
            yield from verbs(below, (*words, word))


VERBS = dict(verbs(parser()))
OF_ALL = {"--help", "--json"}
PUBLIC = {  # and what gaia names
    "Predictor": Predictor, "gaia.runtime.load": load, "gaia.runtime.answers": answers, "S3Client": S3Client,
}  # fmt: skip
INNER = {"open_model", "reader", "wire", "may_list", "ask"}  # for sealing an artifact; of the storage's own modules
FIELDS = {"contract"}  # of a dataclass, without a default
SECTIONS = dict(re.findall(r"^### `gaia ([\w ]+)`\n(.*?)(?=^##|\Z)", TEXTS["docs/cli.md"], re.M | re.S))


def long_options(at: argparse.ArgumentParser) -> set[str]:
    return {option for action in at._actions for option in action.option_strings if option.startswith("--")} - OF_ALL


def test_every_verb_has_a_section_and_no_other_has() -> None:
    assert set(SECTIONS) == set(VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_every_option_and_argument_of_a_verb_is_in_its_section(verb: str) -> None:
    named = set(re.findall(r"^- .*?(?=:)", SECTIONS[verb], re.MULTILINE))
    assert set(re.findall(r"--[a-z-]+", " ".join(named))) == long_options(VERBS[verb])
    for action in VERBS[verb]._actions:
        if not action.option_strings:
            assert f"`{action.metavar or action.dest}`" in SECTIONS[verb]


def test_every_option_of_the_command_itself_is_there() -> None:
    head = TEXTS["docs/cli.md"].partition("\n## ")[0]
    for option in long_options(parser()):
        assert f"`gaia {option}" in head, option


def documented(code: str) -> dict[str, str]:
    """The rows of the table of docs/python.md whose head names a class or module: function -> how it is called."""
    rows = re.search(rf"^\| `{re.escape(code)}`.*?\n\n", TEXTS["docs/python.md"] + "\n\n", re.MULTILINE | re.DOTALL)
    assert rows, code
    named = re.findall(r"^\| (`[^|]*`) \|", rows[0].partition("\n")[2], re.MULTILINE)
    return {re.match(r"\w+", each)[0]: each for row in named for each in re.findall(r"`([^`]*)`", row)}


def parameters(of: object, method: bool) -> list[tuple[str, object]]:
    """Name and default of each parameter but `self`."""
    given = list(inspect.signature(of).parameters.values())[1 if method else 0 :]
    return [(p.name, None if p.default is p.empty else p.default) for p in given]


@pytest.mark.parametrize("name", [*gaia.__all__, *PUBLIC])
def test_every_public_function_is_documented_as_it_is(name: str) -> None:
    of = PUBLIC.get(name) or getattr(gaia, name)
    own = {key: value for key, value in vars(of).items() if not key.startswith("_")}
    if inspect.ismodule(of):
        own = {key: value for key, value in own.items() if inspect.isfunction(value) and value.__module__ == name}
    rows = documented(name)
    assert set(own) - set(rows) <= INNER
    assert set(rows) - set(own) <= FIELDS
    for key in set(rows) & set(own):
        if inspect.isfunction(own[key]):
            assert written(rows[key]) == parameters(own[key], inspect.isclass(of)), rows[key]


def test_the_names_of_the_predecessor_are_there() -> None:
    named = re.findall(r"`(\w+)\.(\w+)`", TEXTS["docs/predecessor.md"])
    assert {made for made, _ in named} == {*gaia.__all__, "S3Client"}
    for made, method in named:
        assert callable(getattr(PUBLIC.get(made) or getattr(gaia, made), method)), f"{made}.{method}"


def written(call: str) -> list[tuple[str, object]]:
    """Name and default of each parameter of a function as the documentation writes it."""
    arguments = ast.parse(f"def {call}: ...").body[0].args  # type: ignore[attr-defined]
    positional = arguments.args
    defaults = [None] * (len(positional) - len(arguments.defaults)) + arguments.defaults
    pairs = [*zip(positional, defaults, strict=True), *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)]
    pairs += [(arguments.kwarg, None)] if arguments.kwarg else []
    return [(name.arg, ast.literal_eval(default) if default else None) for name, default in pairs]


def test_the_examples_in_python_run(versioned: Project) -> None:
    sessions = versioned.path("sessions.txt")
    sessions.write_text("\n\n".join(blocks("docs/python.md", "pycon")))
    (plain,) = blocks("docs/python.md", "python")
    shown = versioned.run("python", "-c", plain).stdout
    assert re.fullmatch(
        r"\[\{'input': 'shelf 3', 'answer': '\w+', 'probabilities': \{.*\}, 'uncertain': \[\]\}\]\n", shown
    )
    sessions.rename(versioned.root.parent / "sessions.txt")  # a release wants a clean tree
    versioned.run("python", "-m", "doctest", "-o", "ELLIPSIS", "-f", "../sessions.txt")


def test_the_json_of_each_command_has_the_keys_that_are_documented(versioned: Project) -> None:
    rows = re.findall(r"^\| `(gaia [^`]*)` \| (.*) \|$", TEXTS["docs/formats.md"], re.MULTILINE)
    assert {command.split()[1] for command, _ in rows} >= {verb.split()[0] for verb in VERBS} - {"help"}
    versioned.run(
        "dvc", "exp", "run", "--queue", "-S", "lines.cultures.model.depth=2", "evaluate@cultures"
    )  # for `work`
    versioned.run("gaia", "sync")  # so that a host has told of itself
    versioned.environment["MLFLOW_TRACKING_URI"] = f"sqlite:///{versioned.root.parent}/mlflow.db"
    wrong = {}
    for command, said in rows:
        if command in ("gaia storage up", "gaia storage down", "gaia serve") or command.startswith("gaia reproduce"):
            continue  # they would take the server, never end, or take much time
        done = versioned.run("bash", "-c", f"{command} --json 2> /dev/null", ok=False)
        found = json.loads(done.stdout)
        found = list(found[0] if said.startswith("a list of ") else found)
        if found != re.findall(r"`(\w+)`", said.partition(";")[0]):
            wrong[command] = found
    assert wrong == {}


@pytest.mark.parametrize(("title", "kind"), [("contract", Contract), ("golden", Golden), ("manifest", Manifest)])
def test_the_examples_of_formats_are_of_the_format(title: str, kind: type) -> None:
    (section,) = re.findall(rf"^### `{title}.json`, format 2\n(.*?)(?=^##)", TEXTS["docs/formats.md"], re.M | re.S)
    examples = re.findall(r"^```json\n(.*?)^```$", section, re.M | re.S)
    assert examples
    for example in examples:
        assert misfit(json.loads(example), kind) is None


def test_the_examples_of_what_a_build_writes_are_as_it_writes_them() -> None:
    sections = dict(re.findall(r"^### `data/\w+/<line>/(\S+)`\n(.*?)(?=^##)", TEXTS["docs/formats.md"], re.M | re.S))
    assert re.findall(r"^\| `(\w+)` \|", sections["index.csv"], re.MULTILINE) == index.COLUMNS
    (example,) = re.findall(r"^```json\n(.*?)^```$", sections["metrics.json"], re.M | re.S)
    assert misfit(json.loads(example), Metrics) is None


@every_page
def test_every_json_and_yaml_block_can_be_read(page: str) -> None:
    from ruamel.yaml import YAML

    for block in blocks(page, "json"):
        json.loads(block)
    for block in blocks(page, "yaml"):
        YAML(typ="safe").load(block)


@every_page
def test_the_commands_that_a_page_names_exist(page: str) -> None:
    text = TEXTS[page] if page != "docs/extending.md" else prose(page)
    targets = (ROOT / "Makefile").read_text()
    for target in re.findall(r"(?:`|^|&& )make ([a-z]+)", text, re.MULTILINE):
        assert re.search(rf"^{target}:", targets, re.MULTILINE), target
    for command in re.findall(r"(?:`|^|&& )gaia ((?:storage )?[a-z]+(?: [^`\n]*)?)", text, re.MULTILINE):
        words = command.split()
        verb = " ".join(words[: 2 if words[0] == "storage" and len(words) > 1 else 1])
        if verb == "storage":
            continue
        assert verb in VERBS or verb == "lines", command  # docs/extending.md adds `gaia lines`
        options = set(re.findall(r"(?<!\S)--[a-z-]+", command))
        assert verb == "lines" or options <= long_options(VERBS[verb]) | OF_ALL, command


@every_page
def test_the_files_that_a_page_names_are_there(page: str) -> None:
    added = set(re.findall(r"^# (\S+/\S+)$", TEXTS["docs/extending.md"], re.MULTILINE))
    for name in re.findall(r"`((?:src|conf|tests|docs|notebooks|benchmarks|\.githooks)/[\w/.-]+)`", prose(page)):
        assert (ROOT / name).exists() or any(new.startswith(name) for new in added), name


def anchors(page: Path) -> set[str]:
    """What a link into a page may end in: its headings, as GitHub writes them."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def test_every_file_of_tests_is_named_for_some_change() -> None:
    for file in (ROOT / "tests").glob("test_*.py"):
        assert f"`tests/{file.name}`" in TEXTS["CONTRIBUTING.md"]


@every_page
def test_links_within_the_project_lead_somewhere(page: str) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if "://" in link:
            continue
        file, _, anchor = link.partition("#")
        there = (ROOT / page).parent / file if file else ROOT / page
        assert there.exists(), link
        assert not anchor or anchor in anchors(there), link


def test_every_page_is_reached_from_the_readme() -> None:
    found, to_do = set(), ["README.md"]
    while to_do:
        page = to_do.pop()
        found.add(page)
        linked = ((ROOT / page).parent / link for link in re.findall(r"\]\(([^)\s#]+\.md)", TEXTS.get(page, "")))
        names = {path.resolve().relative_to(ROOT).as_posix() for path in linked}
        to_do += sorted(names - found)
    assert set(TEXTS) <= found


def extend(project: Project) -> None:
    """Do to a project what docs/extending.md says."""
    every = re.findall(r"^```(diff|python|yaml)\n(.*?)^```$", TEXTS["docs/extending.md"], re.M | re.S)
    for language, block in every:
        first, _, rest = block.partition("\n")
        if language == "diff":
            lines = [line for line in rest.splitlines() if not line.startswith("-")]
            before = "".join(f"{line[1:]}\n" for line in lines if not line.startswith("+"))
            project.replace(first.removeprefix("--- "), before, "".join(f"{line[1:]}\n" for line in lines))
        else:
            file = project.path(first.removeprefix("# "))
            file.parent.mkdir(exist_ok=True)
            file.write_text(rest)


def test_the_examples_that_extend_gaia_work(tmp_path: Path, store: Store) -> None:
    (tmp_path / "project").mkdir()
    project = checkout(tmp_path / "project")
    extend(project)
    store.connect(project)
    assert "conf/data/cultures.yaml" in project.run("gaia", "config", "shelves").stdout
    project.edit("params.yaml", lambda params: merge(params["lines"]["plants"], {"optimizer": "rmsprop"}))
    assert "RMSprop" in project.run("gaia", "config", "plants").stdout
    project.edit("params.yaml", lambda params: merge(params["lines"]["plants"], {"trainer": "patient"}))
    assert re.search(r"patience: 12 .*conf/trainer/patient.yaml", project.run("gaia", "config", "plants").stdout)
    ran = project.repro("evaluate@shelves", "evaluate@guesses")
    assert {"train@shelves", "train@guesses", "evaluate@guesses"} <= ran
    asked = ("species=oyster", "substrate=straw", "days=12", "humidity=85.5", "co2=900")
    assert "healthy" in project.run("gaia", "predict", "guesses", *asked).stdout
    assert project.run("gaia", "lines", "--built").stdout.split() == ["guesses", "shelves"]
    gate = "from gaia.config.schema import Gates; from gaia.config import yaml; from gaia.versions import gates\n"
    gate += "asked = Gates(**yaml.read(__import__('pathlib').Path('conf/gates/default.yaml')) | {'precision': 0.6})\n"
    gate += "metrics = {'accuracy': 1, 'accuracy_low': 1, 'per_class': {'grass': {'recall': 1, 'precision': 0.5}}}\n"
    gate += "print(*gates._of_metrics(asked, metrics, None), sep='\\n')"
    found = "Gate(gate='precision of grass', limit=0.6, found=0.5, passed=False)"
    assert found in project.run("python", "-c", gate).stdout
    checks = json.loads(project.run("gaia", "storage", "verify", "--json", ok=False).stdout.partition("\nerror")[0])
    assert [check["ok"] for check in checks if check["name"] == "overwriting"] == [True]
    project.run("ruff", "check", "src")
    project.run("ruff", "format", "--check", "src")
    project.run("python", "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", "tests/test_house.py",
                "tests/test_framework.py", "tests/test_docs.py", "-m", "not slow", "-k", "not optimizer")  # fmt: skip
