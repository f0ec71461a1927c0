"""Where somebody goes after the login: a path of ours, and nowhere else. Pure.

way("/boxes/demo-1?refresh=30")     # as it is
way("//elsewhere.example/")         # "/"
"""

from urllib.parse import quote, urlsplit

LONGEST = 1000


def way(text: str) -> str:
    """What browsers take for an address of another host is the first page."""
    odd = len(text) > LONGEST or "\\" in text or not text.isascii() or not text.isprintable() or " " in text
    if odd or not text.startswith("/") or text.startswith(("//", "/login", "/logout")):
        return "/"
    try:
        parts = urlsplit(text)
    except ValueError:
        return "/"
    return text if not parts.scheme and not parts.netloc else "/"


def login(path: str) -> str:
    """The login that leads back to a path."""
    return f"/login?next={quote(path, safe='')}" if path != "/" else "/login"
