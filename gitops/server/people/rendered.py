"""Small pages that the server makes itself: the login, an account, what went wrong.

rendered = Rendered()
rendered.page("problem.html", status=404, why="...", who=viewer)
"""

import time
from typing import Any

from gitops.review.words import moment
from gitops.server.people.pages.making import environment
from gitops.server.people.pages.words import navigation

POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# `same-origin`: with `no-referrer`, browsers send our own forms with `Origin: null`.
HEADERS = {"content-security-policy": POLICY, "cache-control": "no-store", "referrer-policy": "same-origin"}


class Rendered:
    """The templates, loaded once."""

    headers = HEADERS

    def __init__(self) -> None:
        self._env = environment()

    def page(self, template: str, /, **values: Any) -> str:
        """A template with what every page has."""
        said = {"navigation": navigation(values["who"]), "now": int(time.time()), "document": "", "moment": moment}
        return self._env.get_template(template).render(said | values)
