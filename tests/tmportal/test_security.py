"""Headers of every answer: what a page may load, and that nothing private is kept or shown to others."""

import re
from typing import Any

import pytest
from django.test import Client

from feedback.reports import report_make
from search import media
from search.services import preview_name
from tests import pictures
from tests.factories import done_search

pytestmark = pytest.mark.django_db
PUBLIC = ["/login/", "/api/health/", "/static/css/portal.css", "/static/no-such-file.css"]
PRIVATE = ["/", "/searches/", "/searches/{id}/", "/words/", "/words/shows/", "/api/words/?q=a",
           "/no-such-page/", "/tuning/", "/tuning/simulation/",
           "/admin/", "/api/searches/", "/api/searches/{id}/", "/api/searches/{id}/results/", "/api/schema/",
           "/api/searches/{id}/report/", "/api/nothing/"]  # fmt: skip


@pytest.fixture
def found(administrator: Any, settings: Any, tmp_path: Any) -> Any:
    """A reported search with its pictures on file."""
    settings.MEDIA_ROOT = tmp_path
    search = done_search(administrator, scores=[0.95, 0.4], threshold=0.8)
    media.write(preview_name(search.image), pictures.encoded(pictures.mark(1), "WEBP"))
    media.write(media.thumbnail_name("marks/M1"), pictures.encoded(pictures.mark(2), "WEBP"))
    report_make(search=search, user=administrator)
    return search


def listed(header: str) -> set[str]:
    return set(re.split(r",\s*", header))


@pytest.mark.parametrize("logged_in", [True, False])
def test_nothing_private_is_stored_by_a_browser_or_a_proxy(
    client: Client, found: Any, administrator: Any, logged_in: bool
) -> None:
    if logged_in:
        client.force_login(administrator)
    for address in PRIVATE:
        headers = client.get(address.format(id=found.pk)).headers
        assert {"private", "no-store"} <= listed(headers["Cache-Control"]), address
        assert {"Cookie", "Authorization"} <= listed(headers["Vary"]), address


def test_every_answer_says_what_it_may_load_and_who_may_embed_it(client: Client, found: Any) -> None:
    for address in [*PUBLIC, *PRIVATE, "/api/marks/M1/thumbnail/"]:
        headers = client.get(address.format(id=found.pk)).headers
        policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
        assert policy["style-src"] == policy["script-src"] == policy["default-src"] == "'self'", address
        assert headers["Cross-Origin-Resource-Policy"] == headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert headers["X-Content-Type-Options"] == "nosniff"


def test_a_picture_is_asked_for_again_and_not_sent_twice(client: Client, found: Any, administrator: Any) -> None:
    for address in ("/api/marks/M1/thumbnail/", f"/api/searches/{found.pk}/image/"):
        client.force_login(administrator)
        first = client.get(address)
        assert first.status_code == 200 and first.headers["Cache-Control"] == "private, no-cache"
        assert {"Cookie", "Authorization"} <= listed(first.headers["Vary"])
        known = {"if-none-match": first.headers["ETag"]}
        again = client.get(address, headers=known)
        assert again.status_code == 304 and not again.content
        client.logout()
        assert client.get(address, headers=known).status_code == 401


def test_no_page_has_a_style_in_its_markup(client: Client, found: Any, administrator: Any) -> None:
    client.force_login(administrator)
    pages = [
        "/",
        "/searches/",
        f"/searches/{found.pk}/",
        "/words/",
        "/words/shows/",
        "/tuning/",
        "/tuning/register/",
        "/login/",
    ]
    pages += [f"/tuning/parameter-sets/{found.parameter_set_id}/", "/tuning/simulation/", "/tuning/compare/"]
    for address in pages:
        answer = client.get(address, follow=True)
        assert answer.status_code == 200, address
        assert not re.search(r"<style|\sstyle\s*=", answer.content.decode()), address
