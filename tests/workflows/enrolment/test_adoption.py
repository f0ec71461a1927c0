"""A whole pass of the controller: what Git says of a machine becomes a signed name, and goes when it is used up."""

import time

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gitops.model.machines.newcomer import CLAIMS
from gitops.publish.folder import Folder
from gitops.publish.targets import box_of
from gitops.sign import Signer
from gitops.store import Store
from gitops.store.notes.newcomers import FORGET, Newcomer, Newcomers
from gitops.workflows.enrolment import newcomers
from tests.kit.databases import both
from tests.kit.site import Site


def ask(store: Store, private: Ed25519PrivateKey, serial: str = "", now: int = 0) -> str:
    key = private.public_key().public_bytes_raw().hex()
    said = newcomers.Said("new.vm", b"report", private.sign(b"report").hex(), key, serial)
    newcomers.ask(store, said, "192.0.2.7", now or int(time.time()))
    return key


def names(site: Site) -> dict[str, str]:
    """What signed metadata say: key -> box."""
    store = site.store
    targets = Signer.open(site.settings.keys, store).targets(Folder(store.paths.metadata).read)
    rows = {path: target.custom for path, target in targets.items() if box_of(path) == CLAIMS}
    assert all(path == f"{CLAIMS}/{custom['key']}" for path, custom in rows.items())
    return {str(custom["key"]): str(custom["box"]) for custom in rows.values()}


@both
def test_a_commit_names_a_machine_and_the_name_goes_when_it_reported_or_asks_no_more(site: Site) -> None:
    private = Ed25519PrivateKey.generate()
    site.run()
    key = ask(site.store, private)
    site.run()
    assert names(site) == {}
    site.commit({"boxes/site-9.yaml": f'role: vm\nhardware: {{key: "{key}"}}\n'})
    site.run()
    assert names(site) == {key: "site-9"} and "site-9" in site.offers()
    row = site.store.boxes.row("site-9")
    assert row and row.public_key == key
    site.run()
    assert names(site) == {key: "site-9"}, "as long as it asks"
    rows = site.store.notes.get(Newcomers)
    assert rows
    gone = {key: Newcomer("vm", 1, int(time.time()) - FORGET, box="site-9")}
    site.store.notes.put(Newcomers(gone))
    site.run()
    assert names(site) == {}, "who asks no more has no name waiting"
    site.store.notes.put(rows)
    site.run()
    assert names(site) == {key: "site-9"}, "and who asks again has"
    site.store.notes.put(Newcomers({key: Newcomer("vm", 1, int(time.time()) - 60, box="site-9")}))
    site.report("site-9")
    site.run()
    assert names(site) == {} and newcomers.living(site.store, int(time.time())) == {}, "it is there"


def test_a_pass_that_changes_nothing_signs_nothing_and_holds_touch_no_name(site: Site) -> None:
    key = ask(site.store, Ed25519PrivateKey.generate(), "7XK2Q13")
    site.commit({"boxes/a.yaml": "role: vm\nhardware: {serial: 7XK2Q13}\n"})
    site.run()
    assert names(site) == {key: "a"}
    before = (site.store.paths.metadata / "timestamp.json").read_bytes()
    controller, store, _ = site.start()
    with store.lease.held():
        controller.run_once()
        controller.run_once()
    assert (site.store.paths.metadata / "timestamp.json").read_bytes() == before
    site.commit({"fleet.yaml": 'source: {branch: main}\nsuspended: "ada: storm"\n'})
    site.run()
    assert names(site) == {key: "a"} and site.told_to_wait().keys() == {"a", "b", "c"}


def test_a_damaged_list_of_machines_costs_no_box_its_pass(site: Site) -> None:
    site.run()
    with site.store._database.write() as connection:
        connection.exec_driver_sql("INSERT INTO values_ (name, document) VALUES ('newcomers', '{')")
    site.commit({"pkg/hello/file": "hello 2\n"})
    assert site.run().published
    ask(site.store, Ed25519PrivateKey.generate())
    assert len(newcomers.living(site.store, int(time.time()))) == 1, "whoever waits asks again"


def test_a_damaged_record_of_one_box_costs_no_other_its_name_or_its_pass(site: Site) -> None:
    first = ask(site.store, Ed25519PrivateKey.generate(), "7XK2Q13")
    other = ask(site.store, Ed25519PrivateKey.generate(), "8YL3R24")
    site.commit({f"boxes/{box}.yaml": f"role: vm\nhardware: {{serial: {serial}}}\n"
                 for box, serial in (("a", "7XK2Q13"), ("b", "8YL3R24"))})  # fmt: skip
    with site.store._database.write() as connection:
        connection.exec_driver_sql("INSERT INTO values_ (name, document) VALUES ('box-keys/a', '{')")
    assert site.run().published
    assert names(site) == {other: "b"}
    assert "box-keys/a is damaged" in newcomers.living(site.store, int(time.time()))[first].refused


def test_a_machine_that_fits_two_boxes_is_neither(site: Site) -> None:
    key = ask(site.store, Ed25519PrivateKey.generate(), "7XK2Q13")
    row = newcomers.living(site.store, int(time.time()))[key]
    site.store.notes.put(Newcomers({key: Newcomer(**row.__dict__ | {"macs": ("52:54:00:12:34:56",)})}))
    mac = 'role: vm\nhardware: {mac: "52:54:00:12:34:56"}\n'
    site.commit({"boxes/a.yaml": "role: vm\nhardware: {serial: 7XK2Q13}\n", "boxes/b.yaml": mac})
    site.run()
    assert names(site) == {}
    assert newcomers.living(site.store, int(time.time()))[key].refused == "it fits a, b: say more of their hardware"
