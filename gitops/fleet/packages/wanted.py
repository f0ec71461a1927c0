"""`packages.in`: what a package is made from, as people ask for it.

    # an SSH server, a card that needs firmware, a vendor's tool, a file that no distribution has
    components non-free-firmware
    source vendor https://packages.example/apt stable main     # signed by keys/apt/vendor.asc
    deb openssh-server firmware-misc-nonfree tool@vendor
    assume init-system-helpers
    wheel tuf==7.0.1
    fetch https://files.example/modem-1.2.bin sha256:9f86... as modem.bin

Rules: `deb` takes dependencies along (no recommends), `assume` says what is there already, `rootfs VARIANT` asks for a
whole root by mmdebstrap. Of a `source`, only what is named `NAME@SOURCE` is taken, whatever else it has. A `fetch` is
the file of that SHA-256 and no other, so it never moves by itself; a build finds it as `fetched/NAME`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from gitops.errors import Problem
from gitops.fleet.documents.explain import did_you_mean

VARIANTS = ("extract", "custom", "essential", "minbase")
MAIN = "main"
COMPONENTS = (MAIN, "contrib", "non-free", "non-free-firmware")
"""Debian's own (Debian policy 2.2)."""
KEYS = "keys/apt"
URL = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~%+:=,-]+)*/?")
ADDRESS = re.compile(URL.pattern + r"(\?[A-Za-z0-9._~%+:=,&/-]+)?")
FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+~-]{0,99}")
DEB = re.compile(r"[a-z0-9][a-z0-9+.-]+")
"""A name of a Debian package (Debian policy 5.6.1)."""
WHEEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9.+!-]+")
_EXTRA = re.compile(r"([a-z0-9][a-z0-9+.-]+)@([a-z0-9][a-z0-9-]{0,62})")
_SOURCE = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_SUITE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*")
_COMPONENT = re.compile(r"[a-z0-9][a-z0-9-]*")
_SHA256 = re.compile(r"sha256:([0-9a-f]{64})")
_SIMPLE = {"assume": DEB, "wheel": WHEEL, "rootfs": re.compile("|".join(VARIANTS))}
_HINT = "write `deb NAME`, `assume NAME...`, `wheel NAME==VERSION`, `rootfs VARIANT`, `components`, `source` or `fetch`"
_AS_SOURCE = "write `source NAME URL SUITE COMPONENT...`, the URL by http or https and without a password"
_AS_FETCH = "write `fetch URL sha256:HEX [as NAME]`, the URL by http or https and without a password"


@dataclass(frozen=True)
class Source:
    """Somebody's repository of Debian packages, whose index must be signed by the key in `keys/apt/NAME.asc`."""

    name: str
    url: str
    suite: str
    components: tuple[str, ...]

    @property
    def key(self) -> str:
        """Where its key is in the fleet repo."""
        return f"{KEYS}/{self.name}.asc"


@dataclass(frozen=True)
class Fetch:
    """One file by digest, and where it was seen."""

    name: str
    url: str
    sha256: str


@dataclass(frozen=True)
class Wanted:
    """What packages.in asks for. `extra` are the packages of sources, by name; `lines` says where each name stands."""

    debs: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()
    wheels: tuple[str, ...] = ()
    rootfs: str = ""
    components: tuple[str, ...] = (MAIN,)
    sources: tuple[Source, ...] = ()
    extra: tuple[tuple[str, str], ...] = ()
    fetches: tuple[Fetch, ...] = ()
    lines: tuple[tuple[str, int], ...] = ()

    def line(self, name: str) -> int:
        """Where a name stands; 1 when it does not."""
        return dict(reversed(self.lines)).get(name, 1)


def parse_wanted(data: bytes, file: str, problems: list[Problem]) -> Wanted:
    """Read a packages.in."""
    reader = _Reader(file, problems)
    for number, (kind, *words) in rows(data):
        reader.row(number, kind, words)
    return reader.wanted()


def rows(data: bytes) -> Iterator[tuple[int, list[str]]]:
    """The words of each line that has any, with its number; `#` begins a comment."""
    for number, line in enumerate(data.decode("utf-8-sig", errors="replace").splitlines(), 1):
        words = line.partition("#")[0].split()
        if words:
            yield number, words


@dataclass
class _Reader:
    """Collects rows; what is wrong with one does not keep the others back."""

    file: str
    problems: list[Problem]
    names: dict[str, list[str]] = field(default_factory=lambda: {"deb": [], "assume": [], "wheel": [], "rootfs": []})
    components: list[str] = field(default_factory=lambda: [MAIN])
    sources: dict[str, Source] = field(default_factory=dict)
    named: set[str] = field(default_factory=set)
    """Sources, those too whose lines were not understood: that is one mistake, not two."""
    extra: dict[str, str] = field(default_factory=dict)
    fetches: dict[str, Fetch] = field(default_factory=dict)
    lines: list[tuple[str, int]] = field(default_factory=list)

    def row(self, number: int, kind: str, words: list[str]) -> None:
        if kind == "source":
            self._source(number, words)
        elif kind == "fetch":
            self._fetch(number, words)
        elif kind == "components" and words:
            self._components(number, words)
        elif kind == "deb" and words:
            self._debs(number, words)
        elif words and kind in _SIMPLE and all(_SIMPLE[kind].fullmatch(word) for word in words):
            self.names[kind] += words
            self.lines += [(word, number) for word in words]
        else:
            self._note(number, f"`{' '.join([kind, *words])}` is not understood", _HINT)

    def wanted(self) -> Wanted:
        """All of it, when each name is known to be of a source that there is."""
        for name, source in self.extra.items():
            if source not in self.named:
                hint = did_you_mean(source, list(self.sources), _AS_SOURCE)
                self._note(dict(self.lines)[name], f"there is no source `{source}`", hint)
        for unused in self.sources.keys() - self.extra.values():
            hint = f"write `deb NAME@{unused}` for what you want of it, or delete the line"
            self._note(dict(self.lines)[unused], f"nothing is taken from source `{unused}`", hint)
        return Wanted(
            debs=tuple(self.names["deb"]),
            assumed=tuple(self.names["assume"]),
            wheels=tuple(self.names["wheel"]),
            rootfs=self.names["rootfs"][-1] if self.names["rootfs"] else "",
            components=tuple(each for each in COMPONENTS if each in self.components),
            sources=tuple(self.sources.values()),
            extra=tuple(self.extra.items()),
            fetches=tuple(self.fetches.values()),
            lines=tuple(self.lines),
        )

    def _debs(self, number: int, words: list[str]) -> None:
        for word in words:
            extra = _EXTRA.fullmatch(word)
            name, source = (extra[1], extra[2]) if extra else (word, "")
            if not DEB.fullmatch(name):
                self._note(number, f"`deb {word}` is not understood", "write `deb NAME`, or `deb NAME@SOURCE`")
            elif source != self.extra.get(name, source) or (source and name in self.names["deb"]):
                self._note(number, f"`{name}` is asked of two places", "leave one of the lines")
            else:
                self.lines.append((name, number))
                self.names["deb"] += [] if source else [name]
                self.extra |= {name: source} if source else {}

    def _components(self, number: int, words: list[str]) -> None:
        for word in words:
            if word not in COMPONENTS:
                self._note(number, f"Debian has no component `{word}`", did_you_mean(word, COMPONENTS))
        self.components += words

    def _source(self, number: int, words: list[str]) -> None:
        self.named.update(words[:1])
        patterns = (_SOURCE, URL, _SUITE, *[_COMPONENT] * max(1, len(words) - 3))
        if len(words) != len(patterns) or not all(map(re.Pattern.fullmatch, patterns, words)):
            self._note(number, f"`source {_safe(words)}` is not understood", _AS_SOURCE)
        elif words[0] in self.sources:
            self._note(number, f"source `{words[0]}` is there twice", "give one of them another name")
        else:
            self.sources[words[0]] = Source(words[0], words[1].rstrip("/"), words[2], tuple(words[3:]))
            self.lines.append((words[0], number))

    def _fetch(self, number: int, words: list[str]) -> None:
        sound = len(words) in (2, 4) and words[2:3] in ([], ["as"]) and ADDRESS.fullmatch(words[0])
        digest = _SHA256.fullmatch(words[1]) if sound else None
        if not digest:
            self._note(number, f"`fetch {_safe(words)}` is not understood", _AS_FETCH)
            return
        name = words[3] if len(words) == 4 else urlsplit(words[0]).path.rpartition("/")[2]
        if not FILE.fullmatch(name):
            self._note(number, f"`{name}` is no name of a file", "give it one: `fetch URL sha256:HEX as NAME`")
        elif name in self.fetches:
            self._note(number, f"two files are called `{name}`", "give one another name: `as NAME`")
        else:
            self.fetches[name] = Fetch(name, words[0], digest[1])
            self.lines.append((name, number))

    def _note(self, number: int, message: str, hint: str) -> None:
        self.problems.append(Problem(self.file, number, 1, message, hint))


def _safe(words: list[str]) -> str:
    """Words of a line that was not understood; no password of a URL."""
    return re.sub(r"//[^/@\s]*@", "//...@", " ".join(words))
