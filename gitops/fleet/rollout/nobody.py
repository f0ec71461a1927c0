"""Whom `rollout:` names, and no box is: a mistyped label is a wave that nobody is in, and that keeps nobody waiting.

In: fleet.yaml's `rollout:` with the places of its values, and every box's own file. Out: sentences, each with file and
line. Rules: a warning and no mistake, as the last box of a site may go before its wave does; what is near is named.

    nobody(fleet.document, fleet.content.rollout, boxes)
    # ["fleet.yaml:4: rollout.waves: lab: no box has the label ring: lba; did you mean `lab`?"]
"""

from collections.abc import Collection, Iterator, Mapping
from itertools import islice

from gitops.fleet.documents.explain import did_you_mean
from gitops.fleet.documents.yaml import Document
from gitops.fleet.rollout.rules import RolloutRules, WaveRules
from gitops.fleet.schema import BoxFile

OWN = {"fleet", "site"}
"""What boxes are counted by besides their labels."""
MOST = 20
"""Sentences: the first are enough to know of."""


def nobody(document: Document, rules: RolloutRules, boxes: Mapping[str, BoxFile]) -> list[str]:
    """In sentences; a fleet without boxes is only begun, and none are said of it."""
    return list(islice(_sentences(document, rules, boxes), MOST)) if boxes else []


def _sentences(document: Document, rules: RolloutRules, boxes: Mapping[str, BoxFile]) -> Iterator[str]:
    labels = {label for box in boxes.values() for label in box.labels.items()}
    for index, wave in enumerate(rules.waves):
        where = f"fleet.yaml:{document.mark(('rollout', 'waves', index))[0]}: rollout.waves: {wave.name}:"
        yield from (f"{where} {each}" for each in _wave(wave, boxes, labels))
    keys = {key for key, _ in labels} | OWN
    for word, named in (("max_unavailable", rules.max_unavailable), ("never_together", rules.never_together)):
        where = f"fleet.yaml:{document.mark(('rollout', word))[0]}: rollout.{word}:"
        yield from (f"{where} no box has a label {key}{_near(key, keys)}" for key in named if key not in keys)


def _wave(wave: WaveRules, boxes: Mapping[str, BoxFile], labels: Collection[tuple[str, str]]) -> Iterator[str]:
    roles, sites = {box.role for box in boxes.values()}, {box.members().get("site") for box in boxes.values()}
    named = (("box is called", wave.boxes, boxes), ("box has the role", wave.roles, roles))
    for words, names, known in (*named, ("box is at the site", wave.sites, sites)):
        yield from (f"no {words} {name}{_near(name, known)}" for name in names if name not in known)
    for key, value in wave.labels.items():
        if (key, value) not in labels:
            values = {each for name, each in labels if name == key}
            near = _near(value, values) if values else _near(key, {name for name, _ in labels})
            yield f"no box has the label {key}: {value}{near}"


def _near(name: str, known: Collection[str | None]) -> str:
    hint = did_you_mean(name, sorted(filter(None, known)))
    return f"; {hint}" if hint else ""
