"""A folder that anything serves: what boxes get there, and what happens to it."""

import os
from pathlib import Path

from gitops.publish.elsewhere.place import Folder
from tests.kit.elsewhere import Copies, Origin
from tests.kit.nocs import settle
from tests.kit.servers import files


def test_a_box_takes_all_from_a_folder_and_reports_to_the_server(tmp_path: Path, origin: Origin) -> None:
    copies = Copies(origin, Folder("site", tmp_path / "out"))
    assert copies.once().put and copies.once().put == 0
    with files(tmp_path / "out") as (url, asked):
        box = origin.box(tmp_path / "box", url.rstrip("/"))
        agent = settle(box)
    assert (agent.boot.sequence, agent.error, origin.reported()) == (8, "", 8)
    assert origin.content() == [] and any("/layers/" in each for each in asked)
    layer = next(origin.store.paths.layers.glob("*.zst"))
    assert (tmp_path / "out/layers" / layer.name).samefile(layer), "it takes no room where both are on one disk"
    (tmp_path / "out/layers" / layer.name).unlink()
    assert layer.is_file() and copies.once(3600).mended == (f"layers/{layer.name} was gone",)


def test_a_folder_is_open_to_who_serves_it_and_what_was_begun_there_goes(tmp_path: Path, origin: Origin) -> None:
    copies = Copies(origin, Folder("site", tmp_path / "out"))
    before = os.umask(0o077)
    try:
        copies.once()
    finally:
        os.umask(before)
    modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "out").rglob("*") if path.is_dir()}
    assert modes == {0o755} and {path.stat().st_mode & 0o777 for path in (tmp_path / "out").rglob("*.json")} == {0o644}
    left = tmp_path / "out/layers/.new-abc"
    left.write_bytes(b"half")
    os.utime(left, (0, 0))
    (tmp_path / "out/layers/README").write_text("somebody's own")
    copies.again()
    copies.once()
    assert not left.exists() and (tmp_path / "out/layers/README").is_file()
