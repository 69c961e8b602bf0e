"""What a search chooses from: Hydra's words for a sweep, `optimizer.lr=log(1e-4, 1e-2)` -> Optuna's distributions."""

import json
import re
from collections.abc import Iterable
from typing import Any, Union

from hydra.core.override_parser.overrides_parser import OverridesParser, create_functions
from hydra.core.override_parser.types import (
    ChoiceSweep,
    Glob,
    IntervalSweep,
    Override,
    OverrideType,
    QuotedString,
    RangeSweep,
)
from hydra.errors import HydraException
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from gaia.errors import GaiaError, Problem, shown

Space = dict[str, BaseDistribution]  # by the setting's name below its line: optimizer.lr
Settings = dict[str, Any]  # of one trial: a value for each name of the space

# They judge a training that is over, or give the line another place: no trial would come out otherwise by them.
FIXED = ("evaluation", "gates", "bucket", "framework", "raw")
EXAMPLES = (
    "'optimizer.lr=log(1e-4, 1e-2)', 'model=resnet18, mobilenet_v3_small' or 'trainer.max_epochs=range(5, 20, 5)'"
)


def read(words: Iterable[str], options: dict[str, list[str]]) -> Space:
    """The space that the words describe, in their order; `options` are those of each group of conf/, for `glob(*)`.

    Raises GaiaError with all that can't be understood. Whether a line has such settings, composing it tells.
    """
    space: Space = {}
    problems: list[Problem] = []
    for word in words:
        try:
            key, distribution = _read(word, options)
            if key in space:
                raise GaiaError(f"{key} is given twice", "give all of its values in one word")
            space[key] = distribution
        except GaiaError as error:
            problems += error.problems
    if not space and not problems:
        problems.append(Problem("nothing is given to search over", f"name settings and their values: {EXAMPLES}"))
    if problems:
        raise GaiaError.several(problems)
    return space


def grid(space: Space) -> dict[str, list[Any]]:
    """Every value of each setting, for a search that tries all. Raises GaiaError for one that has no such list."""
    values: dict[str, list[Any]] = {}
    for key, kind in space.items():
        if isinstance(kind, CategoricalDistribution):
            values[key] = list(kind.choices)
        elif isinstance(kind, IntDistribution | FloatDistribution) and kind.step and not kind.log:
            count = round((kind.high - kind.low) / kind.step) + 1
            exact = isinstance(kind, IntDistribution)
            values[key] = [kind.low + i * kind.step if exact else round(kind.low + i * kind.step, 12)
                           for i in range(count)]  # fmt: skip
        else:
            raise GaiaError(f"{key} is an interval, and a grid tries every value", f"list them: '{key}=0.1, 0.2, 0.5'")
    return values


def middle(space: Space) -> Settings:
    """One point of the space, by which its names are tried before anything runs: first choices, lower ends."""
    return {
        key: kind.choices[0] if isinstance(kind, CategoricalDistribution) else kind.low  # type: ignore[attr-defined]
        for key, kind in space.items()
    }


def corners(space: Space) -> list[Settings]:
    """Points that hold each choice and both ends of each interval at least once, few as they may be."""
    ends = {
        key: list(kind.choices) if isinstance(kind, CategoricalDistribution) else [kind.low, kind.high]  # type: ignore[attr-defined]
        for key, kind in space.items()
    }
    most = max(map(len, ends.values()))
    return [{key: values[i % len(values)] for key, values in ends.items()} for i in range(most)]


def entry(line: dict[str, Any], settings: Settings) -> dict[str, Any]:
    """A line's entry in params.yaml with these settings in the place of its own.

    A group's word (`model: resnet18`) becomes a mapping ({use: resnet18, ...}) where a value of it is set; the word of
    a mapping is its `use`.
    """
    changed = {**line}
    for key, value in sorted(settings.items(), key=lambda setting: setting[0].count(".")):  # words before their values
        group, *below = key.split(".")
        here = changed.get(group)
        if not below and not isinstance(here, dict):
            changed[group] = value
            continue
        content = {**here} if isinstance(here, dict) else {} if here is None else {"use": here}
        changed[group] = content
        *sections, name = below or ["use"]
        for section in sections:
            inside = content.get(section)
            content[section] = content = {**inside} if isinstance(inside, dict) else {}
        content[name] = value
    return changed


def overrides(name: str, line: dict[str, Any], settings: Settings) -> list[str]:
    """The arguments of `dvc exp run` that set them in params.yaml, which is Hydra's language, too.

    A mapping is merged over what stands there, so each holds what is new alone, and `use` where a word stood.
    """
    changed, said = entry(line, settings), []
    for group in dict.fromkeys(key.partition(".")[0] for key in settings):
        value = changed[group]
        if isinstance(value, dict):
            value = _difference(value, line.get(group) if isinstance(line.get(group), dict) else {})
        said.append(f"++lines.{name}.{group}={_written(value)}")
    return [argument for value in said for argument in ("--set-param", value)]


def _difference(new: dict[str, Any], old: Any) -> dict[str, Any]:
    found = {}
    for key, value in new.items():
        before = old.get(key) if isinstance(old, dict) else None
        if isinstance(value, dict) and isinstance(before, dict):
            value = _difference(value, before)
            if value:
                found[key] = value
        elif not isinstance(old, dict) or key not in old or value != before or type(value) is not type(before):
            found[key] = value
    return found


def _written(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_written(inside)}" for key, inside in value.items()) + "}"
    if isinstance(value, str):
        quoted = re.sub(r"(\\*)('|$)", lambda found: found[1] * 2 + ("\\'" if found[2] else ""), value)
        return f"'{quoted}'"  # a backslash is one, but before a quote
    return json.dumps(value)  # null, true and numbers are written so in both


def _read(word: str, options: dict[str, list[str]]) -> tuple[str, BaseDistribution]:
    if "=" not in word:
        raise GaiaError(f"{shown(word)} is no setting with values", f"write {EXAMPLES}")
    functions = create_functions()
    functions.register("log", _log)
    try:
        parsed = OverridesParser(functions).parse_override(word)
    except HydraException as error:
        said = str(error.__cause__ or error).splitlines()[0]
        raise GaiaError(f"{shown(word)} can't be read: {said}", f"write {EXAMPLES}") from None
    key = str(parsed.key_or_group).replace("/", ".")
    if parsed.type is not OverrideType.CHANGE or parsed.package is not None:
        raise GaiaError(f"{shown(word)} adds, takes away or renames", f"name a setting and its values: {EXAMPLES}")
    if (group := key.partition(".")[0]) in FIXED:
        why = "judges what has been trained" if group in FIXED[:2] else "says where a line belongs"
        raise GaiaError(f"{key} {why}, so no trial would differ by it", f"search over others: {EXAMPLES}")
    return key, _distribution(key, parsed, options.get(key))


def _log(start: Union[int, float], end: Union[int, float]) -> IntervalSweep:  # noqa: UP007, Hydra asks for typing's
    """log(1e-4, 1e-2): any number between them, each power of ten as likely; whole ones between whole ones."""
    return IntervalSweep(start=start, end=end, tags={"log"})


def _distribution(key: str, parsed: Override, options: list[str] | None) -> BaseDistribution:
    given: Any = parsed._value
    try:
        if isinstance(given, IntervalSweep):
            whole = isinstance(given.start, int) and isinstance(given.end, int)
            kind = IntDistribution if whole else FloatDistribution
            return kind(given.start, given.end, log="log" in given.tags)  # type: ignore[arg-type]
        if isinstance(given, RangeSweep):
            return _range(given)
        if isinstance(given, Glob):
            if not (found := given.filter(options or [])):
                raise ValueError(
                    "glob takes a group of conf/, and a pattern that options of it fit, such as model=glob(*)"
                )
            return CategoricalDistribution(found)
        values = [_plain(value) for value in (given.list if isinstance(given, ChoiceSweep) else [given])]
        return CategoricalDistribution(list({(type(value), value): value for value in values}.values()))
    except ValueError as error:
        raise GaiaError(f"{key} can't be searched over: {str(error).rstrip('.')}.") from None


def _range(given: RangeSweep) -> BaseDistribution:
    """As Hydra counts: up to `stop`, which is not one of them."""
    start, stop, step = given.start, given.stop, given.step
    assert start is not None and stop is not None
    count = -int((start - stop) // step) if step else 0
    if step <= 0 or count < 1:
        raise ValueError(f"range({start}, {stop}, {step}) holds nothing")
    if all(isinstance(value, int) for value in (start, stop, step)):
        return IntDistribution(int(start), int(start + (count - 1) * step), step=int(step))
    return FloatDistribution(start, round(start + (count - 1) * step, 12), step=step)


def _plain(value: Any) -> Any:
    if isinstance(value, QuotedString):
        return value.text
    if isinstance(value, list | dict):
        raise ValueError(
            f"{shown(value)} holds several values; give an option in conf/ that name, and search over options"
        )
    return value
