"""The error tree: every failure that a user may see is a `TowerosError`.

Each carries a message (what is wrong, where), a hint (what to type or change) and an exit code
(0 done, 1 any failure, 2 only for `plan --detailed-exitcode` with changes, 130 interrupted).
`cli.main` is the only place that turns an error into text and an exit code.

    raise SourceError("origin is unreachable: connection refused", hint="the last good state stays; check the URL")

No message may carry a secret: callers pass names of keys and files, never their content.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class TowerosError(Exception):
    """The root of the tree. `hint` is one sentence that names the way out; `reason` is set where Git was refused."""

    exit_code = 1
    reason: "Reason | None" = None

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class SettingsError(TowerosError):
    """The controller's own settings are missing or wrong."""


class ProcessError(TowerosError):
    """A tool that we started failed, is missing or ran out of time.

    `code`: its exit code; None when it gave none: not installed, out of time, or killed. `log`: all that it printed.
    """

    def __init__(self, message: str, *, hint: str = "", log: str = "", code: int | None = None) -> None:
        super().__init__(message, hint=hint)
        self.log, self.code = log, code


class Reason(StrEnum):
    """Why what Git offers may not deploy. Events, pages and metrics show the values; docs/policy.md explains them."""

    unsigned = "Unsigned"
    unknown_key = "UnknownKey"
    nobody_trusted = "NobodyTrusted"
    expired_key = "ExpiredKey"
    revoked_key = "RevokedKey"
    wrong_principal = "WrongPrincipal"
    host_certificate = "HostCertificate"
    critical_option = "CriticalOption"
    weak_certificate = "WeakCertificate"
    bad_signature = "BadSignature"
    several_signatures = "SeveralSignatures"
    bad_object = "BadObject"
    bad_key_file = "BadKeyFile"
    threshold_not_met = "ThresholdNotMet"
    rule_not_met = "RuleNotMet"
    beyond_limit = "BeyondLimit"
    renamed_tag = "RenamedTag"
    moved_tag = "MovedTag"
    lightweight_tag = "LightweightTag"
    nested_tag = "NestedTag"
    tag_of_no_commit = "TagOfNoCommit"
    same_version = "SameVersion"
    no_version = "NoVersion"
    lower_version = "LowerVersion"
    no_release = "NoRelease"
    not_descending = "NotDescending"
    not_first_parent = "NotFirstParent"
    replaced_repository = "ReplacedRepository"
    lower_sequence = "LowerSequence"
    locked_out = "LockedOut"
    policy_rollback = "PolicyRollback"
    shallow_history = "ShallowHistory"
    no_branch = "NoBranch"
    submodule = "Submodule"
    leaving_link = "LeavingLink"
    bad_mode = "BadMode"
    bad_path = "BadPath"
    too_large = "TooLarge"
    too_many = "TooMany"
    future_date = "FutureDate"
    transport = "Transport"
    unknown_host = "UnknownHost"
    bad_certificate = "BadCertificate"
    other_host = "OtherHost"
    unfit_remote = "UnfitRemote"
    replayed = "Replayed"
    record_withheld = "RecordWithheld"
    record_hidden = "RecordHidden"
    record_forked = "RecordForked"
    record_damaged = "RecordDamaged"


STAYS = "the last good state stays"
"""What every hint of a refusal says, so that nobody hurries into a mistake."""


class SourceError(TowerosError):
    """The Git remote cannot be read, or says something that the policy does not allow.

    `transient`: it may pass by itself (the remote is away); nobody need be woken for one of these.
    `reason`: why it is refused; None when nothing was. `again`: Unix seconds from when on it may be none; None: time
    changes nothing.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        transient: bool = False,
        reason: Reason | None = None,
        again: float | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.transient, self.reason, self.again = transient, reason, again


@dataclass(frozen=True, order=True)
class Problem:
    """One mistake in a fleet repo: `file:line:column: what, and the fix`. Line 0: it is none of a line."""

    file: str
    line: int
    column: int
    message: str
    hint: str = ""

    def __str__(self) -> str:
        place = ":".join([self.file, *(str(each) for each in (self.line, self.column) if each)])
        return f"{place}: {self.message}" + (f"; {self.hint}" if self.hint else "")


class FleetError(TowerosError):
    """The fleet repo (or `where` else) has mistakes; all of them are in `problems`, in file order."""

    def __init__(self, problems: Sequence[Problem], where: str = "the fleet repo") -> None:
        self.problems = tuple(sorted(problems))
        count = len(self.problems)
        listing = "\n".join(str(problem) for problem in self.problems)
        super().__init__(f"{listing}\n{count} mistake{'s' if count != 1 else ''} in {where}")


class BuildError(TowerosError):
    """A package cannot be locked or built.

    `transient`: this machine is to blame, not the package: it may pass by itself.
    """

    def __init__(self, message: str, *, hint: str = "", transient: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.transient = transient


class AssembleError(TowerosError):
    """A release cannot be put together from its images."""


class SignError(TowerosError):
    """A key is missing, locked or expired, or a signature cannot be made."""


class TokenError(SignError):
    """A token (PKCS#11) is away, hangs or refuses: another time it may sign."""


class RegistryError(TowerosError):
    """A registry is away, or an image is not there, not what its digest says, or not signed as it must be.

    `transient`: the registry is away, slow, or lets us not in: what it would say is not known.
    """

    def __init__(self, message: str, *, hint: str = "", transient: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.transient = transient


class PublishError(TowerosError):
    """The update repository cannot be written, or already says something newer."""


class VmError(TowerosError):
    """A machine in QEMU cannot be started, or does not do what was waited for."""


class DocumentError(TowerosError):
    """A document is damaged, or of a format that this version does not read."""


class StoreError(TowerosError):
    """The store is damaged, full or locked by another controller."""


class ForgeError(TowerosError):
    """A forge (GitHub and the like) is away, asks us to wait, or does not let us in. Never stops a deployment.

    `wait`: seconds after which it is worth asking again.
    """

    def __init__(self, message: str, *, hint: str = "", wait: float = 0.0) -> None:
        super().__init__(message, hint=hint)
        self.wait = wait


def readable(error: Exception) -> TowerosError:
    """Any failure as one that people can read: a disk that is full, a database that is damaged, a mistake of ours."""
    if isinstance(error, TowerosError):
        return error
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return StoreError(f"{where}{error.strerror or error}", hint="is the disk full, or damaged?")
    return TowerosError(f"unexpected: {type(error).__name__}: {error}", hint="set TOWEROS_DEBUG=1 to see where")
