"""Debian's docker-registry on a port of the loopback, over a folder that outlives it."""

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import requests

from gitops.lab.hardware import free_port


class DockerRegistry:
    """A context. `inside` is put before the command, to start it in another network; then its user waits for it.
    `password`: a line of an htpasswd file, without which nobody is let in."""

    def __init__(self, folder: Path, inside: Sequence[str] = (), password: str = "") -> None:
        folder.mkdir(exist_ok=True)
        self.folder, self._inside, self.port = folder, inside, free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.log = folder / "log"
        (folder / "htpasswd").write_text(password)
        door = f"auth: {{htpasswd: {{realm: here, path: '{folder}/htpasswd'}}}}\n" if password else ""
        (folder / "config.yml").write_text(
            f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {folder}/data}}}}\n"
            f"http: {{addr: '{self.address}'}}\n{door}"
        )

    def __enter__(self) -> Self:
        command = [*self._inside, "docker-registry", "serve", str(self.folder / "config.yml")]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        for _ in range(0 if self._inside else 100):
            try:
                requests.get(f"http://{self.address}/v2/", timeout=5)
                break
            except requests.ConnectionError:
                time.sleep(0.1)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(10)
