"""The four services of contrib/compose/ in a real Docker engine, put up as docs/deploy.md says (In containers).

In: nothing, or what an earlier run left (`--image`, `--root`, `--stand-in`). Out: a line for each step with its
seconds; exit code 1 when a step fails. Controller and update server are the image that `tools/image` makes of HEAD;
PostgreSQL and nginx are Debian's, with the tags and the ways of the official images. Nothing is fetched by them: a pass
finds no mirror, says so, and metadata are published all the same. Needs root, and a network to make the images.

    python bench/deploying/compose.py [--folder FOLDER]      # half an hour on a small machine; `make soak`
"""

import argparse
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from bench.deploying.engine import PACKAGES, SOURCES, Engine, debian
from gitops import __version__
from gitops.builders.mirrors import KEYRING, mirrors

CHECKOUT = Path(__file__).resolve().parents[2]
APT = Path("/etc/apt/sources.list.d/debian.sources")
STAND_INS = {"postgres": "postgres:17", "nginx": "nginx:1.28"}
"""The tags of contrib/compose/example.env."""
HERE, HOST = "/srv/toweros", "towers.example"
PASSWORD, IMAGE = "a long sentence of one's own", f"toweros:{__version__}"  # nosec: of an engine that ends
SETTINGS = f"""repository = "/srv/fleet"
keys = "/etc/toweros/keys"
state = "/var/lib/toweros"
database_file = "/run/secrets/database_url"
listen = "0.0.0.0:8080"
people_listen = "0.0.0.0:8081"
proxies = ["172.30.88.0/24"]
server = "https://{HOST}:8443"
link = "https://{HOST}:8443"
"""
OVERRIDE = "services:\n  controller:\n    volumes: [./fleet:/srv/fleet:ro]\n"
"""A repository on this machine in place of a forge."""
FRONT = ("s/127.0.0.1:8080/server:8080/; s/127.0.0.1:8082/controller:8080/; s/127.0.0.1:8081/controller:8081/; "
         "s#allow 10.0.0.0/8;#allow 172.30.88.1;#")  # fmt: skip
SERVICES = ("database", "controller", "server", "front")
PATIENCE = 180.0


class Operator:
    """Who types what docs/deploy.md says."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self._began = engine, time.monotonic()

    def step(self, what: str, do: Callable[[], object]) -> None:
        begun = time.monotonic()
        do()
        sys.stdout.write(f"{time.monotonic() - self._began:7.1f} s  {what}: {time.monotonic() - begun:.1f} s\n")
        sys.stdout.flush()

    def sh(self, line: str, stdin: str = "") -> str:
        return self.engine.run("sh", "-euc", line, stdin=stdin, at=HERE)

    def compose(self, *words: str, stdin: str = "") -> str:
        return self.engine.run("docker", "compose", *words, stdin=stdin, at=HERE)

    def prepare(self) -> None:
        """Images, a fleet repo, keys, secrets, settings."""
        run = f"docker run --rm --user root --network none -v {HERE}:/etc/toweros {IMAGE}"
        self.engine.run("sh", "-c", f"mkdir -p {HERE} && cp -r /mnt/contrib/compose/. {HERE}")
        self.sh(f"sed '{FRONT}' /mnt/contrib/nginx/toweros-front.conf >front.conf; cp example.env .env")
        self.sh("docker load --quiet --input /mnt/toweros.oci.tar; docker import /mnt/stand-in.tar stand-in")
        for name, tag in STAND_INS.items():
            self.sh(f"docker build -q --network none -t {tag} -f /mnt/stand-ins/{name}.Dockerfile /mnt/stand-ins")
        self.sh("printf 'for tests only' >passphrase")
        self.sh(f"{run} init /etc/toweros/fleet")
        self.sh(f"{run} keys init /etc/toweros/keys --passphrase-file /etc/toweros/passphrase"
                " --public /etc/toweros/fleet/keys")  # fmt: skip
        self.sh("install -d -m 700 backups secrets; openssl rand -hex 16 | tr -d '\\n' >secrets/database_password")
        url = "postgresql://toweros:%s@database/toweros"
        self.sh(f'printf {url} "$(cat secrets/database_password)" >secrets/database_url')
        self.sh("openssl req -x509 -newkey rsa:2048 -nodes -keyout secrets/tls.key -out secrets/tls.crt"
                f" -subj /CN={HOST} -addext subjectAltName=DNS:{HOST}; chmod 644 secrets/*")  # fmt: skip
        self.sh("cat >toweros.toml", SETTINGS)
        self.sh("cat >compose.override.yaml", OVERRIDE)

    def up(self) -> None:
        self.compose("up", "--detach")
        self.wait()

    def wait(self) -> None:
        """Until all four are well, and answer through nginx."""
        end = time.monotonic() + PATIENCE
        while not (self.well() and self.status("/metadata/timestamp.json") == self.status("/login") == 200):
            if time.monotonic() > end:
                raise SystemExit(f"error: not well after {PATIENCE:.0f} s\n{self.compose('ps', '--all')}")
            time.sleep(1)

    def well(self) -> bool:
        rows = self.compose("ps", "--all", "--format", "{{.Service}} {{.Status}}").splitlines()
        return len(rows) == len(SERVICES) and all("(healthy)" in row or row.startswith("front Up") for row in rows)

    def curl(self, path: str, *words: str) -> str:
        safe = ["--cacert", "secrets/tls.crt", "--resolve", f"{HOST}:8443:127.0.0.1", "--max-time", "120"]
        address = f"https://{HOST}:8443{path}"
        return self.engine.run("curl", "-s", *safe, "-b", "jar", "-c", "jar", *words, address, at=HERE, code=None)

    def status(self, path: str, *words: str) -> int:
        return int(self.curl(path, *words, "-o", "/dev/null", "-w", "%{http_code}") or 0)

    def looks(self) -> None:
        """Nothing is shown without a login; with one, all pages are."""
        expect([self.status(path) for path in ("/api/v1/boxes", "/", "/metrics")], [401, 303, 404])
        found = re.search('name="csrf" value="([^"]*)"', self.curl("/login"))
        fields = {"csrf": found[1] if found else "", "name": "ada", "password": PASSWORD}
        words = [word for name, value in fields.items() for word in ("--data-urlencode", f"{name}={value}")]
        expect(self.status("/login", *words), 303)
        expect([self.status(path) for path in ("/", "/keys", "/audit", "/api/v1/boxes")], [200] * 4)
        self.sh("rm jar")

    def crash(self, service: str) -> None:
        """Its first process is killed: the engine starts it again."""
        self.sh(f"kill -9 $(docker inspect toweros-{service}-1 --format '{{{{.State.Pid}}}}'); sleep 3")
        self.wait()

    def restart(self, service: str) -> None:
        self.compose("restart", service)
        self.wait()

    def restore(self) -> None:
        """Into new volumes."""
        self.compose("down", "--volumes")
        self.compose("run", "--rm", "-T", "controller", "restore", "/" + self.sh("ls backups/*").strip())

    def upgrade(self) -> None:
        self.sh(f"docker tag {IMAGE} toweros:next; sed -i 's/{IMAGE}/toweros:next/' .env")
        self.sh("printf 'FROM toweros:next\\nLABEL next=yes\\n' | docker build -q -t toweros:next -")
        self.up()


def expect(found: object, wanted: object) -> None:
    if found != wanted:
        raise SystemExit(f"error: {found} in place of {wanted}")


def story(operator: Operator) -> None:
    step, compose = operator.step, operator.compose
    step("prepared", operator.prepare)
    account = ("people", "add", "ada", "--role", "admin", "--password-file", "-")
    step("an account", lambda: compose("run", "--rm", "-T", "controller", *account, stdin=PASSWORD))
    step("up", operator.up)
    step("people look", operator.looks)
    step("backup", lambda: compose("exec", "-T", "controller", "toweros", "backup", "/backups"))
    for service in SERVICES:
        step(f"restart of {service}", lambda service=service: operator.restart(service))
        step(f"crash of {service}", lambda service=service: operator.crash(service))
    step("upgrade", operator.upgrade)
    # Before the restore: the audit log is in no backup, and what it has lost is said (docs/audit.md).
    step("audit log", lambda: compose("exec", "-T", "controller", "toweros", "audit", "verify"))
    step("down", lambda: compose("down"))
    step("up", operator.up)
    step("restored", operator.restore)
    step("up", operator.up)
    step("people look", operator.looks)


def bring(folder: Path, image: Path | None, root: Path | None, stand_in: Path | None) -> Path:
    """What the engine needs; returns its root."""
    brought = folder / "brought"
    brought.mkdir()
    if not root:
        root, mirror = folder / "root.tar", mirrors()[0]
        debian("trixie", PACKAGES, root, SOURCES.format(uri=mirror.uri, keyring=KEYRING))
    if not stand_in:
        stand_in, user = folder / "stand-in.tar", "useradd --system --no-create-home --shell /bin/false nginx"
        hooks = (f'--customize-hook=chroot "$1" {user}', '--customize-hook=rm -rf "$1"/var/lib/postgresql/15')
        debian("bookworm", "postgresql-15,nginx-light", stand_in, APT, *hooks)
    if not image:
        subprocess.run([CHECKOUT / "tools" / "image", folder / "dist"], check=True)
        image = next((folder / "dist").glob("*.oci.tar"))
    for name, source in {"toweros.oci.tar": image, "stand-in.tar": stand_in}.items():
        subprocess.run(["cp", "--reflink=auto", source, brought / name], check=True)
    subprocess.run(["cp", "-r", CHECKOUT / "contrib", Path(__file__).parent / "stand-ins", brought], check=True)
    return root


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("--folder", "--image", "--root", "--stand-in"):
        parser.add_argument(name, type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.folder, prefix="compose-") as name:
        folder = Path(name)
        root = bring(folder, asked.image, asked.root, asked.stand_in)
        with Engine(folder, root, folder / "brought") as engine:
            story(Operator(engine))


if __name__ == "__main__":
    main()
