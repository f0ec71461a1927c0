"""Globs over paths, as gitignore(5) writes them, in time that grows with the path and the pattern alone. Pure.

In: a pattern, a path of the fleet repo. Out: whether it covers the path. Rules: `*` and `?` stay in a folder, `[a-z]`
and `[!a-z]` are one letter of it, `{a,b}` is either, `\\` takes the next letter as it is; `**` as a whole part of the
pattern is any number of folders, none included. Other than in gitignore a pattern begins at the top, always: a rule on
`keys` is no rule on `pkg/x/keys`; and `!` at the beginning means itself.

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
    read = (tuple(_part(part) for part in each.strip("/").split("/")) for each in _branches(pattern))
    return Glob(tuple(read), below)


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
    if part == _ANY:
        return None
    # Between two stars the first place that fits is as good as any other: no way back is kept (re's atomic groups).
    first, *others = _pieces(part)
    *middle, last = others or [""]
    text = first + "".join(f"(?>.*?{piece})" for piece in middle if piece)
    return re.compile(text + (f".*{last}" if others else "") + r"\Z", re.DOTALL)


def _pieces(part: str) -> list[str]:
    """What stands between the stars, as regular expressions of a fixed length."""
    pieces, at = [""], 0
    while at < len(part):
        letter = part[at]
        klass = re.compile(r"\[([!^]?)(\]?(?:\\.|[^\]\\])*)\]").match(part, at) if letter == "[" else None
        if letter == "*":
            pieces += [""] if pieces[-1] or len(pieces) == 1 else []
        elif letter == "?":
            pieces[-1] += "."
        elif klass:
            inside = _class(klass[2])
            pieces[-1] += f"[{'^' * bool(klass[1])}{inside}]" if inside else "(?!)"
            at = klass.end() - 1
        elif letter == "\\" and at + 1 < len(part):
            at += 1
            pieces[-1] += re.escape(part[at])
        else:
            pieces[-1] += re.escape(letter)
        at += 1
    return pieces


def _class(inside: str) -> str:
    """The letters of a class: single ones, and ranges in order (one that runs backwards is its first letter)."""
    letters, at = list[str](), 0
    said = re.findall(r"\\(.)|(.)", inside, re.DOTALL)
    while at < len(said):
        escaped, plain = said[at]
        if plain != "-" and at + 2 < len(said) and said[at + 1][1] == "-":
            start, end = escaped or plain, said[at + 2][0] or said[at + 2][1]
            letters += [f"{re.escape(start)}-{re.escape(end)}"] if start <= end else [re.escape(start)]
            at += 3
        else:
            letters.append(re.escape(escaped or plain))
            at += 1
    return "".join(letters)
