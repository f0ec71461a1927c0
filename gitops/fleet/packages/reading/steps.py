"""Steps of a Dockerfile: RUN, COPY, ADD, and what a shell reads. Pure.

In: an instruction, the scope. Out: into the scope: what it takes from outside, its mistakes, and how it is written so
that each builder knows it. Rules: a here-document of RUN becomes the argument of the shell that it is for; so does what
is meant for another shell, for buildah forgets SHELL as soon as it has read it. One of COPY becomes a file of the
build's folder, called by its word; a shell has no part in it, so nothing is filled in.
"""

import json
import re
from collections.abc import Sequence

from gitops.fleet.packages.reading.flags import NO_NETWORK, URLS, judge
from gitops.fleet.packages.reading.instructions import Heredoc, Instruction, is_comment
from gitops.fleet.packages.reading.scope import SHELL, Scope, Use, by_platform

_SURROGATE = re.compile("[\0\ud800-\udfff]")
SHELLS = ("sh", "ash", "dash", "bash")
MAX_TEXT = 32 << 10
"""Bytes of a here-document: builders read lines of at most 64 KiB."""
TEXTS = ".here-documents"
"""Where a build finds the texts that COPY names."""
_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
_MOUNT = re.compile(r"--mount=(?:.*,)?from=([^,]+)(?:,.*)?")


class Steps:
    """Reads the instructions of stages."""

    def __init__(self, scope: Scope, lines: Sequence[str]) -> None:
        self._scope, self._lines = scope, lines

    def step(self, each: Instruction, keyword: str, words: list[str]) -> None:
        """RUN, COPY or ADD: its flags, what it gets from elsewhere, its here-documents."""
        flags = []
        for word in words:
            if not word.startswith("--"):
                break
            flags.append(word)
            self._flag(each, keyword, word)
        if keyword == each.keyword:
            self._fill(each, keyword, flags)
        if keyword == "ADD":
            self._add(each.first, words[len(flags) :])
        own = not any(flag.startswith("--from=") for flag in flags)
        if keyword != "RUN" and not each.heredocs and not each.open:
            self._copy(each.first, words[len(flags) :], own=own)
        if each.open:
            hint = "end it by a line with this word alone, or put the word into quotes"
            self._scope.note(each.first, f"the here-document `{each.open[0]}` does not end", hint)
        elif each.heredocs and keyword == each.keyword != "RUN":
            self._as_files(each, flags, own=own)
        elif each.heredocs:
            self._heredoc(each, keyword, flags)
        elif keyword == each.keyword == "RUN":
            self.by_shell(each, flags)

    def onbuild(self, each: Instruction) -> None:
        self._scope.note(each.first, "buildah leaves ONBUILD out", "write the step where it is to run")
        if each.words[:1] and each.words[0].upper() in ("COPY", "RUN", "ADD"):
            self.step(each, each.words[0].upper(), each.words[1:])

    def by_shell(self, each: Instruction, flags: list[str]) -> None:
        """buildah forgets SHELL as soon as it has read it: what is meant for another shell says so itself."""
        rest = _rest(each, flags)
        if rest and self._scope.shell != SHELL and exec_form(rest) is None:
            self._scope.moved.add(self._scope.number)
            self._as_words(each, flags, self._scope.shell, rest)

    def _flag(self, each: Instruction, keyword: str, word: str) -> None:
        if set(word) & set("\"'\\`"):
            self._scope.note(each.first, f"{word} has quotes or escapes", "write the flag without them")
            return
        message, hint, new, moved = judge(keyword, word)
        if moved:
            self._scope.moved.add(self._scope.number)
        if message:
            self._scope.note(each.first, message, hint)
        elif new is not None:
            self._scope.use(Use(each.first, each.last, new, flag=word))
            self._in_one_line(each, word, word)
        self._taken(each, word)

    def _taken(self, each: Instruction, word: str) -> None:
        """A stage or an image that a flag names. A stage is no stage for itself, but an image."""
        written = word.removeprefix("--from=") if word.startswith("--from=") else ""
        if mount := _MOUNT.fullmatch(word):
            written = mount[1]
        wanted = self._scope.filled(written)
        before = self._scope.number
        stages = [number for number in self._scope.stage_of(wanted) if number < before]
        if not stages and wanted.isascii() and wanted.isdecimal() and int(wanted[:9]) < before:
            stages = [int(wanted)]
        if stages or not written:
            for stage in self._scope.stages[-1:]:
                stage.needs.update(stages)
            self._scope.chooses |= by_platform(written)
            exact = wanted if wanted.isdecimal() or not stages else self._scope.stages[stages[-1]].name
            if exact != written:
                # buildah looks for stages before it fills in arguments, and by exact letters.
                flag = f"from={written}"
                self._in_one_line(each, flag, exact)
                self._scope.use(Use(each.first, each.last, f"from={exact}", flag=flag))
            return
        if found := self._scope.image(each.first, written, wanted):
            flag = f"from={written}"
            self._in_one_line(each, flag, found)
            self._scope.use(Use(each.first, each.last, "from=", found, flag=flag))

    def _in_one_line(self, each: Instruction, flag: str, name: str) -> None:
        lines = self._lines[each.first : each.last + 1]
        if not any(flag in line and not is_comment(line) for line in lines):
            self._scope.note(each.first, f"the name of {name} goes on in the next line", "write it in one line")

    def _fill(self, each: Instruction, keyword: str, flags: list[str]) -> None:
        """What nothing was put into has no program to run, unless a mount brings one."""
        for stage in self._scope.stages[-1:]:
            if keyword != "RUN":
                stage.empty = False
            elif stage.empty and not any(flag.startswith("--mount=") and "type=cache" not in flag for flag in flags):
                self._scope.barren.append((self._scope.number, each.first + 1))
                stage.empty = False

    def _add(self, line: int, words: list[str]) -> None:
        sources = exec_form(" ".join(words)) or words
        for source in sources[:-1]:
            filled = self._scope.filled(source.strip("\"'"), self._scope.set)
            if filled.lower().startswith(URLS):
                hint = "write `fetch URL sha256:DIGEST` into packages.in, and COPY fetched/NAME"
                self._scope.note(line, f"ADD gets {source} from elsewhere, and {NO_NETWORK}", hint)
            elif filled.startswith("$"):
                self._scope.note(line, f"ADD {source} may mean an address", "write COPY, which takes files alone")

    def _copy(self, line: int, words: list[str], *, own: bool) -> None:
        named = exec_form(" ".join(words)) or words
        self._scope.copies += [(self._scope.number, line + 1, source) for source in (named[:-1] if own else ())]

    def _heredoc(self, each: Instruction, keyword: str, flags: list[str]) -> None:
        """RUN gets its text as an argument of the shell, which every builder knows."""
        if keyword != "RUN" or each.keyword != "RUN":
            message = f"a here-document of {each.keyword} is not known to buildah"
            self._scope.note(each.first, message, "put the text into a file")
            return
        rest = _rest(each, flags)
        script = "".join([rest, *(f"\n{one.text}{one.name}" for one in each.heredocs), "\n"])
        shell = self._scope.shell
        if len(each.heredocs) == 1 and rest == each.heredocs[0].word and rest.startswith("<<"):
            text = each.heredocs[0].text
            script = re.sub("^\t+", "", text, flags=re.MULTILINE) if each.heredocs[0].tabs else text
            if script.startswith("#!"):
                shell = (*script.partition("\n")[0][2:].split(), "-c")
                if shell[0].rpartition("/")[2] not in SHELLS:
                    self._scope.note(
                        each.first, "a here-document for another program than a shell", "put it into a file"
                    )
        self._as_words(each, flags, shell, script)

    def _as_files(self, each: Instruction, flags: list[str], *, own: bool) -> None:
        """COPY and ADD get their texts as files of the build's folder."""
        rest = _rest(each, flags)
        for number, one in enumerate(each.heredocs):
            if wrong := _no_file(one, own=own):
                self._scope.note(each.first, *wrong)
                return
            text = re.sub("^\t+", "", one.text, flags=re.MULTILINE) if one.tabs else one.text
            place = f"{TEXTS}/{each.first + 1}-{number + 1}/{one.name}"
            self._scope.texts.append((self._scope.number, place, text))
            rest = rest.replace(one.word, place, 1)
        if rest.split()[-1].startswith(f"{TEXTS}/"):
            self._scope.note(each.first, f"{each.keyword} needs a destination", f"write `{each.keyword} <<EOF /PLACE`")
            return
        others = [word for word in rest.split() if not word.startswith(f"{TEXTS}/")]
        self._copy(each.first, others, own=True)
        self._scope.use(Use(each.first, each.last, " ".join([each.keyword, *flags, rest])))

    def _as_words(self, each: Instruction, flags: list[str], shell: tuple[str, ...], script: str) -> None:
        """An instruction for a shell, with the shell written out."""
        if len(script.encode(errors="surrogateescape")) > MAX_TEXT or _SURROGATE.search(script):
            self._scope.note(each.first, f"this is no text of at most {MAX_TEXT} bytes", "put it into a file")
            return
        words = [each.keyword, *flags, json.dumps([*shell, script], ensure_ascii=False)]
        self._scope.use(Use(each.first, each.last, " ".join(words)))


def _no_file(one: Heredoc, *, own: bool) -> tuple[str, str] | None:
    """Why a here-document of COPY cannot be a file, and the fix."""
    word = f"the here-document `{one.word}`"
    if not own:
        return f"{word} is in no other stage or image", "write it as a COPY of its own, without --from"
    if one.word[:1].isdigit() or not _FILE.fullmatch(one.name):
        return f"{word} is no name of a file", "call it by letters, digits, `.`, `_` and `-`, such as <<EOF"
    if "$" in one.text and not set(one.word) & set("\"'"):
        hint = "write the word in quotes (<<'EOF') where a `$` is meant as it is; what a shell fills in is for RUN"
        return f"{word} holds a `$`, which only some builders fill in", hint
    if _SURROGATE.search(one.text):
        return f"{word} is no text", "put it into a file"
    return None


def _rest(each: Instruction, flags: list[str]) -> str:
    """An instruction without its name and its flags."""
    return "".join(each.text.split(maxsplit=1 + len(flags))[1 + len(flags) :]).strip()


def exec_form(text: str) -> list[str] | None:
    """The exec form of an instruction; None: it is none."""
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, list) and all(isinstance(each, str) for each in value) else None
