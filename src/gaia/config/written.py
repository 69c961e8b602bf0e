"""params.yaml and conf/ as somebody wrote them: each file read once, well-formed, and nothing merged yet."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf.errors import GrammarParseError
from omegaconf.grammar.gen.OmegaConfGrammarParser import OmegaConfGrammarParser
from omegaconf.grammar_parser import parse

from gaia import paths
from gaia.config import yaml
from gaia.config.schema import GROUPS
from gaia.errors import GaiaError, nearest, shown

OPTION_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")
TOP_KEYS = ("lines", "demo", "serving", "engine")  # of params.yaml


class Written(NamedTuple):
    """The content of params.yaml, which holds lines; of each file of conf/; and the options of each group."""

    root: Path
    params: dict[str, Any]
    conf: dict[str, dict[str, Any]]  # by the file's path from the root
    options: dict[str, list[str]]


def read(root: Path = Path()) -> Written:
    """All of it. Raises GaiaError on a file that is no YAML, or whose keys or references can't be followed."""
    params = _params(root)
    conf = _conf(root)
    return Written(root, params, conf, _options(root))


def _params(root: Path) -> dict[str, Any]:
    params = _read(root, paths.PARAMS)
    for key in params:
        if key not in TOP_KEYS:
            known = ", ".join(TOP_KEYS)
            raise GaiaError(f"params.yaml: {key} is an unknown key", f"known are {known}{nearest(key, TOP_KEYS)}")
    if "lines" not in params:
        raise GaiaError("params.yaml: lines is missing", "give it an entry for each line")
    if not isinstance(params["lines"], dict) or not params["lines"]:
        raise GaiaError(f"params.yaml: lines is {shown(params['lines'])}", "it should hold an entry for each line")
    return params


def _conf(root: Path) -> dict[str, dict[str, Any]]:
    """Every file, before Hydra sees any: its own message on a broken one names neither line nor duplicate key."""
    _read(root, paths.CONF / "config.yaml")  # whose lack says more than that of an option
    conf = {}
    for path in sorted((root / paths.CONF).rglob("*.yaml")):
        file = path.relative_to(root)
        conf[str(file)] = content = _read(root, file)
        defaults = content.get("defaults", [])
        if not isinstance(defaults, list) or not all(_is_default(entry) for entry in defaults):
            raise GaiaError(
                f"{file}: defaults is {shown(defaults)}",
                "it should be a list of entries such as 'default' or 'override /trainer: long'",
            )
    return conf


def _options(root: Path) -> dict[str, list[str]]:
    options = {group: sorted(f.stem for f in (root / paths.CONF / group).glob("*.yaml")) for group in GROUPS}
    for group, names in options.items():
        if not names:
            raise GaiaError(f"conf/{group}/ holds no option", "it should hold at least one *.yaml file")
        for name in names:
            if not OPTION_NAME.fullmatch(name):
                raise GaiaError(
                    f"conf/{group}/{name}.yaml: an option's name takes letters, digits and _ . -, and begins with a "
                    "letter",
                    "rename the file",
                )
    return options


def _is_default(entry: Any) -> bool:
    if isinstance(entry, dict):
        return len(entry) == 1 and all(isinstance(option, str | None) for option in entry.values())
    return isinstance(entry, str)


def _read(root: Path, file: Path) -> dict[str, Any]:
    """A YAML file whose references name keys, and call nothing: what a line is stands in these files alone."""
    content = yaml.read(root / file)
    for keys, value in yaml.leaves(content):
        if not isinstance(value, str) or "${" not in value:
            continue
        found = f"{file}: {yaml.dotted(keys)} is {shown(value)}"
        try:
            tree = parse(value)
        except (GrammarParseError, RecursionError):
            raise GaiaError(found, "a reference is written ${section.key}") from None
        if called := next(_resolvers(tree), None):
            raise GaiaError(found, f"a reference names a key, ${{section.key}}, and can't call {called}")
    return content


def _resolvers(tree: Any) -> Iterator[str]:
    """What OmegaConf would call by its name: ${oc.env:HOME} reads the host's environment."""
    if isinstance(tree, OmegaConfGrammarParser.InterpolationResolverContext):
        yield tree.resolverName().getText()  # type: ignore[no-untyped-call]
    for child in getattr(tree, "children", None) or ():
        yield from _resolvers(child)
