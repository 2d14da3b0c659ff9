"""The web server: waitress, with deadlines by a clock that cannot jump and bounds on what strangers make it keep.

One event loop holds all connections and takes a request in whole before a thread sees it, so that slow and silent
clients cost a descriptor and nothing else. What comes too slowly is closed; near the bounds, what has been coming for
longest gives way.
"""

import json
import logging
import os
import resource
import signal
import time
from typing import Any

from django.conf import settings
from django.urls import reverse
from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.server import TcpWSGIServer
from waitress.task import ErrorTask, ThreadedTaskDispatcher
from waitress.utilities import Error, RequestEntityTooLarge

from search import heartbeat
from search.retrieval import progress
from search.retrieval.imaging import MAX_BYTES
from tmportal import env

log = logging.getLogger(__name__)

THREADS = 16
FORM_EDGES = 64 * 1024  # what a form takes on top of its file
LONGEST_HEADERS = 64 * 1024
MEMORY_PER_BODY = 64 * 1024  # what is longer goes to a file
MOST_CONNECTIONS = 4000
MOST_KEPT = 1024**3  # bytes of bodies that no thread has read yet
# A body that is refused for its size is read to its end and thrown away up to here: most clients send all before they
# look at the answer, and would see a broken connection instead of the sentence.
LONGEST_REFUSED = 256 * 1024**2
# Within each such time a connection has to move this much or be done; silent for that long, it is closed.
PATIENCE_SECONDS = 20.0
LEAST_BYTES = 160 * 1024
# Longer than work of a worker may wait: with a hundred examiners at once on a busy machine a request may take its time,
# and a restart costs all the others theirs.
REQUEST_SECONDS = 60.0
GRACE_SECONDS = 5.0

_SENTENCES = {
    400: ("invalid", "The request is not valid HTTP."),
    413: ("too_large", f"The request is too large: an image may have {MAX_BYTES // 2**20} MB. Send a smaller one."),
    431: ("too_large", "The headers of the request are too large: clear this site's cookies and try again."),
    501: ("not_implemented", "This transfer encoding is not supported: send the body plain or chunked."),
    503: ("unavailable", "Too many uploads are under way just now. Try again in a moment."),
}
_INTERNAL = (
    "internal",
    "The service failed on this request. Try again; if it fails again, tell the administrator.",
)


class OverloadedError(Error):
    code = 503
    reason = "Service Unavailable"


class Nowhere:
    """Where the body of a refused request goes."""

    def append(self, data: bytes) -> None:
        pass

    def close(self) -> None:
        pass

    def __len__(self) -> int:
        return 0


class Parser(HTTPRequestParser):
    """Refuses a body that is too large for its address after having read it, or at once when the client asked first."""

    refused: Error | None = None
    error: Error | None
    completed: bool
    expect_continue: bool

    def received(self, data: bytes) -> int:
        consumed = int(super().received(data))
        if self.body_rcv is None or self.refused or self.error:
            pass
        elif max(self.content_length, self.body_bytes_received) > self.most():
            self.refuse(RequestEntityTooLarge(""))
        if self.refused and (self.completed or self.expect_continue):
            self.error, self.completed, self.expect_continue = self.refused, True, False
        return consumed

    def most(self) -> int:
        """Only the address that takes images takes large bodies."""
        images = self.path == reverse("searches")
        return FORM_EDGES + (MAX_BYTES if images else settings.DATA_UPLOAD_MAX_MEMORY_SIZE)

    def refuse(self, error: Error) -> None:
        self.refused = error
        self.body_rcv.getbuf().close()
        self.body_rcv.buf = Nowhere()

    @property
    def kept(self) -> int:
        """Bytes of the body that are kept, in memory or in a file without a name."""
        return 0 if self.refused else self.body_bytes_received


class JsonErrorTask(ErrorTask):
    """What the server itself refuses, in the API's one error shape."""

    def execute(self) -> None:
        error = self.request.error
        self.status = f"{error.code} {error.reason}"
        code, message = _SENTENCES.get(error.code, _INTERNAL)
        body = json.dumps({"error": {"code": code, "message": message, "fields": {}}}).encode()
        self.response_headers.append(("Content-Type", "application/json"))
        if error.code == 503:
            self.response_headers.append(("Retry-After", "5"))
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)


class Channel(HTTPChannel):
    """A connection that has to keep moving while the server waits for it."""

    parser_class = Parser
    error_task_class = JsonErrorTask

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.since = time.monotonic()  # of the request that is coming, or the answer that is going
        self.judged = self.since
        self.moved = 0
        super().__init__(*args, **kwargs)

    def begin(self) -> None:
        self.since = self.judged = time.monotonic()
        self.moved = 0

    def received(self, data: bytes) -> bool:
        if self.request is None:
            self.begin()
        self.moved += len(data)
        self.server.kept_bytes += len(data)
        took = bool(super().received(data))
        if self.request is not None and self.request.kept and self.server.full():
            self.request.refuse(OverloadedError(""))
        return took

    def send(self, data: bytes, do_close: bool = True) -> int:
        sent = int(super().send(data, do_close) or 0)
        self.moved += sent
        return sent

    def service(self) -> None:
        with progress.work("a request", limit=REQUEST_SECONDS):
            super().service()
        self.begin()

    def waits(self) -> bool:
        """Whether it is the client's turn."""
        return not self.requests

    def kept(self) -> int:
        return sum(request.kept for request in [*self.requests, self.request] if request is not None)

    def too_slow(self, now: float) -> bool:
        if now - self.judged < PATIENCE_SECONDS:
            return False
        slow = self.moved < LEAST_BYTES
        self.judged, self.moved = now, 0
        return slow


class Server(TcpWSGIServer):
    """Maintenance by the monotonic clock, every second."""

    channel_class = Channel
    next_channel_cleanup: float
    kept_bytes = 0

    def readable(self) -> bool:
        now = time.monotonic()
        if now >= self.next_channel_cleanup:
            self.next_channel_cleanup = now + self.adj.cleanup_interval
            self.maintenance(now)
        return bool(self.accepting)

    def full(self) -> bool:
        return self.kept_bytes >= MOST_KEPT

    def maintenance(self, now: float) -> None:
        channels = list(self.active_channels.values())
        for channel in channels:
            if not channel.waits():
                channel.judged, channel.moved = now, 0
        self.kept_bytes = sum(channel.kept() for channel in channels)
        for channel in self._waiting():
            if channel.too_slow(now) or (self.kept_bytes > 0.9 * MOST_KEPT and channel.kept()):
                channel.will_close = True
                self.kept_bytes -= channel.kept()

    def handle_accept(self) -> None:
        super().handle_accept()
        if len(self.active_channels) >= self.adj.connection_limit:
            for channel in self._waiting()[:1]:
                channel.will_close = True

    def _waiting(self) -> list[Channel]:
        """Connections whose client's turn it is, the longest wait first."""
        found = [channel for channel in self.active_channels.values() if channel.waits() and not channel.will_close]
        return sorted(found, key=lambda channel: channel.since)


def adjustments() -> Adjustments:
    """waitress's options. A proxy is trusted to say whom it speaks for and over which scheme only where the settings
    say that there is one; without it, such headers are taken out of every request."""
    files = _raise_file_limit()
    behind = {"trusted_proxy": "*", "trusted_proxy_count": 1} if settings.TM_BEHIND_PROXY else {}
    return Adjustments(
        listen=f"{env.in_address(settings.TM_BIND)}:{settings.TM_PORT}",
        threads=THREADS,
        # Each connection may need three: itself, its body, its answer.
        connection_limit=min(MOST_CONNECTIONS, (files - 128) // 3),
        asyncore_use_poll=True,
        cleanup_interval=1,
        recv_bytes=64 * 1024,
        inbuf_overflow=MEMORY_PER_BODY,
        # No thread ever waits for a client to read its answer.
        outbuf_high_watermark=4 * LONGEST_REFUSED,
        max_request_header_size=LONGEST_HEADERS,
        max_request_body_size=LONGEST_REFUSED,
        log_socket_errors=False,
        ident="",
        trusted_proxy_headers={"x-forwarded-for", "x-forwarded-proto"} if behind else set(),
        clear_untrusted_proxy_headers=True,
        **behind,
    )


def _raise_file_limit() -> int:
    """As many open files as the system lets this process have, up to what is of use. Returns how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4 * MOST_CONNECTIONS
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return soft


class Front:
    """Every address that TM_BIND stands for, served by one loop and one set of threads."""

    def __init__(self, application: Any, adj: Adjustments) -> None:
        self.map: dict[int, Any] = {}
        self.dispatcher = ThreadedTaskDispatcher()
        self.dispatcher.set_thread_count(adj.threads)
        self.servers = [
            Server(application, self.map, dispatcher=self.dispatcher, adj=adj, sockinfo=info) for info in adj.listen
        ]
        self.stopping = False

    def stop(self, *_: Any) -> None:
        self.stopping = True
        self.servers[0].pull_trigger()  # wake the loop

    def run(self) -> None:
        """Serve until `stop`; then take nothing new, and end what is at work within its grace."""
        turns = progress.loop("the event loop of the web server")
        while not self.stopping:
            wasyncore.poll2(1, self.map)
            turns.step()
        for server in self.servers:
            server.accepting = False
            server.del_channel()
            server.socket.close()
        end = time.monotonic() + GRACE_SECONDS
        while self._busy() and time.monotonic() < end:
            wasyncore.poll2(0.1, self.map)
        self.dispatcher.shutdown(timeout=0)

    def _busy(self) -> bool:
        channels = [channel for server in self.servers for channel in server.active_channels.values()]
        return any(channel.requests or channel.total_outbufs_len for channel in channels)


def main() -> None:
    from tmportal.wsgi import application

    front = Front(application, adjustments())
    reverse("searches")  # loads all addresses now, not in the loop at the first request
    heartbeat.start()
    signal.signal(signal.SIGTERM, front.stop)
    signal.signal(signal.SIGINT, front.stop)
    front.run()


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tmportal.settings")
    main()
