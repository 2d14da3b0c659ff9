"""The web server itself, on a real socket: whom it believes, what it refuses, whom it lets go."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from search.retrieval.imaging import MAX_BYTES
from tmportal import web


def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Says what reached it."""
    body = environ["wsgi.input"].read()
    told = {
        "address": environ["REMOTE_ADDR"],
        "scheme": environ["wsgi.url_scheme"],
        "forwarded": sorted(name for name in environ if "FORWARDED" in name),
        "length": len(body),
    }
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(told).encode()]


class Running:
    def __init__(self, **changes: Any) -> None:
        adj = web.adjustments()
        adj.listen = web.Adjustments(listen="127.0.0.1:0").listen
        for name, value in changes.items():
            setattr(adj, name, value)
        self.front = web.Front(application, adj)
        self.address = ("127.0.0.1", int(self.front.servers[0].effective_port))
        self.thread = threading.Thread(target=self.front.run)
        self.thread.start()

    def stop(self) -> None:
        self.front.stop()
        self.thread.join(10)
        assert not self.thread.is_alive()

    def open(self) -> socket.socket:
        return socket.create_connection(self.address, timeout=60)

    def ask(self, request: bytes) -> tuple[int, dict[str, Any]]:
        with self.open() as connection:
            connection.sendall(request)
            return answer(connection)


def answer(connection: socket.socket) -> tuple[int, dict[str, Any]]:
    data = b""
    while b"\r\n\r\n" not in data or not data.endswith(b"}"):
        part = connection.recv(65536)
        if not part:
            break
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


def post(path: str, length: int, *headers: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Length: {length}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


@pytest.fixture
def server() -> Iterator[Running]:
    running = Running()
    yield running
    running.stop()


FORGED = ["X-Forwarded-For: 10.9.8.7", "X-Forwarded-Proto: https", "Forwarded: for=10.9.8.7", "X-Forwarded-Host: evil"]


def test_without_a_proxy_nobody_says_who_he_is(server: Running) -> None:
    status, told = server.ask(post("/", 0, *FORGED))
    assert status == 200
    assert (told["address"], told["scheme"], told["forwarded"]) == ("127.0.0.1", "http", [])


def test_behind_a_proxy_the_last_hop_counts(settings: Any) -> None:
    settings.TM_BEHIND_PROXY = True
    running = Running()
    try:
        status, told = running.ask(post("/", 0, "X-Forwarded-For: 10.9.8.7, 192.0.2.5", *FORGED[1:]))
    finally:
        running.stop()
    assert status == 200
    assert (told["address"], told["scheme"]) == ("192.0.2.5", "https")
    assert "HTTP_X_FORWARDED_HOST" not in told["forwarded"] and "HTTP_FORWARDED" not in told["forwarded"]


def test_an_image_may_be_as_large_as_promised_and_other_requests_small(server: Running) -> None:
    most = MAX_BYTES + web.FORM_EDGES
    assert server.ask(post("/api/searches/", most) + bytes(most)) == (
        200, {"address": "127.0.0.1", "scheme": "http", "forwarded": [], "length": most},
    )  # fmt: skip
    status, told = server.ask(post("/api/searches/", most + 1) + bytes(most + 1))
    assert status == 413 and told["error"]["code"] == "too_large" and "20 MB" in told["error"]["message"]
    status, told = server.ask(post("/api/token/", 4 * 2**20) + bytes(4 * 2**20))
    assert status == 413 and set(told["error"]) == {"code", "message", "fields"}


def test_a_body_without_a_length_is_refused_as_well_and_nothing_of_it_is_kept(server: Running) -> None:
    head = b"POST /api/token/ HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"100000\r\n" + bytes(2**20) + b"\r\n"
    with server.open() as connection:
        connection.sendall(head + 6 * chunk)
        deadline = time.monotonic() + 5
        while server.front.servers[0].kept_bytes and time.monotonic() < deadline:
            time.sleep(0.05)
        assert server.front.servers[0].kept_bytes == 0
        connection.sendall(b"0\r\n\r\n")
        assert answer(connection)[0] == 413


def test_who_asks_before_sending_is_told_at_once(server: Running) -> None:
    status, told = server.ask(post("/api/token/", 50 * 2**20, "Expect: 100-continue"))
    assert status == 413 and told["error"]["code"] == "too_large"


def test_nonsense_and_endless_headers_get_the_one_error_shape(server: Running) -> None:
    for request, expected in ((b"\x00\x01\x02 nonsense\r\n\r\n", 400), (post("/", 0, "X: " + "y" * 70_000), 431)):
        status, told = server.ask(request)
        assert status == expected and set(told["error"]) == {"code", "message", "fields"}


def test_silent_and_dripping_connections_end_and_a_steady_upload_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "PATIENCE_SECONDS", 1.5)
    running = Running()
    try:
        silent, dripping, steady = running.open(), running.open(), running.open()
        dripping.sendall(post("/api/searches/", 10**7))
        length = 12 * web.LEAST_BYTES
        steady.sendall(post("/api/searches/", length))
        closed = False
        for _ in range(12):  # six seconds, four times what a silent connection gets
            steady.sendall(bytes(web.LEAST_BYTES))
            try:
                dripping.sendall(b"x")
            except OSError:
                closed = True
            time.sleep(0.5)
        assert closed
        assert silent.recv(1) == b""
        assert answer(steady)[1]["length"] == length
    finally:
        running.stop()


def test_near_the_bound_what_came_first_gives_way() -> None:
    running = Running(connection_limit=40)
    try:
        crowd = [running.open() for _ in range(60)]
        status, _ = running.ask(post("/", 0))
        assert status == 200
        assert crowd[0].recv(1) == b""
    finally:
        running.stop()


def test_bodies_that_no_thread_has_read_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "MOST_KEPT", 4 * 2**20)
    running = Running()
    try:
        slow = [running.open() for _ in range(4)]
        for connection in slow:
            connection.sendall(post("/api/searches/", 10**7) + bytes(2 * 2**20))
        time.sleep(1.5)
        assert running.front.servers[0].kept_bytes <= 4 * 2**20
        assert running.ask(post("/api/searches/", 10**6) + bytes(10**6))[0] == 200
    finally:
        running.stop()
