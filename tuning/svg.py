"""One way to write SVG: a function per element that escapes everything it is given."""

from django.utils.html import conditional_escape, format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

__all__ = ["node", "words"]


def node(name: str, *content: str, cls: str = "", **attributes: object) -> SafeString:
    """`<name attributes>content</name>`; None leaves an attribute out, numbers get one decimal.

    Underscores in attribute names become hyphens (text_anchor); content that is not SafeString is escaped.
    """
    pairs = [("class", cls)] if cls else []
    for key, value in attributes.items():
        if value is not None:
            pairs.append((key.replace("_", "-"), f"{value:.1f}" if isinstance(value, float) else str(value)))
    inside = mark_safe("".join(conditional_escape(part) for part in content))  # noqa: S308  each part is escaped
    return format_html("<{}{}>{}</{}>", name, format_html_join("", ' {}="{}"', pairs), inside, name)


def words(x: float, y: float, text: str, *, cls: str = "", anchor: str = "middle", **attributes: object) -> SafeString:
    """A line of text."""
    return node("text", text, cls=cls, x=x, y=y, text_anchor=anchor, **attributes)
