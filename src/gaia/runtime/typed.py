"""JSON with a type: whether what was read is what a TypedDict says, without a library that costs start-up time."""

from __future__ import annotations

from types import NoneType, UnionType
from typing import Any, Literal, NotRequired, Union, get_args, get_origin, get_type_hints, is_typeddict

from gaia.errors import shown


def misfit(value: object, kind: Any, key: str = "") -> str | None:
    """Where the value isn't of the type, as `input.size is 'x'`, or `input.size is missing`; None if it fits.

    Types: TypedDict (whose unknown keys are let pass), list, dict with text keys, unions, Literal, and JSON's plain
    ones, where an integer fits a float.
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any:
        return None
    if origin in (Union, UnionType):
        return None if any(misfit(value, option) is None for option in arguments) else _is(key, value)
    if origin is NotRequired:
        return misfit(value, arguments[0], key)
    if origin is Literal:
        return None if value in arguments else _is(key, value)
    if is_typeddict(kind):
        if not isinstance(value, dict):
            return _is(key, value)
        hints = get_type_hints(kind, include_extras=True)
        for name, hint in hints.items():
            if name not in value:
                if get_origin(hint) is not NotRequired:
                    return f"{_below(key, name)} is missing"
            elif said := misfit(value[name], hint, _below(key, name)):
                return said
        return None
    if origin in (list, dict):
        if not isinstance(value, origin):
            return _is(key, value)
        items = value.items() if isinstance(value, dict) else enumerate(value, start=1)
        return next(filter(None, (misfit(item, arguments[-1], _below(key, name)) for name, item in items)), None)
    plain: Any = {float: (int, float), None: NoneType}.get(kind, kind)
    fits = isinstance(value, plain) and (kind is bool or not isinstance(value, bool))
    return None if fits else _is(key, value)


def _below(key: str, name: object) -> str:
    return f"{key}.{name}" if key else str(name)


def _is(key: str, value: object) -> str:
    return f"{key or 'it'} is {shown(value)}"
