"""conf/ + a line's entry in params.yaml -> that line's configuration, resolved and validated."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.errors import HydraException, MissingConfigException
from omegaconf import DictConfig, OmegaConf, grammar_parser
from omegaconf.errors import GrammarParseError, InterpolationResolutionError, OmegaConfBaseException

from gaia import paths
from gaia.config import raw, targets, yaml
from gaia.config.check import check
from gaia.config.schema import GROUPS, PLAIN_KEYS, PhotoLine, TableLine, kind_of, takes_null, type_of
from gaia.config.sources import Sources
from gaia.errors import GaiaError, first_line, nearest, shown

OPTION_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")
TOP_KEYS = ("lines", "demo")  # of params.yaml


def compose_lines(root: Path = Path()) -> dict[str, PhotoLine | TableLine]:
    """Every line of params.yaml, composed. All are checked together, so that a mistake in one line stops
    the run before another line has trained.

    Raises GaiaError with a sentence a problem.
    """
    params = _params(root)
    options = _options(root)
    composed, problems = {}, []
    with initialize_config_dir(str((root / paths.CONF).resolve()), version_base="1.3"):
        for name, entry in params["lines"].items():
            try:
                composed[name] = _compose_line(root, name, entry, options)
                problems += raw.problems(root, name, composed[name], params.get("demo"))
            except GaiaError as error:
                problems += str(error).splitlines()
    if problems:  # a mistake in an option that two lines choose is one mistake
        raise GaiaError("\n".join(dict.fromkeys(problems)))
    return composed


def _params(root: Path) -> dict[str, Any]:
    """params.yaml, which holds lines."""
    params = _read(root, paths.PARAMS)
    for key in params:
        if key not in TOP_KEYS:
            known = ", ".join(TOP_KEYS)
            raise GaiaError(f"params.yaml: {key} is an unknown key", f"known are {known}{nearest(key, TOP_KEYS)}")
    if "lines" not in params:
        raise GaiaError("params.yaml: lines is missing", "give it one entry a line")
    if not isinstance(params["lines"], dict) or not params["lines"]:
        raise GaiaError(f"params.yaml: lines is {shown(params['lines'])}", "it should hold one entry a line")
    return params


def _options(root: Path) -> dict[str, list[str]]:
    """The option files of each group, after every file of conf/ has been read: Hydra's own message on a broken one
    names neither its line nor a duplicate key."""
    _read(root, paths.CONF / "config.yaml")
    for file in sorted((root / paths.CONF).rglob("*.yaml")):
        defaults = _read(root, file.relative_to(root)).get("defaults", [])
        if not isinstance(defaults, list) or not all(_is_default(entry) for entry in defaults):
            raise GaiaError(
                f"{file.relative_to(root)}: defaults is {shown(defaults)}",
                "it should be a list of entries such as 'default' or 'override /trainer: long'",
            )
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
    """A YAML file, its interpolations well-formed."""
    content = yaml.read(root / file)
    for keys, value in yaml.leaves(content):
        if isinstance(value, str) and "${" in value:
            try:
                grammar_parser.parse(value)
            except GrammarParseError:
                raise GaiaError(
                    f"{file}: {yaml.dotted(keys)} is {shown(value)}", "a reference is written ${section.key}"
                ) from None
    return content


def _compose_line(root: Path, name: str, entry: Any, options: dict[str, list[str]]) -> PhotoLine | TableLine:
    here = f"params.yaml: lines.{name}"
    if not paths.NAME.fullmatch(name):
        raise GaiaError(
            f"{here}: '{name}' can't name a line",
            "names stand in tags and paths, so they take lower-case letters, "
            "digits and single dashes, and begin with a letter",
        )
    if not isinstance(entry, dict):
        raise GaiaError(f"{here} is {shown(entry)}", "it should hold keys such as raw, framework, data and model")
    choices, values = _read_entry(here, entry, options)
    overrides = [f"{group}='{option}'" for group, option in choices.items()]
    try:
        config = compose("config", overrides=overrides)
    except (HydraException, OmegaConfBaseException, ValueError, TypeError, RecursionError) as error:
        raise GaiaError(_defaults_problem(here, error, options)) from None
    composed: Any = OmegaConf.to_container(config)
    values = _meant(values, kind_of(_framework(composed)))
    sources = Sources(root, name, {**choices, **values}, overrides)
    content, problems = _resolve(sources, OmegaConf.create(_merged(composed, values)))
    try:
        line = check(sources, content["framework"], content)
    except GaiaError as error:
        raise GaiaError("\n".join([*problems, str(error)])) from None
    if problems:
        raise GaiaError("\n".join(problems))
    return line


def _read_entry(here: str, entry: dict[str, Any], options: dict[str, list[str]]) -> tuple[dict[str, str], dict]:
    """Which option of which group the entry chooses, and which values it sets."""
    choices: dict[str, str] = {}
    values: dict[str, Any] = {}
    problems = []
    for key, value in entry.items():
        if key == "bucket":  # for dvc.yaml: where the data are stored changes nothing of what is built
            if value not in (None, *paths.BUCKETS):
                buckets = f"{', '.join(paths.BUCKETS)}{nearest(value, paths.BUCKETS)}"
                problems.append(f"{here}.bucket is {shown(value)}; the buckets are {buckets}.")
        elif key in PLAIN_KEYS:
            values[key] = value
        elif key not in options:
            known = ["bucket", *PLAIN_KEYS, *options]
            problems.append(f"{here}.{key} is an unknown key; known are {', '.join(known)}{nearest(key, known)}.")
        else:
            with_values = isinstance(value, dict) and key != "framework"  # dvc.yaml reads framework as one word
            option = value.get("use") if with_values else value
            if with_values:
                values[key] = {k: v for k, v in value.items() if k != "use"}
            if isinstance(option, str) and option in options[key]:
                choices[key] = option
            elif option is not None:
                where = f"{here}.{key}.use" if with_values else f"{here}.{key}"
                one_word = "it takes one word and no values; " if isinstance(option, dict) else ""
                problems.append(
                    f"{where} is {shown(option)}; {one_word}the options in conf/{key}/ are "
                    f"{', '.join(options[key])}{nearest(option, options[key]) if isinstance(option, str) else ''}."
                )
    if entry.get("framework") is None:
        problems.append(f"{here}.framework is missing; the options are {', '.join(options['framework'])}.")
    if entry.get("bucket") is None:
        problems.append(f"{here}.bucket is missing; the buckets are {', '.join(paths.BUCKETS)}.")
    if problems:
        raise GaiaError("\n".join(problems))
    return choices, values


def _meant(values: dict[str, Any], schema: Any) -> dict[str, Any]:
    """The values without the nulls that mean "as the option's file says": those of keys that can't be null. They stand
    in params.yaml for `dvc exp run -S`, which sets no key that isn't there."""
    meant: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            meant[key] = _meant(value, type_of(schema, key))
        elif value is not None or takes_null(schema, key):
            meant[key] = value
    return meant


def _merged(content: Any, values: Any) -> Any:
    """`values` over `content`, key by key where both hold keys; else the values alone, of whatever kind."""
    if isinstance(content, dict) and isinstance(values, dict):
        return {**content, **{key: _merged(content.get(key), value) for key, value in values.items()}}
    return values


def _framework(content: dict[str, Any]) -> Any:
    section = content.get("framework")
    return section.get("name") if isinstance(section, dict) else section


def _resolve(sources: Sources, config: DictConfig) -> tuple[dict[str, Any], list[str]]:
    """The configuration as plain data, its framework as one word, and what a line of this framework has no use for.

    Raises GaiaError if the framework is unknown, or a reference leads nowhere.
    """
    unresolved: Any = OmegaConf.to_container(config)
    name = _framework(unresolved)
    if not isinstance(name, str) or name not in targets.ALLOWED:
        raise GaiaError(
            f"{sources.place('framework', 'name')} is {shown(name)}",
            f"it should be one of {', '.join(targets.ALLOWED)}{nearest(name, targets.ALLOWED)}",
        )
    problems = []
    for group, field in kind_of(name).model_fields.items():
        if field.annotation is type(None):
            if unresolved.get(group):
                problems.append(f"{sources.place(group)} is set, but framework {name} takes no {group}; remove it.")
            config[group] = None
    try:
        content: Any = OmegaConf.to_container(config, resolve=True)
    except InterpolationResolutionError as error:
        raise GaiaError("\n".join([*problems, _reference_problem(sources, config, error)])) from None
    return {**content, "framework": name}, problems


def _reference_problem(sources: Sources, config: DictConfig, error: InterpolationResolutionError) -> str:
    keys = [int(k) if k.isdigit() else k for k in re.split(r"[.\[\]]+", error.full_key or "") if k]
    content: Any = OmegaConf.to_container(config)
    value = {yaml.dotted(k): v for k, v in yaml.leaves(content)}.get(error.full_key or "")
    said = re.sub(r"^\w+ raised while resolving interpolation: ", "", first_line(error)).strip('"')
    if missing := re.fullmatch(r"Interpolation key '(.+)' not found", said):
        known = {yaml.dotted(k[:n]) for k, _ in yaml.leaves(content) for n in range(1, len(k) + 1)}
        said = f"there is no key {missing[1]}, name one that exists{nearest(missing[1], sorted(known))}"
    elif said.startswith("Recursive"):
        said = "it refers to itself"
    return f"{sources.place(*keys)} is {shown(value)}; {said[0].lower()}{said[1:]}."


def _defaults_problem(here: str, error: Exception, options: dict[str, list[str]]) -> str:
    """Hydra's complaint about a defaults list."""
    lines = [line for line in f"{error}\n{error.__cause__ or ''}".splitlines() if line and not line.endswith(":")]
    said = lines[0].rstrip(".") if lines else type(error).__name__
    if isinstance(error, RecursionError):
        return f"{here}: an option that it chooses stands in its own defaults; remove it there."
    if where := re.match(r"In '([^']+)': ConfigTypeError raised", str(error)):
        return f"conf/{where[1]}.yaml holds a list where its defaults hold keys, or keys for a list; use the same."
    if where := re.fullmatch(r"In '([^']+)': (.+)", said):
        here, said = f"conf/{where[1]}.yaml: defaults", where[2]
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, option = error.missing_cfg_file.rpartition("/")
        if group in options:
            known = options[group]
            return (
                f"{here} names '{option}'; the options in conf/{group}/ are {', '.join(known)}{nearest(option, known)}."
            )
        return f"{here} names '{group}'; the folders of conf/ are {', '.join(options)}{nearest(group, options)}."
    if unknown := re.match(r"Could not override '([^'@]+)'", said):
        if unknown[1] in options:
            return f"conf/config.yaml: defaults doesn't choose {unknown[1]}; add an entry '{unknown[1]}: <option>'."
        return f"{here} overrides '{unknown[1]}', which conf/config.yaml doesn't choose{nearest(unknown[1], options)}."
    return f"{here}: {said}."
