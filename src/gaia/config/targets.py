"""Which classes a `_target_` may name, and which arguments they take: read from their source, never imported.

Importing the frameworks would take 2 to 12 seconds at each edit of a YAML file; their source answers in 0.1 s.
"""

from __future__ import annotations

import ast
import math
from fnmatch import fnmatchcase
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gaia.errors import nearest, shown

Found = ast.ClassDef | ast.FunctionDef

# framework -> group of conf/ -> what its `_target_` may be
ALLOWED = {
    "pytorch": {"model": "torchvision.models.*", "optimizer": "torch.optim.*"},
    "keras": {"model": "keras.applications.*", "optimizer": "keras.optimizers.*"},
    "catboost": {"model": "catboost.CatBoostClassifier"},
}

# A key -> the arguments that it decides, by all their names: CatBoost refuses two names of one. None: the curves and
# the choice of the best tree count on each tree's loss and accuracy, and where a run is watched and resumed is set.
OF_CATBOOST: dict[str | None, str] = {
    "trainer.max_epochs": "iterations n_estimators num_boost_round num_trees",
    "trainer.patience": "early_stopping_rounds od_wait od_type od_pval",
    "trainer.class_weights": "auto_class_weights",
    "trainer.device": "task_type",
    "seed": "random_seed random_state",
    "data.classes": "loss_function objective class_names classes_count target_border",
    "data.categories": "cat_features",
    "model.learning_rate": "eta",
    "model.depth": "max_depth",
    "model.l2_leaf_reg": "reg_lambda",
    "model.border_count": "max_bin",
    "model.rsm": "colsample_bylevel",
    "model.max_leaves": "num_leaves",
    "model.min_data_in_leaf": "min_child_samples",
    None: "custom_metric custom_loss eval_metric metric_period eval_fraction use_best_model best_model_min_trees "
    "text_features embedding_features thread_count train_dir allow_writing_files output_borders save_snapshot "
    "snapshot_file snapshot_interval callback name verbose verbose_eval silent logging_level",
}

# Arguments that src/gaia/frameworks gives itself -> the key that decides them, if one does
GIVEN: dict[str, dict[str, str | None]] = {
    "torchvision.models": {"num_classes": "data.classes", "progress": None},
    "torch.optim": {"params": None},
    "keras.applications": {"classes": "data.classes", "input_shape": "data.image_size", "input_tensor": None}
    | dict.fromkeys(("include_top", "pooling", "classifier_activation")),
    "keras.optimizers": {"learning_rate": "optimizer.lr", "name": None},
    "catboost": {argument: key for key, arguments in OF_CATBOOST.items() for argument in arguments.split()},
}

# What would be refused, or diverge, only in training: an argument of conf/ -> the least and the most that it may be.
# The least is whole where the argument is.
RANGES: dict[str, tuple[int | float, float]] = {
    "depth": (1, 16),
    "learning_rate": (1e-6, 1),
    "l2_leaf_reg": (0.0, math.inf),
    "border_count": (1, 65535),
    "weight_decay": (0.0, math.inf),
    "momentum": (0.0, 1),
}

REQUIRED = object()  # stands for the default of an argument that has none


def problem(framework: str, group: str, target: str) -> str | None:
    """Why `target` may not be used as a framework's model or optimizer, or None if it may."""
    allowed = ALLOWED[framework][group]
    module, _, name = target.rpartition(".")
    package = allowed.rpartition(".")[0]
    found = _definition(module, name) if module == package and not name.startswith("_") else None
    if found and fnmatchcase(target, allowed) and _is_a(group, *found):
        return None
    names = {n for n in _public_names(package) if fnmatchcase(f"{package}.{n}", allowed)}
    names = {n for n in names if (known := _definition(package, n)) and _is_a(group, *known)}
    if module == package and not found:
        return f"doesn't exist in {package}{nearest(name, names)}"
    if found and fnmatchcase(target, allowed):
        return f"is no {group}; framework {framework} takes those of {package}{nearest(name, names)}"
    same = [f"{package}.{n}" for n in names if n.lower() == name.lower()]
    suggestion = f" (did you mean '{same[0]}'?)" if same else ""
    return f"is outside the allow-list; framework {framework} takes {allowed}{suggestion}"


def _is_a(group: str, module: str, found: Found) -> bool:
    """Whether it is a model or optimizer: beside those stand helpers. torchvision marks the functions that make one."""
    if group == "optimizer":
        return isinstance(found, ast.ClassDef)
    return not module.startswith("torchvision.") or any(
        isinstance(n, ast.Name) and n.id == "register_model" for mark in found.decorator_list for n in ast.walk(mark)
    )


def argument_problems(target: str, given: dict[str, Any]) -> dict[str, str]:
    """The arguments that can't be given to the target, and why.

    A default that is a number or true/false tells the type; other types, and ranges that `RANGES` doesn't hold, are the
    target's own business.
    """
    module = target.rpartition(".")[0]
    taken: Any = arguments(target)
    by_us = GIVEN[module]
    if taken and module == "keras.optimizers" and "learning_rate" in taken:
        taken = {**taken, "lr": taken["learning_rate"]}  # one name with every framework
    problems: dict[str, str] = {}
    for key, value in given.items():
        if key in by_us:
            decided = by_us[key]
            problems[key] = (
                f"follows from {decided}; set that instead" if decided else f"is fixed for {module}.*; remove it"
            )
        elif taken is not None and key not in taken:
            known = sorted(taken.keys() - by_us.keys())
            more = f" and {len(known) - 20} more" if len(known) > 20 else ""
            problems[key] = f"is no argument of {target}; it takes {', '.join(known[:20])}{more}{nearest(key, known)}"
        elif should := _out_of_range(key, value) or (taken and _other_type(value, taken[key])):
            problems[key] = f"is {shown(value)}; it should be {should}"
    for key, default in (taken or {}).items():
        if default is REQUIRED and key not in given and key not in by_us:
            problems[key] = f"is missing; {target} needs it"
    return problems


def _out_of_range(key: str, value: Any) -> str | None:
    if key not in RANGES or value is None:
        return None
    least, most = RANGES[key]
    whole = isinstance(least, int)
    right = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
    if right and least <= value <= most:
        return None
    bounds = f"from {least:g} to {most:g}" if math.isfinite(most) else f"of at least {least:g}"
    return f"a {'whole ' * whole}number {bounds}"


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
