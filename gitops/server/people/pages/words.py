"""Words and shapes of the pages: a state is told by its word, its shape and its colour, never by one alone. Pure.

state("Degraded")       # ("▲", "Degraded")
"""

from markupsafe import Markup

from gitops.server.people.guard.viewer import Viewer
from gitops.server.people.pictures.svg import element

SHAPES = {
    "Healthy": "●", "Progressing": "◐", "Degraded": "▲", "Suspended": "‖", "Missing": "✕", "Unknown": "○", "Wiped": "■",
    "Synced": "✓", "OutOfSync": "≠", "Pending": "◇", "Late": "◔",
    "critical": "▲", "high": "▲", "ended": "✕", "ends soon": "▲", "good": "●", "everywhere": "✓", "rolling out": "◐",
    "fetching": "◐", "staged": "◒", "waiting": "◷", "held": "‖", "failed": "▲",
}  # fmt: skip
NAVIGATION = (
    ("fleet", "/", "Fleet"), ("sites", "/sites", "Sites"), ("commits", "/commits", "Commits"),
    ("activity", "/activity", "Activity"), ("advisories", "/advisories", "Advisories"), ("keys", "/keys", "Keys"),
    ("audit", "/audit", "Audit"),
)  # fmt: skip
OF_SITES = ("fleet", "sites", "activity")
"""Pages for whoever may look at some sites alone: the others are of the whole fleet."""
OF_ADMINS = ("audit",)
UNITS = ((1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


def navigation(who: Viewer) -> tuple[tuple[str, str, str], ...]:
    """The pages that somebody may look at."""
    seen = (each for each in NAVIGATION if who.whole or (each[0] in OF_SITES and who.sites))
    return tuple(each for each in seen if each[0] not in OF_ADMINS or who.may("admin"))


def state(word: object) -> Markup:
    """A badge; the shape is not read aloud."""
    said = str(word)
    shape = element("span", SHAPES.get(said, "○"), class_="shape", aria_hidden="true")
    return element("span", shape, f" {said}", class_=f"state {said.replace(' ', '-')}")


def size(number: object) -> str:
    """Bytes, as people read them."""
    if not isinstance(number, int):
        return ""
    return next((f"{number / unit:.1f} {name}" for unit, name in UNITS if number >= unit), f"{number} B")
