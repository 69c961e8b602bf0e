"""What a process says on the way, from the files that it writes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

EVERY = 0.5  # seconds


@contextmanager
def follow(files: Mapping[str, Path], say: Callable[[tuple[str, str]], object]) -> Iterator[None]:
    """While the block runs, say what comes to each of these files, by name, in whole lines; each is emptied first."""
    ended = threading.Event()

    def watch() -> None:
        with ExitStack() as stack:
            opened = {name: stack.enter_context(file.open(encoding="utf-8", errors="replace", newline=""))
                      for name, file in files.items()}  # fmt: skip
            rests = dict.fromkeys(files, "")
            while True:
                last = ended.wait(EVERY)
                for name, file in opened.items():
                    lines, end, rests[name] = (rests[name] + file.read()).rpartition("\n")
                    if said := lines + end + (rests[name] if last else ""):
                        say((name, said))
                if last:
                    return

    for file in files.values():
        file.write_bytes(b"")
    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    try:
        yield
    finally:
        ended.set()
        watching.join()
