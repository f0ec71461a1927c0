"""Layers and boot files, by the cheapest way that works.

A layer comes as the smallest of a delta against its predecessor, the zstd copy and the raw one; when a way fails, the
next one is tried, and then the next mirror. Which bytes came from where does not matter: the verity root decides. Boot
files and release documents come from the server alone, as what changed of the last one where it has that, and are
checked against the digest in the TUF metadata.
"""

import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO

from toweros_agent import deadlines
from toweros_agent.host.connections import readable
from toweros_agent.host.disk import Disk, file_digest, sync_folder
from toweros_agent.host.verity import seal, tree_size
from toweros_agent.nouns import Layer, Refused, Release, Target, sha256
from toweros_agent.offer.changes import small
from toweros_agent.offer.net import CHUNK, Http, NetError, save

MAX_WINDOW = 128 << 20
"""Bytes of memory that unpacking a full copy may take; a delta may take what its base and its result have."""
UNPACK_SILENCE = 300.0
"""Seconds until zstd brings something: it reads the base of a delta before."""
TWICE_MOST = 64 << 10
"""Bytes of a delta up to which the server is asked for its twice packed form."""


class Kind(StrEnum):
    """In which form a layer comes."""

    RAW = "raw"
    FULL = "full"
    DELTA = "delta"
    TWICE = "delta, packed twice"

    @property
    def on_base(self) -> bool:
        return self in (Kind.DELTA, Kind.TWICE)


@dataclass(frozen=True, order=True)
class Way:
    """One way to a layer; ordered by the bytes that it costs."""

    size: int
    kind: Kind
    url: str
    inner: int = 0
    """Bytes of the delta that is in a twice packed one."""


def unpack(packed: Path, out: Path, size: int, base: Path | None, tick: Callable[[], None]) -> None:
    """zstd, at most `size` bytes out. Raises `Refused` when that is not what `packed` holds."""
    memory = max(MAX_WINDOW, 2 * size, 2 * base.stat().st_size) if base else MAX_WINDOW
    patch = [f"--patch-from={base}"] if base else []
    command = ["zstd", "-d", "-q", "-c", f"--memory={memory >> 20}MB", *patch, str(packed)]
    with out.open("wb") as file, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout and child.stderr
        total = 0
        try:
            while chunk := _read(child.stdout, tick):
                total += len(chunk)
                if total > size:
                    raise Refused(f"unpacks to more than the {size} bytes of the layer")
                file.write(chunk)
                tick()
            talk = child.stderr.read(500).decode(errors="replace").strip()
            if child.wait(deadlines.SILENCE) or total != size:
                raise Refused(talk or f"unpacks to {total} of {size} bytes")
        finally:
            child.kill()


def _read(pipe: IO[bytes], tick: Callable[[], None]) -> bytes:
    """What comes next. Raises `Refused` when nothing does."""
    end = time.monotonic() + UNPACK_SILENCE
    while not readable(pipe, deadlines.SLICE):
        if time.monotonic() > end:
            raise Refused("zstd does nothing")
        tick()
    return os.read(pipe.fileno(), CHUNK)


class Fetcher:
    """Brings layers to `disk` from `bases` (mirrors first, the server last)."""

    def __init__(self, http: Http, disk: Disk, bases: Sequence[str]) -> None:
        self.http, self.disk, self.bases = http, disk, bases
        self.deltas = 0
        self._silent: set[str] = set()

    def missing(self, release: Release) -> list[Layer]:
        return [layer for layer in release.layers() if not self.disk.has(layer)]

    def release_layers(self, release: Release, running: Release) -> list[Layer]:
        """Fetch what the disk lacks; return it. Raises `Refused` or `NetError`, and `OSError` for a bad disk."""
        self._silent.clear()
        missing = self.missing(release)
        largest = max((layer.size for layer in missing), default=0)
        # While a layer is unpacked there are also its packed form and its base.
        self.disk.demand(sum(layer.size + tree_size(layer.size) for layer in missing) + 2 * largest)
        for layer in missing:
            self.layer(layer, release.predecessor(layer, running))
        return missing

    def layer(self, layer: Layer, predecessor: Layer | None) -> None:
        reasons = []
        for base_url in (
            each for each in (*self._carried, *self.bases) if each not in self._silent or each == self.bases[-1]
        ):
            try:
                for way in self._ways(base_url, layer, predecessor):
                    try:
                        return self._bring(way, layer, predecessor)
                    except (NetError, Refused) as error:
                        reasons.append(f"{way.kind}: {error}")
            except NetError as error:
                reasons.append(str(error))
                if not error.status:
                    self._silent.add(base_url)  # for the rest of this release: each layer would wait for it again
        raise Refused(f"layer {layer.root[:12]} cannot be fetched: {'; '.join(reasons)[:600]}")

    @property
    def _carried(self) -> tuple[str, ...]:
        """The bundles that are there."""
        return self.http.carried.bases() if self.http.carried else ()

    def _ways(self, base_url: str, layer: Layer, predecessor: Layer | None) -> list[Way]:
        raw = f"{base_url}/layers/{layer.root}"
        ways = [Way(layer.size, Kind.RAW, raw), Way(self.http.size(f"{raw}.zst") or 0, Kind.FULL, f"{raw}.zst")]
        if predecessor and self.disk.has(predecessor):
            url = f"{base_url}/deltas/{predecessor.root}/{layer.root}.zst"
            ways.append(delta := Way(self.http.size(url) or 0, Kind.DELTA, url))
            if 0 < delta.size <= TWICE_MOST:  # an older server has none of these
                ways.append(Way(self.http.size(f"{url}.zst") or 0, Kind.TWICE, f"{url}.zst", delta.size))
        return sorted(way for way in ways if way.kind == Kind.RAW or 0 < way.size < layer.size)

    def _bring(self, way: Way, layer: Layer, predecessor: Layer | None) -> None:
        name = self.disk.layer(layer)
        part = name.with_name(f"{layer.root}.part")
        packed = name.with_name(f"{layer.root}.{way.kind.name.lower()}.part")
        try:
            if way.kind == Kind.RAW:
                self.http.download(way.url, part, way.size)
            else:
                self.http.download(way.url, packed, way.size)
                self._unpack(way, packed, part, layer, predecessor)
            seal(part, layer, self.http.tick)
        except Refused:
            part.unlink(missing_ok=True)
            packed.unlink(missing_ok=True)
            self.http.doubted.add(way.url)
            raise
        self.http.doubted.discard(way.url)
        packed.unlink(missing_ok=True)
        part.replace(name)
        sync_folder(self.disk.layers)
        self.deltas += way.kind.on_base

    def _unpack(self, way: Way, packed: Path, part: Path, layer: Layer, predecessor: Layer | None) -> None:
        if not way.kind.on_base or not predecessor:
            return unpack(packed, part, layer.size, None, self.http.tick)
        if way.kind == Kind.TWICE:
            self._unpack_once(packed, way.inner)
        # zstd wants the base as a file of its own: the data without the tree that follows it on the disk.
        base = part.with_suffix(".base")
        try:
            with self.disk.layer(predecessor).open("rb") as whole, base.open("wb") as data:
                for offset in range(0, predecessor.size, CHUNK):
                    data.write(whole.read(min(CHUNK, predecessor.size - offset)))
                    self.http.tick()
            unpack(packed, part, layer.size, base, self.http.tick)
        finally:
            base.unlink(missing_ok=True)

    def _unpack_once(self, packed: Path, size: int) -> None:
        """The delta that is in a twice packed one, in its place."""
        inner = packed.with_suffix(".inner")
        try:
            unpack(packed, inner, size, None, self.http.tick)
            inner.replace(packed)
        finally:
            inner.unlink(missing_ok=True)

    def document(self, target: Target, last: str) -> Path:
        """Bring a release document. `last`: the digest of the one that it replaces."""
        return self.target(target, self.disk.state / "offer.json", self.disk.document(last))

    def target(self, target: Target, path: Path, last: Path | None = None) -> Path:
        """Bring a TUF target to `path`; what is there from an earlier try is used. `last`: the file that it replaces,
        perhaps; most of it is the same."""
        part = path.with_name(f"{target.sha256}.part")
        folder, _, name = target.path.rpartition("/")
        *carried, url = [f"{base}/targets/{folder}/{target.sha256}.{name}" for base in (*self._carried, self.bases[-1])]
        for each in carried:  # what is wrong with a bundle holds up nothing that the server has
            with contextlib.suppress(NetError, Refused):
                if self.http.size(each) == target.length:
                    return self._target(each, target, part, path)
        if last and not part.exists() and (data := self._changed(target, last)):
            save(part, 0, [data])
        return self._target(url, target, part, path)

    def _changed(self, target: Target, last: Path) -> bytes | None:
        """All of it, by what changed since `last`; None: there is no such thing, or it is no use."""
        with contextlib.suppress(OSError, NetError, Refused):
            if max(target.length, last.stat().st_size) <= small.MOST:
                old = last.read_bytes()
                url = f"{self.bases[-1]}/deltas/{sha256(old)}/{target.sha256}.zlib"
                data = small.together(self.http.get(url, target.length)[2], old, target.length)
                return data if sha256(data) == target.sha256 else None
        return None

    def _target(self, url: str, target: Target, part: Path, path: Path) -> Path:
        if not part.exists() or part.stat().st_size != target.length:
            self.http.download(url, part, target.length)
        if file_digest(part) != target.sha256:
            part.unlink()
            self.http.doubted.add(url)
            raise Refused(f"{target.path}: the content has another digest than the signed metadata says")
        self.http.doubted.discard(url)
        return part.replace(path)
