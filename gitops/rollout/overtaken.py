"""How often a wave's turn never came: whoever commits faster than a rollout takes never reaches its end. Pure.

In: the waves at the last look, and now; how many boxes of each were not let go. Out: the waves now, with how many
contents in a row were replaced while boxes of the wave still waited for theirs. Rules: a wave whose boxes have all been
let go begins to count anew; from `TOLD` on people are told.

    counted(before, now, {"rest": 7})[1].overtaken       # 4
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from gitops.model.rollout.waves import WaveState

TOLD = 3


def counted(before: Sequence[WaveState], now: Sequence[WaveState], left: Mapping[str, int]) -> tuple[WaveState, ...]:
    """The waves of now; one that is new, or renamed, has nothing behind it."""
    last = {wave.name: wave for wave in before}
    return tuple(
        replace(wave, left=left.get(wave.name, 0), overtaken=_times(last.get(wave.name), wave, left)) for wave in now
    )


def told(waves: Sequence[WaveState]) -> Iterator[str]:
    """A sentence for each wave that is left behind."""
    for wave in waves:
        if wave.overtaken >= TOLD:
            yield (
                f"wave {wave.name}: {wave.overtaken} commits in a row were overtaken before its boxes had their turn;"
                " commit less often, or shorten the waves before it"
            )


def _times(before: WaveState | None, wave: WaveState, left: Mapping[str, int]) -> int:
    if before is None or not left.get(wave.name):
        return 0
    return before.overtaken + (before.left > 0 and before.content != wave.content)
