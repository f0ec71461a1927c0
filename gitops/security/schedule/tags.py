"""Which moved tags of images may be offered, and in what words. Pure.

In: moves of tags (`Move("web.example/nginx:1.27", "sha256:..", "sha256:..")`), what is remembered. Out: those that go,
and a reason for each other one; a message. Rules: digests have no order, so a tag that is back at what was here before
moves nothing: nobody can tell a publisher's retreat from a replay; what an image fixes is not known, so `severities`
keep none back, and they soak as what is `unknown`.

    chosen = choose_tags(moves, facts)
    message(chosen.go, {"web.example/nginx:1.27": "ada.pub"})
"""

from collections.abc import Iterable, Mapping, Sequence

from gitops.model import sha256
from gitops.model.updates.patching import Move
from gitops.security.schedule.choice import Chosen, Facts, Update, key_of

BACK = "the tag went back to what was here before"
NAME = 60
"""Characters of an image in the name of a branch."""


def choose_tags(moves: Iterable[Move], facts: Facts) -> Chosen:
    """Every move is in one of both."""
    every = tuple(moves)
    back = [move for move in every if _went_back(move, facts.seen)]
    return Chosen(tuple(Update(move) for move in every if move not in back), tuple((move, BACK) for move in back))


def message(updates: Sequence[Update], signers: Mapping[str, str]) -> str:
    """The whole commit message. `signers`: whose key signed it, by the move's source."""
    body = [line for update in updates for line in _lines(update.move, signers.get(update.move.source, ""))]
    return "\n".join([_subject([update.move for update in updates]), "", *body, ""])


def parcel_name(reference: str) -> str:
    """The end of a branch's name, which Git takes and no other image has."""
    letters = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in reference)
    return f"image-{letters[-NAME:].strip('-')}-{sha256(reference.encode())[:6]}"


def short(digest: str) -> str:
    """`sha256:` and twelve digits."""
    return digest[: len("sha256:") + 12]


def _subject(moves: Sequence[Move]) -> str:
    if len(moves) > 1:
        return f"images: {len(moves)} tags moved"
    (move,) = moves
    name, _, tag = move.source.rpartition(":")
    return f"images: {name} {tag} {', '.join(map(short, _digests(move.old)))} -> {short(move.new)}"


def _lines(move: Move, signer: str) -> Iterable[str]:
    yield move.source
    yield from (f"  from {digest}" for digest in _digests(move.old))
    yield f"  to {move.new}"
    yield f"  signed by {signer}" if signer else "  nobody's signature is asked for"


def _went_back(move: Move, seen: Mapping[str, int]) -> bool:
    """It was known before one of those that are here came."""
    since, old = seen.get(key_of(move)), _digests(move.old)
    times = [seen[key] for digest in old if (key := f"{move.source} {digest}") in seen]
    return move.new not in old and since is not None and any(since < time for time in times)


def _digests(words: str) -> list[str]:
    return [word for word in words.split(", ") if word]
