"""What does not build is told from a machine that cannot build."""

from tests.kit.updates import Patched


def test_a_machine_that_cannot_build_now_holds_no_update(patched: Patched) -> None:
    patched.says("{how: commit}")
    before = patched.refs["main"]
    patched.update()
    patched.fail, patched.transient = "pkg/hello", True
    patched.later()
    patched.look()
    assert patched.refs["main"] == before and not patched.patches.held and "pkg/hello: no" in patched.run().error
    patched.fail = ""
    patched.later(600)
    patched.look()
    assert patched.show("main") == "locks: openssl 3.5.7-1 -> 3.5.9-1"
