"""What a fleet repo may say: overlays, what every box gets, and every mistake in one run with its place and fix."""

from pathlib import Path

import pytest

from gitops.errors import FleetError
from gitops.fleet import load_fleet, load_policy
from gitops.fleet.schema import KINDS, json_schema
from gitops.model import Fleet, Network, Sign
from tests.kit.fleets import repo


def mistakes(folder: Path, change: dict[str, str | None]) -> list[str]:
    with pytest.raises(FleetError) as caught:
        load_fleet(repo(folder, **change))
    return [str(problem) for problem in caught.value.problems]


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    return load_fleet(repo(tmp_path))


def test_a_box_is_what_fleet_role_and_box_say_together(fleet: Fleet) -> None:
    one, two = fleet.boxes["one"], fleet.boxes["two"]
    assert one.spec.cmdline == "console=ttyS0 quiet"
    assert [c.name for c in one.spec.containers()] == ["dhcp", "sshd", "hello"]
    assert (one.poll, one.health.probation, one.network, one.suspended) == (20, 60, Network(), "")
    assert [(c.name, c.type, c.target) for c in one.health.checks] == [
        ("hello", "http", "http://127.0.0.1:8080/"),
        ("sshd", "service", "sshd"),
    ]
    assert one.labels == (("owner", "ada"),)
    assert [c.name for c in two.spec.containers()] == ["sshd", "hello"]
    assert two.spec.services[0].settings == {"env": ["A=2"]}
    assert one.spec.services[0].settings == {"env": ["A=1"], "net": "host"}
    assert (two.poll, two.suspended) == (5, "ada: disk")
    assert [(c.name, c.target) for c in two.health.checks] == [("hello", "http://127.0.0.1:9/")]
    assert two.network == Network("eth1", "192.0.2.10/24", "192.0.2.1", ("192.0.2.53", "192.0.2.54"))


def test_a_file_of_the_role_replaces_the_one_of_the_boot_spec(fleet: Fleet) -> None:
    assert fleet.boxes["one"].spec.files == ({"path": "etc/motd", "contents": "role"},)
    assert fleet.boxes["one"].spec == fleet.boxes["one"].spec


def test_boxes_of_a_role_share_what_none_of_them_changes(tmp_path: Path) -> None:
    boxes = load_fleet(repo(tmp_path, **{"boxes/three.yaml": "role: vm\npoll: 7\n"})).boxes
    assert boxes["one"].spec is boxes["three"].spec and boxes["one"].health is boxes["three"].health
    assert boxes["one"].spec is not boxes["two"].spec, "this one replaces keys of a service"


def test_what_every_box_gets(fleet: Fleet) -> None:
    files = {file["path"]: file for file in fleet.boxes["two"].files}
    assert files["etc/hostname"]["contents"] == "two\n"
    assert files["etc/toweros/agent.d/50-box.toml"]["contents"] == "poll = 5\n"
    assert files["etc/toweros/root.json"]["contents"] == "{}"
    assert files["etc/ssh/authorized_keys"] == {
        "path": "etc/ssh/authorized_keys",
        "contents": "ssh-ed25519 AAAA ada\n",
        "mode": "0600",
    }
    assert files["etc/banner"] == {"path": "etc/banner", "contents": "welcome\n", "mode": "0644"}
    static = next(file["contents"] for path, file in files.items() if "dhcpcd" in path)
    assert "interface eth1\nstatic ip_address=192.0.2.10/24\nstatic routers=192.0.2.1\n" in static
    assert "static domain_name_servers=192.0.2.53 192.0.2.54\n" in static
    assert not any("static" in file["contents"] for file in fleet.boxes["one"].files)


def test_the_policy_is_read_from_fleet_yaml_alone(tmp_path: Path) -> None:
    text = "source: {branch: prod, sign: head}\nrollout: {canaries: 2, max_failures: 3}\nsuspended: 'ada: audit'\n"
    policy = load_policy(repo(tmp_path, **{"fleet.yaml": text, "boxes/one.yaml": "broken: ["}))
    assert (policy.branch, policy.sign, policy.canaries, policy.max_failures) == ("prod", Sign.head, 2, 3)
    assert policy.suspended == "ada: audit"


def test_the_fleet_speaks_to_every_role_that_has_the_container(tmp_path: Path) -> None:
    change = {"fleet.yaml": "services: {hello: {env: [B=1]}}\n", "roles/bare.yaml": "boot: [boot/a.yml]\n"}
    fleet = load_fleet(repo(tmp_path, **change, **{"boxes/three.yaml": "role: bare\n"}))
    assert fleet.boxes["one"].spec.services[1].settings == {"env": ["B=1"]}
    assert [c.name for c in fleet.boxes["three"].spec.services] == ["sshd"]


def test_values_fill_in_templates_and_the_nearest_counts(tmp_path: Path) -> None:
    template = "  - {path: etc/radio, contents: 'ch=${channel} at ${box}/${site}, $$HOME $PATH', template: true}\n"
    change = {
        "fleet.yaml": "values: {channel: 1, unused: x}\n",
        "roles/vm.yaml": f"boot: [boot/a.yml, boot/b.yml]\nfiles:\n{template}",
        "boxes/one.yaml": "role: vm\nsite: lab\nvalues: {channel: 7}\n",
        "boxes/two.yaml": "role: vm\nfiles: [{path: etc/plain, contents: '${channel}'}]\n",
    }
    fleet = load_fleet(repo(tmp_path, **change))
    files = {name: {file["path"]: file for file in box.files} for name, box in fleet.boxes.items()}
    assert files["one"]["etc/radio"] == {"path": "etc/radio", "contents": "ch=7 at one/lab, $HOME $PATH"}
    assert files["two"]["etc/radio"]["contents"] == "ch=1 at two/, $HOME $PATH"
    assert files["two"]["etc/plain"]["contents"] == "${channel}", "only templates are filled in"
    assert fleet.boxes["one"].spec == fleet.boxes["two"].spec, "a value is the box's own layer's affair"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"fleet.yaml": None}, "fleet.yaml:1:1: no fleet.yaml here; run `toweros init`"),
        ({"fleet.yaml": "rolout: {}"}, "fleet.yaml:1:1: unknown key `rolout`; did you mean `rollout`?"),
        ({"fleet.yaml": "rollout:\n  canary: 1"}, "fleet.yaml:2:3: unknown key `canary`; did you mean `canaries`?"),
        ({"fleet.yaml": "poll: soon"}, "fleet.yaml:1:7: `poll`: should be a valid integer"),
        ({"fleet.yaml": "poll: 0"}, "fleet.yaml:1:7: `poll`: should be greater than or equal to 1"),
        ({"fleet.yaml": "recipe: 99"}, "fleet.yaml:1:9: `recipe`: should be less than or equal to"),
        (
            {"fleet.yaml": "source: {sign: heads}"},
            "fleet.yaml:1:16: `source.sign`: should be 'none', 'head', 'tag', 'both' or 'every-commit'; did",
        ),
        ({"fleet.yaml": "sign: head"}, "fleet.yaml:1:1: unknown key `sign`; did you mean `sign` below `source`?"),
        (
            {"roles/vm.yaml": "boot: [boot/a.yml]\nprobation: 9"},
            "roles/vm.yaml:2:1: unknown key `probation`; did you mean `probation` below `health`?",
        ),
        (
            {"boxes/one.yaml": "role: vm\nhealth: {services: {}}"},
            "boxes/one.yaml:2:10: unknown key `services`; did you mean `services` at the top of the file?",
        ),
        (
            {"boxes/one.yaml": "role: vm\nboot: [boot/a.yml]"},
            "boxes/one.yaml:2:1: unknown key `boot`; did you mean `boot` in roles/NAME.yaml?",
        ),
        (
            {
                "boxes/one.yaml": "role: vm\nvalues: {chanel: 7}\n"
                "files: [{path: x, contents: '${channel}', template: true}]"
            },
            "boxes/one.yaml:2:9: /x needs the value `channel`; did you mean `chanel`?",
        ),
        ({"boxes/one.yaml": "role: vm\nvalues: {site: x}"}, "boxes/one.yaml:2:10: `values.site`: this value is given"),
        (
            {"boxes/one.yaml": "role: vm\nfiles: [{path: x, directory: true, template: true}]"},
            "boxes/one.yaml:2:9: `files.0`: `template` goes with `contents` or `source`",
        ),
        ({"fleet.yaml": "source: {branch: a..b}"}, "fleet.yaml:1:18: `source.branch`: no name that a branch can have"),
        (
            {
                "fleet.yaml": "source: {sign: head, rules: [{paths: [keys], signers: [ben, ad]}]}",
                "keys/allowed_signers": '# people\n\n"ada,ben" namespaces="git" ssh-ed25519 AAAA\n',
            },
            "fleet.yaml:1:61: keys/ lists no `ad`; did you mean `ada`?",
        ),
        (
            {
                "fleet.yaml": "source: {tags: v*, sign: tag, threshold: 3}",
                "keys/allowed_signers": "ada ssh-ed25519 AAAA\n",
                "keys/openpgp/ben.asc": "a key",
            },
            "fleet.yaml:1:42: 3 people must sign, and keys/ lists 2",
        ),
        ({"fleet.yaml": "suspended: ''"}, "fleet.yaml:1:12: `suspended`: "),
        ({"fleet.yaml": "services: {nobody: {}}"}, "fleet.yaml:1:12: there is no container `nobody`"),
        ({"fleet.yaml": "[]"}, "fleet.yaml:1:1: keys and values are expected"),
        ({"roles/vm.yaml": "boot: [boot/c.yml]"}, "roles/vm.yaml:1:8: there is no file `boot/c.yml`; did you mean"),
        ({"roles/vm.yaml": "boot: []"}, "roles/vm.yaml:1:7: `boot`: "),
        ({"roles/vm.yaml": "cmdline: [a]"}, "roles/vm.yaml:1:1: `boot` is missing; add `boot:`"),
        (
            {"roles/vm.yaml": "boot: [boot/a.yml]\ncmdline: [toweros.release=x]"},
            "roles/vm.yaml:2:11: `cmdline.0`: arguments that begin with `toweros.`",
        ),
        (
            {"roles/vm.yaml": "boot: [boot/a.yml]\nhealth: {checks: [{name: x, service: shd}]}"},
            "roles/vm.yaml:2:38: health check `x`: there is no service `shd`; did you mean `sshd`?",
        ),
        ({"roles/Vm.yaml": "boot: [boot/a.yml]"}, "roles/Vm.yaml:1:1: not the name of a file that belongs here"),
        (
            {"boxes/a.yml": "role: vm"},
            "boxes/a.yml:1:1: not the name of a file that belongs here; name it boxes/NAME.yaml",
        ),
        ({"boxes/one.yaml": "role: vmm"}, "boxes/one.yaml:1:7: there is no role `vmm`; did you mean `vm`?"),
        (
            {"boxes/one.yaml": "role: vm\nlables: {}"},
            "boxes/one.yaml:2:1: unknown key `lables`; did you mean `labels`?",
        ),
        (
            {"boxes/one.yaml": "role: vm\nremove: [shd]"},
            "boxes/one.yaml:2:10: there is no container or app `shd` to remove; did",
        ),
        (
            {"boxes/one.yaml": "role: vm\nservices:\n  sshd: {envv: []}"},
            "boxes/one.yaml:3:10: unknown key `envv`; did you mean `env`?",
        ),
        ({"boxes/one.yaml": "role: vm\nservices: {sshd: {env: x}}"}, "boxes/one.yaml:2:24: `env`: "),
        (
            {"boxes/one.yaml": "role: vm\nservices: {shd: {}}"},
            "boxes/one.yaml:2:12: there is no container `shd`; did you",
        ),
        (
            {"boxes/one.yaml": "role: vm\nfiles:\n  - {path: etc/x, source: texts/baner}"},
            "boxes/one.yaml:3:27: there is no file `texts/baner` in the fleet repo; did you mean `texts/banner`?",
        ),
        (
            {"boxes/one.yaml": "role: vm\nfiles:\n  - {path: /etc/hostname, contents: x}"},
            "boxes/one.yaml:3:12: /etc/hostname is made by TowerOS",
        ),
        (
            {"boxes/one.yaml": "role: vm\nfiles: [{path: a/../b, contents: x}]"},
            "boxes/one.yaml:2:16: `files.0.path`: a path",
        ),
        (
            {"boxes/one.yaml": "role: vm\nfiles: [{path: a}]"},
            "boxes/one.yaml:2:9: `files.0`: exactly one of `contents`",
        ),
        (
            {"boxes/one.yaml": "role: vm\nfiles: [{path: /etc/compose/x/docker-compose.yml, contents: x}]"},
            "boxes/one.yaml:2:9: `files.0`: what is in /etc/compose comes from apps",
        ),
        (
            {"boxes/one.yaml": "role: vm\nnetwork: {dhcp: false}"},
            "boxes/one.yaml:2:10: `network`: either `dhcp: true` or an `address`",
        ),
        (
            {"boxes/one.yaml": "role: vm\nnetwork: {address: 192.0.2.1}"},
            "boxes/one.yaml:2:20: `network.address`: an address with its prefix length",
        ),
        (
            {"boxes/one.yaml": "role: vm\nnetwork: {address: 192.0.2.9/24, gateway: 198.51.100.1}"},
            "boxes/one.yaml:2:10: `network`: the gateway 198.51.100.1 is outside of 192.0.2.0/24",
        ),
        (
            {"keys/builder.json": '{"format":1}'},
            "keys/builder.json:1:1: builder.json is damaged: fleet: Field required",
        ),
        ({"keys/db.key": "-----BEGIN PRIVATE KEY-----"}, "keys/db.key:1:1: a private key in the fleet repo; remove it"),
        ({"boot/b.yml": "services:\n- {nam: x}"}, "boot/b.yml:2:4: unknown key `nam`; did you mean `name`?"),
    ],
)
def test_a_mistake_is_reported_with_its_place_and_the_fix(
    tmp_path: Path, change: dict[str, str | None], expected: str
) -> None:
    lines = mistakes(tmp_path, change)
    assert any(line.startswith(expected) for line in lines), "\n".join(lines)


def test_all_mistakes_of_all_files_come_in_one_run(tmp_path: Path) -> None:
    change = {"fleet.yaml": "pol: 1\n", "roles/vm.yaml": "bot: []\n", "boxes/one.yaml": "role: vm\nrole: vm\n"}
    lines = mistakes(tmp_path, {**change, "boxes/two.yaml": "role: nowhere\nnetwork: {dhcp: yes}\n"})
    assert {line.split(":")[0] for line in lines} == {"fleet.yaml", "roles/vm.yaml", "boxes/one.yaml", "boxes/two.yaml"}
    assert len(lines) == len(set(lines)) >= 5


def test_schemas_for_editors_know_every_key() -> None:
    for kind, model in KINDS.items():
        schema = json_schema(kind)
        assert set(schema["properties"]) == set(model.model_fields)
        assert schema["additionalProperties"] is False
