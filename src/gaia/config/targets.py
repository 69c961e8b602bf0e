"""Which classes a `_target_` may name, and which arguments they take: read from their source, never imported.

Importing the frameworks would take 2 to 12 seconds at each edit of a YAML file; their source answers in 0.1 s.
"""

from __future__ import annotations

import ast
import math
import re
from fnmatch import fnmatchcase
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gaia.config.framework import Framework
from gaia.errors import Problem, nearest, shown

Found = ast.ClassDef | ast.FunctionDef

REQUIRED = object()  # stands for the default of an argument that has none
AUTO = "auto"  # of an argument that the spec allows it for: as the package chooses
FEW = 10  # names that a sentence lists


def problem(spec: Framework, group: str, target: str) -> Problem | None:
    """Why `target` may not be used as a framework's model or optimizer, and what may; None if it may.

    What was found goes on after "..., which".
    """
    module, _, name = target.rpartition(".")
    several = spec.patterns(group)
    allowed = next((each for each in several if each.rpartition(".")[0] == module), several[0])
    package = allowed.rpartition(".")[0]
    found = _definition(module, name) if module == package and not name.startswith("_") else None
    fits = found is not None and fnmatchcase(target, allowed)
    if found and fits and _is_a(spec, group, target, found):
        return None
    names = {n for n in _public_names(package) if fnmatchcase(f"{package}.{n}", allowed)}
    names = {n for n in names if (known := _definition(package, n)) and _is_a(spec, group, f"{package}.{n}", known)}
    if module == package and not found:
        return Problem(f"doesn't exist in {package}", f"name one that does{nearest(name, names)}")
    few = ", ".join(sorted(names)) if len(names) <= FEW else ""
    if fits:
        takes = f"framework {spec.name} takes {few or f'those of {package}'}{nearest(name, names)}"
        return Problem(f"is no {group} of its own", takes)
    same = [f"{package}.{n}" for n in names if n.lower() == name.lower()]
    suggestion = f" (did you mean '{same[0]}'?)" if same else ""
    takes = f"{few} of {package}" if few and "*" in allowed else ", ".join(several)
    return Problem("is outside the allow-list", f"framework {spec.name} takes {takes}{suggestion}")


def _is_a(spec: Framework, group: str, target: str, definition: tuple[str, Found]) -> bool:
    """Whether it is a model or optimizer: beside those stand helpers, and what others are derived from."""
    _, found = definition
    if target in spec.refused:
        return False
    if group == "optimizer":
        return isinstance(found, ast.ClassDef)
    mark = spec.marks.get(target.rpartition(".")[0])
    marks = [n.id for decorator in found.decorator_list for n in ast.walk(decorator) if isinstance(n, ast.Name)]
    return mark is None or mark in marks


def argument_problems(spec: Framework, group: str, target: str, given: dict[str, Any]) -> dict[str, Problem]:
    """The arguments that can't be given to a group's target, and why.

    A default that is a number or true/false tells the type; other types, and ranges that the framework doesn't promise,
    are the target's own business.
    """
    module = target.rpartition(".")[0]
    taken = arguments(target)
    by_us = spec.given.get(module, {})
    if taken is not None:  # where `learning_rate` follows from optimizer.lr, `lr` is its name in conf/optimizer/
        ours = {key: str(decided).partition(".") for key, decided in by_us.items() if key in taken}
        taken = {name: taken[key] for key, (section, _, name) in ours.items() if section == group} | taken
    problems: dict[str, Problem] = {}
    for key, value in given.items():
        if key in by_us:
            decided = by_us[key]
            problems[key] = (
                Problem(f"follows from {decided}", "set that instead")
                if decided
                else Problem(f"is fixed for {module}.*", "remove it")
            )
        elif taken is not None and key not in taken:
            known = sorted(taken.keys() - by_us.keys())
            more = f" and {len(known) - 20} more" if len(known) > 20 else ""
            problems[key] = Problem(
                f"is no argument of {target}", f"it takes {', '.join(known[:20])}{more}{nearest(key, known)}"
            )
        elif (target, key) in spec.names:
            if not isinstance(value, str) or value.partition(".")[0] not in (names := set(spec.names[target, key]())):
                package = target.partition(".")[0]
                close = nearest(value, names) if isinstance(value, str) else ""
                problems[key] = Problem(f"is {shown(value)}", f"it should be one of {package}'s names{close}")
        elif value == AUTO and key in spec.auto:
            continue
        elif should := _out_of_range(spec, key, value) or (taken and _other_type(value, taken[key])):
            problems[key] = Problem(f"is {shown(value)}", f"it should be {should}")
    needed = {key: REQUIRED for at, key in spec.names if at == target}
    for key, default in ((taken or {}) | needed).items():
        if default is REQUIRED and key not in given and key not in by_us:
            problems[key] = Problem("is missing", f"{target} needs it")
    return problems


def _out_of_range(spec: Framework, key: str, value: Any) -> str | None:
    if key not in spec.ranges or value is None:
        return None
    least, most = spec.ranges[key]
    whole = isinstance(least, int)
    right = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
    if right and least <= value <= most:
        return None
    bounds = f"from {least:g} to {most:g}" if math.isfinite(most) else f"of at least {least:g}"
    return f"a {'whole ' * whole}number {bounds}{f', or {AUTO}' * (key in spec.auto)}"


def _other_type(value: Any, default: Any) -> str | None:
    if isinstance(default, bool):
        return None if isinstance(value, bool) else "true or false"
    if isinstance(default, int | float):
        return None if isinstance(value, int | float) and not isinstance(value, bool) else "a number"
    return None


def arguments(target: str) -> dict[str, Any] | None:
    """The arguments that the target takes, and their defaults (None where those aren't literals).

    None if it takes any: a function's `**kwargs` are followed to where the function hands them on, in its own module.
    A class's `**kwargs` is not an invitation: Keras and CatBoost refuse what they don't list.
    """
    module, _, name = target.rpartition(".")
    found = _definition(module, name)
    return None if found is None else _arguments(*found)


def members(module: str, function: str, argument: str, ending: str) -> list[str]:
    """The members of the enumeration, its name ending so, that a function's argument is annotated with."""
    found = _definition(module, function)
    if found is None or not isinstance(found[1], ast.FunctionDef):
        return []
    given = (a.annotation for a in (*found[1].args.args, *found[1].args.kwonlyargs) if a.arg == argument)
    parts = (n.id for a in given if a for n in ast.walk(a) if isinstance(n, ast.Name) and n.id.endswith(ending))
    enumerations = [known[1] for name in parts if (known := _definition(found[0], name))]
    assigned = (node for e in enumerations for node in e.body if isinstance(node, ast.Assign))
    return [target.id for node in assigned for target in node.targets if isinstance(target, ast.Name)]


@cache
def decorated(package: str, folder: str, decorator: str) -> frozenset[str]:
    """The functions under `@decorator` in the modules of a package's folder, by a look at their text: some of these
    are so long that parsing them would take seconds."""
    spec = find_spec(package)
    places = (spec.submodule_search_locations if spec else None) or ()
    texts = (file.read_text(encoding="utf-8") for place in places for file in Path(place, folder).glob("*.py"))
    return frozenset(name for text in texts for name in re.findall(rf"^@{decorator}\s+def (\w+)", text, re.MULTILINE))


def _arguments(module: str, found: Found) -> dict[str, Any] | None:
    if isinstance(found, ast.ClassDef):
        return _bound(_method(found, "__init__"))
    known, kwargs = _signature(found), found.args.kwarg
    if kwargs is None or not any(isinstance(n, ast.Name) and n.id == kwargs.arg for n in ast.walk(found)):
        return known
    calls = [node for node in ast.walk(found) if isinstance(node, ast.Call)]
    handed_on = [call for call in calls if any(k.arg is None for k in call.keywords)]
    if not handed_on:
        return None
    for call in handed_on:
        match call.func:
            case ast.Name(id=name):
                callee = _definition(module, name)
                further = _arguments(*callee) if callee else None
            case ast.Attribute(value=ast.Name(id=name), attr=method):
                callee = _definition(module, name)
                further = _bound(_method(callee[1], method)) if callee else None
            case _:
                further = None
        if further is None:
            return None
        taken = {*list(further)[: len(call.args)], *(k.arg for k in call.keywords)}
        known = {**known, **{k: v for k, v in further.items() if k not in taken and k not in known}}
    for call in calls:
        match call:  # kwargs.pop("dropout", 0.2)
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id=kwargs.arg), attr="pop"), args=[ast.Constant(value=key), *_]
            ):
                known.setdefault(str(key), None)
    return known


def _method(found: Found, name: str) -> ast.FunctionDef | None:
    return next((n for n in found.body if isinstance(n, ast.FunctionDef) and n.name == name), None)


def _bound(method: ast.FunctionDef | None) -> dict[str, Any]:
    """A method's arguments without `self`; none at all for a class that has no such method of its own."""
    return dict(list(_signature(method).items())[1:]) if method else {}


def _signature(function: ast.FunctionDef) -> dict[str, Any]:
    positional = [*function.args.posonlyargs, *function.args.args]
    without = [REQUIRED] * (len(positional) - len(function.args.defaults))
    defaults = dict(zip((a.arg for a in positional), [*without, *function.args.defaults], strict=True))
    for a, default in zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True):
        defaults[a.arg] = REQUIRED if default is None else default
    return {k: v.value if isinstance(v, ast.Constant) else v if v is REQUIRED else None for k, v in defaults.items()}


@cache
def _source(module: str) -> tuple[Path, ast.Module] | None:
    top, *rest = module.split(".")
    spec = find_spec(top)  # a top-level name: found on the path, not imported
    if spec is None or not spec.submodule_search_locations:
        return None
    path = Path(spec.submodule_search_locations[0], *rest)
    for file in (path / "__init__.py", path.with_suffix(".py")):
        if file.is_file():
            return file, ast.parse(file.read_text(encoding="utf-8"))
    return None


def _absolute(importer: str, is_package: bool, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    parts = importer.split(".")
    parts = parts[: len(parts) - node.level + is_package]
    return ".".join([*parts, *([node.module] if node.module else [])])


def _definition(module: str, name: str, seen: frozenset[tuple[str, str]] = frozenset()) -> tuple[str, Found] | None:
    """The class or function that `module.name` stands for, and the module that defines it: followed through
    re-exports (which may be circular)."""
    source = _source(module)
    if source is None or (module, name) in seen:
        return None
    file, tree = source
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name:
            return module, node
        if isinstance(node, ast.ImportFrom):
            origin = _absolute(module, file.name == "__init__.py", node)
            for alias in node.names:
                wanted = name if alias.name == "*" else alias.name
                if alias.name == "*" or (alias.asname or alias.name) == name:
                    found = _definition(origin, wanted, seen | {(module, name)})
                    if found is not None:
                        return found
    return None


def _public_names(module: str) -> set[str]:
    source = _source(module)
    if source is None:
        return set()
    file, tree = source
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            names.add(node.name)
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if alias.name == "*":
                    names |= _public_names(_absolute(module, file.name == "__init__.py", node))
                else:
                    names.add(alias.asname or alias.name)
    return {name for name in names if not name.startswith("_")}
