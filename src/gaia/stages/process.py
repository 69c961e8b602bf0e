"""How the process of a stage runs: alone with its outputs, and no longer than the `dvc repro` that started it."""

from __future__ import annotations

import ctypes
import os
import re
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from gaia.console import tell
from gaia.errors import GaiaError, exit_with_a_sentence

LOCKS = Path(".dvc/tmp")  # DVC's own folder for such; Git ignores it
PATIENCE = 10  # seconds for one that is about to end


def run(stage: Callable[..., object], *arguments: str) -> None:
    """The entry point of a stage; see errors.exit_with_a_sentence.

    If `dvc repro` alone is killed, DVC's next run would start this stage a second time beside the first, and both would
    write the same files.
    """
    if arguments:  # a stage takes one name; dvc.yaml writes it as it is, and a shell splits one with a space
        arguments = (" ".join(arguments),)
    if "DVC_STAGE" in os.environ:  # set by DVC for what it starts
        threading.Thread(target=_end_with, args=(_dvc(),), daemon=True).start()

    @wraps(stage)
    def alone(*given: str) -> None:
        command = " ".join((f"gaia.stages.{stage.__name__}", *given))
        LOCKS.mkdir(parents=True, exist_ok=True)
        try:
            tell(stage=os.environ.get("DVC_STAGE", command))
            with FileLock(LOCKS / f"{re.sub('[ /]', '-', command)}.lock", timeout=PATIENCE):
                stage(*given)
        except GaiaError as error:
            tell(error=str(error))
            raise
        except Timeout:
            raise GaiaError(
                f"another process does `{command}` in this folder already",
                f"let it end, or end it (`pgrep -f '{command}'` gives its number), and run `dvc repro` again",
            ) from None

    exit_with_a_sentence(alone, *arguments)


def return_freed_memory() -> None:
    """Let what is freed go back to the system. glibc keeps blocks of up to 32 MB for later, and what is held between
    them keeps them for good."""
    with suppress(AttributeError, OSError):  # elsewhere there is no such setting
        ctypes.CDLL(None).mallopt(-3, 2**17)  # M_MMAP_THRESHOLD


def _dvc() -> psutil.Process | None:
    """The `dvc` that started this stage: the nearest ancestor that DVC hasn't started itself.

    A shell may stand between: bash gives way to what it runs, dash waits for it.
    """
    process = psutil.Process().parent()
    with suppress(psutil.Error):  # another user's, or gone just now
        while process and process.environ().get("DVC_STAGE") == os.environ["DVC_STAGE"]:
            process = process.parent()
    return process


def _end_with(dvc: psutil.Process | None) -> None:
    """End this process once that one has gone: what it leaves gets another parent. It may be killed at any moment
    anyway: training resumes."""
    while _dvc() == dvc:
        time.sleep(0.2)
    print("error: the `dvc repro` that started this stage has gone; so the stage ends.", file=sys.stderr, flush=True)
    os._exit(1)
