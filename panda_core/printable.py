"""Text that every reader takes, of names that may hold bytes which are none."""


def printable(text: str) -> str:
    """``text`` with "?" for each lone surrogate: what Python makes of a byte in a file's name that is no UTF-8.

    Neither UTF-8, nor a browser, nor JSON takes those, and one such name would lose all that is written with it.
    """
    return text.encode("utf-8", "replace").decode()
