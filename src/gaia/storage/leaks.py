"""Keys in files that Git tracks: `python -m gaia.storage.leaks`, run before each commit and by `make lint`."""

from __future__ import annotations

import re
from pathlib import Path

from gaia.errors import GaiaError, exit_with_a_sentence
from gaia.registry.git import git
from gaia.storage.s3 import settings

_AWS = re.compile(r"\b(AKIA|ASIA)[A-Z0-9]{16}\b")
_PRIVATE = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")
_TELLING = r"secret|passw|token|access_?key|api_?key"
_VALUE = re.compile(rf"(?i)({_TELLING})\w*[\"']?\s*[:=]\s*[\"']?([a-z0-9/+_-]{{16,}}={{0,2}})([\"',\s]|$)")


def check() -> None:
    """Look at every file as it is staged. Raises GaiaError with file and line of each key; the key isn't shown."""
    root = Path(git("rev-parse", "--show-toplevel").strip())
    found = {}
    for place, text in _grep(root, "-iE", f"{_TELLING}|AKIA|ASIA|PRIVATE KEY"):
        if _AWS.search(text):
            found[place] = "an access key of AWS"
        elif _PRIVATE.search(text):
            found[place] = "a private key"
        elif any(len(re.findall(r"\d", value)) >= 3 for _, value, _ in _VALUE.findall(text)):
            found[place] = "what looks like a key"
    for key in settings.keys(root):
        found |= {place: "a key of the storage" for place, _ in _grep(root, "-F", key)}
    if found:
        raise GaiaError(
            "\n".join(f"{place} holds {what}; take it out, and make a new one." for place, what in found.items())
        )


def _grep(root: Path, how: str, pattern: str) -> list[tuple[str, str]]:
    """Place (file:line) and text of each match. The pattern goes by standard input, where no other process sees it."""
    options = ("--cached", "--line-number", "-I", how, "-f", "-")
    lines = git("grep", *options, root=root, given=pattern, ok=(0, 1)).splitlines()  # 1: nothing matches
    return [(f"{name}:{number}", text) for name, number, text in (line.split(":", 2) for line in lines)]


if __name__ == "__main__":
    exit_with_a_sentence(check)
