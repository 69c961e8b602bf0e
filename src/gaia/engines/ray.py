"""Jobs on the hosts of a Ray cluster, each wherever what it needs is free."""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from gaia.engines.job import Done, Heard, Job
from gaia.errors import GaiaError, errors_as, first_line

AUTH = "RAY_AUTH_MODE"
LOOK = 0.5  # seconds between two looks at what is told


def run(
    jobs: Iterable[Job], heard: Heard, at_once: int | None = None, *, address: str | None = None, retries: int = 3
) -> Iterator[Done]:
    """Each job's end, in the order in which they end; the others go on when one fails.

    `jobs` is asked for the next one only when there is room: for `at_once` jobs; or, if it is None, for one more than
    the cluster can do now, so that one that grows by itself knows. A job whose process or host dies is begun anew, up
    to `retries` times, on the same host if that lives. Jobs still running when the caller stops asking are ended; Ray
    does so if this process is killed. Raises GaiaError if there is no such cluster.
    """
    if address is None and AUTH not in os.environ:  # the ports of a cluster of one's own are open to the network, too
        os.environ |= {AUTH: "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}  # which Ray looks for as it is imported
    import ray
    from ray.util.queue import Queue

    with _cluster(address):
        # it dies with this host alone; killed otherwise, what it held is lost, which nothing hangs on
        lasting = {"max_restarts": -1, "max_task_retries": -1, "scheduling_strategy": _on(_here(), soft=False)}
        told = Queue(actor_options={"num_cpus": 0, **lasting})
        task = ray.remote(_work)
        threads = {name: value for name, value in os.environ.items() if name.endswith("_NUM_THREADS")}
        running: dict[Any, Job] = {}
        places: dict[str, str] = {}  # the node on which a job was begun
        deaths: dict[str, int] = {}

        def begin(job: Job) -> None:
            needs = job.needs
            options: dict[str, Any] = {
                "num_cpus": _smallest() if needs.cpus is None else needs.cpus,
                "num_gpus": needs.gpus,
                "name": job.name,
                "max_retries": 0,  # Ray's own choose another host
            }
            if needs.memory:
                options["memory"] = int(needs.memory * 1e6)
            if node := places.get(job.name) or _called(job.host):
                options["scheduling_strategy"] = _on(node, soft=True)
            running[task.options(**options).remote(job, told, threads)] = job

        asked = iter(jobs)
        try:
            while True:
                while len(running) < (at_once or _fitting(running.values()) + 1) and (job := next(asked, None)):
                    begin(job)
                if not running:
                    return
                ended, _ = ray.wait(list(running), num_returns=1, timeout=LOOK)
                for name, what in told.get_nowait_batch(told.qsize()):
                    known = next(((ref, job) for ref, job in running.items() if job.name == name), None)
                    if known is None:
                        continue
                    ref, job = known
                    if what[0] == "node":
                        places[name] = what[1]
                    elif heard(job, what[1]):
                        ray.cancel(ref, force=True)
                        del running[ref]
                        yield Done(job, stopped=True)
                for ref in ended:
                    if (ended_job := running.pop(ref, None)) is None:
                        continue
                    try:
                        result, error = ray.get(ref)
                    except ray.exceptions.RayError as died:
                        deaths[ended_job.name] = deaths.get(ended_job.name, 0) + 1
                        if deaths[ended_job.name] <= retries:
                            begin(ended_job)
                            continue
                        result, error = None, f"its process or host died {retries + 1} times: {first_line(died)}"
                    yield Done(ended_job, result, error)
        finally:
            for ref in running:
                ray.cancel(ref, force=True)


def _work(job: Job, told: Any, threads: Mapping[str, str]) -> tuple[Any, str | None]:
    """In a process of Ray's: what the job returns, or an error's sentence."""
    import ray

    # Ray says how many threads to take, and hides GPUs; either would change what is made
    for name in [name for name in os.environ if name.endswith("_NUM_THREADS")]:
        del os.environ[name]
    os.environ.update(threads)
    if os.environ.get("CUDA_VISIBLE_DEVICES") == "":
        del os.environ["CUDA_VISIBLE_DEVICES"]

    def tell(*what: Any) -> None:
        told.actor.put.remote((job.name, what))  # no wait for an answer: to Ray, who waits has cores to spare

    tell("node", ray.get_runtime_context().get_node_id())
    try:
        return job.work(*job.arguments, lambda what: tell("said", what)), None
    except GaiaError as error:
        return None, str(error)
    except Exception as error:
        return None, f"{type(error).__name__}: {first_line(error)}"
    finally:
        told.qsize()  # all has arrived


@contextmanager
def _cluster(address: str | None) -> Iterator[None]:
    import ray

    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    with errors_as(f"no Ray cluster answers at {address} ({{}})", "`ray start --head` starts one: docs/scale.md"):
        ray.init(address=address or "local", include_dashboard=False if address is None else None,
                 log_to_driver=False, logging_level=logging.ERROR)  # fmt: skip
    try:
        yield
    finally:
        ray.shutdown()


def _nodes() -> list[Any]:
    import ray

    return [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]


def _called(host: str | None) -> str | None:
    """The node on a host of this name, if there is one."""
    return next((node["NodeID"] for node in _nodes() if node["NodeManagerHostname"] == host), None)


def _here() -> str:
    import ray

    return str(ray.get_runtime_context().get_node_id())


def _on(node: str, *, soft: bool) -> Any:
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    return NodeAffinitySchedulingStrategy(node, soft)


def _smallest() -> float:
    """The cores of the smallest host that has some: what a job gets that takes a whole host."""
    return min((cpus for node in _nodes() if (cpus := node["Resources"].get("CPU", 0))), default=1)


def _fitting(running: Iterable[Job]) -> int:
    """How many of these the cluster has cores for at once."""
    cores = sum(node["Resources"].get("CPU", 0) for node in _nodes())
    taken, fit = 0.0, 0
    for job in running:
        taken += _smallest() if job.needs.cpus is None else job.needs.cpus
        fit += taken <= cores
    return max(fit, 1)
