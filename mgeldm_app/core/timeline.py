"""Seconds, bars and beats: the grid of a project, snapping to it, and how places are written."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from mgeldm.language import say

from .project import SONG_ID, Project, Span, Tempo

Unit = Literal["bar", "beat", "none"]
BPM = (20.0, 400.0)
BEAT_UNITS = (1, 2, 4, 8, 16)
TAPS_KEPT, TAP_PAUSE_S = 8, 2.0
_NEARLY = 1e-9  # of a beat or bar: what rounding of numbers may make of a line


@dataclass(frozen=True)
class Grid:
    """The bars of a song. Bar 1 is the first that begins inside the song; what lies before is bar 0 and below.

    Attributes:
        tempo: Its tempo.
        rate_hz: Samples a second.
        samples: The song's length.
    """

    tempo: Tempo
    rate_hz: int
    samples: int

    @staticmethod
    def of(project: Project) -> Grid:
        """The grid of a project."""
        return Grid(project.tempo, project.rate_hz, project.samples)

    @property
    def beat_samples(self) -> float:
        """Length of a beat."""
        return self.quarter_samples * 4 / self.tempo.beat_unit

    @property
    def quarter_samples(self) -> float:
        """Length of a quarter note, in which other programs count."""
        return self.rate_hz * 60 / self.tempo.bpm

    @property
    def bar_samples(self) -> float:
        """Length of a bar."""
        return self.beat_samples * self.tempo.beats_per_bar

    @property
    def first_bar(self) -> float:
        """Sample at which bar 1 begins: the earliest downbeat at or after the song's first sample."""
        first = (self.tempo.downbeat_s * self.rate_hz) % self.bar_samples
        return first - self.bar_samples if self.bar_samples - first < 0.5 else first

    def sample_of(self, bar: int, beat: int = 1) -> int:
        """Sample at which a beat of a bar begins; both count from 1."""
        return self._line(self.first_bar + (bar - 1) * self.bar_samples + (beat - 1) * self.beat_samples)

    def _line(self, at: float) -> int:
        """The first sample that `place` has behind a line: of two that are as near, the earlier."""
        return math.ceil(at - 0.5 - _NEARLY * self.beat_samples)

    def place(self, sample: float) -> tuple[int, int, float]:
        """Bar, beat (both from 1) and share of the beat that has passed at a sample."""
        beats = (sample + 0.5 - self.first_bar) / self.beat_samples + _NEARLY  # lines lie half a sample before or after
        bar, rest = divmod(beats, self.tempo.beats_per_bar)
        return int(bar) + 1, int(rest) + 1, rest - int(rest)

    def snap(self, sample: float, unit: Unit) -> int:
        """The nearest line of the grid, inside the song; the song's own ends count as lines."""
        if unit == "none":
            return min(max(round(sample), 0), self.samples)
        step = self.bar_samples if unit == "bar" else self.beat_samples
        line = self._line(self.first_bar + round((sample - self.first_bar) / step) * step)
        nearest = min((line, 0, self.samples), key=lambda x: abs(x - sample))
        return min(max(nearest, 0), self.samples)

    def bar_around(self, sample: float) -> Span:
        """The bar that a sample lies in, cut to the song."""
        bar = self.place(min(sample, self.samples - 1))[0]
        return Span(max(self.sample_of(bar), 0), min(self.sample_of(bar + 1), self.samples))

    def nudge(self, span: Span, steps: int, unit: Unit) -> Span:
        """A span moved by bars or beats (or 10 ms), its length kept but for how lines are rounded, inside the song."""
        start, stop = (self._moved(sample, steps, unit) for sample in (span.start, span.stop))
        if start < 0 or stop > self.samples:
            start = min(max(start, 0), max(0, self.samples - span.samples))
            stop = start + span.samples
        return Span(start, stop)

    def _moved(self, sample: int, steps: int, unit: Unit) -> int:
        """A place as far behind another line as it is behind its own: shares of samples do not add up."""
        if unit == "none":
            return round(sample + steps * self.rate_hz / 100)
        step = self.bar_samples if unit == "bar" else self.beat_samples
        line = math.floor((sample + 0.5 - self.first_bar) / step + _NEARLY)
        return sample + self._line(self.first_bar + (line + steps) * step) - self._line(self.first_bar + line * step)

    def counted(self, sample: float, beats: int) -> Tempo:
        """The tempo with its grid moved, so that a bar begins so many beats before a sample."""
        first = (sample - beats * self.beat_samples) % self.bar_samples
        return replace(self.tempo, downbeat_s=first / self.rate_hz)

    def lines(self, start: int, stop: int, unit: Unit = "bar", every: int = 1) -> Iterator[tuple[int, int, int]]:
        """(sample, bar, beat) of the lines from `start` to `stop`: every so many bars, or each beat."""
        per_bar = self.tempo.beats_per_bar
        step = self.bar_samples * every if unit == "bar" else self.beat_samples
        number = math.ceil((start - self.first_bar) / step - _NEARLY)
        while (sample := self._line(self.first_bar + number * step)) < stop:
            beats = number * per_bar * every if unit == "bar" else number
            yield sample, beats // per_bar + 1, beats % per_bar + 1
            number += 1

    def bars_in(self, span: Span) -> float:
        """Length of a span in bars."""
        return span.samples / self.bar_samples


def time_text(sample: float, rate_hz: int) -> str:
    """ "01:12.480", with hours where there are some."""
    milliseconds = max(0, round(sample * 1000 / rate_hz))
    minutes, rest = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    text = f"{minutes:02d}:{rest // 1000:02d}.{rest % 1000:03d}"
    return f"{hours}:{text}" if hours else text


def span_text(project: Project, span: Span) -> str:
    """ "8 bars" where the span is whole bars of a known tempo, else its seconds."""
    bars = Grid.of(project).bars_in(span)
    if project.tempo.source != "none" and round(bars) >= 1 and abs(bars - round(bars)) < 0.02:
        return say("1 bar") if round(bars) == 1 else say("{bars} bars", bars=round(bars))
    return seconds_text(span.samples / project.rate_hz)


def place_text(project: Project, span: Span, lane_id: str = "") -> str:
    """ "bars 5–7 of Keys", or its times where it is not whole bars; no lane is the song."""
    grid, lane = Grid.of(project), lane_id or SONG_ID
    first, last = grid.place(span.start)[0], grid.place(span.stop - 1)[0]
    whole = all(abs(at - line) <= 0.02 * grid.bar_samples for at, line in _ends(grid, span, first, last))
    place = "–".join(time_text(sample, project.rate_hz) for sample in (span.start, span.stop))
    if project.tempo.source != "none" and whole:
        bars = say("bar {bar}", bar=first) if first == last else say("bars {first}–{last}", first=first, last=last)
        place = str(bars)
    name = project.lane(lane).name if project.has_lane(lane) else say("a lane that is gone")
    return say("{place} of {lane}", place=place, lane=name)


def start_text(project: Project, sample: int) -> str:
    """ "bar 9" where a bar of a known tempo begins there, else the time, or "the start"."""
    grid = Grid.of(project)
    bar = grid.place(sample)[0]
    if sample == 0:
        return say("the start")
    if project.tempo.source != "none" and abs(sample - grid.sample_of(bar)) <= 1:
        return say("bar {bar}", bar=bar)
    return time_text(sample, project.rate_hz)


def _ends(grid: Grid, span: Span, first: int, last: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Where a span begins and ends, and the lines of its first bar and after its last one."""
    return (span.start, grid.sample_of(first)), (span.stop, grid.sample_of(last + 1))


def seconds_text(seconds: float) -> str:
    """ "12.3 s", or "250 ms" where tenths of a second say little."""
    if seconds < 1:
        return say("{milliseconds} ms", milliseconds=round(seconds * 1000))
    return say("{seconds:.1f} s", seconds=seconds)


def tapped(taps_s: list[float], tempo: Tempo) -> Tempo | None:
    """The tempo of taps at those times (seconds of a clock), given by the user; None until there are three.

    Nor do taps of one moment have a tempo: a coarse clock may give them the same time.
    """
    recent = taps_s[-TAPS_KEPT:]
    if len(recent) < 3 or recent[-1] <= recent[0]:
        return None
    bpm = 60 * (len(recent) - 1) / (recent[-1] - recent[0]) * 4 / tempo.beat_unit
    return replace(tempo, bpm=round(min(max(bpm, BPM[0]), BPM[1]), 1), source="given")
