"""Work that is done beside the project's folder: in workspaces of its own, here or on other hosts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gaia.engines import local
from gaia.engines.job import Done, Heard, Job
from gaia.engines.settings import Settings, address


def run(settings: Settings, jobs: Iterable[Job], heard: Heard) -> Iterator[Done]:
    """Each job's end, as `local.run` gives it, by the engine that the settings name."""
    if settings["kind"] == "local":
        return local.run(jobs, heard, settings["jobs"])
    from gaia.engines.ray import run as on_ray

    return on_ray(jobs, heard, settings["jobs"], address=address(settings), retries=settings.get("retries", 3))


def elsewhere(settings: Settings) -> bool:
    """Whether jobs may run on hosts that share nothing with this one but the Git remote and the store."""
    return settings["kind"] == "ray" and address(settings) is not None
