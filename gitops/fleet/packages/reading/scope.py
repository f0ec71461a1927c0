"""What is known while a Dockerfile is read: arguments, stages, and what was found in each. Pure.

In: what the reader sees. Out: images from outside, mistakes, and what is to be written otherwise, each with its stage.
Rules: an argument means what build.yml says, else its default, as Docker has it; what a stage declares ends with it.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from gitops.fleet.images.lockfile import DIGEST, NAME, TAG

SIBLING = "@lkt:pkg:"
UNGIVEN = "is not given by a build argument"
PLATFORM = "linux/amd64"
BY_ITSELF = {
    **dict.fromkeys(("TARGETPLATFORM", "BUILDPLATFORM"), PLATFORM),
    **dict.fromkeys(("TARGETOS", "BUILDOS"), "linux"),
    **dict.fromkeys(("TARGETARCH", "BUILDARCH"), "amd64"),
    **dict.fromkeys(("TARGETVARIANT", "BUILDVARIANT"), ""),
}
"""Arguments that nobody need give (Dockerfile reference, "Automatic platform ARGs in the global scope")."""
_IMAGE = re.compile(rf"(?P<name>{NAME})(?::(?P<tag>{TAG}))?(?:@(?P<digest>{DIGEST}))?")
_VARIABLE = re.compile(r"\$(?:\{(\w+)(?:(:?)([-+])([^${}]*))?\}|(\w+))")
MAX_NESTED = 8
"""Defaults within defaults: `${A:-x:${B:-1}}`."""
SHELL = ("/bin/sh", "-c")
_ARGUMENT = re.compile(r"""(\w+)(?:=((?:[^\s"'\\]|\\.|"(?:[^"\\]|\\.)*"|'[^']*')*))?""")


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
class Use:
    """What is written otherwise: lines `first` to `last`, counted from 0. With `flag`, this text in them, else all of
    them. `new`: what is there then; or, with an image from outside, its new name between `new` and `end`."""

    first: int
    last: int
    new: str
    image: str = ""
    end: str = ""
    flag: str = ""
    stage: int = -1


@dataclass
class Stage:
    """What a stage is called, where it stands, which others it names; the shell of its steps. `starts`: as `Package`
    has it. `empty`: no file is in it so far."""

    name: str
    first: int
    needs: set[int]
    shell: tuple[str, ...] = SHELL
    starts: str = ""
    empty: bool = False


@dataclass
class Scope:
    """See above. `given`: arguments of build.yml. `chooses`: a stage is named by an argument of the platform. `moved`:
    stages with steps that earlier controllers built otherwise (a shell of their own, caches that were kept).
    `copies`: stage, line and source of what is taken from the build's own folder; `texts`: stage, place in that folder
    and content of here-documents that are files; `barren`: stage and line of a RUN where no program can be."""

    given: Mapping[str, str]
    stages: list[Stage] = field(default_factory=list)
    found: list[tuple[int, Outside]] = field(default_factory=list)
    wrong: list[tuple[int, Mistake]] = field(default_factory=list)
    uses: list[Use] = field(default_factory=list)
    chooses: bool = False
    moved: set[int] = field(default_factory=set)
    copies: list[tuple[int, int, str]] = field(default_factory=list)
    texts: list[tuple[int, str, str]] = field(default_factory=list)
    barren: list[tuple[int, int]] = field(default_factory=list)
    above: dict[str, str] = field(default_factory=lambda: dict(BY_ITSELF))
    known: dict[str, str] = field(default_factory=dict)
    set: dict[str, str] = field(default_factory=dict)

    @property
    def number(self) -> int:
        """Of this stage; -1 above the first."""
        return len(self.stages) - 1

    @property
    def shell(self) -> tuple[str, ...]:
        return self.stages[-1].shell if self.stages else SHELL

    def outside_stages(self) -> None:
        """What is declared inside of a stage means nothing in a FROM."""
        self.known = self.above

    def inside_stage(self) -> None:
        """A stage begins with nothing."""
        self.known, self.set = dict(BY_ITSELF), {}

    def declare(self, text: str) -> None:
        for name, default in pairs(text):
            if name in self.given:
                self.known[name] = self.given[name]
            elif default is not None:
                self.known[name] = self.filled(default.strip("\"'"))
            elif name in self.above:
                self.known[name] = self.above[name]

    def stage_of(self, name: str) -> list[int]:
        """The stages of a name so far."""
        return [number for number, stage in enumerate(self.stages) if name and stage.name.lower() == name.lower()]

    def image(self, line: int, written: str, wanted: str) -> str:
        """An image from outside, noted; empty: it is a sibling, or it is not known which one it is."""
        if wanted.startswith(SIBLING) and wanted in self.given.values():
            return ""
        if open_ := _VARIABLE.search(wanted):
            name = open_[1] or open_[5]
            hint = f"add `ARG {name}`, and `{name}={SIBLING}../NAME` to buildArgs in build.yml"
            self.note(line, f"{written} {UNGIVEN}", hint)
            return ""
        match = _IMAGE.fullmatch(wanted)
        if match is None:
            self.note(line, f"{wanted} is no name of an image", "write NAME:TAG, or NAME@sha256:DIGEST")
            return ""
        parts = (match[key] or "" for key in ("name", "tag", "digest"))
        self.found.append((self.number, Outside(line + 1, wanted, *parts)))
        return wanted

    def filled(self, text: str, more: Mapping[str, str] | None = None) -> str:
        """With arguments filled in; what is not known stays as it is."""
        known = {**self.known, **(more or {})}

        def value(match: re.Match[str]) -> str:
            name, colon, sign, other = match[1] or match[5], match[2], match[3], match[4] or ""
            there = bool(known.get(name)) if colon else name in known
            if sign == "+":
                return other if there else ""
            return known[name] if there else other if sign else match[0]

        for _ in range(MAX_NESTED):
            before, text = text, _VARIABLE.sub(value, text)
            if text == before:
                break
        return text

    def use(self, use: Use) -> None:
        self.uses.append(replace(use, stage=self.number))

    def note(self, line: int, message: str, hint: str) -> None:
        self.wrong.append((self.number, Mistake(line + 1, message, hint)))


def by_platform(written: str) -> bool:
    """Whether a name means something else on another platform."""
    return any((each[1] or each[5]) in BY_ITSELF for each in _VARIABLE.finditer(written))


def pairs(text: str) -> Iterator[tuple[str, str | None]]:
    """NAME or NAME=VALUE, as ARG has them."""
    for match in _ARGUMENT.finditer("".join(text.split(maxsplit=1)[1:])):
        yield match[1], match[2]
