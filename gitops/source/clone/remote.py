"""Talking to a Git remote with libgit2: no process (but for a folder of this machine), no helper, no configuration.

In: a URL (path, file://, ssh://, user@host:path, https://), an SSH key and known hosts, or a token. Out: the refs of
the remote, and the objects of one branch or tag in a bare clone. Rules: other transports are refused; an unknown host
or a certificate that does not verify is refused; the token goes to the host and port of the URL alone, whatever a
redirect says; a download is bounded in bytes, objects and seconds; no message shows a user, password or token.
"""

import base64
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

import pygit2
from pygit2.enums import CredentialType, FetchPrune
from pygit2.remotes import TransferProgress

from gitops.errors import STAYS, Reason, SourceError
from gitops.settings import Settings
from gitops.source.clone.trees import configure
from gitops.source.remotes import asking, ending, local, unfit
from gitops.source.remotes.packing import MAX_OBJECTS, MAX_PACK, SECONDS, too_large
from gitops.source.remotes.redacting import redact
from gitops.web.ask import WebError

MINIMUM = (1, 9, 7)
"""The first libgit2 that we trust with what a stranger's server sends."""
CONNECT_TIMEOUT, SILENCE_TIMEOUT = 10_000, 30_000
"""Milliseconds: until a connection stands; without a byte from the server."""
WORDS = 500
"""Letters of a server's that are shown."""
PROGRESS = 8 << 10
"""Letters of what a server says besides its objects that are kept, the last ones."""
ATTEMPTS = 2
"""How often one key is offered: libssh2 asks again and again after a refusal."""

_HELPER = re.compile(r"[A-Za-z0-9+.-]+::")
"""`ext::COMMAND`: git would run what follows (gitremote-helpers)."""
_REDIRECTS = "http.followRedirects"

if tuple(int(part) for part in pygit2.LIBGIT2_VERSION.split(".")[:3]) < MINIMUM:
    raise SourceError(
        f"libgit2 {pygit2.LIBGIT2_VERSION} is too old",
        hint="install the locked libraries (`make install`): pygit2 brings 1.9.7 or newer",
    )


@dataclass(frozen=True)
class Access:
    """Where the remote is and how we prove who we are."""

    url: str = field(repr=False)
    ssh_key: Path | None = None
    known_hosts: Path | None = None
    token_file: Path | None = None
    """For https: read at each use, so that a new token counts at once."""

    @classmethod
    def of(cls, settings: Settings) -> "Access":
        return cls(settings.repository, settings.ssh_key, settings.ssh_known_hosts, settings.git_token_file)

    @property
    def place(self) -> Path | None:
        """The folder of this machine that the URL means, if it means one."""
        return local.place(self.url)

    @property
    def ssh(self) -> bool:
        return self.url.startswith("ssh://") or bool(local.SCP.fullmatch(self.url))

    def check(self) -> None:
        """Raises SourceError for a URL that we do not speak."""
        if not self.url:
            raise SourceError("no fleet repo is named", hint="set `repository` in toweros.toml")
        if any(ord(letter) < 33 for letter in self.url):
            raise SourceError("the fleet repo's URL holds a space or a control character", hint="fix `repository`")
        if "://" in self.url and not self._parses():
            hint = "write `/`, `?`, `#` and `@` in a password as %2F, %3F, %23 and %40, or use `git_token_file`"
            raise SourceError(f"{redact(self.url)}: the fleet repo's URL has no valid host or port", hint=hint)
        if "://" not in self.url and re.match(r"[^/@]+:[^/]*@", self.url):
            hint = "write ssh://USER@HOST/PATH, and set `ssh_key`"
            raise SourceError(f"{redact(self.url)}: no password goes into such a URL", hint=hint)
        if _HELPER.match(self.url) or (
            "://" in self.url and not self.url.startswith(("ssh://", "https://", "file://"))
        ):
            raise SourceError(
                f"{redact(self.url)}: this transport is refused", hint="use ssh:// or https://", reason=Reason.transport
            )

    def belongs(self, url: str) -> bool:
        """Whether `url`, to which a redirect may have led, is on the host and port that the token is for."""
        ours, theirs = urlsplit(self.url), urlsplit(url)
        with suppress(ValueError):
            return _origin(ours) == _origin(theirs)
        # libgit2 (1.9) writes an address of IPv6 without its brackets, and so its port cannot be told.
        return (theirs.scheme, _bare(theirs)) == (ours.scheme, _bare(ours))

    def clean(self, text: str) -> str:
        """What somebody else said, without a part of what we prove ourselves with: a server may repeat it."""
        for secret in sorted(self._secrets(), key=len, reverse=True):
            text = text.replace(secret, "***")
        return redact(text)

    def header(self) -> dict[str, str]:
        """What proves who we are to an https server, if anything does: as libgit2 would after a first refusal."""
        parts = urlsplit(self.url)
        user, password = unquote(parts.username or "git"), unquote(parts.password or "")
        password = password or (_read_token(self.token_file) if self.token_file else "")
        secret = base64.b64encode(f"{user}:{password}".encode()).decode()
        return {"Authorization": f"Basic {secret}"} if password else {}

    def _secrets(self) -> Iterator[str]:
        if self.token_file:
            with suppress(SourceError):
                yield from filter(None, [_read_token(self.token_file)])
        with suppress(ValueError):
            password = urlsplit(self.url).password or ""
            yield from filter(None, {password, unquote(password)})

    def _parses(self) -> bool:
        """Whether the host is what it looks like: libgit2 would look up, and name, the first part of a password."""
        try:
            parts = urlsplit(self.url)
            whole = "@" not in parts.path + parts.query + parts.fragment
            return parts.scheme == "file" or (bool(parts.hostname) and (parts.port or 1) > 0 and whole)
        except ValueError:
            return False

    def home(self, folder: Path) -> None:
        """Give libgit2 a home folder of its own that holds our known hosts (libgit2 looks nowhere else for them)."""
        configure()
        pygit2.settings.server_connect_timeout = CONNECT_TIMEOUT
        pygit2.settings.server_timeout = SILENCE_TIMEOUT
        if self.known_hosts is None:
            return
        if not self.known_hosts.is_file():
            raise SourceError(
                f"{self.known_hosts}: there is no such file", hint="make it with `ssh-keyscan HOST`, and check it"
            )
        (folder / ".ssh").mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self.known_hosts, folder / ".ssh" / "known_hosts")
        pygit2.settings.homedir = str(folder)


class Callbacks(pygit2.RemoteCallbacks):
    """Proves who we are, checks who they are, and counts."""

    def __init__(self, access: Access) -> None:
        super().__init__()
        self._access = access
        self._attempts = 0
        self._progress = ""
        self.sending = False  # objects come: all refs were said
        self._deadline = time.monotonic() + SECONDS

    def credentials(
        self, url: str, username_from_url: str | None, allowed_types: CredentialType
    ) -> pygit2.Username | pygit2.UserPass | pygit2.Keypair:
        user = username_from_url or "git"
        # libgit2 asks for the name alone first where an SSH URL has none.
        if allowed_types & CredentialType.USERNAME:
            return pygit2.Username(user)
        self._attempts += 1
        token = self._access.token_file
        # A redirect to another port of the same host is followed all the same.
        if not self._access.ssh and not self._access.belongs(url):
            raise moved(self._access, redact(url))
        # libgit2 asks again after each refusal: a token that was refused once is not sent a second time.
        if allowed_types & CredentialType.USERPASS_PLAINTEXT and token and self._attempts == 1:
            return pygit2.UserPass(user, _read_token(token))
        if not allowed_types & CredentialType.SSH_KEY or self._attempts > ATTEMPTS:
            raise denied(self._access, url)
        key = self._access.ssh_key
        if key is None:
            return pygit2.KeypairFromAgent(user)
        if not key.is_file():
            raise SourceError(f"{key}: there is no such file", hint="set `ssh_key` to a private key's path")
        # Not every build of libssh2 can derive the public half: the file beside it is taken where there is one.
        public = Path(f"{key}.pub")
        return pygit2.Keypair(user, str(public) if public.is_file() else None, str(key), "")

    def certificate_check(self, certificate: None, valid: bool, host: bytes) -> bool:
        if not valid:
            kind = "host key is unknown or has changed" if self._access.ssh else "certificate does not verify"
            reason = Reason.unknown_host if self._access.ssh else Reason.bad_certificate
            hint = "compare it, then put it into `ssh_known_hosts`"
            hint = hint if self._access.ssh else "check the server's certificate"
            raise SourceError(f"{host.decode(errors='replace')}: the {kind}", hint=f"{hint}; {STAYS}", reason=reason)
        return True

    def sideband_progress(self, string: str) -> None:
        self._check_time()
        self._progress = (self._progress + string)[-PROGRESS:]

    def complaints(self) -> list[str]:
        """What the server itself said of its trouble, before it broke off: libgit2 forgets that."""
        shown = "".join(letter if letter.isprintable() else "\n" for letter in self._progress)
        lines = (line.strip() for line in shown.split("\n"))
        return [line for line in lines if line.startswith(("error:", "fatal:", "warning: lazy"))]

    def most(self) -> int:
        """Bytes that may come by one connection, at this point."""
        return asking.BOUNDS.largest + (MAX_PACK if self.sending else 0)

    def transfer_progress(self, stats: TransferProgress) -> None:
        self.sending = True
        if stats.received_bytes > MAX_PACK or stats.total_objects > MAX_OBJECTS:
            raise too_large()
        self._check_time()

    def _check_time(self) -> None:
        """A server that only talks of its progress is never silent."""
        if time.monotonic() > self._deadline:
            raise too_slow(self._access)


def _read_token(file: Path) -> str:
    try:
        return file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        hint = "`git_token_file` names a file that holds the token alone"
        raise SourceError(f"{file}: cannot be read", hint=hint) from error


@dataclass(frozen=True)
class Heads:
    """What the remote has: commit by branch, the branch that its HEAD names ("" for none), object by tag, and the
    object that a tag's tag object leads to."""

    branches: dict[str, str]
    default: str
    tags: dict[str, str] = field(default_factory=dict)
    peeled: dict[str, str] = field(default_factory=dict)

    def commit(self, branch: str) -> str:
        """The commit of a branch.

        Raises:
            SourceError: the remote has none of this name.
        """
        if branch not in self.branches:
            missing = f"has no branch {branch!r}" if branch else "has no branch that its HEAD names"
            missing += "" if self.branches else ": it is empty"
            raise SourceError(f"the remote {missing}", hint=f"push it; {STAYS}", reason=Reason.no_branch)
        return self.branches[branch]


@contextmanager
def connect(
    repository: pygit2.Repository, access: Access, callbacks: Callbacks, seconds: float = 0
) -> Iterator[pygit2.Remote]:
    """The remote, for one use that ends (`seconds`; 0: a download's). libgit2 by itself follows the first redirect to
    wherever it leads, with our token.

    Raises:
        SourceError: the time is over, or it sends more than anybody would read.
    """
    if _REDIRECTS not in repository.config or repository.config.get_bool(_REDIRECTS):
        repository.config[_REDIRECTS] = False
    ports = ending.ports(access.url, 22 if access.ssh else 443)
    with ending.cut_after(seconds or SECONDS, access.url, ports, callbacks.most) as cut:
        try:
            yield repository.remotes.create_anonymous(access.url)
        except pygit2.GitError as error:
            if cut.full:
                raise (too_large() if callbacks.sending else asking.too_many()) from error
            if cut.is_set():
                raise too_slow(access) from error
            raise


def list_heads(repository: pygit2.Repository, access: Access) -> Heads:
    """Ask the remote for its branches and tags.

    Raises:
        SourceError: it is away (transient), unknown, or does not let us in.
    """
    try:
        heads, target = local.heads(access.place) if access.place else _asked_heads(repository, access)
    except (pygit2.GitError, KeyError, OSError, ValueError) as error:
        raise unreachable(access, error) from error
    prefix, tag = "refs/heads/", "refs/tags/"
    # A server may name its refs as it likes; ours become names in our clone.
    valid = pygit2.reference_is_valid_name
    named = {head.name: head for head in heads if head.name and valid(head.name)}
    branches = {name.removeprefix(prefix): head.id for name, head in named.items() if name.startswith(prefix)}
    # Servers without the `symref` capability (gitprotocol-capabilities) do not say where HEAD points.
    if not target and "HEAD" in named:
        target = next((prefix + name for name, oid in branches.items() if oid == named["HEAD"].id), "")
    tags = {name.removeprefix(tag): head for name, head in named.items() if name.startswith(tag)}
    default = target.removeprefix(prefix) if target and valid(target) else ""
    peeled = {name: head.peeled for name, head in tags.items() if head.peeled}
    return Heads(branches, default, {name: head.id for name, head in tags.items()}, peeled)


def _asked_heads(repository: pygit2.Repository, access: Access) -> tuple[list[local.Head], str]:
    """What the remote's server says, and the ref that its HEAD names (empty: it does not say)."""
    if access.url.startswith("https://") and (answer := _asked_once(access)):
        return answer
    callbacks = Callbacks(access)
    with connect(repository, access, callbacks, asking.BOUNDS.longest) as remote:
        said = remote.list_heads(callbacks=callbacks, proxy=access.url.startswith("https://") or None)
    # A line `refs/tags/NAME^{}` says what the tag's object leads to (gitprotocol-pack, Reference Discovery).
    ends = {str(head.name)[:-3]: str(head.oid) for head in said if str(head.name).endswith("^{}")}
    target = next((head.symref_target for head in said if head.name == "HEAD"), None)
    heads = [local.Head(str(head.name), str(head.oid), ends.get(str(head.name), "")) for head in said if head.name]
    return heads, target or ""


def _asked_once(access: Access) -> asking.Heads | None:
    """By one request, which says who we are at once: libgit2 would have itself refused first."""
    parts = urlsplit(access.url)
    if parts.query or parts.fragment:
        return None
    place = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl().rstrip("/")
    try:
        return asking.heads(place, access.header())
    except asking.DeniedError:
        raise denied(access, access.url) from None
    except WebError as error:
        raise unreachable(access, error) from None


def download(repository: pygit2.Repository, access: Access, *refspecs: str) -> None:
    """Fetch what refspecs (`+REF:NAME`) name, with its history; no other tags.

    Raises:
        SourceError: a bound is passed.
        pygit2.GitError, KeyError: the remote went away, or the clone is damaged: the caller finds out which.
    """
    if access.place:
        pairs = (spec.removeprefix("+").split(":") for spec in refspecs)
        local.fetch(repository, access.place, {name: ref for ref, name in pairs})
        return
    # `proxy=True`: the one of the environment, as for `git`.
    proxy = access.url.startswith("https://") or None
    callbacks = Callbacks(access)
    try:
        with connect(repository, access, callbacks) as remote:
            remote.fetch(list(refspecs), callbacks=callbacks, prune=FetchPrune.NO_PRUNE, proxy=proxy)
    except pygit2.GitError as caught:
        error = pygit2.GitError("\n".join((str(caught), *callbacks.complaints()))) if callbacks.complaints() else caught
        refusal = unfit.told(redact(access.url), _words(access, error))
        # What may pass may be one ref's own trouble, too: the caller finds out.
        if refusal and not refusal.transient:
            raise refusal from caught
        raise error from caught


def packs(path: Path) -> int:
    """How many packs a bare clone has."""
    return sum(1 for _ in path.glob("objects/pack/*.pack"))


def unreachable(access: Access, error: Exception) -> SourceError:
    said = str(error).strip("'\"")
    if said.startswith("cannot redirect"):
        return moved(access, access.clean(said.rpartition(" to ")[2].strip("'\"")))
    reason = _words(access, error) or type(error).__name__
    if refusal := unfit.told(redact(access.url), reason):
        return refusal
    return SourceError(
        f"{redact(access.url)} is unreachable: {reason}", hint=f"{STAYS}; it is tried again", transient=True
    )


def _words(access: Access, error: Exception) -> str:
    """What an error says, on one line; libgit2 lets what it read before follow the words of an ssh server."""
    lines = [line.strip() for line in access.clean(str(error).strip("'\"")).splitlines()]
    spoken = [line for line in lines if line.startswith(("error:", "fatal:", "remote:"))] or lines[:1]
    return "; ".join(spoken)[:WORDS]


def denied(access: Access, url: str) -> SourceError:
    place = "ssh_key" if access.ssh else "git_token_file"
    return SourceError(f"{redact(url)}: access is refused", hint=f"check `{place}` and the server's rights; {STAYS}")


def too_slow(access: Access) -> SourceError:
    message = f"{redact(access.url)} takes too long to answer"
    return SourceError(message, hint=f"it is tried again; {STAYS}", transient=True)


def moved(access: Access, place: str) -> SourceError:
    """The remote sends us to another host, and nothing was sent there."""
    hint = f"if that is right, name the new URL in `repository`; {STAYS}"
    return SourceError(f"{redact(access.url)} leads to another server: {place}", hint=hint, reason=Reason.other_host)


def _bare(parts: SplitResult) -> str:
    return parts.netloc.rpartition("@")[2].replace("[", "").replace("]", "")


def _origin(parts: SplitResult) -> tuple[str, str, int | None]:
    return parts.scheme, parts.hostname or "", parts.port or {"https": 443}.get(parts.scheme)
