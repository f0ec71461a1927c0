"""Words by which boxes are named, on the command line and on pages alike. Pure.

is_revision("v1.4.0@sha1:5c1e7aab...", "5c1e7aa")       # True
"""

COMMIT = 7
"""Letters of a commit's beginning, at least."""
SILENT = ("Missing", "Late", "Unknown")
NONE = "-"
"""A site, agent or kernel: of boxes that have none, or say none."""


def is_revision(shown: str, named: str) -> bool:
    """`shown`: `v1.4.0@sha1:5c1e...`; `named`: that, `v1.4.0`, or the beginning of `5c1e...`."""
    ref, _, commit = shown.partition("@sha1:")
    return named in (shown, ref) or (len(named) >= COMMIT and commit.startswith(named))
