"""What a Dockerfile takes from outside: images that no stage and no sibling package makes. Pure.

In: the text, the build arguments. Out: each image from outside with its line, mistakes in words, and the same text with
other names for those images. Rules: `FROM`, `COPY --from` and `RUN --mount=from` name an earlier stage, a sibling (by a
build argument) or an image; an argument means what build.yml says, else the default of its `ARG`, as Docker has it;
what has a digest never moves; what a tag means, `images.lock` says. A stage that only another platform takes
(`FROM build-${TARGETARCH}`) is not built, so it takes nothing. What one builder does not know, and what means one thing
all the same (a here-document, `--link`, a cache), is written as both know it: what is read is what is built.

    file = Dockerfile.parse(b"FROM debian:13 AS one\nFROM scratch\nCOPY --from=one / /\n", {})
    file.outside[0].image, file.outside[0].line              # ("debian:13", 1)
    file.renamed({"debian:13": "localhost/toweros:base-ab.."})
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from gitops.fleet.documents.explain import did_you_mean
from gitops.fleet.packages.reading.instructions import Instruction, Instructions, escape_of, is_comment
from gitops.fleet.packages.reading.scope import (
    PLATFORM,
    SIBLING,
    UNGIVEN,
    Mistake,
    Outside,
    Scope,
    Stage,
    Use,
    by_platform,
    pairs,
)
from gitops.fleet.packages.reading.steps import Steps, exec_form

__all__ = ["SIBLING", "UNGIVEN", "Dockerfile", "Mistake", "Outside"]

KEYWORDS = (
    *("ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "MAINTAINER"),
    *("ONBUILD", "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"),
)
WITH_WORDS = ("ADD", "COPY", "ENV", "EXPOSE", "LABEL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR")
_PART = re.compile(r"(?<!\\)\$\{\w+(?!\w|\}|:[-+])[^}]*\}?")
"""A part of a value (`${A%.gz}`), which a shell knows, and BuildKit, and buildah in a RUN alone."""
_COMMAND = re.compile(r"org\.mobyproject\.config.*command")
_STRANGE = re.compile(r"[\x00-\x08\x0b-\x0c\x0e-\x1f]|\r(?!\n|\Z)")


@dataclass
class Dockerfile:
    """See above. `outside` has each image once; `starts` is what the last stage runs, as `Package` has it;
    `moved`: whether what is built has steps that earlier controllers built otherwise; `copies`: line and source of what
    is taken from the build's folder; `texts`: what that folder must have besides, by its place;
    `barren`: lines of a RUN in a stage where no program is."""

    lines: list[str]
    outside: list[Outside] = field(default_factory=list)
    mistakes: list[Mistake] = field(default_factory=list)
    uses: list[Use] = field(default_factory=list)
    mark: str = ""
    starts: str = ""
    moved: bool = False
    copies: list[tuple[int, str]] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)
    barren: list[int] = field(default_factory=list)

    @classmethod
    def parse(cls, data: bytes, arguments: Mapping[str, str]) -> "Dockerfile":
        text = data.decode(errors="surrogateescape")
        file = cls(text.removeprefix("\ufeff").split("\n"), mark=text[:1] if text.startswith("\ufeff") else "")
        _Reader(file, arguments).read()
        return file

    def renamed(self, names: Mapping[str, str]) -> bytes:
        """The file with other names for images from outside; every instruction stays in its line."""
        lines = list(self.lines)
        for use in sorted(self.uses, key=lambda use: bool(use.flag)):
            new = f"{use.new}{names.get(use.image, use.image)}{use.end}"
            if not use.flag:
                lines[use.first : use.last + 1] = [new, *[""] * (use.last - use.first)]
                continue
            for number in range(use.first, use.last + 1):
                if use.flag in lines[number] and not is_comment(lines[number]):
                    lines[number] = lines[number].replace(use.flag, new, 1)
                    break
        return (self.mark + "\n".join(lines)).encode(errors="surrogateescape")


class _Reader:
    """Reads a file once, from above."""

    def __init__(self, file: Dockerfile, arguments: Mapping[str, str]) -> None:
        self._file, self._scope = file, Scope(arguments)
        self._scope.outside_stages()
        self._steps = Steps(self._scope, file.lines)

    def read(self) -> None:
        instructions = Instructions(self._file.lines)
        for each in instructions:
            self._refuse_parts(each)
            match each.keyword:
                case "ARG":
                    self._scope.declare(each.text)
                case "ENV":
                    self._scope.set |= {name: value for name, value in pairs(each.text) if value is not None}
                case "SHELL":
                    self._shell(each)
                case "FROM":
                    self._from(each)
                case "CMD" | "ENTRYPOINT" | "LABEL":
                    self._starts(each)
                case "COPY" | "RUN" | "ADD":
                    self._steps.step(each, each.keyword, each.words)
                case "ONBUILD":
                    self._steps.onbuild(each)
        self._refuse_ambiguous(instructions.texts)
        if not self._file.mistakes and not any(each.open for each in instructions):
            # Else it is not known where instructions begin.
            self._refuse_unknown(instructions)
        self._keep(self._needed())
        self._file.starts = self._scope.stages[-1].starts if self._scope.stages else ""

    def _needed(self) -> set[int]:
        """The last stage and all that it stands on; -1 is what stands above the first. Every stage, unless the file
        chooses among them by the platform: what nobody takes at all is still what somebody wrote down."""
        everything = set(range(-1, len(self._scope.stages)))
        needed, todo = {-1}, [self._scope.number]
        while todo:
            stage = todo.pop()
            if stage not in needed:
                needed.add(stage)
                todo += self._scope.stages[stage].needs
        return needed if self._scope.chooses else everything

    def _keep(self, needed: set[int]) -> None:
        """What is not built says nothing; an empty stage stays, so that numbers of stages mean what they meant."""
        file = self._file
        file.moved = bool(self._scope.moved & needed)
        file.copies = [(line, source) for stage, line, source in self._scope.copies if stage in needed]
        file.texts = {place: text for stage, place, text in self._scope.texts if stage in needed}
        file.barren = [line for stage, line in self._scope.barren if stage in needed]
        file.uses = [use for use in self._scope.uses if use.stage in needed]
        file.mistakes += [mistake for stage, mistake in self._scope.wrong if stage in needed]
        for _, outside in (each for each in self._scope.found if each[0] in needed):
            if all(each.image != outside.image for each in file.outside):
                file.outside.append(outside)
        ends = [*(stage.first for stage in self._scope.stages[1:]), len(file.lines)]
        for number, stage in enumerate(self._scope.stages):
            if number not in needed:
                name = f" AS {stage.name}" if stage.name else ""
                file.uses.append(Use(stage.first, ends[number] - 1, f"FROM scratch{name}"))

    def _refuse_parts(self, each: Instruction) -> None:
        """Where no shell fills arguments in."""
        text = re.sub("'[^']*'", "", each.text) if each.keyword in (*WITH_WORDS, "ARG") else ""
        if part := _PART.search(text):
            hint = "write ${NAME}, ${NAME:-WORD} or ${NAME:+WORD}, or do it in a RUN"
            self._scope.note(each.first, f"`{part[0][:80]}` is not known to buildah", hint)

    def _refuse_ambiguous(self, texts: set[int]) -> None:
        """What one builder reads so, and the other one otherwise: what is an instruction for one is none for us."""
        escape, where = escape_of(self._file.lines)
        if where:
            self._always(where, "`# escape=` is known to some builders in line 1 alone", "make it the first line")
        for number, line in enumerate(self._file.lines):
            if number in texts:
                continue
            if _STRANGE.search(line + "\n"):
                self._always(number, "a control character is in this line", "take it out")
            if not is_comment(line) and line.rstrip().endswith(2 * escape):
                self._always(
                    number, f"`{2 * escape}` at the end goes on or not, as builders like", "write it otherwise"
                )

    def _refuse_unknown(self, instructions: Iterable[Instruction]) -> None:
        """What no builder takes for a Dockerfile."""
        for each in instructions:
            if each.keyword not in KEYWORDS:
                hint = did_you_mean(each.keyword, KEYWORDS) or "see the Dockerfile reference"
                self._always(each.first, f"`{each.keyword[:40]}` is no instruction", hint)
            elif each.keyword in WITH_WORDS and not each.words:
                self._always(each.first, f"{each.keyword} says nothing", "write what it is, or delete the line")
            elif each.keyword in ("ADD", "COPY") and not each.heredocs and _alone(each):
                hint = f"write `{each.keyword} FILE /PLACE`"
                self._always(each.first, f"{each.keyword} needs a source and a destination", hint)
            elif each.keyword in ("CMD", "ENTRYPOINT") and " ".join(each.words).startswith("['"):
                self._always(each.first, "a list in single quotes is a text for the shell", 'write ["PROGRAM", "WORD"]')
        if not self._scope.stages:
            self._always(0, "no stage begins here", "write `FROM IMAGE@sha256:...`, or `FROM scratch`")

    def _starts(self, each: Instruction) -> None:
        """An empty one takes back what stood before it, and which of the two that was is not kept. LinuxKit's label may
        name a command, too (docs/yaml.md)."""
        if each.keyword != "LABEL":
            self._steps.by_shell(each, [])
        if not self._scope.stages or (each.keyword == "LABEL" and not _COMMAND.search(each.text)):
            return
        stage, empty = self._scope.stages[-1], not each.words or exec_form(" ".join(each.words)) == []
        stage.starts = "named" if not empty else stage.starts if stage.starts == "nothing" else ""

    def _shell(self, each: Instruction) -> None:
        words = exec_form(each.text.split(maxsplit=1)[1]) if each.words else None
        if words and self._scope.stages:
            self._scope.stages[-1].shell = tuple(words)

    def _from(self, each: Instruction) -> None:
        self._scope.outside_stages()
        flags = [word for word in each.words if word.startswith("--")]
        image, *rest = [word for word in each.words if not word.startswith("--")] or [""]
        wanted = self._scope.filled(image)
        name = rest[1] if len(rest) == 2 else ""
        below = self._scope.stage_of(wanted)
        stage = Stage(name, each.first, set(below[-1:]), starts=_starts_of(wanted), empty=wanted == "scratch")
        if below:
            lower = self._scope.stages[below[-1]]
            stage.shell, stage.starts, stage.empty = lower.shell, lower.starts, lower.empty
        self._scope.stages.append(stage)
        if not image or rest[2:] or (rest and (len(rest) != 2 or rest[0].upper() != "AS")):
            self._scope.note(each.first, "`FROM` is not understood", "write `FROM IMAGE` or `FROM IMAGE AS STAGE`")
            return
        end = f" AS {name}" if name else ""
        ours = wanted == "scratch" or bool(below)
        self._scope.chooses |= bool(below) and by_platform(image)
        if not ours and (found := self._scope.image(each.first, image, wanted)):
            self._platform(each.first, flags)
            self._scope.use(Use(each.first, each.last, "FROM ", found, end))
        elif ours and image != (exact := self._scope.stages[below[-1]].name if below else wanted):
            # `build-${TARGETARCH}`: buildah has no such argument; and for it letters are large or small.
            self._scope.use(Use(each.first, each.last, f"FROM {exact}{end}"))
        self._scope.inside_stage()

    def _platform(self, line: int, flags: list[str]) -> None:
        for flag in flags:
            key, _, value = flag.partition("=")
            if key == "--platform" and self._scope.filled(value) != PLATFORM:
                self._scope.note(line, f"boxes are {PLATFORM}, and this asks for {value}", "leave `--platform` out")

    def _always(self, line: int, message: str, hint: str) -> None:
        self._file.mistakes.append(Mistake(line + 1, message, hint))


def _starts_of(base: str) -> str:
    """What a stage runs that says nothing, by what it begins with."""
    return "nothing" if base == "scratch" else base if base.startswith(SIBLING) else ""


def _alone(each: Instruction) -> bool:
    """Whether one thing is named where two are needed."""
    named = [word for word in each.words if not word.startswith("--")]
    return len(exec_form(" ".join(named)) or named) == 1
