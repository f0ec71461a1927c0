"""Compose apps in a fleet repo: what a role may name, what a compose file may say, and where a mistake stands."""

import hashlib
import re
import shutil
from pathlib import Path

import pytest
import yaml

from gitops.assemble.apps import Apps, Staged
from gitops.assemble.layers import Layers
from gitops.errors import AssembleError, FleetError, Problem
from gitops.fleet import load_fleet
from gitops.fleet.apps.compose import load_app
from gitops.model import App, Existing, Fleet, Image, Layer, Revision, sha256
from gitops.oci.image import oci_image, repository_of
from gitops.plan import box_key, box_keys, plan
from gitops.store import Store
from tests.kit import built
from tests.simulators.tree import DictTree

APP = "boot/compose/net"
COMPOSE = """\
services:
  core:
    image: "@pkg:../../../pkg/core"
    restart: always
    security_opt: ["seccomp=./seccomp/tight.json", "apparmor=core", "no-new-privileges:true"]
    volumes: ["/data/net:/data", "./core.cfg:/etc/core.cfg:ro", "named:/x"]
  web: {image: "web.example:5000/a/nginx:1.27@sha256:%s"}
volumes: {named: {}}
""" % ("ab" * 32)
FILES = {
    f"{APP}/docker-compose.yml": COMPOSE,
    f"{APP}/seccomp/tight.json": "{}",
    f"{APP}/apparmor/core": "profile core {}",
    f"{APP}/core.cfg": "x",
    "pkg/core/build.yml": "image: core\n",
}


def loaded(**changed: str) -> App | list[str]:
    problems = []
    tree = DictTree(FILES).with_files({f"{APP}/{name}".replace("__", "/"): text for name, text in changed.items()})
    app = load_app(tree, APP, "staged", problems)
    return [str(problem) for problem in problems] if problems or not app else app


def test_an_app_is_its_compose_file_and_what_stands_beside_it() -> None:
    app = loaded()
    assert isinstance(app, App) and app.name == "net"
    assert app.images == {"core": "@pkg:pkg/core", "web": f"web.example:5000/a/nginx:1.27@sha256:{'ab' * 32}"}
    assert [file["path"] for file in app.files] == [
        "etc/compose/net/apparmor/core",
        "etc/compose/net/core.cfg",
        "etc/compose/net/seccomp/tight.json",
    ]


@pytest.mark.parametrize("row", [
    "/run/toweros/holds/net:/hold", "/run/toweros/holds/net/:/hold:ro",
    "{type: bind, source: /run/toweros/holds/net, target: /hold}",
])  # fmt: skip
def test_an_app_gets_the_folder_in_which_it_holds_a_restart_off(row: str) -> None:
    text = COMPOSE.replace("/data/net:/data", row).replace(f'"{row}"' if row.startswith("{") else "\0", row)
    assert row in text and isinstance(loaded(**{"docker-compose.yml": text}), App)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("../../../pkg/core", "../../../pkg/cor", ":3:12: there is no package in pkg/cor"),
        (f":1.27@sha256:{'ab' * 32}", ":1.27", "does not say which image it is"),
        ("restart: always", "build: .", ":4:12: nothing is built on a box"),
        ("/data/net:/data", "/run/toweros:/x", ":6:15: `/run/toweros` of the box is not for user containers"),
        ("/data/net:/data", "/data/../run:/x", "`/data/../run` of the box is not for user containers"),
        ("/data/net:/data", "/etc:/x:ro", "`/etc` of the box is not for user containers"),
        ('"named:/x"', "{type: bind, source: /etc, target: /x}", "`/etc` of the box is not for user containers"),
        ('"named:/x"', '{type: "${T:-bind}", source: /etc, target: /x}', "`${T:-bind}` is known on the box only"),
        ('"named:/x"', "{type: bind, source: a/../../../../run, target: /x}", "there is no `./a/../../../../run`"),
        ("services:", "secrets: {key: {file: /run/toweros/x}}\nservices:", ":1:23: `/run/toweros/x` of the box is not"),
        ("services:", "configs: {core: {file: ../x.cfg}}\nservices:", "there is no `../x.cfg` in boot/compose/net"),
        ("./core.cfg", "./other.cfg", "there is no `./other.cfg` in boot/compose/net"),
        ("./core.cfg", "../../vm.yml", "there is no `../../vm.yml`"),
        ("seccomp/tight", "seccomp/loose", "there is no `./seccomp/loose.json`"),
        ("apparmor=core", "apparmor=other", "there is no `./apparmor/other`"),
        ('image: "@pkg:../../../pkg/core"', "restart: always", "duplicate key"),
        ("services:", "servces:", "an app without services"),
        ("services:", "include: [../../x.yml]\nservices:", ":1:10: other files are not read"),
        ("restart: always", "extends: {file: /etc/x.yml, service: y}", "other services are not read"),
        ("named: {}", "named: {driver_opts: {type: none, o: bind, device: /run/toweros}}", "`/run/toweros` of the box"),
        ("/data/net:/data", "/data/$HOME:/x", "known on the box only"),
        ("/data/net:/data", "/etc/localtime:/etc/localtime", ":6:15: `/etc/localtime` of the box is not for user"),
        ("/data/net:/data", "/etc/localtime:/etc/localtime", "it may be read: /etc/localtime:/etc/localtime:ro"),
        ("/data/net:/data", "/lib/modules/x:/x:ro", "`/lib/modules/x` of the box is not for user containers"),
        ("/data/net:/data", "/run/toweros/holds/net/x:/hold", "app's own folder, whole: /run/toweros/holds/net:/hold"),
        ("/data/net:/data", "/run/toweros/holds:/hold", ":6:15: `/run/toweros/holds` of the box is not for user"),
        ("/data/net:/data", "/run/toweros/holds/other:/hold", "`/run/toweros/holds/other` of the box is not for user"),
        ("/data/net:/data", "/run/toweros/holds/net/../web:/hold", "`/run/toweros/holds/net/../web` of the box is not"),
        ("/data/net:/data", "/run/toweros/hold.d:/hold", "app's own folder, whole: /run/toweros/holds/net:/hold"),
        ("/data/net:/data", "/run/toweros/holds/${A:-net}:/hold", "known on the box only"),
        ('"named:/x"', "{type: bind, source: /etc/timezone, target: /x}", "`/etc/timezone` of the box is not"),
        ("restart: always", 'configs: [{source: c, mode: "0440"}]', ':4:33: compose reads "0440" as a decimal number'),
        ("restart: always", "restart: *other", ":4:14: there is no &other before this"),
        ("restart: always", "<<: 5", "`<<` merges keys and values"),
        ("restart: always", "cpus: 08", "08 is no octal number"),
        ("restart: always", "platform: linux/arm64", ":4:15: boxes are linux/amd64"),
        (
            "restart: always",
            "user: $WHO",
            ":4:11: nobody sets the variable WHO; write `WHO=...` into boot/compose/net/.env",
        ),
        ("restart: always", "user: '${WHO:?say it}'", "nobody sets the variable WHO"),
        ("restart: always", "env_file: other.env", "there is no `./other.env` in boot/compose/net"),
        ("restart: always", "env_file: [/etc/shadow]", "there is no `/etc/shadow` in boot/compose/net"),
        ("restart: always", "env_file: [{path: ../../x, required: false}]", "there is no `../../x`"),
        ("restart: always", "env_file: [{path: ./../../x, required: false}]", "there is no `./../../x`"),
        ("restart: always", "env_file: '${X:-/etc/shadow}'", "is known on the box only"),
        ("restart: always", "volumes_from: ['container:web:ro']", ":4:20: `container:web:ro` would lend all"),
        ("restart: always", "volumes_from: ['${A:-container:web}']", "`${A:-container:web}` is known on the box only"),
        ("restart: always", "label_file: /dev/zero", "there is no `/dev/zero` in boot/compose/net"),
    ],
)
def test_mistakes_are_named_with_their_place(old: str, new: str, expected: str) -> None:
    assert old in COMPOSE
    mistakes = loaded(**{"docker-compose.yml": COMPOSE.replace(old, new, 1)})
    assert isinstance(mistakes, list) and any(expected in mistake for mistake in mistakes), mistakes


FRAGMENTS = """\
x-base: &base
  restart: always
  volumes: ["/etc/localtime:/etc/localtime:ro", "/etc/timezone:/etc/timezone:z,ro", "/lib/modules:/lib/modules:ro"]
x-image: &image "@pkg:../../../pkg/core"
services:
  core:
    <<: *base
    image: *image
    restart: "no"
    configs: [{source: one, target: /one, mode: 0440}]
  web:
    <<: [*base, {restart: unless-stopped, user: "900"}]
    image: *image
    volumes: [{type: bind, source: /etc/timezone, target: /etc/timezone, read_only: true}]
configs: {one: {content: x}}
"""


def test_fragments_are_written_out_and_modes_are_octal() -> None:
    app = loaded(**{"docker-compose.yml": FRAGMENTS})
    assert isinstance(app, App), app
    core, web = app.compose["services"].values()
    assert (core["restart"], core["image"]) == ("no", "@pkg:../../../pkg/core"), "its own keys count first"
    assert (web["restart"], web["user"]) == ("always", "900") and len(web["volumes"]) == 1
    assert core["configs"] == [{"source": "one", "target": "/one", "mode": 0o440}]
    assert "&" not in yaml.safe_dump(app.compose["services"]), "nothing is one object in two places"


@pytest.mark.parametrize("width", [1, 10])
def test_fragments_of_fragments_become_neither_wide_nor_deep(width: int) -> None:
    rows = [f"x-{n}: &a{n} [{', '.join([f'*a{n - 1}'] * width)}]" for n in range(1, 99)]
    mistakes = loaded(**{"docker-compose.yml": "\n".join(["x-0: &a0 x", *rows, COMPOSE])})
    assert isinstance(mistakes, list) and "the file holds too much" in mistakes[0]


def test_a_link_beside_the_compose_file_stays_a_link_and_leads_nowhere_else() -> None:
    tree = DictTree(FILES).with_link(f"{APP}/certs/now.pem", "../core.cfg").with_link(f"{APP}/all", "certs")
    problems: list[Problem] = []
    app = load_app(tree, APP, "staged", problems)
    assert app and not problems
    links = {file["path"]: file["symlink"] for file in app.files if "symlink" in file}
    assert links == {"etc/compose/net/certs/now.pem": "../core.cfg", "etc/compose/net/all": "certs"}
    through = tree.with_link(f"{APP}/deep", "certs").with_link(f"{APP}/x", "deep/../core.cfg")
    load_app(through, APP, "staged", problems)
    assert "x:1:1: the link's target" in str(problems.pop(0))
    assert not problems
    for target in ("../other.cfg", "../../../../fleet.yaml", "nothing"):
        app = load_app(tree.with_link(f"{APP}/certs/now.pem", target), APP, "staged", problems)
        assert app and not any("symlink" in file and "now" in file["path"] for file in app.files), "nobody follows it"
        said = str(problems.pop(0))
        assert f"certs/now.pem:1:1: the link's target `{target}` is not in {APP}" in said and not problems


@pytest.mark.parametrize(
    "keys",
    [
        "user: $$WHO",
        "user: '${WHO:-900}'",
        "user: ${WHO-}",
        "user: ${HOME}",
        "user: $SAID",
        "env_file: [core.cfg, {path: not-there, required: false}]",
    ],
)
def test_what_somebody_sets_or_may_lack_is_no_mistake(keys: str) -> None:
    files = {"docker-compose.yml": COMPOSE.replace("restart: always", keys), ".env": "# x\nexport SAID = 1\n"}
    assert isinstance(loaded(**files), App)


def test_a_variable_that_boxes_set_each_by_themselves_is_none_that_nobody_sets() -> None:
    own = {"boot/compose/web/docker-compose.yml": f"services:\n  web: {{image: {IMAGE}, user: $SITE}}\n"}
    role = {"roles/vm.yaml": FLEET["roles/vm.yaml"].replace("boot/compose/net", "boot/compose/web").split("health")[0]}
    box = "role: vm\nservices: {compose: {env: ['SITE=alpha']}}\n"
    assert load_fleet(DictTree(FLEET | own | role).with_files({"boxes/one.yaml": box})).boxes["one"].apps
    with pytest.raises(FleetError, match="nobody sets the variable SITE"):
        load_fleet(DictTree(FLEET | own | role))


def test_every_mistake_of_an_app_comes_in_one_run() -> None:
    text = COMPOSE.replace("pkg/core", "pkg/x").replace("./core.cfg", "./y").replace("/data/net", "/etc")
    mistakes = loaded(**{"docker-compose.yml": text})
    assert isinstance(mistakes, list) and len(mistakes) == 3


# --- which boxes have it ----------------------------------------------------------------------------------------------

IMAGE = f"x@sha256:{'0' * 64}"
SERVICES = "".join(f"  - {{name: {name}, image: {IMAGE}}}\n" for name in ("docker", "compose"))
FLEET = FILES | {
    "fleet.yaml": "{}\n",
    "boot/a.yml": f"kernel: {{image: {IMAGE}}}\ninit: [{IMAGE}]\nservices:\n{SERVICES}",
    "boot/compose/web/docker-compose.yml": f"services:\n  web: {{image: {IMAGE}}}\n",
    "roles/vm.yaml": "boot: [boot/a.yml]\ncompose: [{app: boot/compose/net}]\n"
    "health: {checks: [{name: core, container: core}]}\n",
    "boxes/one.yaml": "role: vm\n",
    "pkg/core/Dockerfile": "FROM scratch\n",
}


def fleet(**changed: str) -> Fleet:
    return load_fleet(DictTree(FLEET).with_files({f"boxes/{name}.yaml": text for name, text in changed.items()}))


def test_a_box_adds_replaces_and_leaves_out_apps_of_its_role() -> None:
    no_check = "health: {remove: [core]}\n"
    boxes = fleet(
        two="role: vm\ncompose: [{app: boot/compose/web}]\n",
        three="role: vm\ncompose: [{app: boot/compose/net, pull: registry}]\n",
        four=f"role: vm\nremove: [net]\n{no_check}",
        five="role: vm\n",
    ).boxes
    apps = {name: [(app.name, app.pull) for app in box.apps] for name, box in boxes.items()}
    assert apps == {
        "one": [("net", "staged")],
        "two": [("net", "staged"), ("web", "staged")],
        "three": [("net", "registry")],
        "four": [],
        "five": [("net", "staged")],
    }
    assert boxes["one"].apps is boxes["five"].apps, "boxes of a role share what they have in common"


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ("remove: [nett]\n", "boxes/one.yaml:2:10: there is no container or app `nett` to remove; did you mean `net`?"),
        ("remove: [net]\n", "boxes/one.yaml:1:1: health check `core`: there is no container `core`"),
        ("compose: [{app: boot/compose/wep}]\n", "boxes/one.yaml:2:17: there is no boot/compose/wep/docker-"),
        ("remove: [docker]\ncompose: [{app: boot/compose/web}]\n", "there are no services `docker` and `compose`"),
        ("remove: [docker]\n", "there are no services `docker` and `compose`"),
        ("compose: [{app: boot/compose/web, pull: no}]\n", "boxes/one.yaml:2:41"),
    ],
)
def test_mistakes_of_a_box_are_its_own(box: str, expected: str) -> None:
    with pytest.raises(FleetError) as caught:
        fleet(one=f"role: vm\n{box}")
    mistakes = [str(problem) for problem in caught.value.problems]
    assert any(expected in mistake for mistake in mistakes), mistakes


SERVICES_OF_JOBS = {
    "lasts": {"restart": "always", "depends_on": {"job": {"condition": "service_completed_successfully"}}},
    "named": {"container_name": "the-name"},
    "job": {},
    "once": {"restart": "no"},
    "until": {"restart": "on-failure:3"},
    "by-deploy": {"restart": "always", "deploy": {"restart_policy": {"condition": "none"}}},
    "radio": {"restart": "always", "profiles": ["radio"]},
    "none": {"restart": "always", "scale": 0},
    "few": {"restart": "always", "deploy": {"replicas": 0}},
    "perhaps": {"restart": "${AGAIN:-no}"},
    "quoted": {"scale": "0"},
    "called": {"container_name": "${SITE:-lab}-a"},
}


def test_a_user_container_that_is_to_run_is_watched_unless_it_is_said_otherwise() -> None:
    """An app that never comes up was blessed where nobody had thought of a check."""
    file = {"services": {name: {"image": IMAGE, **keys} for name, keys in SERVICES_OF_JOBS.items()}}
    jobs = {"boot/compose/jobs/docker-compose.yml": yaml.safe_dump(file)}
    base = DictTree(FLEET).with_files(jobs)

    def checks(text: str) -> list[tuple[str, str, str]]:
        boxes = load_fleet(base.with_files({"boxes/two.yaml": text})).boxes
        return [(check.name, check.type, check.target) for check in boxes["two"].health.checks]

    role = [("core", "container", "core"), ("web", "container", "web")]
    assert checks("role: vm\n") == role, "one that has a check has no second one"
    own = "role: vm\ncompose: [{app: boot/compose/jobs%s}]\n"
    made = [(name, "container", name) for name in ("lasts", "the-name", "called")]
    made.sort()  # the file's own order
    assert checks(own % "") == [*role, *made]
    assert checks(own % ", unwatched: [lasts]") == [*role, made[0], made[2]]
    assert checks("role: vm\ncompose: [{app: boot/compose/net, unwatched: [web]}]\n") == role[:1]
    other = 'health: {checks: [{name: lasts, http: "http://127.0.0.1/"}, {name: x, container: named}]}\n'
    assert ("container lasts", "container", "lasts") in checks(own % "" + other)
    assert len(checks(own % "" + other)) == 6, "a check by the service's name is one of its container"
    assert checks("role: vm\nremove: [net]\nhealth: {remove: [core]}\n") == []
    with pytest.raises(FleetError) as caught:
        checks(own % ", unwatched: [last]")
    expected = "boxes/two.yaml:2:48: boot/compose/jobs has no service `last`; did you mean `lasts`?"
    assert expected in str(caught.value.problems[0])


def test_a_plan_names_the_package_below_an_app_and_makes_only_its_boxes_again() -> None:
    before = fleet(two="role: vm\nremove: [net]\nhealth: {remove: [core]}\n")
    tree = {"pkg/core/file": "x", "boxes/two.yaml": "role: vm\nremove: [net]\nhealth: {remove: [core]}\n"}
    after = load_fleet(DictTree(FLEET).with_files(tree))
    packages = {path: package.key for path, package in before.packages.items()}
    existing = Existing(frozenset(packages.values()), box_keys(before), packages)
    changes = plan(after, Revision("main", "aa" * 20, 2, 1), existing)
    assert [(step.subject, step.reason) for step in changes.boxes] == [("one", "pkg/core changed")]
    config = fleet(two=tree["boxes/two.yaml"]).boxes["one"]
    changed = load_fleet(DictTree(FLEET).with_files({f"{APP}/core.cfg": "y"})).boxes["one"]
    assert box_key(before, config) != box_key(before, changed), "a file of the app is part of the release"


# --- what becomes of it in a release ----------------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "state")


def image_of(store: Store, *layers: bytes) -> Image:
    blobs = tuple(store.blobs.put(data).sha256 for data in layers)
    return Image("toweros/core:1", "k", {"Cmd": ["/core"]}, blobs)


def test_a_package_becomes_an_oci_image_that_equal_layers_name_alike(store: Store) -> None:
    one, two = (oci_image(store, image_of(store, b"base", b"core")) for _ in range(2))
    assert one == two and one.digest == hashlib.sha256(one.manifest).hexdigest()
    manifest, config = yaml.safe_load(one.manifest), yaml.safe_load(one.config)
    assert manifest["config"]["digest"] == f"sha256:{sha256(one.config)}"
    assert [layer["size"] for layer in manifest["layers"]] == [4, 4]
    assert config["rootfs"]["diff_ids"] == [layer["digest"] for layer in manifest["layers"]]
    assert config["config"] == {"Cmd": ["/core"]}


def test_an_image_that_lost_a_layer_is_named(store: Store) -> None:
    image = image_of(store, b"base")
    store.blobs.remove(image.layers[0])
    with pytest.raises(AssembleError, match=r"toweros/core:1: layer .* is missing"):
        oci_image(store, image)


def test_what_is_pulled_from_a_registry_names_the_mirror_and_the_digest(store: Store) -> None:
    app = App("net", APP, "registry", {"services": {"core": {"image": "x", "cpus": 0.5}}}, {"core": "@pkg:pkg/core"})
    image = image_of(store, b"core")
    apps = Apps(store, Layers(store, None))  # type: ignore[arg-type] - nothing is staged, so no tool is needed
    staged = apps.stage([app], {"@pkg:pkg/core": image}, {}, "mirror.example:5000")
    assert staged.mounted is None
    (file,) = staged.files
    digest = oci_image(store, image).digest
    assert file["path"] == "etc/compose/net/docker-compose.yml"
    service = yaml.safe_load(file["contents"])["services"]["core"]
    assert service == {"image": f"mirror.example:5000/core@sha256:{digest}", "cpus": 0.5, "pids_limit": 1024}
    with pytest.raises(AssembleError, match="none is named"):
        apps.stage([app], {"@pkg:pkg/core": image}, {}, "")
    with pytest.raises(AssembleError, match="there is no image @pkg:pkg/core"):
        apps.stage([app], {}, {}, "mirror.example:5000")


STAGED = App("net", APP, "staged", {"services": {"core": {"image": "x"}, "other": {}}}, {"core": "a", "other": "b"})


def staged(store: Store, core: bytes = b"core") -> Staged:
    images = {"a": image_of(store, b"base" * 3000, core), "b": image_of(store, b"base" * 3000)}
    return Apps(store, Layers(store, built.toolbox())).stage([STAGED], images, {}, "")


@pytest.mark.e2e
def test_staged_images_are_layers_of_one_blob_each_and_the_same_every_time(store: Store, tmp_path: Path) -> None:
    one, again = staged(store), staged(Store.open(tmp_path / "other"))
    assert one == again and one.mounted
    assert (one.mounted.path, one.mounted.target) == ("images", "oci")
    assert {"path": "containers/images/oci", "directory": True, "mode": "0755"} in one.files
    documents, *blobs = one.mounted.layers
    assert len(blobs) == 2, "a layer that two images share travels once"
    manifests = [yaml.safe_load(data) for data in files(store, documents).values() if b"manifest" in data]
    assert len(manifests) == 2 and len(files(store, documents)) == 4
    listed = {layer["digest"] for manifest in manifests for layer in manifest["layers"]}
    assert {f"sha256:{name}" for blob in blobs for name in files(store, blob)} == listed
    assert files(store, blobs[0]) == {sha256(b"base" * 3000): b"base" * 3000}
    compose = next(file["contents"] for file in one.files if "contents" in file)
    core = yaml.safe_load(compose)["services"]["core"]["image"]
    assert core.partition("@sha256:")[2] in files(store, documents)
    changed = staged(store, b"new")
    assert changed.mounted and changed.mounted.layers[1] == blobs[0]
    assert not {documents, blobs[1]} & {*changed.mounted.layers}


def files(store: Store, layer: Layer) -> dict[str, bytes]:
    """The blobs in a layer, each under its name."""
    with built.toolbox().workspace() as work:
        shutil.copyfile(store.layers.path(layer.root), work.path("image"))
        listed = work.run(["dump.erofs", "--ls", "--path=/blobs/sha256", "image"]).decode()
        names = re.findall("[0-9a-f]{64}", listed)
        return {name: work.run(["dump.erofs", "--cat", f"--path=/blobs/sha256/{name}", "image"]) for name in names}


@pytest.mark.parametrize(
    ("name", "repository"),
    [
        ("@pkg:pkg/osmocom/osmo-hlr", "osmo-hlr"),
        ("nginx@sha256:1", "nginx"),
        ("web.example:5000/a/nginx:1.27@sha256:1", "a/nginx"),
        ("library/nginx:1@sha256:1", "library/nginx"),
        ("ghcr.example/x/y/z@sha256:1", "x/y/z"),
    ],
)
def test_names_lose_their_registry(name: str, repository: str) -> None:
    assert repository_of(name) == repository


@pytest.mark.parametrize("word", ["alwais", "on-failure:x", "Always"])
def test_a_restart_policy_that_the_engine_does_not_know_is_told(word: str) -> None:
    """Compose itself takes it, and no container of the service would start."""
    text = COMPOSE.replace("restart: always", f"restart: {word}")
    (said,) = loaded(**{"docker-compose.yml": text})
    assert said.startswith(f"{APP}/docker-compose.yml:4:14: ") and "restart policy" in said, said


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ("stop_signal: SIGWINCHY", "4:18: Docker knows no signal `SIGWINCHY`"),
        ("stop_signal: 0", "4:18: Docker knows no signal `0`"),
        ("ulimits: {nofile: {soft: 9, hard: 1}}", "4:23: the soft limit 9 is above the hard one, 1"),
        ("ulimits: {core: {soft: -1, hard: 1}}", "4:21: the soft limit -1 is above"),
        ("sysctls: {vm.max_map_count: 262144}", "4:14: `vm.max_map_count` is the whole box's"),
        ("sysctls: ['kernel/panic=1']", "4:14: `kernel.panic` is the whole box's"),
        (
            "sysctls: {net.core.somaxconn: 1}\n    network_mode: host",
            "4:14: `net.core.somaxconn` would be the box's own",
        ),
    ],
)
def test_what_no_engine_starts_is_a_mistake(keys: str, told: str) -> None:
    """Compose itself takes all of it."""
    (said,) = loaded(**{"docker-compose.yml": COMPOSE.replace("restart: always", keys)})
    assert said.startswith(f"{APP}/docker-compose.yml:{told}"), said


@pytest.mark.parametrize(
    "keys",
    [
        "stop_signal: sigterm",
        "stop_signal: RTMIN+3",
        "stop_signal: 15",
        "stop_signal: ${S:-x}",
        "ulimits: {nofile: 9, nproc: {soft: 1, hard: 9}, core: {soft: -1, hard: -1}}",
        "sysctls: [net.core.somaxconn=1, kernel.shmmax=1, fs.mqueue.msg_max=1]",
        "sysctls: {kernel.sem: 1 2 3 4}",
    ],
)
def test_what_an_engine_starts_is_taken(keys: str) -> None:
    assert isinstance(loaded(**{"docker-compose.yml": COMPOSE.replace("restart: always", keys)}), App)


@pytest.mark.parametrize("kind", ["configs", "secrets"])
def test_a_file_that_is_made_of_a_variable_which_nobody_sets_is_a_mistake(kind: str) -> None:
    """Compose looks for it when it starts a service that has it."""
    unused = f"{COMPOSE}{kind}: {{c: {{environment: NOPE}}}}\n"
    assert isinstance(loaded(**{"docker-compose.yml": unused}), App)
    text = unused.replace("restart: always", f"{kind}: [c]")
    (said,) = loaded(**{"docker-compose.yml": text})
    assert "nobody sets the variable NOPE" in said and ".env" in said
    assert isinstance(loaded(**{"docker-compose.yml": text, ".env": "NOPE=1\n"}), App)
    assert isinstance(loaded(**{"docker-compose.yml": text.replace("NOPE", "HOME")}), App)


@pytest.mark.parametrize("word", ["no", '"no"', "unless-stopped", "on-failure:3", "${R:-always}"])
def test_those_that_it_knows_are_taken(word: str) -> None:
    assert isinstance(loaded(**{"docker-compose.yml": COMPOSE.replace("restart: always", f"restart: {word}")}), App)
