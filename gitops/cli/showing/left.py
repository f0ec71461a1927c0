"""What a verb that was interrupted has left behind, where something is.

In: the words that were typed. Out: a sentence; empty: nothing is left, or nothing that somebody must know. Rules: only
what holds at whatever moment it was interrupted is said.

    left(["box", "image", "demo-1", "--out", "x.img"])      # "the image is whole, or what was there before; ..."
"""

from collections.abc import Mapping, Sequence

IMAGE = (
    "the image is whole, or what was there before; packages that were built for it are kept: the same command goes on"
)
LEFT: Mapping[str, str] = {
    "apply": "boxes are offered whole releases alone; what was built is kept, and `toweros apply` goes on from there",
    "run": "boxes are offered whole releases alone; what was built is kept, and `toweros run` goes on from there",
    "build": "packages that were done are in the store, and not built again: the same command goes on with the others",
    "image import": "images that were taken are in the store: the same command takes the others",
    "image": IMAGE,
    "box image": IMAGE,
    "lock": "each lock file is whole, or what it was: `git diff` says which were written",
    "backup": "the file has its name only when it is whole: none was written",
    "restore": "where it had begun to change the state, every verb says so until it was run again: run it again",
    "keys rotate": "a root that was begun is finished by any of `toweros keys rotate`, `renew`, `import`",
    "upgrade": "the fleet repo is as `git status` says: nothing was pushed",
}
"""Verb -> what to know."""
WATCHES = frozenset(("-w", "--watch", "-f", "--follow"))
"""Who watches ends it by Ctrl-C: that is no news."""


def left(words: Sequence[str]) -> str:
    """Of the verb that these words name."""
    named = [word for word in words if not word.startswith("-")]
    return LEFT.get(" ".join(named[:2])) or LEFT.get(" ".join(named[:1]), "")


def watched(words: Sequence[str]) -> bool:
    """Whether it was to be ended so."""
    return bool(WATCHES & {*words})
