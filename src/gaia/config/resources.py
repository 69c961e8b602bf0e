"""What a line takes of a host while it is built: for engines. It changes nothing of what is made."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, ValidationError

from gaia.config.schema import Strict, errors
from gaia.errors import Problem, nearest, shown


class Resources(Strict):
    """Cores, GPUs and memory in MB; None: not said."""

    cpus: Annotated[float, Field(gt=0, le=10_000)] | None = None
    gpus: Annotated[float, Field(ge=0, le=1000)] | None = None
    memory: Annotated[int, Field(ge=1, le=100_000_000)] | None = None


def of(entry: dict[str, Any]) -> Resources:
    """Those of a line's entry in params.yaml, which has none of the `problems`."""
    return Resources.model_validate(entry.get("resources") or {})


def problems(here: str, entry: dict[str, Any]) -> list[Problem]:
    """What is wrong with what an entry says of them; `here` is where it stands."""
    said, known = entry.get("resources"), list(Resources.model_fields)
    takes = f"it takes {', '.join(known[:-1])} and {known[-1]} (MB), each a number or null"
    if said is not None and not isinstance(said, dict):
        return [Problem(f"{here}.resources is {shown(said)}", takes)]
    try:
        of(entry)
    except ValidationError as error:
        places = {e["loc"][0]: e["input"] for e in errors(error)}
        return [
            Problem(f"{here}.resources.{key} is {shown(value) if key in known else 'an unknown key'}",
                    f"{takes}{'' if key in known else nearest(str(key), known)}")
            for key, value in places.items()
        ]  # fmt: skip
    return []
