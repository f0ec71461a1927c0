"""A fleet whose `pkg/hello` is locked against a signed Debian repository on loopback, and a clock that tests move.

patched.says("{how: commit}")
patched.update("libssl3", "3.5.9-1", "openssl")
patched.later()
patched.look()
"""

import functools
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from gitops.builders.apt import Apts
from gitops.builders.relocking.relock import Relocker
from gitops.fleet.packages import load_packages
from gitops.model.updates.patching import WindowRun
from gitops.source import FolderTree
from gitops.store.notes.documents import Patches, PatchRuns
from gitops.workflows.security.advisories import Advisories
from gitops.workflows.security.known import Known
from gitops.workflows.updates.schedule import Updates
from tests.kit.debian import Debian
from tests.kit.remote import Remote, scratch
from tests.kit.site import PlayedBuilder, Site, commit, first_commit, new_site

DAY = 86400
DAWN = 6 * 3600
LOCK = "pkg/hello/packages.lock"
SAYS = "source: {branch: main}\nsecurity: "


class Branches(Mapping[str, str]):
    """What a bare repository has now."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def _all(self) -> dict[str, str]:
        words = ("for-each-ref", "--format=%(refname:strip=2) %(objectname)", "refs/heads", "refs/tags")
        rows = self._site.remote.git(*words, cwd=self._site.remote.bare).splitlines()
        return dict(row.split() for row in rows)

    def __getitem__(self, name: str) -> str:
        return self._all()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())


class Patched:
    """A controller that looks for updates. `fail`: a package that does not build; `transient`: not for now."""

    def __init__(self, site: Site, debian: Debian) -> None:
        self.site, self.debian = site, debian
        self.now = (int(time.time()) // DAY - 60) * DAY + DAWN  # the same hour in every run: schedules know hours
        self.refs, self.fail, self.built = Branches(site), "", list[str]()
        self.transient = False

    def relock(self) -> None:
        relock(self.site.remote, self.site.folder / "apt")

    def says(self, security: str, **files: str) -> None:
        self.site.commit({"fleet.yaml": f"{SAYS}{security}\n", **files})
        self.look()  # a schedule that is seen for the first time begins to count

    def later(self, seconds: int = DAY + 3600) -> None:
        self.now += seconds

    def look(self) -> None:
        """A pass, and what is due after it, as another controller every time."""
        controller, store, builder = self.site.start()
        builder.fail, builder.transient = self.fail, self.transient
        with store.lease.held():
            done = controller.run_once()
            self.updates(builder).run_due(controller._load(done.revision), done.revision)
        self.built += builder.built

    def updates(
        self,
        builder: PlayedBuilder,
        clock: Callable[[], float] | None = None,
        between: Callable[[], None] = lambda: None,
    ) -> Updates:
        advisories = Advisories(builder.store, self.site.settings.feeds)
        advisories.refresh(self.now)
        known = Known(advisories, lambda: self.now)
        now = clock or (lambda: self.now)
        return Updates(self.site.settings, builder.store, builder, known, clock=now, between=between)

    def run(self, *, window: str = "packages") -> WindowRun:
        return (self.site.store.notes.get(PatchRuns) or PatchRuns()).rows[window]

    @property
    def patches(self) -> Patches:
        return self.site.store.notes.get(Patches) or Patches()

    def show(self, ref: str, form: str = "%s") -> str:
        return self.site.remote.git("log", "-1", f"--format={form}", ref, cwd=self.site.remote.bare)

    def changes(self, ref: str, base: str = "") -> list[str]:
        words = ("diff", "--name-only", base or f"{ref}^", ref)
        return self.site.remote.git(*words, cwd=self.site.remote.bare).splitlines()

    def locked(self, ref: str, path: str = LOCK) -> dict[str, str]:
        rows = self.site.remote.git("show", f"{ref}:{path}", cwd=self.site.remote.bare).splitlines()[1:]
        return {row.split()[1]: row.split()[2] for row in rows}

    def events(self, *kinds: str) -> list[str]:
        return [event.message for event in self.site.store.events.latest(limit=100) if event.reason in kinds]

    def update(self, name: str = "libssl3", version: str = "3.5.9-1", source: str = "openssl", **fields: str) -> None:
        self.debian.add(name, version, suite="trixie-security", source=source, **fields)
        self.debian.publish()


def relock(remote: Remote, apt: Path) -> None:
    """As `toweros lock` and a commit."""
    tree = FolderTree(remote.work)
    relocker = Relocker(Apts(apt), tree, load_packages(tree, 1, "linux/amd64", []), lambda _: None)
    locks = relocker.newest()
    commit(remote, {f"{path}/packages.lock": relocker.text(path, lock).decode() for path, lock in locks.items()})


def stock(debian: Debian) -> None:
    debian.add("libssl3", "3.5.7-1", source="openssl")
    debian.add("libz", "1.0-1", source="zlib")
    debian.add("tool", "1.0", depends="libssl3, libz")


@functools.cache
def locked() -> Remote:
    """The site's fleet repo, with two packages that are locked: made once per test process."""
    folder = scratch()
    remote = Remote(folder, first_commit())
    commit(remote, {"pkg/hello/packages.in": "deb tool\n", "pkg/init/packages.in": "deb libz\n"})
    with Debian(folder / "mirror", stock) as debian, pytest.MonkeyPatch.context() as patch:
        patch.setattr("gitops.builders.apt.mirrors", debian.mirrors)
        relock(remote, folder / "apt")
    return remote


@pytest.fixture
def patched(tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Patched]:
    with Debian(tmp_path / "mirror", stock) as debian:
        for module in ("apt", "places"):
            monkeypatch.setattr(f"gitops.builders.{module}.mirrors", debian.mirrors)
        yield Patched(new_site(tmp_path, database, monkeypatch, locked()), debian)


def with_forge(made: Patched, url: str, repository: str) -> None:
    """The settings name a forge whose repository is the site's remote."""
    token = made.site.folder / "token"
    token.write_text("secret-token")
    more = {"forge": "github", "forge_url": url, "forge_repository": repository, "forge_token_file": token}
    made.site.settings = made.site.settings.model_copy(update=more)
