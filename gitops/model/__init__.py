"""The nouns, one per stage, in the order in which data flows.

    Revision -> Fleet -> Plan -> Image -> Layer -> Release -> Publication -> Report -> BoxState

All are frozen; none does I/O. Digests are lower-case hex without a prefix (`sha256:` is added only for people).
Sizes are bytes, times are Unix seconds, paths inside a repository use `/` and never start with it.
Formats that leave the controller are described in `docs/formats.md`.
"""

from gitops.model.digest import BlobRef, Json, canonical, sha256
from gitops.model.event import Event, EventType, Happened
from gitops.model.fleet import (
    APPS,
    FETCHED,
    KEYS,
    App,
    Box,
    Container,
    Fleet,
    HealthCheck,
    HealthSpec,
    LockedFile,
    Netboot,
    Network,
    Package,
    Spec,
)
from gitops.model.keys import DROP_IN, STATIC_ADDRESS, Key, Level
from gitops.model.machines.disk import DiskRule
from gitops.model.plan import Action, Existing, Plan, Step
from gitops.model.provenance import MAX_ATTESTATION, Builders, Claim, Material
from gitops.model.release import (
    BLOCK,
    RELEASE_FORMAT,
    AppImage,
    BootFiles,
    Content,
    Image,
    Layer,
    Mounted,
    Publication,
    Release,
    Statement,
    Target,
)
from gitops.model.report import REPORT_FORMAT, Failure, Health, Phase, Report, Reset, Verdict
from gitops.model.rollout.hold import Hold, HoldReason
from gitops.model.security.advisory import (
    Advisory,
    Affected,
    Decision,
    Exposure,
    Finding,
    Gap,
    Scope,
    Severity,
    Sighting,
    Standing,
    VexStatement,
    VexStatus,
)
from gitops.model.security.inventory import Component, Ecosystem, Inventory, LooseFile
from gitops.model.source import Entry, PathRule, Policy, Revision, Sign, Tree, building
from gitops.model.state import SILENT, BoxState, Sync, Version

__all__ = [
    "APPS",
    "BLOCK",
    "DROP_IN",
    "FETCHED",
    "KEYS",
    "MAX_ATTESTATION",
    "RELEASE_FORMAT",
    "REPORT_FORMAT",
    "SILENT",
    "STATIC_ADDRESS",
    "Action",
    "Advisory",
    "Affected",
    "App",
    "AppImage",
    "BlobRef",
    "BootFiles",
    "Box",
    "BoxState",
    "Builders",
    "Claim",
    "Component",
    "Container",
    "Content",
    "Decision",
    "DiskRule",
    "Ecosystem",
    "Entry",
    "Event",
    "EventType",
    "Existing",
    "Exposure",
    "Failure",
    "Finding",
    "Fleet",
    "Gap",
    "Happened",
    "Health",
    "HealthCheck",
    "HealthSpec",
    "Hold",
    "HoldReason",
    "Image",
    "Inventory",
    "Json",
    "Key",
    "Layer",
    "Level",
    "LockedFile",
    "LooseFile",
    "Material",
    "Mounted",
    "Netboot",
    "Network",
    "Package",
    "PathRule",
    "Phase",
    "Plan",
    "Policy",
    "Publication",
    "Release",
    "Report",
    "Reset",
    "Revision",
    "Scope",
    "Severity",
    "Sighting",
    "Sign",
    "Spec",
    "Standing",
    "Statement",
    "Step",
    "Sync",
    "Target",
    "Tree",
    "Verdict",
    "Version",
    "VexStatement",
    "VexStatus",
    "building",
    "canonical",
    "sha256",
]
