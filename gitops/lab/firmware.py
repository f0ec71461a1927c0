"""The firmware of a machine, and whom it trusts: a file of variables, written without a boot.

enroll_keys(folder / "vars.fd", Certificates(pk, kek, db))
"""

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from gitops.process import run

FOLDER = Path("/usr/share/OVMF")
CODE = FOLDER / "OVMF_CODE_4M.secboot.fd"
VARIABLES = FOLDER / "OVMF_VARS_4M.fd"
OWNER = "b6f4c1f2-4f3c-5b52-9d6e-746f7765726f"
"""The GUID under which our keys stand in the firmware's variables."""


@dataclass(frozen=True)
class Certificates:
    """The public halves that the firmware is to trust: PEM files."""

    pk: Path
    kek: Path
    db: Path
    older: tuple[Path, ...] = ()
    """What is published may be signed by an older db alone."""

    @classmethod
    def of_folder(cls, keys: Path) -> "Certificates":
        """Those of a keys folder."""
        pk, kek, db = (keys / f"{name}.crt" for name in ("PK", "KEK", "db"))
        return cls(pk, kek, db, tuple(sorted(keys.glob("db.old*.crt"))))


def setup_mode(variables: Path, base: Path = VARIABLES) -> Path:
    """Write a variable store without keys: the firmware starts whatever it finds."""
    shutil.copyfile(base, variables)
    return variables


def enroll_keys(variables: Path, certificates: Certificates, base: Path = VARIABLES) -> Path:
    """Write a variable store with our keys in it and Secure Boot on."""
    # virt-fw-vars came with one of our libraries: it is where this Python is, which PATH may not name
    program = shutil.which("virt-fw-vars") or Path(sys.executable).with_name("virt-fw-vars")
    owned = [("--set-pk", certificates.pk), ("--add-kek", certificates.kek), ("--add-db", certificates.db)]
    owned += [("--add-db", older) for older in certificates.older]
    words = [word for option, path in owned for word in (option, OWNER, path)]
    run([program, "--input", base, "--output", variables, *words, "--secure-boot"])
    return variables
