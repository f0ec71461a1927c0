"""What a Dockerfile takes from outside: images that no stage and no sibling package makes. Pure.

In: the text, the build arguments. Out: each image from outside with its line, mistakes in words, and the same text with
other names for those images. Rules: `FROM`, `COPY --from` and `RUN --mount=from` name an earlier stage, a sibling (by a
build argument) or an image; an argument means what build.yml says, else the default of its `ARG`, as Docker has it;
what has a digest never moves; what a tag means, `images.lock` says. What buildah does not know (here-documents) is not
known here either: what is read is what is built.

    file = Dockerfile.parse(b"FROM debian:13 AS one\nFROM scratch\nCOPY --from=one / /\n", {})
    file.outside[0].image, file.outside[0].line              # ("debian:13", 1)
    file.renamed({"debian:13": "localhost/toweros:base-ab.."})
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from gitops.fleet.images.lockfile import DIGEST, NAME, TAG

SIBLING = "@lkt:pkg:"
PLATFORM = "linux/amd64"
BY_ITSELF = {
    **dict.fromkeys(("TARGETPLATFORM", "BUILDPLATFORM"), PLATFORM),
    **dict.fromkeys(("TARGETOS", "BUILDOS"), "linux"),
    **dict.fromkeys(("TARGETARCH", "BUILDARCH"), "amd64"),
}
"""Arguments that nobody need give (Dockerfile reference, "Automatic platform ARGs in the global scope")."""
_IMAGE = re.compile(rf"(?P<name>{NAME})(?::(?P<tag>{TAG}))?(?:@(?P<digest>{DIGEST}))?")
_VARIABLE = re.compile(r"\$(?:\{(\w+)(?::([-+])([^}]*))?\}|(\w+))")
_DIRECTIVE = re.compile(r"#\s*([a-z][a-z0-9]*)\s*=\s*(.+?)\s*", re.IGNORECASE)
_STRANGE = re.compile(r"[\x00-\x08\x0b-\x0c\x0e-\x1f]|\r(?!\n|\Z)")
_HERE = re.compile(r"\d*<<-?[^<]+")
_MOUNT = re.compile(r"--mount=(?:.*,)?from=([^,]+)(?:,.*)?")


@dataclass(frozen=True)
class Outside:
    """An image from outside, as it is written once arguments are filled in. `digest`: `sha256:HEX`, or nothing."""

    line: int
    image: str
    name: str = ""
    tag: str = ""
    digest: str = ""

    def pinned(self, pins: Mapping[str, str]) -> str:
        """The image by digest; empty: nobody says which one it is."""
        if self.digest:
            return self.image
        digest = pins.get(f"{self.name}:{self.tag}", "") if self.tag else ""
        return f"{self.image}@{digest}" if digest else ""


class Mistake(NamedTuple):
    """What is wrong in a line, and the fix."""

    line: int
    message: str
    hint: str


@dataclass(frozen=True)
class _Use:
    """Where an image from outside is named: lines `first` to `last`, counted from 0; `flag`: what `--from` or
    `--mount` says; else it is the image of a `FROM` with this end (`AS NAME`)."""

    first: int
    last: int
    image: str
    flag: str = ""
    end: str = ""


@dataclass
class Dockerfile:
    """See above. `outside` has each image once."""

    lines: list[str]
    outside: list[Outside] = field(default_factory=list)
    mistakes: list[Mistake] = field(default_factory=list)
    uses: list[_Use] = field(default_factory=list)
    mark: str = ""

    @classmethod
    def parse(cls, data: bytes, arguments: Mapping[str, str]) -> "Dockerfile":
        text = data.decode(errors="surrogateescape")
        file = cls(text.removeprefix("\ufeff").split("\n"), mark=text[:1] if text.startswith("\ufeff") else "")
        _Reader(file, arguments).read()
        return file

    def renamed(self, names: Mapping[str, str]) -> bytes:
        """The file with other names for images from outside; every instruction stays in its line."""
        lines = list(self.lines)
        for use in self.uses:
            new = names.get(use.image, use.image)
            if not use.flag:
                lines[use.first : use.last + 1] = [f"FROM {new}{use.end}", *[""] * (use.last - use.first)]
                continue
            for number in range(use.first, use.last + 1):
                if use.flag in lines[number] and not _is_comment(lines[number]):
                    lines[number] = lines[number].replace(use.flag, f"from={new}", 1)
                    break
        return (self.mark + "\n".join(lines)).encode(errors="surrogateescape")


class _Reader:
    """Reads a file once, from above."""

    def __init__(self, file: Dockerfile, arguments: Mapping[str, str]) -> None:
        self._file, self._given = file, arguments
        self._global = dict(BY_ITSELF)
        self._known = self._global
        self._stages: list[str] = []

    def read(self) -> None:
        self._refuse_ambiguous()
        for first, last, text in _instructions(self._file.lines):
            keyword, *words = text.split()
            match keyword.upper():
                case "ARG":
                    self._declare(words)
                case "FROM":
                    self._from(first, last, words)
                case "COPY" | "RUN" | "ADD":
                    self._flags(first, last, words)
                case "ONBUILD" if words[:1] and words[0].upper() in ("COPY", "RUN", "ADD"):
                    self._flags(first, last, words[1:])

    def _refuse_ambiguous(self) -> None:
        """What one builder reads so, and the other one otherwise: what is an instruction for one is none for us."""
        escape, where = _escape(self._file.lines)
        if where:
            self._note(where, "`# escape=` is known to some builders in line 1 alone", "make it the first line")
        for number, line in enumerate(self._file.lines):
            if _STRANGE.search(line + "\n"):
                self._note(number, "a control character is in this line", "take it out")
            if not _is_comment(line) and line.rstrip().endswith(2 * escape):
                self._note(number, f"`{2 * escape}` at the end goes on or not, as builders like", "write it otherwise")

    def _declare(self, words: list[str]) -> None:
        for word in words:
            name, equals, default = word.partition("=")
            if name in self._given:
                self._known[name] = self._given[name]
            elif equals:
                self._known[name] = self._filled(default.strip("\"'"))
            elif name in self._global:
                self._known[name] = self._global[name]

    def _from(self, first: int, last: int, words: list[str]) -> None:
        self._known = self._global  # what is declared inside a stage means nothing here
        flags = [word for word in words if word.startswith("--")]
        image, *rest = [word for word in words if not word.startswith("--")] or [""]
        if not image or rest[2:] or (rest and (len(rest) != 2 or rest[0].upper() != "AS")):
            self._note(first, "`FROM` is not understood", "write `FROM IMAGE` or `FROM IMAGE AS STAGE`")
            return
        wanted = self._filled(image)
        name = rest[1] if rest else ""
        if wanted != "scratch" and not self._is_stage(wanted) and (found := self._image(first, image, wanted)):
            self._platform(first, flags)
            self._file.uses.append(_Use(first, last, found, end=f" AS {name}" if name else ""))
        elif wanted != image and (wanted == "scratch" or self._is_stage(wanted)):
            # `build-${TARGETARCH}`: buildah has no such argument.
            self._file.uses.append(_Use(first, last, wanted, end=f" AS {name}" if name else ""))
        self._stages.append(name.lower())
        self._known = dict(BY_ITSELF)

    def _platform(self, line: int, flags: list[str]) -> None:
        for flag in flags:
            key, _, value = flag.partition("=")
            if key == "--platform" and self._filled(value) != PLATFORM:
                self._note(line, f"boxes are {PLATFORM}, and this asks for {value}", "leave `--platform` out")

    def _flags(self, first: int, last: int, words: list[str]) -> None:
        """What stands between an instruction and its own words. A stage is no stage for itself, but an image."""
        if any(map(_HERE.fullmatch, words)):
            self._note(first, "here-documents are not known to buildah", "put the text into a file")
        for word in words:
            if not word.startswith("--"):
                return
            if set(word) & set("\"'\\`"):
                self._note(first, f"{word} has quotes or escapes", "write the flag without them")
            written = word.removeprefix("--from=") if word.startswith("--from=") else ""
            if mount := _MOUNT.fullmatch(word):
                written = mount[1]
            wanted = self._filled(written)
            before = self._stages[:-1]
            if not written or wanted.lower() in filter(None, before) or wanted in map(str, range(len(before))):
                continue
            flag = f"from={written}"
            if not (found := self._image(first, written, wanted)):
                continue
            lines = self._file.lines[first : last + 1]
            if not any(flag in line and not _is_comment(line) for line in lines):
                self._note(first, f"the name of {found} goes on in the next line", "write it in one line")
            self._file.uses.append(_Use(first, last, found, flag=flag))

    def _is_stage(self, name: str) -> bool:
        return bool(name) and name.lower() in self._stages

    def _image(self, line: int, written: str, wanted: str) -> str:
        """An image from outside, noted; empty: it is a sibling, or it is not known which one it is."""
        if wanted.startswith(SIBLING) and wanted in self._given.values():
            return ""
        if open_ := _VARIABLE.search(wanted):
            name = open_[1] or open_[4]
            hint = f"add `ARG {name}`, and `{name}={SIBLING}../NAME` to buildArgs in build.yml"
            self._note(line, f"{written} is not given by a build argument", hint)
            return ""
        match = _IMAGE.fullmatch(wanted)
        if match is None:
            self._note(line, f"{wanted} is no name of an image", "write NAME:TAG, or NAME@sha256:DIGEST")
            return ""
        if all(each.image != wanted for each in self._file.outside):
            self._file.outside.append(
                Outside(line + 1, wanted, *(match[key] or "" for key in ("name", "tag", "digest")))
            )
        return wanted

    def _filled(self, text: str) -> str:
        """With arguments filled in; what is not known stays as it is."""

        def value(match: re.Match[str]) -> str:
            name, sign, other = match[1] or match[4], match[2], match[3] or ""
            known = self._known.get(name, "")
            if sign == "+":
                return other if known else ""
            return known or (other if sign else match[0])

        return _VARIABLE.sub(value, text)

    def _note(self, line: int, message: str, hint: str) -> None:
        self._file.mistakes.append(Mistake(line + 1, message, hint))


def _instructions(lines: list[str]) -> Iterator[tuple[int, int, str]]:
    """First and last line, and the text without its line ends; comments and empty lines inside do not count."""
    escape, _ = _escape(lines)
    goes_on = re.compile(rf"{re.escape(escape)}[ \t]*\r?$")
    first, parts = 0, list[str]()
    for number, line in enumerate(lines):
        if not line.strip() or _is_comment(line):
            continue
        first = first if parts else number
        parts.append(goes_on.sub("", line))
        if not goes_on.search(line):
            yield first, number, "".join(parts)
            parts = []
    if parts and "".join(parts).strip():
        yield first, len(lines) - 1, "".join(parts)


def _is_comment(line: str) -> bool:
    return line.lstrip().startswith("#")


def _escape(lines: list[str]) -> tuple[str, int]:
    """What makes a line go on in the next one, and where that is said, counted from 0: directives end with the first
    line that is none (Dockerfile reference, "Parser directives")."""
    for number, line in enumerate(lines):
        directive = _DIRECTIVE.fullmatch(line.strip())
        if directive is None:
            break
        if directive[1].lower() == "escape" and directive[2] in ("\\", "`"):
            return directive[2], number
    return "\\", 0
