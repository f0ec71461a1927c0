"""The commands of `tuf-client`, on the agent's own trust and HTTP.

In: the suite's options. Out: metadata in --metadata-dir, a target in --target-dir; exit code 0, or 1 with a line that
says why. Rules: as on a box, the first root is built in: it lies beside the metadata, and every command starts from it.
"""

import argparse
import sys
import time
from pathlib import Path
from urllib.parse import quote

from toweros_agent.nouns import Refused
from toweros_agent.offer.net import Http
from toweros_agent.offer.repository import updater_of

BUILT_IN = "built-in-root"
SECONDS = 120.0
"""That one command may take."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="tuf-client")
    parser.add_argument("--metadata-dir", type=Path, required=True)
    parser.add_argument("--target-name", action="append", default=[])
    parser.add_argument("--target-dir", type=Path)
    parser.add_argument("--metadata-url")
    parser.add_argument("--target-base-url")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("init").add_argument("root", type=Path)
    commands.add_parser("refresh")
    commands.add_parser("download")
    words = parser.parse_args()
    try:
        {"init": init, "refresh": refresh, "download": download}[words.command](words)
    except Exception as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


def init(words: argparse.Namespace) -> None:
    """Take a root as the one that is built in. Nothing is asked of the server."""
    words.metadata_dir.mkdir(parents=True, exist_ok=True)
    for name in (BUILT_IN, "root.json"):
        (words.metadata_dir / name).write_bytes(words.root.read_bytes())


def refresh(words: argparse.Namespace) -> None:
    """Bring the metadata of the top-level roles up to date."""
    http = Http(lambda: None, time.sleep)
    http.within(SECONDS)
    updater_of(http, words.metadata_dir, words.metadata_url, (words.metadata_dir / BUILT_IN).read_bytes()).refresh()


def download(words: argparse.Namespace) -> None:
    """Bring targets, each into a file that is named after all of its path; one that is there already stays."""
    http = Http(lambda: None, time.sleep)
    http.within(SECONDS)
    root = (words.metadata_dir / BUILT_IN).read_bytes()
    updater = updater_of(http, words.metadata_dir, words.metadata_url, root)
    updater.refresh()
    for name in words.target_name:
        info = updater.get_targetinfo(name)
        if info is None:
            raise Refused(f"there is no {name}")
        path = words.target_dir / quote(name, safe="")
        if updater.find_cached_target(info, str(path)) is None:
            updater.download_target(info, str(path), words.target_base_url)


if __name__ == "__main__":
    sys.exit(main())
