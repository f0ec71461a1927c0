"""How a commit went through a fleet, in samples.

course.add(Sample(now, 3, 2, 2, 0))
"""

from dataclasses import dataclass, replace

MOST = 240
"""Samples of one commit: when there are more, every second goes."""


@dataclass(frozen=True)
class Sample:
    """How many boxes there were at a moment (Unix seconds): `offered` what this commit asks of them, `running` it,
    `well` with it, and in `trouble`."""

    time: int
    offered: int
    running: int
    well: int
    trouble: int


@dataclass(frozen=True)
class Course:
    """How a commit went through the fleet of so many `boxes`. `began` and `ended` (all run it, and are well) are Unix
    seconds, 0: not yet. Its key is the commit."""

    revision: str
    boxes: int
    began: int
    ended: int = 0
    samples: tuple[Sample, ...] = ()

    def add(self, sample: Sample) -> "Course":
        """With one more sample, if it says something new. It ends when all boxes are well."""
        last = self.samples[-1] if self.samples else None
        if self.ended or (last and replace(last, time=sample.time) == sample):
            return self
        samples = (*self.samples, sample)
        if len(samples) > MOST:
            samples = (*samples[:-1:2], sample)
        return replace(self, samples=samples, ended=sample.time if sample.well >= self.boxes else 0)

    def until(self, share: float) -> int | None:
        """Seconds until so large a share of the boxes ran it and was well; None: not yet."""
        wanted = share * self.boxes
        return next((each.time - self.began for each in self.samples if each.well >= wanted), None)
