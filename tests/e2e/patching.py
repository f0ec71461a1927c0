"""Security updates of the box in the field: a signed Debian repository, a feed of advisories, a clock that tests move.

The fleet's `pkg/hello` gets two packages out of that repository; all others stay as they are locked, for this mirror
has nothing newer of them.

    patching = Patching(field, debian, folder)
    patching.begin()
    patching.update("greeting", "2.0")
    patching.day()                              # the schedule fires: a commit, if there is something to commit
"""

import json
import time
from pathlib import Path

from gitops.builders.apt import Apts
from gitops.builders.relocking.relock import Relocker
from gitops.fleet.packages import load_packages
from gitops.process import run
from gitops.settings import Feed
from gitops.sign.commits import CommitKey
from gitops.source import FolderTree
from gitops.store.notes.documents import Patches, PatchRuns
from gitops.workflows.journal import Pass
from gitops.workflows.security.advisories import Advisories
from gitops.workflows.security.exposures import look
from gitops.workflows.security.known import Known
from gitops.workflows.updates.schedule import Updates
from tests.e2e.field import Field
from tests.kit import built
from tests.kit.debian import Debian
from tests.kit.feeds import resolved, tracker

DAY = 86400
PACKAGE = "pkg/hello"
LOCK = f"{PACKAGE}/packages.lock"
DOCKERFILE = """\
ARG TOOLBOX
ARG BASE
FROM ${TOOLBOX} AS unpack
COPY debs /debs
RUN unpack-debs /debs /out
FROM ${BASE}
COPY www /www
COPY --from=unpack /out/ /
CMD ["/usr/bin/httpd", "-f", "-p", "8080", "-h", "/www"]
"""
SECURITY = "security: {every: day at 02:30, how: commit, packages: {allow: [greeting, banner]}}\n"
LIMIT = '  limits: [{paths: ["pkg/*/packages.lock"], signers: [toweros-security]}]\n'
CVE = "CVE-2026-4711"


class Patching:
    """`now`: the schedule's clock, Unix seconds."""

    def __init__(self, field: Field, debian: Debian, folder: Path) -> None:
        self.field, self.debian = field, debian
        self.now = int(time.time()) - 7 * DAY  # a commit that is dated in the future would not deploy
        for nothing in (PatchRuns(), Patches()):  # the store is kept between runs, and this clock begins again
            field.store.notes.put(nothing)
        self._feed = folder / "tracker.json"
        self._feed.write_text(json.dumps(tracker({"greeting": {CVE: resolved("2.0", "high")}})))
        feeds = (Feed(name="debian", place=str(self._feed)),)
        self.settings = field.settings.model_copy(update={"feeds": feeds})
        self.advisories = Advisories(field.store, feeds)

    def begin(self) -> None:
        """As an operator, once: a section of fleet.yaml, the controller's key with a limit, and `toweros lock`."""
        fleet = self.field.fleet
        spec = fleet / "fleet.yaml"
        text = spec.read_text()
        if SECURITY not in text:
            spec.write_text(text.replace("  sign: head", f"{LIMIT}  sign: head") + SECURITY)
        operator = (self.field.folder / "allowed_signers").read_text()
        (fleet / "keys/allowed_signers").write_text(f"{operator}{CommitKey.open(self.settings.keys).allowed}\n")
        (fleet / PACKAGE / "Dockerfile").write_text(DOCKERFILE)
        build = fleet / PACKAGE / "build.yml"
        if "TOOLBOX" not in build.read_text():
            argument = "  - TOOLBOX=@lkt:pkg:../toolbox\n"
            build.write_text(build.read_text().replace("buildArgs:\n", f"buildArgs:\n{argument}"))
        (fleet / PACKAGE / "packages.in").write_text("deb greeting banner\n")
        self._lock()
        self.field.commit("Updates come by themselves")

    def _lock(self) -> None:
        """As `toweros lock pkg/hello`."""
        tree = FolderTree(self.field.fleet)
        (self.field.fleet / LOCK).unlink(missing_ok=True)
        packages = load_packages(tree, 1, "linux/amd64", [])
        relocker = Relocker(Apts(self.field.store.paths.root / "apt"), tree, packages)
        text = relocker.text(PACKAGE, relocker.newest()[PACKAGE])
        (self.field.fleet / LOCK).write_bytes(text)

    def update(self, name: str, version: str, **files: str) -> None:
        """A new version arrives at the mirror, and the one before leaves it."""
        for old in self.debian.root.glob(f"pool/*/*/{name}_*.deb"):
            old.unlink()
        self.debian.add(name, version, files={f"www/{path}.html": text for path, text in files.items()})
        self.debian.publish()

    def day(self) -> Pass:
        """A day and an hour later: what is due is done, and the next pass finds it."""
        self.now += DAY + 3600
        self.look()
        return self.field.apply()

    def look(self) -> None:
        """What the controller does between two passes."""
        self.advisories.refresh(int(time.time()))
        known = Known(self.advisories)
        with built.alone():
            passes = self.field.passes
            revision = passes.run_once().revision
            fleet = passes._load(revision)
            Updates(self.settings, self.field.store, passes._builder, known, clock=lambda: self.now).run_due(
                fleet, revision
            )
            look(self.field.store, fleet, self.advisories, int(time.time()))
        self.field.pull()

    def head(self, form: str = "%s") -> str:
        """What the remote's branch has now."""
        return self._git("log", "-1", f"--format={form}", "main").strip()

    def changed(self) -> list[str]:
        """What the branch's last commit changes."""
        return self._git("diff", "--name-only", "main^", "main").splitlines()

    def locked(self) -> dict[str, str]:
        """The versions that the branch locks."""
        rows = self._git("show", f"main:{LOCK}").splitlines()[1:]
        return {row.split()[1]: row.split()[2] for row in rows}

    def _git(self, *words: str) -> str:
        return run(["git", "--git-dir", self.field.remote, *words]).decode()
