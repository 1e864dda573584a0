"""Text of users and of files, as a terminal may get it."""

from __future__ import annotations

__all__ = ["printable"]


def printable(text: str) -> str:
    """Escape what a terminal would obey or hide: control characters, line breaks, changes of direction."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
