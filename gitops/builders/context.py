"""The build context: a package's folder as Git has it, and its locked files.

In: a package, its Tree, the store. Out: a folder with the files, modes and links of the commit, `debs/*.deb` and
`wheels/*.whl` (or `rootfs.tar`), and `fetched/*`. Nothing else is seen by a build.
"""

import shutil
from pathlib import Path

from debian.debfile import DebFile

from gitops.builders.builder import log_file
from gitops.builders.mirrors import SUITE
from gitops.builders.moving import run_while_it_moves
from gitops.errors import BuildError, ProcessError
from gitops.fleet.packages.folder import FETCHED_FOLDER, within
from gitops.model import FETCHED, LockedFile, Package, Tree, sha256
from gitops.store import Store

LINK, EXECUTABLE, FOLDER = 0o120000, 0o111, 0o755
CHUNK = 1 << 20
HOOKS = (
    "rm -rf $1/var/lib/apt/* $1/var/cache/apt $1/var/log/* $1/var/cache/ldconfig/aux-cache $1/var/cache/debconf/*-old",
    "rm -rf $1/usr/share/doc $1/usr/share/man $1/usr/share/locale $1/usr/share/info $1/usr/share/lintian",
    "rm -f $1/etc/machine-id $1/etc/hostname $1/etc/resolv.conf $1/etc/apt/sources.list",
    "test ! -e $1/etc/shadow || sed -i 's/^\\([^:]*:[^:]*\\):[0-9]*:/\\1:1:/' $1/etc/shadow",
    "find $1/usr -name __pycache__ -prune -exec rm -rf {} +",
)
"""What a fresh Debian root holds that differs from day to day or that no tool needs."""
STILL = 600.0
"""Seconds without a word and without a byte of mmdebstrap, where nobody says otherwise."""
SLOW = "is the disk slow or full, or does a script of a package wait? `rootfs_still` (docs/settings.md) gives it longer"


def write_context(store: Store, package: Package, tree: Tree, folder: Path, still: float = STILL) -> None:
    """Fill an empty folder with a package's build context. `still`: seconds that mmdebstrap may stand still.

    Raises:
        BuildError: two locked files have one name, or no root can be made of them; the log's place is named.
    """
    _write_files(package, tree, folder)
    _open_folders(folder)
    fetched = [file for file in package.lock if file.kind == FETCHED]
    if fetched:
        _lay(store, fetched, folder / FETCHED_FOLDER)
    if package.rootfs:
        make_rootfs(store, package, folder / "rootfs.tar", still)
        return
    for kind, name in (("deb", "debs"), ("wheel", "wheels")):
        _lay(store, [file for file in package.lock if file.kind == kind], folder / name)


def _write_files(package: Package, tree: Tree, folder: Path) -> None:
    for path, place in within(tree, package):
        entry, target = tree.entries()[path], folder / place
        target.parent.mkdir(parents=True, exist_ok=True)
        if entry.mode == LINK:
            target.symlink_to(tree.read(path).decode())
        else:
            target.write_bytes(tree.read(path))
            target.chmod(0o755 if entry.mode & EXECUTABLE else 0o644)


def _open_folders(folder: Path) -> None:
    """Git has no modes of folders, and `COPY` takes those that it finds: the umask of the builder must not show."""
    for path in folder.rglob("*"):
        if path.is_dir() and not path.is_symlink():
            path.chmod(FOLDER)


def _lay(store: Store, files: list[LockedFile], folder: Path) -> None:
    folder.mkdir()
    folder.chmod(FOLDER)
    _copy(store, files, folder)


def _copy(store: Store, files: list[LockedFile], folder: Path) -> None:
    """Never hard links: a build step is root, and may write into its context (`RUN --mount=...,rw`), so it would write
    into the store, for every other package and every build to come."""
    laid: dict[str, LockedFile] = {}
    for file in files:
        if other := laid.get(file.filename):
            both = f"{other.name} {other.version} and {file.name} {file.version}"
            raise BuildError(f"{both} are both called {file.filename}", hint="lock the package again: `toweros lock`")
        laid[file.filename] = file
        blob, target = store.blobs.path(file.sha256), folder / file.filename
        with blob.open("rb") as source, target.open("xb") as copy:
            shutil.copyfileobj(source, copy, CHUNK)
        shutil.copystat(blob, target)


def make_rootfs(store: Store, package: Package, out: Path, still: float = STILL) -> None:
    """A whole Debian root out of exactly the locked packages, by mmdebstrap, without network. Raises BuildError."""
    repository = out.parent / ".repository"
    repository.mkdir()
    debs = [file for file in package.lock if file.kind == "deb"]
    _copy(store, debs, repository)
    _write_index(repository, debs)
    names = ",".join(sorted(file.name for file in debs))
    # `copy:` and not `file:`: dpkg runs inside the new root, from which our folder cannot be seen.
    command: list[str | Path] = [
        *("mmdebstrap", f"--variant={package.rootfs}", "--mode=root", "--format=tar", "--verbose"),
        *(f"--include={names}", "--skip=check/empty", *(f"--customize-hook={hook}" for hook in HOOKS)),
        *('--aptopt=APT::Install-Recommends "false"', SUITE, out, f"deb [trusted=yes] copy:{repository} ./"),
    ]
    log = log_file(store, package)
    try:
        run_while_it_moves(command, log, [out], still, env={"SOURCE_DATE_EPOCH": "0"})
    except ProcessError as error:
        stood = error.code is None
        hint = error.hint or f"the log is {log}" + (f"; {SLOW}" if stood else "")
        raise BuildError(f"{package.path}: {error.message}", hint=hint, transient=stood) from error
    shutil.rmtree(repository)


def _write_index(repository: Path, debs: list[LockedFile]) -> None:
    """A flat repository: mmdebstrap asks for what is essential in a suite by name, so there must be a Release file."""
    index = "\n".join(_index_entry(repository, file) for file in debs).encode()
    (repository / "Packages").write_bytes(index)
    release = f"Suite: {SUITE}\nCodename: {SUITE}\nSHA256:\n {sha256(index)} {len(index)} Packages\n"
    (repository / "Release").write_text(release)


def _index_entry(repository: Path, file: LockedFile) -> str:
    """A stanza of a Packages index (Debian wiki, RepositoryFormat)."""
    control = DebFile(str(repository / file.filename)).debcontrol()
    return f"{control.dump()}Filename: ./{file.filename}\nSize: {file.size}\nSHA256: {file.sha256}\n"
