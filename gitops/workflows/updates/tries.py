"""Updates are tried: their files are fetched, and what they change is built, before anybody is offered them.

In: a parcel, the commit that it stands on. Out: whether it can be had and built. Rules: every new file is in the store
with the bytes that the mirrors' signed lists say before there is a commit; what does not build is held, with the end of
its log; what cannot be had, written or built now, as this machine stands, is a problem of the run, and is tried again:
a disk that is full keeps nobody but that parcel.

    tries = Tries(desk, clone, (fleet, revision), base, problems)
    commit = tries.commit(parcel, head)         # empty: it is held, or cannot be had
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from gitops.builders.inputs import MissingInputsError, fetch_all
from gitops.builders.places import Places
from gitops.errors import BuildError, RegistryError, StoreError, readable
from gitops.fleet import load_fleet
from gitops.model import EventType, Fleet, Happened, Revision
from gitops.model.updates.patching import Failed
from gitops.plan import plan
from gitops.source.clone.pushing import Draft, PushClone
from gitops.store import LeaseError
from gitops.workflows.images.pulling import Images
from gitops.workflows.updates.desk import Desk
from gitops.workflows.updates.memory import Memory
from gitops.workflows.updates.pulls import Base
from gitops.workflows.updates.survey import Parcel
from gitops.workflows.workshop import Workshop

LOG_LINES = 15
"""Lines of a failed build's log that are remembered."""


@dataclass(frozen=True)
class Tries:
    """Those of one run. `point` is what is deployed; what goes wrong is added to `problems`."""

    desk: Desk
    clone: PushClone
    point: tuple[Fleet, Revision]
    base: Base
    problems: list[str]

    def commit(self, parcel: Parcel, parent: str) -> str:
        """The parcel as a commit whose packages are built; empty when it cannot be had, or is held."""
        with self.here(parcel):
            if self.fetch(parcel):
                commit = self.clone.commit(Draft(parent, parcel.files, parcel.message, self.base.time))
                return commit if self.builds(parcel, commit) else ""
        return ""

    @contextmanager
    def here(self, parcel: Parcel) -> Iterator[None]:
        """What this machine's disk does not let be is a problem of the run; the other parcels go on."""
        try:
            yield
        except LeaseError:
            raise
        except (OSError, StoreError) as caught:
            error = readable(caught)
            self.problems.append(f"{parcel.name}: {error.message}; {error.hint}")

    def fetch(self, parcel: Parcel) -> bool:
        """Have every new file and image in the store."""
        fleet, _ = self.point
        images = Images(self.desk.settings, self.desk.store)
        packages = [replace(fleet.packages[path], lock=new) for path, new in parcel.new.items() if new]
        try:
            self.desk.listen(lambda: fetch_all(self.desk.store, packages, Places.by(self.desk.settings)))
            for name in parcel.images:
                images.image(name, self.desk.listen)
        except (MissingInputsError, RegistryError) as error:
            self.problems.append(f"{parcel.name}: {error.message}")
            return False
        return True

    def builds(self, parcel: Parcel, commit: str) -> bool:
        """Build what the commit changes; what is built is used again when it deploys."""
        settings, store, tree = self.desk.settings, self.desk.store, self.clone.files(commit)
        fleet = load_fleet(tree, settings.platform)
        revision = self.clone.describe(self.base.branch, commit, self.point[1].sequence + 1)
        workshop = Workshop(settings, store, self.desk.builder, (revision, tree), fleet)
        for step in plan(fleet, revision, store.existing()).builds:
            self.desk.between()
            try:
                workshop.build(step.subject)
            except MissingInputsError as error:
                self.problems.append(f"{parcel.name}: {error.message}")
                return False
            except BuildError as error:
                if error.transient:
                    self.problems.append(f"{parcel.name}: {error.message}")
                    return False
                self._hold(parcel, step.subject, error)
                return False
        return True

    def _hold(self, parcel: Parcel, package: str, error: BuildError) -> None:
        why = f"{package} does not build: {error.message}"
        path = self.desk.store.paths.build_log(package)
        log = path.read_text(errors="replace").splitlines()[-LOG_LINES:] if path.is_file() else []
        Memory(self.desk.store, self.desk.clock).hold(parcel.moves, Failed.build, "\n".join([why, *log]))
        self.desk.say(EventType.WARNING, Happened.WITHHELD, f"{', '.join(map(str, parcel.moves))}: {why}")
