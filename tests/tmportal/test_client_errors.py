"""What cannot be read is a client's error, in the one shape, from every address: through the real WSGI application."""

import io
import json
import re
import uuid
from collections.abc import Iterator
from http.client import responses
from typing import Any
from urllib.parse import quote, unquote_to_bytes, urljoin
from wsgiref.util import setup_testing_defaults

import numpy as np
import pytest
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from rest_framework.test import APIClient

from search import media
from search.growth import read_rows
from search.models import Mark, Search
from tests import pictures
from tests.factories import done_search
from tmportal.accounts.tokens import token_create
from tmportal.wsgi import application
from tuning.views import reason_given

pytestmark = pytest.mark.django_db

EDGE = "----edge"
FORM = f"multipart/form-data; boundary={EDGE}"
JSON = "application/json"
WORDS = "application/x-www-form-urlencoded"
DEEP = b"[" * 100_000 + b"]" * 100_000


class Unread(io.BytesIO):
    """A body of which nobody may read."""

    def read(self, *_: Any) -> bytes:
        raise AssertionError("the body was read")

    readline = read


def ask(method: str, path: str, body: bytes | io.BytesIO = b"", **headers: str) -> tuple[int, bytes]:
    environ: dict[str, Any] = {"REQUEST_METHOD": method, "QUERY_STRING": "", "PATH_INFO": path, **headers}
    if isinstance(body, bytes):
        environ.setdefault("CONTENT_LENGTH", str(len(body)))
        body = io.BytesIO(body)
    environ["wsgi.input"] = body
    setup_testing_defaults(environ)
    told: list[str] = []
    for signal in (request_started, request_finished):  # as Django's own client does: the test's transaction goes on
        signal.disconnect(close_old_connections)
    try:
        chunks = application(environ, lambda status, *_: told.append(status))
        data = b"".join(chunks)
        chunks.close()
    finally:
        for signal in (request_started, request_finished):
            signal.connect(close_old_connections)
    status, _, reason = told[0].partition(" ")
    assert reason == responses[int(status)]
    return int(status), data


def check_refused(answer: tuple[int, bytes], *statuses: int) -> str:
    status, data = answer
    assert status in statuses if statuses else 400 <= status < 500, (status, data[:300])
    error = json.loads(data)["error"]
    assert set(error) == {"code", "message", "fields"} and error["code"] and error["message"]
    return str(error["message"])


def part(name: str, content: bytes = b"x", *, file: bool = False, head: str = "") -> bytes:
    named = f'; filename="{name}.png"' if file else ""
    head = head or f'Content-Disposition: form-data; name="{name}"{named}'
    return f"--{EDGE}\r\n{head}\r\n\r\n".encode() + content + b"\r\n"


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + f"--{EDGE}--\r\n".encode()


@pytest.fixture
def token(examiner: Any) -> str:
    return f"Token {token_create(examiner)[0]}"


@pytest.fixture
def cookie(examiner: Any) -> str:
    client = Client()
    client.force_login(examiner)
    return f"sessionid={client.cookies['sessionid'].value}"


UNREADABLE = {
    "deep JSON": (JSON, DEEP),
    "JSON in words": (JSON, b"{nothing"),
    "JSON that is no UTF-8": (JSON, b'{"username": "\xff\xfe"}'),
    "JSON with half a letter": (JSON, b'{"username": "\\ud800", "password": "x", "like": ["\\ud800"]}'),
    "JSON with a NUL": (JSON, b'{"username": "a\\u0000", "password": "x", "like": ["a\\u0000"]}'),
    "JSON with a number of 5,000 digits": (JSON, b'{"page": ' + b"9" * 5000 + b"}"),
    "JSON with a number beyond all": (JSON, b'{"page": 1e999, "selected": 1e999}'),
    "JSON that is no object": (JSON, b'["a"]'),
    "JSON null": (JSON, b"null"),
    "JSON over the limit": (JSON, b'{"username": "' + b"x" * 2_200_000 + b'"}'),
    "over 1,000 fields": (WORDS, b"&".join(b"f%d=1" % n for n in range(1002))),
    "a form in an encoding that is none of text": (f"{WORDS}; charset=base64", b"username=a&password=b"),
    "JSON in an encoding that is none of text": (f"{JSON}; charset=base64", b'{"username": "a"}'),
    "an unknown encoding": (f"{JSON}; charset=klingon", b"{}"),
    "an encoding that cannot be named": (f"{JSON}; charset=a\0b", b"{}"),
    "a parameter in an unknown encoding": (f"{JSON}; charset*=klingon''utf-8", b"{}"),
    "another encoding": (f"{JSON}; charset=utf-16", "{}".encode("utf-16")),
    "a form with files": (FORM, form(part("username"), part("f", file=True))),
    "a kind that nobody reads": ("text/csv", b"a,b"),
    "no kind": ("", b"a,b"),
    "no kind at all": ("nonsense", b"a,b"),
}


@pytest.mark.parametrize("what", UNREADABLE)
def test_what_no_route_can_read_is_refused_by_each_in_the_one_shape(what: str, token: str, examiner: Any) -> None:
    kind, body = UNREADABLE[what]
    search = done_search(examiner, scores=[0.9], threshold=0.8)
    check_refused(ask("POST", "/api/token/", body, CONTENT_TYPE=kind))  # anonymous
    for method, path in (("POST", f"searches/{search.pk}/refine/"), ("PATCH", f"searches/{search.pk}/results/M1/")):
        check_refused(ask(method, f"/api/{path}", body, CONTENT_TYPE=kind, HTTP_AUTHORIZATION=token))
    if not kind.startswith("multipart"):
        check_refused(ask("POST", "/api/searches/", body, CONTENT_TYPE=kind, HTTP_AUTHORIZATION=token))


@pytest.mark.parametrize("path", ["/login/", "/", "/searches/", "/admin/login/", "/tuning/runs/"])
def test_pages_do_not_fail_on_it(path: str, cookie: str) -> None:
    for what, (kind, body) in UNREADABLE.items():
        for method in ("POST", "GET"):
            for headers in ({}, {"HTTP_COOKIE": cookie}):
                assert ask(method, path, body, CONTENT_TYPE=kind, **headers)[0] < 500, what


FORMS = {
    "over 100 files": form(*(part(f"f{n}", file=True) for n in range(101))),
    "over 1,000 fields": form(*(part(f"f{n}") for n in range(1001))),
    "fields over the limit": form(part("depth", b"x" * 2_200_000)),
    "a name in an unknown encoding": form(
        part("", head="Content-Disposition: form-data; name*=klingon''image; filename=a")
    ),
    "a file name in an unknown encoding": form(
        part("", head="Content-Disposition: form-data; name=image; filename*=klingon''a")
    ),
    "an encoding of a part that is none": form(
        part("", b"%%%", head='Content-Disposition: form-data; name="depth"\r\nContent-Transfer-Encoding: base64')
    ),
    "no end": part("image", b"x" * 100, file=True)[:60],
    "nothing": b"",
    "another edge": b"--other\r\n\r\n--other--",
}


@pytest.mark.parametrize("what", FORMS)
def test_a_form_with_files_that_cannot_be_read_is_refused(what: str, token: str, cookie: str) -> None:
    for headers in ({"HTTP_AUTHORIZATION": token}, {"HTTP_COOKIE": cookie}):
        check_refused(ask("POST", "/api/searches/", FORMS[what], CONTENT_TYPE=FORM, **headers))
    check_refused(ask("POST", "/api/searches/", FORMS[what], CONTENT_TYPE=FORM), 401)
    assert not Search.objects.exists()


@pytest.mark.parametrize(
    "edge", ["", "; boundary=", "; boundary=\xff\xfe", f"; boundary={'x' * 300}", "; boundary=a\0b"]
)
def test_a_form_with_a_bad_edge_is_refused(edge: str, token: str) -> None:
    kind = f"multipart/form-data{edge}"
    check_refused(ask("POST", "/api/searches/", form(part("a")), CONTENT_TYPE=kind, HTTP_AUTHORIZATION=token))


@pytest.mark.parametrize("length", ["abc", "-5", "", "9" * 30, "1000000"])
def test_a_length_that_is_none_or_lies_is_no_failure(length: str, token: str) -> None:
    for kind, path in ((FORM, "/api/searches/"), (JSON, "/api/token/")):
        check_refused(ask("POST", path, b"{", CONTENT_TYPE=kind, CONTENT_LENGTH=length, HTTP_AUTHORIZATION=token))


def test_of_an_anonymous_body_nothing_is_read() -> None:
    for path, kind, length in (
        ("/api/token/", FORM, 10**6),
        ("/api/token/", JSON, 10**9),
        ("/api/searches/", FORM, 10**6),
        ("/api/searches/", FORM, 10**9),
        ("/login/", FORM, 10**9),
    ):
        status, _ = ask("POST", path, Unread(), CONTENT_TYPE=kind, CONTENT_LENGTH=str(length))
        assert status in (401, 403, 413, 415), path


def test_what_is_asked_for_by_other_names_is_refused(token: str, examiner: Any) -> None:
    search = done_search(examiner, scores=[0.9], threshold=0.8)
    for method in ("PUT", "DELETE", "TRACE", "BREW"):
        check_refused(ask(method, "/api/searches/", HTTP_AUTHORIZATION=token), 405)
        check_refused(ask(method, "/api/nothing/", HTTP_AUTHORIZATION=token), 404)
    for path in ("/api/a\nb/", "/api/\0/", "/api/marks/a\0b/thumbnail/", "/api/searches/not-a-uuid/", "/api/%/"):
        for method in ("GET", "POST"):
            check_refused(ask(method, path, HTTP_AUTHORIZATION=token), 404)
    for page in ("0", "-1", "x", "9" * 20, "9" * 5000, "1e3", "\u0663\u0663", "%00", ""):
        for path in (f"searches/{search.pk}/results/", "searches/"):
            asked = f"page={quote(page, safe='%')}"
            status, data = ask("GET", f"/api/{path}", QUERY_STRING=asked, HTTP_AUTHORIZATION=token)
            assert status == 200 or check_refused((status, data), 400, 404)


WORDS_IN_FILTERS = [
    "a\0b",
    "9" * 5000,
    "0000-00-00",
    "2024-02-30",
    "\ud800",
    "1e999",
    "x" * 10_000,
    ",".join("ab" * 999),
]


@pytest.mark.parametrize("field", ["nice", "jurisdiction", "status", "filed_from", "filed_to", "depth"])
def test_hostile_words_in_a_filter_are_refused(api: APIClient, token: str, field: str) -> None:
    image = part("image", pictures.encoded(pictures.mark(1)), file=True)
    for word in WORDS_IN_FILTERS:
        sent = word.encode("utf-8", "surrogatepass")
        possible = field in ("jurisdiction", "status") and len(word) < 25 and "\0" not in word
        body = form(image, part(field, sent))
        made = ask("POST", "/api/searches/", body, CONTENT_TYPE=FORM, HTTP_AUTHORIZATION=token)
        if not (possible and made[0] == 201):
            check_refused(made, 400)
        if field != "depth":
            answer = api.get("/api/concepts/", {"q": "a lion", field: sent})
            check_refused((answer.status_code, answer.content), *((400, 503) if possible else (400,)))


@pytest.mark.parametrize("accept", ["application/pdf", "image/webp", "text/html", "nonsense", "\xff", "a/b;q=x"])
def test_whatever_kind_is_asked_for_the_answer_comes(api: APIClient, examiner: Any, accept: str) -> None:
    search = done_search(examiner, scores=[0.9], threshold=0.8)
    assert api.get(f"/api/searches/{search.pk}/", HTTP_ACCEPT=accept).status_code == 200
    refused = api.get(f"/api/searches/{search.pk}/report/", HTTP_ACCEPT=accept)
    check_refused((refused.status_code, refused.content), 404)
    assert api.get("/api/schema/", HTTP_ACCEPT=accept).status_code == 200


def routes(resolver: Any = None, before: str = "/") -> Iterator[str]:
    """Every address, with something for each of its parameters."""
    for pattern in (resolver or get_resolver()).url_patterns:
        address = before + re.sub("<uuid:[^>]*>", str(uuid.UUID(int=0)), str(pattern.pattern))
        address = re.sub("<[^>]*>", "1", address)
        if isinstance(pattern, URLResolver):
            yield from routes(pattern, address)
        elif isinstance(pattern, URLPattern) and "^" not in address:
            yield address


def test_no_address_fails_on_hostile_queries_and_forms(administrator: Any) -> None:
    client = Client(raise_request_exception=False)
    client.force_login(administrator)
    hostile = "a\0b\ud800" + "9" * 400
    names = [
        "q",
        "page",
        "again",
        "of",
        "a",
        "b",
        "search",
        "next",
        "as",
        "nice",
        "filed_from",
        "top",
        "format",
        "kind",
    ]
    names += ["decision", "reason", "sure", "from", "username", "password", "o", "p", "e", "all", "_popup"]
    fields = {name: hostile.encode("utf-8", "surrogatepass") for name in names}
    found = sorted(address for address in set(routes()) if not address.startswith("/admin/"))
    assert len(found) > 30
    for address in found:
        for answer in (
            client.get(address, fields),
            client.post(address, fields),
            client.get(address, {"page": "9" * 5000}),
        ):
            # 503: what nobody is there to answer here.
            assert answer.status_code < 500 or answer.status_code == 503, address


NUMBERS = [
    "a/../b",
    "../x",
    "a/..",
    "a//b",
    "/a",
    "a/",
    "a/./b",
    "a?b",
    "a#b",
    "a%2Fb",
    "a%2e%2e",
    "a b",
    "é/ß",
    "a\\b",
    "a;b",
    "1+1",
]


def as_a_client_sends(address: str) -> str:
    """As browsers and libraries do: dot segments are resolved (RFC 3986, 5.2.4); the server decodes what is left."""
    return unquote_to_bytes(urljoin("http://x/", address).removeprefix("http://x")).decode("latin-1")


def test_a_number_of_any_letters_is_shown_and_toggled(token: str, examiner: Any, settings: Any, tmp_path: Any) -> None:
    settings.MEDIA_ROOT = tmp_path
    search = done_search(examiner, scores=[0.9] * len(NUMBERS), threshold=0.8)
    name, digest = media.mark_image_write(pictures.encoded(pictures.mark(1)), np.asarray(pictures.mark(1)))
    for n, number in enumerate(NUMBERS, 1):
        Mark.objects.filter(number=f"M{n}").update(number=number, image=name, image_sha256=digest)
    rows = json.loads(ask("GET", f"/api/searches/{search.pk}/results/", HTTP_AUTHORIZATION=token)[1])["results"]
    assert [row["mark"] for row in rows] == NUMBERS
    for row in rows:
        status, picture = ask("GET", as_a_client_sends(row["thumbnail"]), HTTP_AUTHORIZATION=token)
        assert status == 200 and picture[:4] == b"RIFF", row
        address = f"/api/searches/{search.pk}/results/{quote(row['mark'], safe='')}/"  # as results.js does
        status, told = ask(
            "PATCH", as_a_client_sends(address), b'{"selected": false}', CONTENT_TYPE=JSON, HTTP_AUTHORIZATION=token
        )
        assert status == 200 and json.loads(told)["mark"] == row["mark"]


@pytest.mark.parametrize("number", [".", "..", "a\x7fb", "a\u200bb", "a\0b"])
def test_a_number_that_cannot_stand_in_an_address_is_not_taken_in(number: str, tmp_path: Any) -> None:
    file = tmp_path / "marks.csv"
    file.write_text(f"number,name,image\n{number},x,x.png\n", encoding="utf-8")
    rows, problems = read_rows(tmp_path, file)
    assert not rows and len(problems) == 1 and problems[0].startswith("Line 2: ")


def test_a_reason_is_kept_without_what_no_database_can_hold(rf: Any) -> None:
    assert reason_given(rf.post("/", {"reason": " it was\0 better "})) == "it was better"
    assert reason_given(rf.post("/", {"reason": "\0"})) == "", "which is refused like no reason at all"
