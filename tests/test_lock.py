"""What the lock pins can be installed on every Python that pyproject.toml allows, and is what it asks for."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from conftest import ROOT

LOCK = ROOT / "requirements.lock"
SOURCES = "antlr4-python3-runtime"  # pure Python, of which there are no wheels
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PYTHONS = [f"3.{minor}" for minor in range(50) if f"3.{minor}" in SpecifierSet(PROJECT["requires-python"])]


@pytest.mark.parametrize("version", [PYTHONS[0], PYTHONS[-1]])
def test_the_lock_installs_on_the_oldest_and_the_newest_python(version: str) -> None:
    """Every pin has a wheel for it, with one of the hashes that the lock names. Nothing is installed."""
    python = interpreter(version)
    if python is None:
        pytest.skip(f"no Python {version} is installed here")
    if uv(python, "--no-cache", "--reinstall", "--no-deps", "packaging").returncode:  # any package would do
        pytest.skip("no package index answers here")
    done = uv(
        python, "--only-binary", ":all:", "--no-binary", SOURCES, "--require-hashes", "--reinstall", "-r", str(LOCK)
    )
    assert done.returncode == 0, done.stderr
    pinned = {name for name, _ in pins(version)}
    planned = re.findall(r"^ \+ ([a-z0-9-]+)==", done.stderr, re.MULTILINE)
    assert len(planned) > 150
    assert set(planned) <= pinned


def interpreter(version: str) -> str | None:
    """A Python of that version that starts: on the path, or one of pyenv's."""
    kept = sorted(Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")).glob(f"versions/{version}.*/bin/python"))
    for python in filter(None, [shutil.which(f"python{version}"), *map(str, kept)]):
        said = subprocess.run([python, "-c", "import sys; print(*sys.version_info[:2], sep='.')"], capture_output=True)
        if said.stdout.decode().strip() == version:
            return python
    return None


def uv(python: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What uv would install for a Python, in an environment that is not there."""
    return subprocess.run(
        ["uv", "pip", "install", "--dry-run", "--break-system-packages", "--python", python, *arguments],
        env=os.environ | {"UV_HTTP_TIMEOUT": "20", "UV_HTTP_RETRIES": "1"}, text=True, capture_output=True,
    )  # fmt: skip


def pins(version: str) -> list[tuple[str, str]]:
    """Name and version of what the lock holds for Linux and a Python."""
    here = {"python_version": version, "python_full_version": f"{version}.1", "sys_platform": "linux"}
    here |= {"platform_system": "Linux", "platform_machine": "x86_64", "platform_python_implementation": "CPython"}
    found = []
    for line in re.findall(r"^([a-z0-9].*?) \\$", LOCK.read_text(), re.MULTILINE):
        pin = Requirement(line)
        if pin.marker is None or pin.marker.evaluate(here):
            (exact,) = pin.specifier
            found.append((pin.name, exact.version))
    return found


@pytest.mark.parametrize("version", PYTHONS)
def test_the_lock_holds_one_version_of_each_dependency_that_pyproject_allows(version: str) -> None:
    found = pins(version)
    names = [name for name, _ in found]
    assert len(names) == len(set(names))
    wanted = {name: said for name, said in PROJECT["optional-dependencies"].items() if name != "benchmarks"}
    extras = (each for extra in wanted.values() for each in extra)
    for asked in map(Requirement, [*PROJECT["dependencies"], *extras]):
        if asked.name == PROJECT["name"]:  # an extra that brings others
            continue
        assert dict(found)[re.sub("[-_.]+", "-", asked.name).lower()] in asked.specifier, asked
