"""The models that answer, for each line and stage: loaded beside the one before, proven, and swapped in one step."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from gaia import files, paths
from gaia.config import yaml
from gaia.deployments import activation, host
from gaia.errors import GaiaError, Problem, errors_as, first_line, warn
from gaia.registry import history
from gaia.registry.history import Event
from gaia.registry.names import PROD
from gaia.runtime import artifact
from gaia.runtime.load import load
from gaia.runtime.predictor import Predictor
from gaia.versions import table

LOOK = 0.5  # s between two looks at deployments/
AGAIN = 10  # s after which a version that could not be loaded is tried again

Place = tuple[str, str]  # a line and a stage of it


class Served(NamedTuple):
    """What answers on a stage of a line. `version` is None where it is the last build of the workspace, since nothing
    of the line was ever deployed here; `note` says so."""

    line: str
    stage: str
    version: str | None
    note: str
    sha256: str  # of manifest.json, which names every file by its hash
    folder: Path
    event: Event | None  # the decision that made it live
    metrics: dict[str, Any]  # on its test split: accuracy, accuracy_low, accuracy_high, n
    model: Predictor

    def facts(self) -> dict[str, Any]:
        """What stands in every answer: line, stage, version, sha256, note."""
        return {
            "line": self.line, "stage": self.stage, "version": self.version, "sha256": self.sha256, "note": self.note
        }  # fmt: skip

    def details(self) -> dict[str, Any]:
        """All that is known of it: the facts, since when, by whom and why it is live, contract and metrics."""
        said = self.event.facts() if self.event else {}
        decision = {key: said.get(key) for key in ("tag", "action", "from", "at", "by", "reason")}
        return self.facts() | decision | {"metrics": self.metrics, "contract": self.model.contract}


class Live:
    """The versions that answer: `served` by line and stage, and in `problems` why one that should answer doesn't.

    Both are replaced, never changed: who took one from `served` goes on with it, whatever is deployed meanwhile.
    """

    def __init__(self, root: Path = Path(), threads: int = 1) -> None:
        self.root, self.threads = root, threads
        self.looked: Callable[[Live], None] = lambda live: None  # called when something has changed
        self.lines: tuple[str, ...] = tuple(yaml.read(root / paths.PARAMS).get("lines") or ())
        self.served: dict[Place, Served] = {}
        self.problems: dict[Place, Problem] = {}
        self._seen: dict[Place, tuple[Any, float]] = {}  # what was found at a place, and when it failed (0: it didn't)
        self._stop = threading.Event()

    def look(self) -> None:
        """Bring `served` to what is live on this host now. One thread at a time."""
        wanted = self._wanted()
        new = {place: found for place, found in wanted.items() if self._is_new(place, found[1])}
        served = {place: each for place, each in self.served.items() if place in wanted}
        problems = {place: each for place, each in self.problems.items() if place in wanted and place not in new}
        if new:
            with ThreadPoolExecutor(len(new)) as pool:
                found = list(pool.map(lambda item: self._try(item[0], item[1][0]), new.items()))
            served |= {place: each for place, each in zip(new, found, strict=True) if isinstance(each, Served)}
            problems |= {place: each for place, each in zip(new, found, strict=True) if isinstance(each, Problem)}
        now = time.monotonic()
        self._seen = {
            place: (identity, now if place in problems else 0.0) if place in new else self._seen[place]
            for place, (_, identity) in wanted.items()
        }
        changed = (served, problems) != (self.served, self.problems)
        self.served, self.problems = served, problems
        if changed:
            self.looked(self)

    def watch(self) -> threading.Thread:
        """Go on looking in a thread of its own, until `stop`."""

        def run() -> None:
            while not self._stop.wait(LOOK):
                try:
                    self.look()
                except Exception as error:  # a full disk, a folder that goes meanwhile: what answers goes on
                    warn(f"what is live can't be looked at ({first_line(error)})", about="look")

        thread = threading.Thread(target=run, name="live", daemon=True)
        thread.start()
        return thread

    def stop(self) -> None:
        """End the watch."""
        self._stop.set()

    def unanswered(self) -> dict[str, Problem]:
        """Why a line of params.yaml can't answer, for each that can't."""
        return {line: self.lacking(line, PROD) for line in self.lines if (line, PROD) not in self.served}

    def lacking(self, line: str, stage: str) -> Problem:
        """Why nothing answers on a stage of a line, and what would do."""
        option = "" if stage == PROD else f" --stage {stage}"
        nothing = Problem(f"nothing of {line} is live in {stage} on this host", f"`gaia deploy {line}{option}`")
        return self.problems.get((line, stage), nothing)

    def _wanted(self) -> dict[Place, tuple[Path, Any]]:
        """The folder that should answer at each place, and what tells it from another."""
        deployed = host.lines(self.root)
        found: dict[Place, tuple[Path, Any]] = {}
        for line in sorted(deployed):
            decided = self._decided(line)
            for stage, folder in host.live_here(line, self.root).items():
                found[line, stage] = (folder, (folder.name, decided))
        for line in self.lines:
            folder, place = self.root / paths.model(line), (line, PROD)
            before = self.served.get(place)
            # until its first deployment is there: while that is made, the folder of the line is
            if place in found or (not (before and before.version is None) and self._decided(line)):
                continue
            try:
                about = (folder / artifact.MANIFEST).stat()
                found[place] = (folder, (about.st_ino, about.st_mtime_ns))
            except OSError:
                if place in self.served:  # it is being built anew, or another commit checked out: the old one goes on
                    found[place] = (folder, self._seen[place][0])
        return found

    def _decided(self, line: str) -> int:
        """When a decision about the line was last carried out here, as its file has it (ns); 0: none ever was."""
        said = self.root / paths.deployments(line) / host.HISTORY
        return said.stat().st_mtime_ns if said.exists() else 0

    def _is_new(self, place: Place, identity: Any) -> bool:
        seen, failed = self._seen.get(place, (None, 0.0))
        return seen != identity or bool(failed and time.monotonic() - failed > AGAIN)

    def _try(self, place: Place, folder: Path) -> Served | Problem:
        try:
            with errors_as(f"{folder} can't be loaded ({{}})"):
                return self._load(place, folder)
        except GaiaError as error:
            return error.problems[0]

    def _load(self, place: Place, folder: Path) -> Served:
        line, stage = place
        if folder == self.root / paths.model(line):
            model = load(folder, threads=self.threads)
            metrics = artifact.read_json(self.root / paths.reports(line) / "metrics.json")
            note = f"nothing of {line} was ever deployed here: this is the last build of the workspace"
            return Served(line, stage, None, note, _sha256(folder), folder, None, _few(metrics), model)
        known = history.look(line, self.root)
        event = history.live(history.of_host(known.events, host.name(self.root))).get(place)
        if event and host.folder(event.version, self.root) == folder:
            note = ""
        else:  # the tags went on, or are not here: this host answers with what it has until it is synced
            event, note = None, f"the tags say otherwise than this host: `gaia sync {line}`"
        before = self.served.get(place)
        if before and before.folder == folder:  # what is said of it has changed, not the model
            return before._replace(event=event, note=note)
        if event:
            activation.verify(folder, activation.pin(event.version, self.root), event.version, stage)
        model = load(folder, f"`gaia sync {line}` brings it anew", self.threads)
        number = folder.name.partition("_")[0]
        metrics = next((row for row in table.rows(known, self.root) if row["version"] == number), {})
        return Served(line, stage, number, note, _sha256(folder), folder, event, _few(metrics), model)


def _few(metrics: dict[str, Any]) -> dict[str, Any]:
    return {key: metrics.get(key) for key in ("accuracy", "accuracy_low", "accuracy_high", "n")}


def _sha256(folder: Path) -> str:
    return files.sha256(folder / artifact.MANIFEST)
