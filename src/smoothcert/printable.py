"""Text of users and of files, as a terminal may get it."""

from __future__ import annotations

__all__ = ["printable"]


def printable(text: str) -> str:
    r"""Write what a terminal would obey or hide as escapes: control characters, line breaks, changes of direction.

    Parameters
    ----------
    text : str
        Anything, such as a path or a name that a file holds.

    Returns
    -------
    str
        One line that can be encoded.

    Examples
    --------
    >>> printable("runs/base"), printable("a\x1b[2Jb\n\udcff")
    ('runs/base', 'a\\x1b[2Jb\\n\\udcff')
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
