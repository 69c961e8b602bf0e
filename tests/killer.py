"""Kills that are placed, not random: a verb's process ends before or after its n-th call that could matter.

Counted are all calls of Git, by a `git` in front of PATH, and what the process itself does to names (rename, link,
unlink, rmtree) and starts, by what Python loads before all else. No code of the product knows of it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

GIT = """#!/bin/sh
count=$(($(cat "$KILL/count") + 1))
echo $count > "$KILL/count"
test "$count" != "$BEFORE" || { kill -9 $PPID; exit 1; }
"$KILL/real" "$@"
code=$?
test "$count" != "$AFTER" || kill -9 $PPID
for word; do case $word in tag|push|update-ref|fetch) echo "$count git $word" >> "$KILL/writers"; break;; esac; done
exit $code
"""
PYTHON = """
import os, shutil, signal, subprocess, sys
if "KILL" in os.environ and os.path.basename(sys.orig_argv[1]) == "gaia":
    place = os.environ["KILL"]
    end = lambda: os.kill(os.getpid(), signal.SIGKILL)

    def counted(call, name, passed_over=lambda given: False):
        def counting(*given, **named):
            if passed_over(given):
                return call(*given, **named)
            with open(f"{place}/count") as file:
                count = str(int(file.read()) + 1)
            with open(f"{place}/count", "w") as file:
                file.write(count)
            if count == os.environ["BEFORE"]:
                end()
            try:
                done = call(*given, **named)
                with open(f"{place}/writers", "a") as file:
                    print(count, name, *given, file=file)
                return done
            finally:
                if count == os.environ["AFTER"]:
                    end()
        return counting

    for module, names in {os: ("rename", "replace", "link", "symlink", "unlink"), shutil: ("rmtree",)}.items():
        for name in names:
            setattr(module, name, counted(getattr(module, name), name))
    is_git = lambda given: given[1][0] == "git"  # which counts for itself
    subprocess.Popen.__init__ = counted(subprocess.Popen.__init__, "start", is_git)
"""


def install(folder: Path) -> Path:
    """Make the folder that counts, and kills, what is run with `run`."""
    folder.mkdir()
    (folder / "git").write_text(GIT)
    (folder / "git").chmod(0o755)
    (folder / "real").symlink_to(shutil.which("git") or "")
    (folder / "sitecustomize.py").write_text(PYTHON)
    return folder


def run(
    killer: Path, command: tuple[str, ...], root: Path, environment: dict[str, str], **when: str
) -> tuple[int, str]:
    """Exit code and output of `gaia <command>`, killed `BEFORE` or `AFTER` the call of that number, if at all."""
    (killer / "count").write_text("0")
    (killer / "writers").write_text("")
    variables = environment | {"KILL": str(killer), "BEFORE": "", "AFTER": ""} | when
    for name in ("PATH", "PYTHONPATH"):
        variables[name] = f"{killer}{os.pathsep}{variables[name]}"
    log = killer / "log"  # a file: who outlives the verb would hold a pipe open
    with log.open("w") as said:
        done = subprocess.run(["gaia", *command], cwd=root, env=variables, stdout=said, stderr=said, timeout=120)
    return done.returncode, log.read_text()


def moments(killer: Path) -> list[dict[str, str]]:
    """When to kill what has just run undisturbed: before each call, and after each that changed something.

    Three of them, spread over those that change something, and after each start of a program that outlives it; or
    all with EVERY_KILL=1.
    """
    count = int((killer / "count").read_text())
    lines = [line.split() for line in (killer / "writers").read_text().splitlines()]
    writers = [int(line[0]) for line in lines]
    assert len(writers) >= 3, "a kill test whose kills miss proves nothing"
    if "EVERY_KILL" in os.environ:
        return [*({"BEFORE": f"{n}"} for n in range(1, count + 1)), *({"AFTER": f"{n}"} for n in writers)]
    few = (writers[len(writers) * part // 6] for part in (1, 3, 5))
    chosen = [(f"{n}", when) for n, when in zip(few, ("BEFORE", "AFTER", "AFTER"), strict=True)]
    chosen += [(line[0], "AFTER") for line in lines if line[1] == "start"]
    return [{when: n} for n, when in dict.fromkeys(chosen)]


def was_placed(code: int) -> bool:
    """Whether the kill hit."""
    return code == -signal.SIGKILL
