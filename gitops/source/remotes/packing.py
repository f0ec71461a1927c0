"""From a folder of this machine into a clone: by `git pack-objects` and `git index-pack`, one after the other.

In: a repository's objects, ids that are wanted, ids that are here. Out: one more pack in the clone. Rules: neither
program sees the remote's configuration, refs or hooks (it works in a scratch repository that borrows the objects), nor
this machine's; every object's name is computed anew from its bytes, and everything that it leads to must be there;
bounded in bytes, objects, memory and seconds.

    with lend(Path("/srv/fleet.git/objects"), clone) as scratch:
        receive(scratch, clone, wanted=[commit], existing=[])

Why not libgit2, which does the rest: it compresses what is compressed already, and takes forty times as long (ADR 55).
"""

import os
import re
import resource
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pygit2

from gitops.errors import ProcessError, Reason, SourceError
from gitops.process import run

MAX_PACK = 1 << 30
"""Bytes of one download."""
MAX_OBJECTS = 2_000_000
SECONDS = 1800.0
"""Of one download."""
MEMORY = 1 << 30
"""Bytes of addresses of each program; 200 MB of history take a twentieth."""
INCOMING = "incoming-"
"""How a scratch folder in a clone is called: a killed fetch leaves one."""
FOREIGN = 1
"""Exit code of `git index-pack`: sound, and leads to objects that were here before (git-index-pack(1))."""
_HEADER = 12
"""Bytes of `PACK`, a version and the number of objects (gitformat-pack)."""
_SETTINGS = {
    # What a folder says of its history beside the objects: not asked.
    "core.commitGraph": "false",
    "core.multiPackIndex": "false",
    "pack.useBitmaps": "false",
    # A pack would be mapped as a whole, and a bound on addresses met at once (ADR 49).
    "core.packedGitWindowSize": "1m",
    "core.packedGitLimit": "32m",
    "core.deltaBaseCacheLimit": "16m",
    "core.bigFileThreshold": "16m",
    "pack.threads": "1",
    "pack.writeReverseIndex": "false",
}
_ENVIRONMENT = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ALLOW_PROTOCOL": "none",
    "MALLOC_ARENA_MAX": "1",  # every thread's arena would take 64 MiB of addresses (mallopt(3))
}


@contextmanager
def lend(objects: Path, clone: Path) -> Iterator[Path]:
    """A repository in a scratch folder of the clone that has nothing but another one's objects."""
    with tempfile.TemporaryDirectory(prefix=INCOMING, dir=clone) as name:
        scratch = Path(name)
        pygit2.init_repository(str(scratch), bare=True)
        (scratch / "objects/info").mkdir(exist_ok=True)
        (scratch / "objects/info/alternates").write_text(f"{objects}\n")
        yield scratch


def receive(scratch: Path, clone: Path, wanted: Iterable[str], existing: Iterable[str]) -> None:
    """Bring what is wanted, with all that it leads to, but for what `existing` lead to.

    Raises:
        SourceError: a bound is passed. pygit2.GitError: an object is missing or damaged, there or on the way.
    """
    ids = "".join(f"{each}\n" for each in wanted) + "".join(f"^{each}\n" for each in existing)
    # Deltas are taken over as they are, and none are looked for: it is read once, from a disk that has it as it is.
    words = ["pack-objects", "-q", "--revs", "--delta-base-offset", "--window=0", str(scratch / "new")]
    _git(scratch, words, ids.encode())
    for pack in scratch.glob("new-*.pack"):
        with pack.open("rb") as stream:
            count = int.from_bytes(stream.read(_HEADER)[8:], "big")
        if count > MAX_OBJECTS or pack.stat().st_size > MAX_PACK:
            raise too_large()
        if count:
            _take(pack, clone)


def _take(pack: Path, clone: Path) -> None:
    """Have a pack, once every object in it is what its name says, and has what it leads to."""
    index = pack.with_suffix(".idx")
    index.unlink()  # the one that pack-objects wrote believes the remote's
    _git(clone, ["index-pack", "--check-self-contained-and-connected", "-o", str(index), str(pack)])
    place = clone / "objects/pack"
    place.mkdir(exist_ok=True)
    # The index last: libgit2 takes it for the sign that there is a pack.
    for file in (pack, index):
        file.replace(place / f"pack-{pack.stem.removeprefix('new-')}{file.suffix}")
    folder = os.open(place, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


def _git(repository: Path, words: Sequence[str], stdin: bytes = b"") -> None:
    bounds = {"as": (resource.RLIMIT_AS, MEMORY), "fsize": (resource.RLIMIT_FSIZE, MAX_PACK)}
    limits = [f"--{name}={_lowest(kind, most)}" for name, (kind, most) in bounds.items()]
    settings = [word for name, value in _SETTINGS.items() for word in ("-c", f"{name}={value}")]
    # GIT_DIR: then Git does not ask who owns the folder.
    env = {**_ENVIRONMENT, "GIT_DIR": str(repository)}
    try:
        command = ["prlimit", "--core=0", *limits, "git", *settings, *words]
        run(command, stdin=stdin, env=env, timeout=SECONDS, hint="install util-linux")
    except ProcessError as error:
        if error.code == FOREIGN and words[0] == "index-pack":
            return
        if "failed to execute git" in error.message:
            raise ProcessError("git is not installed", hint="install it: a remote that is a folder needs it") from error
        raise _failed(error) from error


def _lowest(kind: int, most: int) -> int:
    """A bound that was set on us holds for what we start."""
    ours = resource.getrlimit(kind)[1]
    return most if ours == resource.RLIM_INFINITY else min(ours, most)


def _failed(error: ProcessError) -> Exception:
    if "(-25)" in error.message:  # SIGXFSZ
        return too_large()
    if "took longer" in error.message:
        return SourceError("the fleet repo takes too long to fetch", hint="it is tried again", transient=True)
    said = (error.log or error.message).strip().splitlines() or ["git failed"]
    named = [line for line in said if re.search("could not read [0-9a-f]{40}", line, re.IGNORECASE)]
    return pygit2.GitError((named or said)[-1].removeprefix("fatal: ").removeprefix("error: "))


def too_large() -> SourceError:
    hint = f"at most {MAX_PACK >> 20} MiB and {MAX_OBJECTS} objects"
    return SourceError("the fleet repo is too large to fetch", hint=hint, reason=Reason.too_large)
