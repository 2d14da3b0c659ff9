"""The page that says where the demonstration marks come from."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.iconify.package import NPM_NAME, Pack

_HEAD = """# Where the demonstration marks come from

**This is demonstration data.** The pictures are drawings of real brands from openly licensed icon packs,
rendered from the npm package `{package}` {version}. Everything else in `register.csv` (numbers, owners,
Nice classes, jurisdictions, statuses, filing dates) is **invented** by a program; it says nothing about
any real registration, application, owner or dispute.

**Trademarks belong to their owners.** The licences below are those of the drawings. They give no right in
the marks themselves, and neither does this project; no owner endorses it. The marks are here to show and
test the search.

| pack | author | licence | marks |
|---|---|---|---:|
"""

_TAIL = """
`register.csv` names the pack and icon of each mark (`source`) and its licence (`licence`). The pictures
were rendered at 256 px, on white or, where the mark itself is white, on dark, and reduced to few colours.
"""

# MIT and ISC ask that their text goes with every copy; CC0 asks nothing.
_TEXTS = {
    "MIT": """
## MIT

Copyright (c) {authors}

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without
limitation the rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of
the Software, and to permit persons to whom the Software is furnished to do so, subject to the following
conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial
portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT
LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO
EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN
AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE
OR OTHER DEALINGS IN THE SOFTWARE.
""",
    "ISC": """
## ISC

Copyright (c) {authors}

Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is
hereby granted, provided that the above copyright notice and this permission notice appear in all copies.

THE SOFTWARE IS PROVIDED "AS IS" AND THE AUTHOR DISCLAIMS ALL WARRANTIES WITH REGARD TO THIS SOFTWARE
INCLUDING ALL IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS. IN NO EVENT SHALL THE AUTHOR BE LIABLE FOR
ANY SPECIAL, DIRECT, INDIRECT, OR CONSEQUENTIAL DAMAGES OR ANY DAMAGES WHATSOEVER RESULTING FROM LOSS OF USE,
DATA OR PROFITS, WHETHER IN AN ACTION OF CONTRACT, NEGLIGENCE OR OTHER TORTIOUS ACTION, ARISING OUT OF OR IN
CONNECTION WITH THE USE OR PERFORMANCE OF THIS SOFTWARE.
""",
}


def licences_page(used: Mapping[str, int], packs: Mapping[str, Pack], version: str) -> str:
    """Markdown: one line per pack with author and licence as the pack gives them, then the texts."""
    lines = [
        f"| {packs[prefix].title} (`{prefix}`) | {_link(packs[prefix].author, packs[prefix].author_url)} "
        f"| {_link(packs[prefix].licence, packs[prefix].licence_url)} | {count} |\n"
        for prefix, count in sorted(used.items())
    ]
    total = f"| **all** | | | **{sum(used.values())}** |\n"
    page = _HEAD.format(package=NPM_NAME, version=version) + "".join(lines) + total + _TAIL
    for licence, text in _TEXTS.items():
        authors = sorted({packs[prefix].author for prefix in used if packs[prefix].licence == licence})
        if authors:
            page += text.format(authors=", ".join(authors))
    return page


def _link(text: str, url: str) -> str:
    return f"[{text}]({url})" if url else text
