"""How the image of a search was described, kept beside it: refining the search need not describe it again."""

import logging

from search import media
from search.models import Search
from search.retrieval.description import Description
from search.retrieval.description_file import pack, unpack

log = logging.getLogger(__name__)


def query_keep(search: Search, query: Description, descriptors_version: str) -> None:
    """A cache: where it cannot be written, the image is described again when somebody asks."""
    try:
        media.write_cache(_name(search), pack(query, descriptors_version))
    except OSError as error:
        log.warning("the description of search %s was not kept: %s", search.pk, error)


def query_kept(search: Search, descriptors_version: str) -> Description | None:
    """None where it was not kept, or made by other descriptors."""
    try:
        return unpack(media.read(_name(search)), descriptors_version)
    except OSError:
        return None


def _name(search: Search) -> str:
    return f"{search.image}.description"
