"""Whether a pattern of release tags leaves room for a version. Pure.

In: a pattern as `tags:` has it (fnmatch's `*`, `?`, `[...]`). Out: whether any name fits it and ends with a semantic
version (`gitops.source.versions` says which do). Rules: pattern and versions are walked side by side, letter by letter,
so the answer is exact and its cost is bounded by the pattern's length.

    room("v*")                # True
    room("release-only")      # False
"""

import fnmatch
import re
import string

_LETTERS = string.ascii_letters + string.digits + "".join(sorted({*string.punctuation, " "}))
"""All others behave like one of these."""
_PIECE = re.compile(r"\*|\?|\[!?\]?[^\]]*\]|.", re.DOTALL)
_NONZERO, _DIGIT, _WORD = "123456789", string.digits, string.ascii_letters + "-"
_Steps = list[tuple[str, tuple[str, ...]]]


def _number(name: str, *behind: tuple[str, tuple[str, ...]]) -> dict[str, _Steps]:
    """A number without zeros before it, and what may stand behind it."""
    begins: _Steps = [("0", (f"{name} zero",)), (_NONZERO, (name,))]
    return {f"{name} begins": begins, f"{name} zero": [*behind], name: [(_DIGIT, (name,)), *behind]}


_BEHIND = (("-", ("before begins",)), ("+", ("build begins",)))
_MORE = ((".", ("before begins",)), ("+", ("build begins",)))
_STEPS: dict[str, _Steps] = {
    "folder": [("/", ("folder", "name")), ("", ("folder",))],
    "name": [("/", ()), ("0", ("first zero",)), (_NONZERO, ("first",)), ("", ("name",))],
    **_number("first", (".", ("second begins",))),
    **_number("second", (".", ("third begins",))),
    **_number("third", *_BEHIND),
    "before begins": [("0", ("zero",)), (_NONZERO, ("digits",)), (_WORD, ("word",))],
    "zero": [(_DIGIT, ("zeros",)), (_WORD, ("word",)), *_MORE],
    "zeros": [(_DIGIT, ("zeros",)), (_WORD, ("word",))],
    "digits": [(_DIGIT, ("digits",)), (_WORD, ("word",)), *_MORE],
    "word": [(_DIGIT + _WORD, ("word",)), *_MORE],
    "build begins": [(_DIGIT + _WORD, ("build",))],
    "build": [(_DIGIT + _WORD, ("build",)), (".", ("build begins",))],
}
"""Where letters lead (none: all others); the first row counts. Folders, a name without digits, three numbers, words of
a pre-release, build metadata."""
LONGEST = 255
"""Characters of a name: what a ref in a file can have."""
_ENDS = {"third", "third zero", "zero", "digits", "word", "build"}
"""States in which a version is whole."""


def room(pattern: str) -> bool:
    """Whether some release tag fits."""
    if pattern.startswith("approved/"):
        return False  # what approves of a release is none
    pieces = _PIECE.findall(re.sub(r"\*+", "*", pattern))
    if sum(piece != "*" for piece in pieces) > LONGEST:
        return False
    letters = {*_LETTERS, *pattern}
    fits = [_fitting(piece, letters) for piece in pieces]
    at = _skipping(pieces, {(0, "folder"), (0, "name")})
    seen = set(at)
    while at:
        step = set()
        for index, state in at:
            if index == len(pieces):
                continue
            for letter in fits[index]:
                after = index if pieces[index] == "*" else index + 1
                step |= {(after, new) for new in _next(state, letter)}
        at = _skipping(pieces, step) - seen
        seen |= at
    return any(index == len(pieces) and state in _ENDS for index, state in seen)


def _fitting(piece: str, letters: set[str]) -> set[str]:
    if len(piece) == 1 and piece not in "*?":
        return {piece}
    fits = re.compile(fnmatch.translate("?" if piece == "*" else piece)).match
    return {letter for letter in letters if fits(letter)}


def _skipping(pieces: list[str], at: set[tuple[int, str]]) -> set[tuple[int, str]]:
    """With the places that are reached when a `*` takes nothing."""
    reached, left = set(at), list(at)
    while left:
        index, state = left.pop()
        after = (index + 1, state)
        if index < len(pieces) and pieces[index] == "*" and after not in reached:
            reached.add(after)
            left.append(after)
    return reached


def _next(state: str, letter: str) -> tuple[str, ...]:
    return next((states for letters, states in _STEPS[state] if letter in letters or not letters), ())
