"""Debian's sshd on a free port of the loopback, with keys of its own: a Git server for tests."""

import pwd
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType

SSHD = "/usr/sbin/sshd"


class Sshd:
    """A context: `user_key` may log in and `other_key` may not; `known_hosts` is right and `other_hosts` wrong."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.user_key, self.other_key = folder / "user", folder / "other"
        self.known_hosts, self.other_hosts = folder / "known_hosts", folder / "other_hosts"
        for name in ("host", "user", "other"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        for place, key in ((self.known_hosts, "host"), (self.other_hosts, "other")):
            place.write_text(f"[127.0.0.1]:{self.port} {(folder / key).with_suffix('.pub').read_text()}")
        (folder / "user.pub").rename(folder / "authorized")
        (folder / "config").write_text(
            f"ListenAddress 127.0.0.1:{self.port}\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/authorized\n"
            f"PidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin yes\n"
        )

    def __enter__(self) -> "Sshd":
        assert pwd.getpwnam("sshd")
        Path("/run/sshd").mkdir(exist_ok=True)
        with (self.folder / "log").open("wb") as log:
            command = [SSHD, "-D", "-e", "-f", str(self.folder / "config")]
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        for _ in range(100):
            with socket.socket() as trial:
                if trial.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            time.sleep(0.05)
        raise AssertionError((self.folder / "log").read_text())

    def __exit__(self, kind: type | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._process.terminate()
        self._process.wait(10)
