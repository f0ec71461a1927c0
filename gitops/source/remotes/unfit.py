"""Remotes that a controller cannot follow, told by name and with the way out.

In: a folder, or the words of libgit2 about a server. Out: a `SourceError`. Rules: what a person must change at the
remote is no "unreachable", which would pass by itself; the clone of before is not to blame, and stays.

    check(Path("/srv/fleet.git"))                             # SourceError: ... has SHA-256 objects
    refusal = told("https://host/f", "invalid packet line")   # None: it says nothing of the kind
"""

import re
from pathlib import Path

import pygit2

from gitops.errors import STAYS, Reason, SourceError

MAX_ALTERNATES = 64 << 10
"""Bytes of a file that names other folders of objects."""
NESTED = 5
"""How often one may lead to the next, for Git too (gitrepository-layout(5) says nothing; object-file.c does)."""

_SHA1 = "make a SHA-1 one: `git init --object-format=sha1`, and commit the files there"
_WHOLE = "complete it there: `git fetch --unshallow`, or serve a full clone"
_PARTIAL = "serve a full clone: `git clone --mirror` without `--filter`"
_DAMAGED = "`git fsck` there names what is lost: push it again from a whole clone, or serve another one"
_BETWEEN = "a login page, proxy, cache or shell may answer in its place: `git ls-remote URL` from here shows it"
_FILES = "change them there: `git refs migrate --ref-format=files`"
_BORROWED = "complete it there: `git repack -a -d`, then remove objects/info/alternates"
_SMART = "name the URL that `git clone` takes; a folder of plain files (dumb HTTP) is served by ssh or git-http-backend"

_PLAIN = {
    "known hosts file": (
        "the file that `ssh_known_hosts` names holds something else",
        "make it with `ssh-keyscan HOST`, and check it",
    ),
    "non-bare": (
        "{url} is a repository with a working folder, into which nothing is pushed",
        "name a bare one in `repository`: `git clone --bare` makes it, and people push there",
    ),
    # upload-pack, which an ssh key's forced command starts whatever is asked for, names what it got, each time another.
    "upload-pack: protocol error, expected to get": (
        "{url} lets us only read: it takes a push for a question",
        "may our key push there? See the `command=` of its line in authorized_keys",
    ),
}
"""Words of libgit2 -> what it means, and what to do."""
_STATUS = {
    "403": ("lets nobody read, or not us", "check `git_token_file` and the server's rights"),
    "404": ("has nothing there, or hides it from us", "check `repository`, and what `git_token_file` may read"),
}


def _refuse(what: str, hint: str, reason: Reason = Reason.unfit_remote, *, transient: bool = False) -> SourceError:
    return SourceError(what, hint=f"{hint}; {STAYS}", transient=transient, reason=reason)


def check(folder: Path) -> None:
    """Refuse a folder that is no whole repository of SHA-1 objects and of refs in files.

    Raises:
        SourceError: it is none. pygit2.GitError, OSError: it cannot be read.
    """
    if not folder.exists():
        raise FileNotFoundError("there is no such folder")
    place = pygit2.discover_repository(str(folder.resolve()), False, str(folder.resolve().parent))
    if not place:
        raise _refuse(f"{folder}: there is no Git repository", "name its folder in `repository`", transient=True)
    common = common_folder(Path(place))
    settings = dict[str, str]()
    if (common / "config").is_file():
        settings = {entry.name.lower(): entry.value or "" for entry in pygit2.Config(str(common / "config"))}
    if (form := settings.get("extensions.objectformat", "sha1")) != "sha1":
        raise _refuse(f"{folder} has {form.upper()} objects", _SHA1)
    if (form := settings.get("extensions.refstorage", "files")) != "files":
        raise _refuse(f"{folder} keeps its refs as {form}", _FILES)
    if (common / "shallow").is_file() and (common / "shallow").stat().st_size:
        raise _refuse(f"{folder} is a shallow clone: its history is cut off", _WHOLE, Reason.shallow_history)
    promised = [
        name for name in settings if re.fullmatch(r"remote\..*\.(promisor|partialclonefilter)", name, re.DOTALL)
    ]
    if "extensions.partialclone" in settings or promised or any((common / "objects/pack").glob("*.promisor")):
        raise _refuse(f"{folder} is a partial clone: objects are left out", _PARTIAL)
    _check_alternates(folder, common / "objects", 0)


def _check_alternates(folder: Path, objects: Path, depth: int) -> None:
    """What it borrows must be there."""
    file = objects / "info/alternates"
    if not file.is_file():
        return
    with file.open("rb") as stream:
        lines = stream.read(MAX_ALTERNATES).decode(errors="replace").splitlines()
    for line in lines:
        if line and not line.startswith(("#", '"')):
            place = objects / line
            if depth == NESTED or not place.is_dir():
                raise _refuse(f"{folder} borrows objects of {line}, which is not there", _BORROWED)
            _check_alternates(folder, place, depth + 1)


def common_folder(path: Path) -> Path:
    """Where objects and refs are; of a linked worktree, its main repository (gitrepository-layout(5))."""
    file = path / "commondir"
    return (path / file.read_text().strip()).resolve() if file.is_file() else path.resolve()


def told(url: str, said: str) -> SourceError | None:
    """What libgit2 (1.9) says of a server, if a person must change something there. `url`, `said`: without secrets."""
    if match := re.search(r"unknown (?:remote )?object format '(\w{1,20})", said):
        return _refuse(f"{url} has {match[1].upper()} objects", _SHA1)
    for words, (what, hint) in _PLAIN.items():
        if words in said:
            return _refuse(what.format(url=url), hint, transient=True)
    if "invalid packet line" in said:  # the line `shallow ID` after its refs (gitprotocol-pack)
        return _refuse(f"{url} is a shallow clone, or no Git server ({said})", _WHOLE, Reason.shallow_history)
    if refusal := _broken(url, said):
        return refusal
    if match := re.search(r"invalid content-type: '?([\w/.+-]{1,60})", said):
        return _refuse(f"{url} answers {match[1]}, and not as a Git server", _SMART, transient=True)
    status = next((each for each in _STATUS if f"status code: {each}" in said), "")
    return _refuse(f"{url}: the server {_STATUS[status][0]}", _STATUS[status][1], transient=True) if status else None


_BROKE_OFF = re.compile(
    "could not read (?:[0-9a-f]{40}|from remote repository)|SSL error|(?:unexpected|early) EOF"
    "|connection reset|timed? out",
    re.IGNORECASE,
)


def broke_off(said: str) -> bool:
    """Whether a remote stopped in the middle: these words are never about the clone."""
    return _BROKE_OFF.search(said) is not None


def _broken(url: str, said: str) -> SourceError | None:
    """A server that began to answer, and did not end: by its own words where it said any (Git's upload-pack), else by
    those of libgit2. Each may pass, or be one ref's own trouble."""
    lost = re.search(
        r"(?:unable to read|ould not (?:read|fetch)|bad object|loose object|missing (?:blob|tree)) '?([0-9a-f]{40})",
        said,
    )
    what, fix = "", ""
    if "promisor remote" in said or "lazy fetching" in said:
        what, fix = "it broke off, for it is a partial clone", f"`git fsck` there; {_PARTIAL}"
    elif lost or "corrupt" in said:
        what, fix = "it broke off at an object that it cannot read itself", _DAMAGED
    elif "could not read from remote repository" in said:  # all that libgit2 says over https
        what, fix = "it broke off while it sent what its refs lead to", f"if it goes on: `git fsck` there; {_PARTIAL}"
    elif re.search("zlib|packfile|delta base|mismatch|object type|end of the pack", said):
        what, fix = "what it sent is no sound pack", f"{_DAMAGED}; else a proxy or cache in between changes it"
    elif "could not read refs" in said:
        what, fix = "it sent no list of refs, or not all of it", _BETWEEN
    elif "bad packet length" in said or "unexpected packet" in said:
        what, fix = "what it sent is not Git's protocol", _BETWEEN
    elif re.search("SSL error|unexpected EOF|early EOF|connection reset|timed? out while reading", said):
        what, fix = (
            "the connection broke in the middle of an answer",
            "if it goes on: look for limits of a proxy in between",
        )
    if not what:
        return None
    what += f": {lost[1]}" if lost else f" ({said[:100]})" if "broke off" not in what else ""
    return SourceError(f"{url} is unreachable: {what}", hint=f"{STAYS}; it is tried again; {fix}", transient=True)
