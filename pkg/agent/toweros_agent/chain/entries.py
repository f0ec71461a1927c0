"""Are the boot entries on the ESP, file by file, what was signed for their releases?

Every signed UKI starts under every name, and arguments are the same in most of them: so one of another release under
the newest entry's name runs an old kernel below the new layers, and nothing else would tell. The memory has the digests
of what was staged (and of the first release, once it was offered). Rules: a file is read again when it has changed;
one that differs is put right from what the box has; for what it has not, `lost` says what would help.
"""

import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from toweros_agent.host.boot import Boot
from toweros_agent.host.disk import file_digest, sync_folder
from toweros_agent.host.esp import Esp
from toweros_agent.host.renaming import rename, replace, settle
from toweros_agent.nouns import Entry, Refused, Staged

TOLD = 3600.0
"""Seconds for which a thing that is over is told."""
UKI, ADDON = "UKI", "addon"


class Entries:
    """`downloads` is where the last boot files that were fetched lie; `staged` is the memory's, and may change;
    `refuses`: whether the firmware would not start a file, which then takes no other's place."""

    def __init__(
        self,
        esp: Esp,
        downloads: Path,
        boot: Boot,
        staged: Mapping[int, Staged],
        refuses: Callable[[Path], bool] = lambda _: False,
    ) -> None:
        self.refuses, self.refused = refuses, set[str]()
        self.esp, self.downloads, self.boot, self.staged = esp, downloads, boot, staged
        self.lost: dict[str, str] = {}
        """Digest -> what is told while a file with that digest is missing."""
        self._said: dict[str, float] = {}
        self._foreign = False
        self._digests: dict[Path, tuple[int, int, str]] = {}

    @property
    def problems(self) -> list[str]:
        told = [text for text, moment in self._said.items() if time.monotonic() - moment < TOLD]
        return [*told, *self.lost.values()]

    @property
    def hopeless(self) -> str:
        """Why this boot should end: what was started is not what should run, and by now the next start is right."""
        ours = self.staged.get(self.boot.started)
        if not self._foreign or not ours or ours.uki in self.lost:
            return ""
        return f"it ran another UKI than release {self.boot.started}'s, which is put right"

    def other_uki(self) -> bool:
        """Was this boot started from another UKI than its entry's? Of what is not known, nothing is said."""
        entry, ours = self.esp.get(self.boot.started), self.staged.get(self.boot.started)
        wrong = bool(entry and ours and self.digest(self.esp.path(entry)) not in ("", ours.uki))
        self._foreign = self._foreign or wrong
        return wrong

    def restore(self) -> None:
        """Compare all, and put right what differs. Raises `OSError` where it cannot, after it has tried the rest."""
        self.lost.clear()
        self.refused.clear()
        self.other_uki()
        troubles = []
        for entry in self.esp.entries():
            for kind, path, expected in self._signed(entry):
                try:
                    self._compare(entry, kind, path, expected)
                except (OSError, Refused) as error:
                    self.lost[expected] = f"the {kind} of release {entry.sequence} cannot be put right: {error}"
                    troubles.append(error)
        if broken := [each for each in troubles if isinstance(each, OSError)]:
            raise broken[0]

    def digest(self, path: Path) -> str:
        """Of a file; "" when it is not there."""
        try:
            about = path.stat()
        except OSError:
            return ""
        size, changed, digest = self._digests.get(path, (0, 0, ""))
        if (size, changed) != (about.st_size, about.st_mtime_ns) or not digest:
            self._digests = {each: known for each, known in self._digests.items() if each.exists()}
            digest = file_digest(path)
            self._digests[path] = (about.st_size, about.st_mtime_ns, digest)
        return digest

    def _signed(self, entry: Entry) -> list[tuple[str, Path, str]]:
        """Its files, and what is known of them."""
        ours = self.staged.get(entry.sequence)
        files = ((UKI, self.esp.path(entry)), (ADDON, self.esp.addon(entry.sequence)))
        return [(*each, digest) for each, digest in zip(files, (ours.uki, ours.addon), strict=True)] if ours else []

    def _compare(self, entry: Entry, kind: str, path: Path, expected: str) -> None:
        if not expected or (found := self.digest(path)) == expected:
            return
        words = f"is another than was signed for release {entry.sequence}" if found else "was gone"
        source = self._source(expected)
        if source is None:
            self.lost[expected] = f"the {kind} of {entry.name} {words}; this box has no other copy"
            return
        if self.refuses(source):
            self.refused.add(expected)
            self.lost[expected] = f"the {kind} of {entry.name} {words}; the firmware would not start the copy of it"
            return
        self._put(entry.sequence, kind, source, path, expected)
        self._said[f"the {kind} of {entry.name} {words}: it is put right"] = time.monotonic()

    def _source(self, expected: str) -> Path | None:
        """Where there is a file with that digest."""
        there = [self.esp.path(entry) for entry in self.esp.entries()]
        there += [self.downloads / name for name in ("uki.efi", "addon.efi")]
        return next((path for path in there if self.digest(path) == expected), None)

    def _put(self, sequence: int, kind: str, source: Path, path: Path, expected: str) -> None:
        """Beside it first, read back, then in its place."""
        beside = self.esp.folder / f"toweros-{sequence}.efi.new"
        beside = beside if kind == UKI else path.with_name("release.new")
        self.esp.demand(source.stat().st_size)
        if not path.parent.is_dir():
            path.parent.mkdir()
            sync_folder(path.parent.parent)
        shutil.copyfile(source, beside)
        settle(beside)
        if file_digest(beside) != expected:
            raise Refused("the ESP does not give back what was written")
        if path.exists() and path.stat().st_size:
            replace(beside, path)
        else:
            rename(beside, path, check=True)
        self._digests.pop(path, None)
