"""Made-up tars for ten minutes, as root: whatever a tar is, the layer that is made of it holds what was read, as this
machine's kernel sees it.

In: minutes. Out: how many tars were tried, and how many of them had a tree; the first that is not so ends it,
made small by hypothesis.

    python bench/attacks/tars.py --minutes 10
"""

import argparse
import re
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import structlog
from hypothesis import HealthCheck, given, seed, settings

from gitops.assemble.layers import IMAGE, make_layer
from gitops.assemble.tars.reader import reading
from gitops.errors import AssembleError
from tests.kit import built
from tests.kit.mounted import differences, has_erofs, seen
from tests.kit.tars import rich_tars, some_tars

ROUND = 500
MADE = re.compile("mkfs.erofs|in the image")
"""What a reading of the tar does not say."""
tried: Counter[str] = Counter()


@settings(max_examples=ROUND, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(data=some_tars() | rich_tars())
def attempt(data: bytes) -> None:
    """One tar."""
    with tempfile.TemporaryDirectory() as name:
        file = Path(name, "layer.tar")
        file.write_bytes(data)
        try:
            with reading(file) as contents:
                tried["read"] += 1
                if "" in contents.opaque:
                    return
                with built.toolbox().workspace() as work:
                    make_layer(work, file)
                    if has_erofs():
                        assert differences(contents, seen(work.path(IMAGE))) == []
        except AssembleError as error:
            assert not MADE.search(error.message), error
            tried["refused"] += 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    began, number = time.monotonic(), time.time_ns()
    while time.monotonic() - began < options.minutes * 60:
        number += 1
        seed(number)(attempt)()
    print(f"{tried['read']} tars read and compared, {tried['refused']} refused; the last seed was {number}")


if __name__ == "__main__":
    main()
