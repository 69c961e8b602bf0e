"""`gaia serve`: the application on an address, and with `follow`, this host kept what the tags say."""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from gaia.deployments import fleet, servers
from gaia.deployments.servers import Server
from gaia.deployments.sync import sync
from gaia.errors import GaiaError, first_line, warn
from gaia.serving import access, settings

if TYPE_CHECKING:
    from gaia.serving.live import Live


def serve(
    host: str, port: int, follow: bool, ready: Callable[[Server], None] = lambda server: None, root: Path = Path()
) -> None:  # fmt: skip
    """Answer until stopped; `ready` is called once, with what answers then.

    Raises GaiaError for settings that can't hold, an address that is taken, or one that others reach while there is no
    key.
    """
    said, key = settings.read(root), access.check(host)
    import uvicorn

    from gaia.inputs.pillow import return_freed_memory
    from gaia.serving import app

    return_freed_memory()
    threading.Thread(target=_follow, args=(said["follow"], follow, root), name="follow", daemon=True).start()
    with closing(_listen(host, port)) as listening, _told(host, listening.getsockname()[1], ready, root) as tell:
        application = app.make(said, root, key, tell)
        config = uvicorn.Config(
            application, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=10
        )  # fmt: skip
        with suppress(KeyboardInterrupt):  # which is how it ends
            uvicorn.Server(config).run(sockets=[listening])


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=512)
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or error
        raise GaiaError(f"{host}, port {port}: {why}", "`--port N` takes another, 0 any that is free") from None


@contextmanager
def _told(host: str, port: int, ready: Callable[[Server], None], root: Path) -> Iterator[Callable[[Live], None]]:
    """What says on stderr, and to `gaia status`, what answers and what doesn't."""
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    first = [ready]
    with servers.saying(port, root) as say:

        def tell(live: Live) -> None:
            names = [f"{each.line}@{each.version or 'workspace'} in {each.stage}" for each in live.served.values()]
            wrong = list(dict.fromkeys([*live.problems.values(), *live.unanswered().values()]))
            said = Server(url, names, wrong)
            say(said)
            while first:
                first.pop()(said)
            print(f"{url} answers with {', '.join(names) or 'nothing'}", file=sys.stderr, flush=True)
            for note in dict.fromkeys(each.note for each in live.served.values() if each.note):
                warn(f"{note}.", about=note)
            for problem in wrong:
                warn(str(problem))

        yield tell


def _follow(seconds: float, follow: bool, root: Path) -> None:
    """Every so many seconds: make this host what the tags say, if it is to `follow` them; tell others what is live."""
    while True:
        if not follow:  # once it has said what it answers with
            time.sleep(seconds)
        try:
            if not follow:
                fleet.tell({}, root)
            for each in sync(root=root) if follow else ():
                if each.problem:
                    warn(f"{each.line}: {each.problem}")
        except GaiaError as error:  # the network, perhaps; it may come back
            warn(str(error))
        except Exception as error:  # whatever it is: this host answers with what it has, and tries again
            warn(f"the tags can't be followed ({type(error).__name__}: {first_line(error)})")
        time.sleep(seconds)
