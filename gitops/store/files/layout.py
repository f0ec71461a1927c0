"""Every path below the state folder, spelled once.

blobs/sha256/HEX            anything, by digest            toweros.db     the database, if it is SQLite
layers/ROOT  ROOT.zst       EROFS images and zstd copies   toolbox/KEY    the image tools, unpacked
layers/deltas/OLD/NEW.zst                                  buildah/       the builder's own storage
assembled/KEY/SHA256        what `toweros assemble` made
repo/metadata/*.json        what boxes trust               logs/          what builds print
repo/attestations/*.json    who built it, of what
repo/lease-TOKEN/           metadata on its way there      id             the folder's own name, for the lease
replaced-TIME/              what a restore took away       restoring      there while a restore is not done
source/  review/  plan/  security/  clones of the fleet repo       .KIND-*        work in progress (`Scratch`)
record/                     what is sent of the record of deployments
audit/NUMBER.jsonl          who changed what: no restore takes it back
"""

import contextlib
import enum
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

HOUR = 3600.0


class Scratch(enum.StrEnum):
    """Temporary folders and files directly below the root, by what works there."""

    build = ".build-"
    fetch = ".fetch-"
    plan = ".plan-"
    pull = ".pull-"
    extract = ".extract-"
    tar = ".tar-"
    feed = ".feed-"
    backup = ".backup-"
    restore = ".restore-"


LEFTOVERS = {
    f"{Scratch.build}*": 0.0,
    f"{Scratch.fetch}*": 0.0,
    f"{Scratch.pull}*": 0.0,
    "assembled/.new-*": 24 * HOUR,
    **dict.fromkeys((f"{Scratch.plan}*", f"{Scratch.backup}*", f"{Scratch.restore}*"), 24 * HOUR),
    **dict.fromkeys(
        (f"{Scratch.extract}*", f"{Scratch.tar}*", f"{Scratch.feed}*", "toolbox/.new-*", "toolbox/*/work/*"), HOUR
    ),
    **dict.fromkeys(
        (
            "assembled/.new-*",
            "blobs/sha256/.new-*",
            "layers/.new-*",
            "layers/deltas/*/.new-*",
            "repo/attestations/.new-*",
        ),
        HOUR,
    ),
}
"""Temporary names, and the seconds of silence after which nobody works there any more."""


@dataclass(frozen=True)
class Layout:
    """The paths of one state folder."""

    root: Path

    @property
    def blobs(self) -> Path:
        return self.root / "blobs" / "sha256"

    @property
    def layers(self) -> Path:
        return self.root / "layers"

    @property
    def database(self) -> Path:
        return self.root / "toweros.db"

    @property
    def metadata(self) -> Path:
        """The signed metadata that boxes fetch."""
        return self.root / "repo" / "metadata"

    @property
    def attestations(self) -> Path:
        """Who built what boxes fetch, and of what: signed."""
        return self.root / "repo" / "attestations"

    @property
    def identity(self) -> Path:
        """The file that names this folder, so that the database knows it again."""
        return self.root / "id"

    @property
    def restoring(self) -> Path:
        """There while what is here is neither the old state nor the restored one."""
        return self.root / "restoring"

    def staging(self, token: int) -> Path:
        """Where the controller with this token writes metadata before it appears."""
        return self.root / "repo" / f"lease-{token}"

    @property
    def audit(self) -> Path:
        """Who changed what (`gitops.store.audit`)."""
        return self.root / "audit"

    @property
    def toolbox(self) -> Path:
        return self.root / "toolbox"

    @property
    def assembled(self) -> Path:
        """What `toweros assemble` made, by the hash of what it is made of."""
        return self.root / "assembled"

    @property
    def builder(self) -> Path:
        return self.root / "buildah"

    @property
    def source(self) -> Path:
        """The clone that is followed."""
        return self.root / "source"

    @property
    def review(self) -> Path:
        """The clone that pull requests are fetched into."""
        return self.root / "review"

    @property
    def plan(self) -> Path:
        """The clone of `toweros plan`, beside the one that is followed."""
        return self.root / "plan"

    @property
    def security(self) -> Path:
        """The clone in which commits of security updates are made."""
        return self.root / "security"

    @property
    def record(self) -> Path:
        """The clone out of which the record of deployments is sent: the database has it."""
        return self.root / "record"

    def build_log(self, package: str) -> Path:
        """Where the log of a package's last failed build is; `package` is its path in the fleet repo."""
        return self.root / "logs" / f"build-{package.replace('/', '-')}.log"

    def scratch(self, kind: Scratch) -> "tempfile.TemporaryDirectory[str]":
        """A temporary folder on the store's file system; `sweep` removes what a killed process left there."""
        return tempfile.TemporaryDirectory(dir=self.root, prefix=kind)

    def sweep(self) -> None:
        """Remove what a killed controller left. Only the lease's holder may: nobody else builds."""
        for pattern, age in LEFTOVERS.items():
            for path in self.root.glob(pattern):
                with contextlib.suppress(FileNotFoundError):
                    if time.time() - path.lstat().st_mtime >= age:
                        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
