"""Which classes a `_target_` may name, and which arguments they take: read from their source, never imported.

Importing the frameworks would take 2 to 12 seconds at each edit of a YAML file; their source answers in 0.1 s.
"""

from __future__ import annotations

import ast
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from gaia.errors import nearest

# framework -> group of conf/ -> the package that its `_target_` may come from
PACKAGES = {
    "pytorch": {"model": "torchvision.models", "optimizer": "torch.optim"},
    "keras": {"model": "keras.applications", "optimizer": "keras.optimizers"},
    "catboost": {"model": "catboost"},
}


def problem(framework: str, group: str, target: str) -> str | None:
    """Why `target` may not be used as a framework's model or optimizer, or None if it may."""
    package = PACKAGES[framework][group]
    module, _, name = target.rpartition(".")
    if module != package:
        allowed = ", ".join(sorted(f"{p[group]}.* ({f})" for f, p in PACKAGES.items() if group in p))
        return f"is outside the allow-list for framework {framework}; allowed are {allowed}"
    if name.startswith("_") or _definition(package, name) is None:
        return f"does not exist in {package}{nearest(name, _public_names(package))}"
    return None


def arguments(target: str) -> set[str] | None:
    """The names of the arguments that the target takes; None if it takes any (`**kwargs` of a function).

    A class's `**kwargs` is not an invitation: Keras and CatBoost refuse what they don't list.
    """
    module, _, name = target.rpartition(".")
    found = _definition(module, name)
    if isinstance(found, ast.ClassDef):
        init = next((n for n in found.body if isinstance(n, ast.FunctionDef) and n.name == "__init__"), None)
        return None if init is None else _names(init) - {"self"}
    if isinstance(found, ast.FunctionDef):
        return None if found.args.kwarg else _names(found)
    return None


def _names(function: ast.FunctionDef) -> set[str]:
    return {a.arg for a in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)}


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


def _definition(
    module: str, name: str, seen: frozenset[tuple[str, str]] = frozenset()
) -> ast.ClassDef | ast.FunctionDef | None:
    """The class or function that `module.name` stands for, followed through re-exports (which may be circular)."""
    source = _source(module)
    if source is None or (module, name) in seen:
        return None
    file, tree = source
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name:
            return node
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
