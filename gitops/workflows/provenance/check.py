"""What a builder whom we believe says of a release and its layers, out of published files alone.

In: the attestations, whom to believe, what they must be about. Out: a `Claim`, or the reason why there is none. Rules:
the same questions as a box asks (pkg/agent, offer/provenance.py), by other code.

    claim = of_layer(attestations, builders, layer)
"""

from collections.abc import Iterable, Mapping

from gitops.errors import TowerosError
from gitops.model import Builders, Claim, Layer
from gitops.model.provenance import LAYER, RELEASE
from gitops.sign.envelope import unseal
from gitops.store.files.attestations import Attestations

HINT = "the next release has it; one of an older controller, or made without a builder's key, has none"


def of_layer(attestations: Attestations, builders: Builders, layer: Layer) -> Claim:
    """What is said of a layer.

    Raises:
        TowerosError: nothing that we believe.
    """
    return _of(attestations, builders, LAYER, {layer.root: layer.root})


def of_release(attestations: Attestations, builders: Builders, subjects: Mapping[str, str]) -> Claim:
    """What is said of a release; `subjects`: `release.json`, and its boot files where they are known -> SHA-256.

    Raises:
        TowerosError: nothing that we believe.
    """
    return _of(attestations, builders, RELEASE, subjects)


def summary(claims: Iterable[Claim]) -> str:
    """What the layers are, in one line."""
    every = list(claims)
    packages = {str(claim.asked["package"]) for claim in every if "package" in claim.asked}
    commits = {claim.commit for claim in every}
    files = {each.digest for claim in every for each in claim.materials if each.uri.startswith("pkg:")}
    adopted = sum(bool(claim.inner.get("adopted")) for claim in every)
    more = f"; {adopted} are older than their provenance" if adopted else ""
    words = f"{_count(len(every), 'layer')}: {_count(len(packages), 'package')} of {_count(len(files), 'locked file')}"
    return f"{words}, built at {_count(len(commits), 'commit')}{more}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _of(attestations: Attestations, builders: Builders, kind: str, subjects: Mapping[str, str]) -> Claim:
    what = "the release" if kind == RELEASE else f"layer {next(iter(subjects))[:12]}"
    data = attestations.read(next(iter(subjects.values())))
    if data is None:
        raise TowerosError(f"{what} has no provenance", hint=HINT)
    try:
        claim = Claim.parse(unseal(data, builders.keys))
    except TowerosError as error:
        raise TowerosError(f"the provenance of {what}: {error.message}") from error
    if claim.kind != kind or claim.fleet != builders.fleet:
        raise TowerosError(f"the provenance of {what} is another fleet's, or of another kind of thing")
    for name, wanted in subjects.items():
        if claim.subjects.get(name) != wanted:
            raise TowerosError(f"the provenance of {what} is about another {'layer' if kind == LAYER else name}")
    return claim
