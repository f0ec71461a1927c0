"""Globs over paths, as gitignore(5) writes them, in time that grows with the path and the pattern alone. Pure.

In: a pattern, a path of the fleet repo. Out: whether it covers the path. Rules: `*` and `?` stay in a folder, `[a-z]`
and `[!a-z]` are one letter of it, `[[:alpha:]]` too, `{a,b}` is either, `\\` takes the next letter as it is; `**` as a
whole part of the pattern is any number of folders, none included; of spaces at its end those behind a `\\` count. Other
than in gitignore a pattern begins at the top, always: a rule on `keys` is no rule on `pkg/x/keys`; `!` at the beginning
means itself, and a `/` at the end nothing.

    glob("boxes/site-[ab]/**").fullmatch("boxes/site-a/deep/x.yaml")     # True
    glob("keys").fullmatch("keys/allowed_signers")                       # True: below a folder of this name
    glob("keys", below=False).fullmatch("keys/allowed_signers")          # False
"""

import re
from dataclasses import dataclass
from functools import lru_cache

MAX_BRANCHES = 64
"""What braces may come to; beyond it they mean themselves."""
_ANY = "**"
_NAMED = re.compile(r"\[:([^]]*):\]")
_POSIX = {
    "alnum": "A-Za-z0-9", "alpha": "A-Za-z", "blank": " \\t", "cntrl": r"\x00-\x1f\x7f", "digit": "0-9",
    "graph": "!-~", "lower": "a-z", "print": " -~", "punct": r"!-/:-@\[-`{-~", "space": r" \t\n\v\f\r", "upper": "A-Z",
    "xdigit": "A-Fa-f0-9",
}  # fmt: skip
"""Of ASCII, as in Git; of another name no letter fits, and the pattern covers nothing."""


@dataclass(frozen=True)
class Glob:
    """A pattern, ready. `parts`: of each way to read its braces, a matcher for each folder (None: any number)."""

    parts: tuple[tuple[re.Pattern[str] | None, ...], ...]
    below: bool

    def fullmatch(self, path: str) -> bool:
        """Whether it covers a path; with `below`, also because a folder that it names leads there."""
        names = path.split("/")
        return any(self._fits(each, names) for each in self.parts)

    def _fits(self, parts: tuple[re.Pattern[str] | None, ...], names: list[str]) -> bool:
        # After how many names the pattern so far may have ended: never tried twice, so nothing grows by itself.
        ends = {0}
        for index, part in enumerate(parts):
            if part is None:
                last = index == len(parts) - 1
                ends = set(range(min(ends) + last, len(names) + 1))  # `a/**` is what is in a, not a itself
            else:
                ends = {end + 1 for end in ends if end < len(names) and part.match(names[end])}
            if not ends:
                return False
        return len(names) in ends or (self.below and bool(ends - {0}))


@lru_cache(maxsize=1024)
def glob(pattern: str, *, below: bool = True) -> Glob:
    """A pattern; with `below`, a folder that it names takes along all that is below it."""
    read = (tuple(_part(part) for part in _split(each.strip("/"))) for each in _branches(_trimmed(pattern)))
    return Glob(tuple(read), below)


def _trimmed(pattern: str) -> str:
    """Without spaces at the end, as gitignore has it."""
    bare = pattern.rstrip(" ")
    escapes = len(bare) - len(bare.rstrip("\\"))
    return bare + " " if escapes % 2 and bare != pattern else bare


def _split(pattern: str) -> list[str]:
    """Its parts: no `/` in a class divides it, and none is a letter of it."""
    parts, at, closed = [""], 0, True  # what nothing ended once is not looked for again
    while at < len(pattern):
        klass = _class(pattern, at) if pattern[at] == "[" and closed else None
        closed = closed and (klass is not None or pattern[at] != "[")
        end = klass[1] if klass else at + 1 + (pattern[at] == "\\")
        if pattern[at] == "/":
            parts.append("")
        else:
            parts[-1] += pattern[at:end]
        at = end
    return parts


def _branches(pattern: str) -> list[str]:
    """A pattern without braces for each way to choose."""
    done, waiting = list[str](), [pattern]
    while waiting:
        each = waiting.pop()
        found = re.search(r"(?<!\\)\{([^{}/]*,[^{}/]*)\}", each)
        if not found:
            done.append(each)
            continue
        waiting += [each[: found.start()] + word + each[found.end() :] for word in found[1].split(",")]
        if len(done) + len(waiting) > MAX_BRANCHES:
            return [pattern]
    return done


def _part(part: str) -> re.Pattern[str] | None:
    if part.startswith(_ANY) and not part.strip("*"):
        return None
    # Between two stars the first place that fits is as good as any other: no way back is kept (re's atomic groups).
    first, *others = _pieces(part)
    *middle, last = others or [""]
    text = first + "".join(f"(?>.*?{piece})" for piece in middle if piece)
    return re.compile(text + (f".*{last}" if others else "") + r"\Z", re.DOTALL)


def _pieces(part: str) -> list[str]:
    """What stands between the stars, as regular expressions of a fixed length."""
    pieces, at, closed = [""], 0, True
    while at < len(part):
        letter = part[at]
        klass = _class(part, at) if letter == "[" and closed else None
        closed = closed and (klass is not None or letter != "[")
        if letter == "*":
            pieces += [""] if pieces[-1] or len(pieces) == 1 else []
        elif letter == "?":
            pieces[-1] += "."
        elif klass:
            pieces[-1] += klass[0]
            at = klass[1] - 1
        elif letter == "\\" and at + 1 < len(part):
            at += 1
            pieces[-1] += re.escape(part[at])
        else:
            pieces[-1] += re.escape(letter)
        at += 1
    return pieces


def _class(pattern: str, at: int) -> tuple[str, int] | None:
    """The class that begins there, as a regular expression, and where it ends; None: nothing ends it.

    Letter by letter as Git's wildmatch.c goes: a range that runs backwards is its first letter, `-` may begin one.
    """
    here = at + 1 + (pattern[at + 1 : at + 2] in ("!", "^"))
    letters, before, first, unknown = list[str](), "", True, False
    while here < len(pattern):
        letter, after = pattern[here], pattern[here + 1 : here + 2]
        named = _NAMED.match(pattern, here)
        if letter == "]" and not first:
            negated = "^" * (pattern[at + 1] in "!^")
            return "(?!)" if unknown else f"[{negated}{''.join(letters)}]", here + 1
        first = False
        if named:
            letters.append(_POSIX.get(named[1], ""))
            unknown = unknown or named[1] not in _POSIX
            before, here = "", named.end()
        elif letter == "-" and before and after not in ("", "]"):
            here += 1 + (after == "\\")
            end = pattern[here : here + 1]
            letters += [f"{re.escape(before)}-{re.escape(end)}"] if before <= end else []
            before, here = "", here + 1
        else:
            here += letter == "\\"
            before = pattern[here : here + 1]
            letters.append(re.escape(before))
            here += 1
    return None
