"""What DVC hashes of raw data, and so pins: `prepare` reads that, and nothing else. `python -m gaia.data.hashed` names
what would end DVC's hashing, or hang it, before DVC looks; `make repro` asks it first."""

from __future__ import annotations

import os
import re
import shlex
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from gaia import paths
from gaia.config import yaml
from gaia.errors import GaiaError, Problem, exit_with_a_sentence, printable

_SHOWN = 10  # problems of one folder
_SIDECARS = {".aae", ".xmp", ".dvc"}  # what phones and editors write beside a photo, and `dvc add` beside anything
_LEFTOVERS = {"desktop.ini", "thumbs.db"}  # .DS_Store, ._* and the like are hidden
_KINDS = {stat.S_IFIFO: "named pipe", stat.S_IFSOCK: "socket", stat.S_IFCHR: "device", stat.S_IFBLK: "device"}


class Found(NamedTuple):
    """What lies in a raw folder. Hidden files and folders are passed over."""

    files: list[Path]  # relative to the folder, in the order of their names, on any system
    left_out: dict[Path, str]  # relative to it, with the reason
    problems: list[Problem]  # what DVC can't hash, and what it leaves out though somebody put it there


def look(raw: Path, root: Path = Path()) -> Found:
    """Walk a raw folder as DVC does, or look at one file: links to files are followed, links to folders are not, and
    what .dvcignore names is left out. No file is opened."""
    if not raw.is_dir():
        return Found([], {}, list(_file_problems(raw)) if os.path.lexists(raw) else [])
    from dvc.fs import localfs
    from dvc.ignore import DvcIgnoreFilter

    found = Found([], {}, [])
    top = raw.absolute()
    for place, folders, names in DvcIgnoreFilter(localfs, str(root.absolute())).walk(localfs, str(top)):
        folder = Path(place).relative_to(top)
        for name in names:
            if not _is_plain(place, name):
                found.problems.extend(_file_problems(raw / folder / name))
        hidden = not all(map(_shown, folder.parts))
        for name in folders:
            if not (raw / folder / name).is_symlink() or not (hidden or name.startswith(".")):
                found.problems.extend(_folder_problems(raw / folder / name))
        if hidden:
            continue
        for name in filter(_shown, names):
            if name.lower() in _LEFTOVERS or Path(name).suffix.lower() in _SIDECARS:
                found.left_out[folder / name] = "no photos by their names"
            else:
                found.files.append(folder / name)
        with os.scandir(place) as entries:
            here = {entry.name for entry in entries}
        for name in filter(_shown, sorted(here.difference(folders, names))):
            if (raw / folder / name / ".dvc").is_dir():
                found.problems.extend(_subproject_problems(raw / folder / name))
            else:
                found.left_out[folder / name] = "named by .dvcignore"
    tops = {path.parts[0] for path in (*found.files, *found.left_out)}
    empty = (path.name for path in raw.iterdir() if path.is_dir() and path.name not in tops and _shown(path.name))
    found.left_out.update(dict.fromkeys(map(Path, empty), "empty"))
    return found._replace(files=sorted(found.files, key=Path.as_posix))


def check(raws: Iterable[str], root: Path = Path()) -> None:
    """Raise GaiaError with what lies under these names in data/raw and can't be pinned, and what would mend it."""
    problems: list[Problem] = []
    for path in map(paths.raw, dict.fromkeys(raws)):
        if (root / path).exists():
            mine = look(root / path, root).problems
            problems += mine[:_SHOWN]
            if more := len(mine[_SHOWN:]):
                problems.append(Problem(f"{path} holds {more} more of such", "mend these, and the next are named"))
    if problems:
        raise GaiaError.several(problems)


def check_all(root: Path = Path()) -> None:
    """`check` for every folder that params.yaml names, whatever else is wrong there: others say that."""
    params: dict[str, Any] = {}
    with suppress(GaiaError):
        params = yaml.read(root / paths.PARAMS)
    lines, demo = (section if isinstance(section := params.get(key), dict) else {} for key in ("lines", "demo"))
    raws = (entry.get("raw") for entry in lines.values() if isinstance(entry, dict))
    check([raw for raw in (*demo, *raws, paths.WEIGHTS) if isinstance(raw, str) and paths.RAW.match(raw)], root)


def _shown(name: str) -> bool:
    return not name.startswith(".")


def _is_plain(place: str, name: str) -> bool:
    """Whether a file has no problem, in a fraction of the time that it takes to say which."""
    path = f"{place}/{name}"
    with suppress(OSError):
        mode = os.stat(path).st_mode  # noqa: PTH116 (the time is that of making a Path for each)
        return name.isprintable() and name != ".dvcignore" and stat.S_ISREG(mode) and os.access(path, os.R_OK)
    return False


def _file_problems(path: Path) -> Iterator[Problem]:
    """Why DVC can't hash a file, or what is no folder."""
    said, remove = printable(str(path)), f"`rm {_quoted(path)}` removes it"
    if path.name == ".dvcignore":
        yield Problem(f"{said} lies in what DVC hashes, at which DVC ends", remove)
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        yield Problem(f"{said} is a link that leads nowhere, at which DVC ends", remove)
    except OSError as error:
        yield Problem(f"{said} can't be opened, at which DVC ends: {error.strerror}", remove)
    else:
        if not stat.S_ISREG(mode):
            yield Problem(f"{said} is a {_KINDS[stat.S_IFMT(mode)]}, at which DVC may wait for ever", remove)
        elif not os.access(path, os.R_OK):
            yield Problem(f"{said} can't be read, at which DVC ends", f"`chmod u+r {_quoted(path)}` allows it")
    yield from _name_problems(path)


def _folder_problems(path: Path) -> Iterator[Problem]:
    """Why DVC can't hash a folder, or leaves it out."""
    said = printable(str(path))
    if path.is_symlink():
        mend, there = f"`rm {_quoted(path)}` removes it", path.resolve()
        if not path.parent.resolve().is_relative_to(there):
            mend += f", `rm {_quoted(path)} && cp -r {_quoted(there)} {_quoted(path)}` puts a copy in its place"
        yield Problem(f"{said} is a link to a folder, of which DVC pins nothing", mend)
    elif not os.access(path, os.R_OK | os.X_OK):
        yield Problem(f"{said} can't be read, at which DVC ends", f"`chmod -R u+rX {_quoted(path)}` allows it")
    yield from _name_problems(path)


def _name_problems(path: Path) -> Iterator[Problem]:
    plain = re.sub("[\ud800-\udfff]", "_", path.name)
    if plain != path.name:
        mend = f"`mv -n {_quoted(path)} {_quoted(path.with_name(plain))}` renames it"
        yield Problem(f"{printable(str(path))} has a name that isn't UTF-8, at which DVC ends", mend)


def _subproject_problems(path: Path) -> Iterator[Problem]:
    if path.is_symlink():
        yield from _folder_problems(path)
        return
    mend = f"`rm -r {_quoted(path / '.dvc')}` makes it a plain folder"
    yield Problem(f"{printable(str(path))} is a DVC project of its own, of which this one's pins nothing", mend)


def _quoted(path: Path) -> str:
    """A path as a shell takes it; one that can't be shown as bash and zsh do: $'b\\xff.png'."""
    if str(path).isprintable():
        return shlex.quote(str(path))
    plain = (chr(byte) if 31 < byte < 127 and byte not in b"\\'" else f"\\x{byte:02x}" for byte in os.fsencode(path))
    return f"$'{''.join(plain)}'"


if __name__ == "__main__":
    exit_with_a_sentence(lambda: check_all())
