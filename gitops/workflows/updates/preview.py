"""What a run of security updates would commit, for people. Nothing is written but apt's own cache.

for window, parcels, left in previews(tree, settings): parcels[0].message
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass

from gitops.builders.apt import Apts
from gitops.builders.relocking.relock import Relocker
from gitops.errors import FleetError, Problem
from gitops.fleet import load_policy
from gitops.fleet.packages import load_packages
from gitops.fleet.vex import load_statements
from gitops.model import Tree, building
from gitops.model.updates.patching import Move, Patching, Window
from gitops.security.schedule.choice import Facts
from gitops.security.schedule.knowledge import Knowledge, Nothing, mended, unsure
from gitops.settings import Settings
from gitops.workflows.updates.images.survey import Joined, Watch
from gitops.workflows.updates.survey import Parcel, Survey


@dataclass(frozen=True)
class Preview:
    """One schedule: the commits that it would make, and what stays for which reason."""

    window: Window
    parcels: tuple[Parcel, ...]
    left: tuple[tuple[Move, str], ...]


def previews(tree: Tree, settings: Settings, knowledge: Knowledge | None = None) -> Iterator[Preview]:
    """For every schedule of a fleet repo; the defaults, where it has none.

    Raises:
        FleetError: it has mistakes. BuildError: the mirrors do not answer, or nobody vouches for their lists.
    """
    policy, problems, known = load_policy(tree), list[Problem](), knowledge or Nothing()
    packages = load_packages(tree, building(policy.recipe), settings.platform, problems)
    statements = load_statements(tree, problems)
    if problems:
        raise FleetError(problems)
    patching = policy.security or Patching()
    relocker = Relocker(Apts(settings.state / "apt"), tree, packages)
    before, after = (relocker.told(locks) for locks in (relocker.locks, relocker.newest()))
    fixed = mended(before, after, known, statements, time.strftime("%Y-%m-%d", time.gmtime()))
    facts = Facts(int(time.time()), known.known, fixed, unsure=unsure(before, after, known))
    for window in patching.windows():
        watch = Watch(settings, tree, off=window is not Window.packages)
        survey = Joined(Survey(relocker, patching, window, facts), watch.survey(patching, facts))
        parcels = tuple(survey.parcels())
        yield Preview(window, parcels, tuple(survey.left))
