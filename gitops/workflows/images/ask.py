"""What tags of images mean now, as their registries say, and whether what they mean may be taken.

In: tags with what the fleet repo says of them. Out: an `Answer` for each; of one that moved, the key that signed it.
Rules: one HEAD for each tag; a registry that is away is asked once in a look, one that denies or breaks an answer about
the others too; every answer is bounded in time and bytes, and is that tag's alone, whatever it is; a digest is believed
only when its bytes are there. Nothing is kept.

    registries = Registries(settings, Trust.of(tree))
    for answer in registries.ask(tracked(tree), pins(tree)):
        if answer.moved: registries.judge(answer)
"""

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from gitops.errors import RegistryError
from gitops.fleet.images.tracked import Tracked
from gitops.oci.away import Away
from gitops.oci.image import describe, fits
from gitops.oci.registry import Registry, hex_of
from gitops.oci.trust import Trust, place_of, whose
from gitops.oci.within import within
from gitops.settings import Settings

ANSWER, LOOK, JUDGE = 45, 300, 180
"""Seconds: for one tag, for all tags, for what one means."""


@dataclass(frozen=True)
class Answer:
    """One tag. `now`: the digests that the fleet repo has for it; `found`: the one that the registry has; both
    `sha256:HEX`. Without `found`, `why` says what is wrong, and `known` whether the registry itself said so."""

    name: str
    tag: str
    now: tuple[str, ...]
    found: str = ""
    why: str = ""
    known: bool = True

    @property
    def reference(self) -> str:
        return f"{self.name}:{self.tag}"

    @property
    def moved(self) -> bool:
        return bool(self.found) and self.now != (self.found,)


class Registries:
    """One look. `boxes_pull`: images (`NAME:TAG@sha256:HEX`) that boxes pull by themselves, with a signature always."""

    def __init__(self, settings: Settings, trust: Trust, boxes_pull: Collection[str] = ()) -> None:
        self._settings, self._trust, self._boxes_pull = settings, trust, boxes_pull
        self._away = Away()

    def ask(self, wanted: Iterable[Tracked], pins: Mapping[str, str]) -> tuple[Answer, ...]:
        """An answer for each tag, whatever is wrong."""
        now: dict[tuple[str, str], set[str]] = {}
        for one in wanted:
            now.setdefault((one.name, one.tag), set()).update(filter(None, [one.digest(pins)]))
        until = time.monotonic() + LOOK
        return tuple(self._ask(Answer(*key, tuple(sorted(now[key]))), until) for key in sorted(now))

    def _ask(self, tag: Answer, until: float) -> Answer:
        def answer(found: str = "", why: str = "", *, known: bool = True) -> Answer:
            return Answer(tag.name, tag.tag, tag.now, found, why, known)

        host = ""
        try:
            registry, repository = place_of(self._settings, tag.name)
            host = registry.host
            self._away.check(host)
            if time.monotonic() > until:
                return answer(why=f"not asked: the others took {LOOK} seconds", known=False)
            found = _asked(ANSWER, partial(registry.digest, repository, tag.tag), registry.host)
        except RegistryError as error:
            self._away.heard(host, error)
            return answer(why=error.message, known=False)
        if not found:
            return answer(why=f"{registry.host} has no such tag any more")
        return answer(f"sha256:{found}")

    def judge(self, tag: Answer) -> str:
        """Whose key signed what a tag means now; empty: nobody need have.

        Raises:
            RegistryError: it may not be taken; transient: nobody can say.
        """
        registry, repository = place_of(self._settings, tag.name)
        return _asked(JUDGE, lambda: self._judge(registry, repository, tag), registry.host)

    def _judge(self, registry: Registry, repository: str, tag: Answer) -> str:
        digest = hex_of(tag.found)
        image = describe(registry, repository, digest)
        fits(image, "it")
        if any(f"{tag.reference}@{digest}" in self._boxes_pull for digest in tag.now):
            return whose(registry, repository, (image.digest,), self._trust.keys)  # Docker pulls by this digest
        if self._trust.asks(tag.name):
            return whose(registry, repository, (digest, image.digest), self._trust.keys)
        return ""


def _asked(seconds: float, work: Callable[[], str], host: str) -> str:
    """What one registry says; what no parser expects of it is its own fault, and stops nobody else's updates."""
    try:
        return within(seconds, work, host)
    except RegistryError:
        raise
    except Exception as error:
        raise RegistryError(f"{host} answers what nobody can read: {type(error).__name__}") from error
