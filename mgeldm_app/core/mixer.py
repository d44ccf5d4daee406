"""The mixer: any next n frames of a plan, sample by sample, without a click whatever changes.

Everything here runs in the audio callback: it allocates no sample buffers, takes no lock, and neither logs nor raises.
Orders reach it as one reference that others assign; what it tells is read from its attributes. Sums are float64, so
that the one rounding, to float32, gives what an exporter writes.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np

from .clips import Frames
from .project import Span
from .voices import BLOCK_FRAMES, RAMP_S, Bench, Block, Plan, Source, Voice

LOUDEST = 1e6  # beyond it, or where samples are not numbers, silence is better


@dataclass(frozen=True, eq=False)
class Order:
    """What is asked of the mixer.

    Attributes:
        plan: What to play.
        playing: Whether to.
        jump: Counts the seeks; a new number takes the playhead to `place`.
        place: Sample of the song.
    """

    plan: Plan
    playing: bool = False
    jump: int = 0
    place: int = 0


class _Live:
    """A voice that sounds, with gains on their way from `start` by `step` to `end`; each [2, 1]."""

    __slots__ = ("end", "key", "moves", "part", "quiet", "source", "start", "step", "unity")

    def __init__(self, voice: Voice, start: Block, end: Block, part: str) -> None:
        self.key: Hashable = voice.key
        self.source: Source = voice.source
        self.part = part
        self.start, self.end, self.step = start, end, end - start
        self.moves = bool(self.step.any())
        self.quiet = not self.moves and not end.any()
        self.unity = not self.moves and bool((end == 1).all())

    def settle(self) -> None:
        """The gains have arrived."""
        self.start, self.moves = self.end, False
        self.quiet, self.unity = not self.end.any(), bool((self.end == 1).all())


class Mixer:
    """Renders a plan.

    Args:
        rate_hz: Of the plans.

    Attributes:
        order: Assign a new one to change anything.
        position: Sample of the song that the next frame comes from.
        playing: Whether that sounds.
        obeyed: The order last followed.
        began: Position, whether it sounded, and the order, at the first frame last rendered.
        ended: The order under which the song came to its end.
        jumps: How often the playhead jumped without being asked to: to a new loop.
    """

    def __init__(self, rate_hz: int) -> None:
        self.rate_hz = rate_hz
        self.order = self.obeyed = Order(Plan(rate_hz))
        self.position, self.playing, self.jumps = 0, False, 0
        self.began = 0, False, self.order
        self.ended: Order | None = None
        self._lives: tuple[_Live, ...] = ()
        self._has_stems = False
        self._fade_samples = round(RAMP_S * rate_hz)
        place = (np.arange(self._fade_samples) + 0.5) / self._fade_samples
        self._rising: Block = np.square(np.sin(np.pi / 2 * place))
        self._falling: Block = 1 - self._rising
        self._ramp = self._fade = self._fade_samples  # how far gains, and a change of place, have come
        self._tail: int | None = None  # where what is being left sounds
        self._fading_in = False
        self._bench = Bench()
        self._mix, self._other, self._voice, self._gains, self._song, self._taken = np.zeros((6, 2, BLOCK_FRAMES))
        self._rest = np.zeros((2, BLOCK_FRAMES), np.float32)
        self._high, self._low = np.zeros(2), np.zeros(2)
        self._peaks = [0.0, 0.0, 0.0]

    def take_peaks(self) -> list[float]:
        """Peaks of left, right and song - (stems + rest) since the last call, linear."""
        peaks, self._peaks = self._peaks, [0.0, 0.0, 0.0]
        return peaks

    def render(self, out: Frames) -> None:
        """Write the next frames into `out` [n, 2]."""
        done = 0
        while done < len(out):
            if self.order is not self.obeyed and self._may_change():
                self._obey(self.order)
            if not done:
                self.began = self.position, self.playing, self.obeyed
            n = self._even(min(len(out) - done, BLOCK_FRAMES))
            self._render(out[done : done + n])
            self._advance(n)
            done += n

    # ---------------------------------------------------------------------------------------------------- orders

    def _may_change(self) -> bool:
        """Not while one place fades into another, nor in the seam of a loop; both are over within 10 ms."""
        loop = self.obeyed.plan.loop
        return self._fade >= self._fade_samples and not (self.playing and self._in_seam(loop, self.position))

    def _in_seam(self, loop: Span | None, place: int) -> bool:
        return loop is not None and loop.stop - self._fade_samples <= place < loop.stop

    def place_under(self, order: Order) -> int:
        """Where the playhead goes on once an order is followed: it goes to a place asked for, or into a new loop."""
        before, loop = self.obeyed, order.plan.loop
        if order.jump != before.jump:
            return order.place
        is_new = loop is not None and loop != before.plan.loop
        if loop is not None and is_new and not loop.start <= self.position < loop.stop - self._fade_samples:
            return loop.start
        return self.position

    def _obey(self, order: Order) -> None:
        before, place = self.obeyed, self.place_under(order)
        self.obeyed = order
        if order.plan is not before.plan:
            self._take(order.plan, not self.playing)
        if order.jump == before.jump and place != self.position:
            self.jumps += 1
        if self.playing and (not order.playing or place != self.position):
            self._tail, self._fade = self.position, 0
        if order.playing and (not self.playing or place != self.position):
            self._fading_in = self.playing or place > 0  # before the song there is silence, as there is now
            self._fade = 0 if self._fading_in else self._fade
        self.position, self.playing = max(place, 0), order.playing
        if self.playing and self.position >= order.plan.samples:
            self._end()

    def _take(self, plan: Plan, silent: bool) -> None:
        """Change to the voices of a plan; gains move there, and what is in one plan only comes or goes."""
        old = {live.key: live for live in self._lives}
        lives = []
        for voice in plan.voices:
            known = old.pop(voice.key, None)
            end = np.array(voice.gains, np.float64)[:, None]  # [2, 1]
            start = end if silent else self._gain_of(known) if known else np.zeros((2, 1))
            lives.append(_Live(voice, start, end, voice.part))
        for live in old.values():
            if not silent and self._gain_of(live).any():
                gone = Voice(live.key, live.source, (0.0, 0.0))
                lives.append(_Live(gone, self._gain_of(live), np.zeros((2, 1)), "none"))
        self._lives = tuple(lives)
        self._has_stems = any(voice.part == "stem" for voice in plan.voices)
        self._ramp = 0 if any(live.moves for live in lives) else self._fade_samples

    def _gain_of(self, live: _Live) -> Block:
        """The gains that were last heard."""
        if not live.moves or self._ramp >= self._fade_samples:
            return live.end
        return live.start + live.step * (self._rising[self._ramp - 1] if self._ramp else 0.0)

    # ------------------------------------------------------------------------------------------------- rendering

    def _even(self, n: int) -> int:
        """How many of the next n frames can be rendered in one go: to where a fade, a seam or the song ends."""
        if self._ramp < self._fade_samples:
            n = min(n, self._fade_samples - self._ramp)
        if self._fade < self._fade_samples:
            n = min(n, self._fade_samples - self._fade)
        if not self.playing:
            return n
        plan = self.obeyed.plan
        loop = plan.loop
        if loop is not None and self.position < loop.start:
            return min(n, loop.start - self.position)
        if loop is None or self.position >= loop.stop:
            return min(n, plan.samples - self.position)
        if self._in_seam(loop, self.position):
            return min(n, loop.stop - self.position)
        return min(n, loop.stop - self._fade_samples - self.position)

    def _render(self, out: Frames) -> None:
        n = len(out)
        mix, other = self._mix[:, :n], self._other[:, :n]
        if self.playing:
            self._sum(mix, self.position, measured=True)
            loop = self.obeyed.plan.loop
            if loop is not None and self._in_seam(loop, self.position):
                # What leads to the loop's start comes in under the loop's end, so that its first beat stays whole.
                at = self.position - loop.stop + self._fade_samples
                self._sum(other, self.position - loop.samples)
                np.multiply(mix, self._falling[at : at + n], out=mix)
                np.multiply(other, self._rising[at : at + n], out=other)
                np.add(mix, other, out=mix)
            if self._fading_in:
                np.multiply(mix, self._rising[self._fade : self._fade + n], out=mix)
        else:
            mix.fill(0)
        if self._tail is not None:
            self._sum(other, self._tail)
            np.multiply(other, self._falling[self._fade : self._fade + n], out=other)
            np.add(mix, other, out=mix)
        self._measure(mix)
        np.copyto(out, mix.T, casting="same_kind")

    def _sum(self, mix: Block, start: int, measured: bool = False) -> None:
        """All voices from `start` on, into `mix` [2, n]."""
        n = mix.shape[1]
        voice = self._voice[:, :n]
        measured = measured and self._has_stems
        mix.fill(0)
        if measured:
            self._song[:, :n].fill(0)
            self._taken[:, :n].fill(0)
        for live in self._lives:
            counted = measured and live.part != "none"
            if live.quiet and not counted:
                continue
            live.source.fill(voice, start, self._bench)
            if counted:
                sum_ = self._song[:, :n] if live.part == "song" else self._taken[:, :n]
                np.add(sum_, voice, out=sum_)
            if live.quiet:
                continue
            if live.moves:
                gains = self._gains[:, :n]
                np.multiply(live.step, self._rising[self._ramp : self._ramp + n], out=gains)
                np.add(gains, live.start, out=gains)
                np.multiply(voice, gains, out=voice)
            elif not live.unity:
                np.multiply(voice, live.end, out=voice)
            np.add(mix, voice, out=mix)
        if measured:
            self._measure_null(n)

    def _measure(self, mix: Block) -> None:
        np.maximum.reduce(mix, axis=1, out=self._high)
        np.minimum.reduce(mix, axis=1, out=self._low)
        left, right = max(self._high[0], -self._low[0]), max(self._high[1], -self._low[1])
        if not (left < LOUDEST and right < LOUDEST):
            mix.fill(0)
            return
        peaks = self._peaks
        peaks[0], peaks[1] = max(peaks[0], float(left)), max(peaks[1], float(right))

    def _measure_null(self, n: int) -> None:
        """The song minus what its stems and its rest give as files: stems as they are read, the rest in float32."""
        song, taken, rest, left = self._song[:, :n], self._taken[:, :n], self._rest[:, :n], self._gains[:, :n]
        np.subtract(song, taken, out=left)
        np.copyto(rest, left, casting="same_kind")
        np.copyto(left, rest)
        np.add(left, taken, out=left)
        np.subtract(song, left, out=left)
        np.abs(left, out=left)
        peak = float(np.maximum.reduce(left, axis=None))
        self._peaks[2] = max(self._peaks[2], peak) if peak == peak else float("inf")

    # -------------------------------------------------------------------------------------------------- advancing

    def _advance(self, n: int) -> None:
        if self._ramp < self._fade_samples:
            self._ramp += n
            if self._ramp >= self._fade_samples:
                self._arrive()
        if self._fade < self._fade_samples:
            self._fade += n
            if self._tail is not None:
                self._tail += n
            if self._fade >= self._fade_samples:
                self._tail, self._fading_in = None, False
        if not self.playing:
            return
        plan = self.obeyed.plan
        inside = plan.loop is not None and plan.loop.start <= self.position < plan.loop.stop
        self.position += n
        if plan.loop is not None and inside and self.position >= plan.loop.stop:
            self.position = plan.loop.start
        elif not inside and self.position >= plan.samples:
            self._end()

    def _arrive(self) -> None:
        """Gains are where they were going; what went is gone."""
        self._lives = tuple(live for live in self._lives if live.part != "none" or live.end.any())
        for live in self._lives:
            live.settle()

    def _end(self) -> None:
        self.position, self.playing, self.ended = self.obeyed.plan.samples, False, self.obeyed
        self._fading_in = False
