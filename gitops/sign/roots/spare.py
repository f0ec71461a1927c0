"""Whether the fleet outlives a lost root key, and whether a new root can still be signed by enough.

In: the keys folder, a draft, the keys that somebody says are lost. Out: sentences, each with its way out. Rules: fewer
root keys than the threshold can tell no box of other keys, ever (TUF 5.3.4), so that is said while there are enough;
where copies of a key are is not known here, only that one lies in the folder.

    for risk in risks(settings.keys): print(risk.what, risk.fix)
    refuse_hopeless(folder, ["a1b2c3d4"])       # raises, before a draft is made that waits for ever
"""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tuf.api.metadata import Metadata, Root

from gitops.errors import SignError
from gitops.sign import keys
from gitops.sign.roots.reading import read

SHORT = 8
"""Hex digits of a key ID that are shown, and at least asked for."""
MORE = "`toweros keys rotate root --root-keys 3 --threshold 2`, or keys on several machines (docs/keys.md)"
LOST = "docs/lost.md: new keys in another folder, and new disks, site by site"


@dataclass(frozen=True)
class Risk:
    """What can go wrong with the root keys, and what to type or do."""

    what: str
    fix: str


def risks(folder: Path) -> list[Risk]:
    """What one lost or stolen root key would do; nothing of a folder that holds no root which can be read."""
    found: dict[int, bytes] = {}
    with contextlib.suppress(SignError, OSError, ValueError):
        found = keys.load_roots(folder)
    root = read(found[max(found)]) if found else None
    return [*_counted(root), *_here(folder)] if root else []


def _counted(root: Root) -> list[Risk]:
    have, needed = len(root.roles["root"].keyids), root.roles["root"].threshold
    if have == 1:
        return [
            Risk("root has one key: whoever loses it can tell no box of other keys, and each needs a new disk", MORE)
        ]
    if needed == 1:
        fix = "`toweros keys rotate root --threshold 2`"
        return [Risk(f"one of the {have} root keys signs alone: whoever steals one replaces every key", fix)]
    if needed == have:
        fix = f"`toweros keys rotate root` with `--root-keys {have + 1} --threshold {needed}`"
        return [Risk(f"all {have} root keys must sign: one that is lost, and no box can be told of other keys", fix)]
    return []


def _here(folder: Path) -> list[Risk]:
    """Keys in tokens are elsewhere: the file only names them."""
    places = sorted((folder / "root").glob("root-*.pem"))
    here = [path for path in places if path.is_file() and not _in_token(path)]
    if not here:
        return []
    what = f"{len(here)} root key{'s lie' if len(here) > 1 else ' lies'} on this machine, in {folder / 'root'}"
    return [Risk(what, "copy that folder to two places elsewhere, then remove it here (docs/keys.md)")]


def _in_token(path: Path) -> bool:
    with contextlib.suppress(SignError):
        return keys.held(path)
    return False


def refuse_hopeless(folder: Path, lost: Sequence[str]) -> None:
    """Nothing is begun that can never be signed by enough. `lost`: beginnings of key IDs, or whole ones.

    Raises:
        SignError: too few root keys are left, or one that is named is none, or several.
    """
    roots = keys.load_roots(folder)
    root = Metadata[Root].from_bytes(roots[max(roots)]).signed.roles["root"]
    gone = {_known(each, root.keyids) for each in lost}
    left = len(root.keyids) - len(gone)
    if left < root.threshold:
        left_words = f"{left} of {len(root.keyids)} root keys {'is' if left == 1 else 'are'} left"
        why = f"{left_words}, and {root.threshold} must sign: no new root can ever be signed by enough"
        raise SignError(why, hint=LOST)


def _known(name: str, keyids: Sequence[str]) -> str:
    found = [keyid for keyid in keyids if keyid.startswith(name.casefold())] if len(name) >= SHORT else []
    if len(found) != 1:
        hint = f"the root keys: {', '.join(sorted(keyid[:SHORT] for keyid in keyids))}"
        raise SignError(f"--lost {name}: {'several root keys begin' if found else 'no root key begins'} so", hint=hint)
    return found[0]


def outlook(draft: Metadata[Root], previous: Root) -> list[str]:
    """For each side that has not signed enough: how many of its keys may be lost before the draft is hopeless."""
    found = draft.signed.get_root_verification_result(previous, draft.signed_bytes, draft.signatures)
    return [
        _outlook(words, side.threshold - len(side.signed), sorted(keyid[:SHORT] for keyid in side.unsigned))
        for words, side in (("the root before", found.first), ("the new root", found.second))
        if not side.verified
    ]


def _outlook(words: str, needed: int, unsigned: list[str]) -> str:
    spare = len(unsigned) - needed
    which = f"{needed} more of {len(unsigned)} keys of {words} must sign ({', '.join(unsigned)})"
    lost = "a key of these" if spare == 0 else f"more than {spare} of these"
    many = "is" if spare == 0 else "are"
    return f"{which}; if {lost} {many} lost, this waits for ever: begin it again with --lost, which says so at once"
