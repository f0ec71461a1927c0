"""Nouns to JSON and back, for the database. Unknown members are dropped, so that an older controller can read on."""

import json
from dataclasses import asdict
from typing import Any

from gitops.model import (
    BlobRef,
    BootFiles,
    Content,
    Failure,
    Health,
    HealthCheck,
    HealthSpec,
    Image,
    Json,
    Layer,
    Mounted,
    Phase,
    Publication,
    Release,
    Report,
    Reset,
    Revision,
    Verdict,
    canonical,
)


def dump(noun: Any) -> str:
    return canonical(asdict(noun, dict_factory=_members)).decode()


def _members(rows: list[tuple[str, Any]]) -> Json:
    """What an older controller did not have is written only where it is."""
    return {name: value for name, value in rows if value is not None or name not in ("boot", "loader")}


def _layers(rows: list[Json]) -> tuple[Layer, ...]:
    return tuple(Layer(row["root"], row["size"]) for row in rows)


def image(text: str) -> Image:
    row = json.loads(text)
    return Image(row["reference"], row["key"], row["config"], tuple(row["layers"]))


def health(row: Json) -> HealthSpec:
    return HealthSpec(row["probation"], tuple(HealthCheck(**check) for check in row["checks"]))


def content(row: Json) -> Content:
    return Content(
        kernel=BlobRef(**row["kernel"]),
        initrd=BlobRef(**row["initrd"]),
        cmdline=row["cmdline"],
        root=_layers(row["root"]),
        containers=tuple(Mounted(c["path"], c["target"], _layers(c["layers"])) for c in row["containers"]),
        health=health(row["health"]),
        boot=BootFiles(**row["boot"]) if row.get("boot") else None,
    )


def publication(text: str) -> Publication:
    row = json.loads(text)
    blobs = {name: BlobRef(**row[name]) for name in ("document", "uki", "addon", "loader") if row.get(name)}
    made = row["release"]
    release = Release(made["box"], made["sequence"], content(made["content"]))
    return Publication(release, Revision.of(row["revision"]), **blobs)


def report(text: str) -> Report:
    row = json.loads(text)
    row["failures"] = tuple(
        Failure(**failure | {"verdict": Verdict(failure["verdict"])}) for failure in row["failures"]
    )
    row["retried"] = None if row.get("retried") is None else tuple(row["retried"])
    row["resets"] = tuple(Reset(**reset) for reset in row.get("resets", ()))
    row["checks"], row["degraded"] = tuple(row["checks"]), tuple(row["degraded"])
    row["phase"], row["health"] = Phase(row["phase"]), Health(row["health"])
    return Report(**row)
