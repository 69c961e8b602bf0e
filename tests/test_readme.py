"""Every command of the README works as written, in its order."""

from __future__ import annotations

import itertools
import re
import sys
import tomllib
from pathlib import Path

import pandas as pd
import pytest
from ruamel.yaml import YAML

from conftest import ROOT, Project, free_ports, merge
from gaia.storage.servers import server
from versioned import GATES

README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)


def test_the_commands_run_one_after_the_other(project: Project) -> None:
    project.path(".venv").symlink_to(Path(sys.prefix))
    (Path(sys.prefix) / ".installed").touch()  # the environment that runs this test is the one that `make setup` makes
    # the usual port may be taken here
    project.path(".env").write_text(f"S3_ENDPOINT=http://127.0.0.1:{free_ports()}\n")
    low = {"lines": {"cultures": {"gates": GATES}}}  # thirty trees on 600 rows are no match for those that ship
    project.edit("params.yaml", lambda params: merge(params, low))
    try:
        for command in (line for block in BLOCKS for line in block.splitlines()):
            shown = project.run("bash", "-ec", command).stdout
            if command == "make repro":
                assert "test accuracy" in shown
            if command.startswith("gaia history"):
                assert "false alarms in wet weeks" in shown
            if command.startswith("dvc exp show"):
                header, *rows = shown.strip().splitlines()
                assert "cultures/metrics.json:accuracy" in header and "model.depth" in header and len(rows) == 6
            if command == "dvc metrics diff":
                assert "data/reports/cultures/metrics.json" in shown
    finally:
        server.down(project.root)


def test_a_french_table_needs_the_lines_shown_and_data_that_nothing_keeps_are_said(project: Project) -> None:
    shown = YAML(typ="safe").load(re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)[0])
    columns = {"contaminated": shown["data"]["label"], "species": "race_champignon", "substrate": "type_substrat"}
    numbers = {"days_since_inoculation": "jours_inoculation", "humidity_percent": "hygrometrie", "co2_ppm": "co2_ppm"}
    table = pd.read_csv(project.path("data/raw/demo_cultures/cultures.csv")).rename(columns=columns | numbers)
    table["contamine"] = table["contamine"].map({"healthy": "non", "contaminated": "oui"})
    project.path("data/raw/tables").mkdir()
    table.to_csv(project.path("data/raw/tables/cultures.csv"), sep=";", decimal=",", index=False)
    project.edit("params.yaml", lambda params: params["lines"]["cultures"].update(shown))
    tip = "neither DVC nor Git keeps data/raw/tables, so it can't be brought back; `dvc add data/raw/tables` mends that"
    assert tip in project.run("dvc", "repro", "prepare@cultures").stdout
    project.run("git", "add", "--all")
    assert "tables" not in project.run("git", "status", "--porcelain").stdout, "Git takes the data"
    project.run("dvc", "add", "data/raw/tables")
    said = project.run("dvc", "repro", "evaluate@cultures").stdout
    assert "neither" not in said and "cultures: test accuracy 0." in said
    assert "data/raw/tables.dvc" in project.run("git", "status", "--porcelain").stdout
    answered = ("species=oyster", "substrate=straw", "jours_inoculation=12", "hygrometrie=85,5", "co2_ppm=900")
    assert re.search("row  (oui|non)", project.run("gaia", "predict", "cultures", *answered).stdout)


def test_the_commands_named_in_the_text_exist(built: Project) -> None:
    for target in set(re.findall(r"`make (\w+)`", README)):
        built.run("make", "--dry-run", target)
    for verb in set(re.findall(r"^gaia (\w+)", "\n".join(BLOCKS), re.MULTILINE)):
        assert "usage: gaia" in built.run("gaia", verb, "--help").stdout


def test_the_files_that_the_readme_names_are_there(built: Project) -> None:
    text = re.sub(r"```.*?```", "", README, flags=re.DOTALL)
    for name in set(re.findall(r"`((?:conf|data|src|benchmarks)/[\w/.]+)`", text)):
        assert built.path(name).exists(), name


ADDRESSED = ["requirements.lock", "requirements-serve.lock", "pyproject.toml", "README.md", "Makefile"]


@pytest.mark.parametrize("name", ADDRESSED)
def test_no_address_of_a_package_index_is_kept(name: str) -> None:
    assert not re.search(r"https?://(?!vega|127\.0\.0\.1|s3\.(example\.org|eu-central-1))", (ROOT / name).read_text())


def test_the_lock_pins_every_dependency_with_hashes() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = (wanted for extra, wanted in project["optional-dependencies"].items() if extra != "benchmarks")
    said = itertools.chain(project["dependencies"], *extras)
    declared = [re.match(r"[A-Za-z0-9._-]+", each)[0] for each in said]  # type: ignore[index]
    for name in {name.lower().replace(".", "-") for name in declared} - {"gaia-vision"}:
        assert re.search(rf"^{re.escape(name)}==\S+.*\\\n    --hash=sha256:", lock, re.MULTILINE), name
