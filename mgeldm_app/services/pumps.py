"""Between the mixer and what asks it for sound: a device at the song's rate, one at another rate, or the silent clock.

A pump fills buffers in the device's own thread and notes which sample of the song is heard when. At the song's rate it
allocates nothing. At another rate soxr's streaming resampler hands out a new small array for every 256 frames, which
only happens with devices that refuse the song's rate.
"""

from __future__ import annotations

import math
import threading
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mgeldm_app.core.mixer import Mixer, Order
from mgeldm_app.core.voices import RAMP_S

Buffer = npt.NDArray[np.float32]

LONGEST_FRAMES = 4096
KEPT_STAMPS = 1024
CLOCK_TICK_S, CLOCK_LAG_S = 0.02, 0.25


class Stamp(NamedTuple):
    """What a buffer held: from when on it is heard, from which sample of the song on, for how many, and why."""

    heard_s: float
    position: int
    frames: int
    playing: bool
    order: Order


class Stamps:
    """The last stamps, written by one thread and read by another without a lock."""

    def __init__(self) -> None:
        self._ring: list[Stamp | None] = [None] * KEPT_STAMPS
        self._count = 0

    def add(self, stamp: Stamp) -> None:
        """Note one more."""
        self._ring[self._count % KEPT_STAMPS] = stamp
        self._count += 1

    def clear(self) -> None:
        """Forget them all, and with them the clips of their plans."""
        self._ring = [None] * KEPT_STAMPS

    def heard(self, now_s: float) -> Stamp | None:
        """The stamp of what is heard now; the oldest one kept if all are still to come."""
        count, found = self._count, None
        for number in range(count - 1, max(count - KEPT_STAMPS, -1), -1):
            found = self._ring[number % KEPT_STAMPS] or found
            if found is not None and found.heard_s <= now_s:
                return found
        return found

    @staticmethod
    def place(stamp: Stamp, now_s: float, rate_hz: int) -> int:
        """The sample of the song that is heard `now_s`, loops and ends seen to."""
        passed = min(max(now_s - stamp.heard_s, 0.0) * rate_hz, stamp.frames) if stamp.playing else 0
        place, loop = stamp.position + int(passed), stamp.order.plan.loop
        if loop is not None and stamp.position < loop.stop <= place:
            place = loop.start + (place - loop.stop) % loop.samples
        return min(place, stamp.order.plan.samples)


class Pump:
    """Fills the buffers of a device.

    Args:
        mixer: What sounds.
        stamps: Where to note when it is heard.
        rate_hz: The device's rate.

    Attributes:
        latency_s: Used where the device does not say when a buffer will be heard.
        called_s: When it was last asked.
        quiet_s: When the last of what sounds will have been heard; endless while it sounds.
        underruns: How often the device ran dry, or a buffer took longer to fill than to play.
        fault: What went wrong while filling, which must not be raised there.
    """

    def __init__(self, mixer: Mixer, stamps: Stamps, rate_hz: int) -> None:
        self._mixer, self._stamps, self._rate_hz = mixer, stamps, rate_hz
        self.latency_s, self.called_s, self.quiet_s, self.underruns = 0.0, perf_counter(), 0.0, 0
        self.fault: Exception | None = None
        self._fading = self._ended = False
        # A device that takes over in the midst of the music begins softly, and one that is left ends so.
        fade = round(RAMP_S * rate_hz)
        self._rising: Buffer = np.linspace(0, 1, fade if mixer.playing else 0, endpoint=False, dtype=np.float32)
        self._falling: Buffer = np.linspace(1, 0, fade, dtype=np.float32)
        self._risen = self._fallen = 0
        self._stereo = np.zeros((LONGEST_FRAMES, 2), np.float32)
        same = rate_hz == mixer.rate_hz
        self._resampler = None if same else _Resampler(mixer.rate_hz, rate_hz)

    def fade_out(self) -> None:
        """Fade, then fill with silence; `quiet_s` tells when that will have been heard."""
        self._fading = True

    def end(self) -> None:
        """Fill with silence, and leave the mixer alone, from now on."""
        self._ended = True

    def fill(self, out: Buffer, ahead_s: float | None, ran_dry: bool) -> None:
        """See `devices.Fill`."""
        began_s = perf_counter()
        try:
            self._fill(out, began_s + (self.latency_s if ahead_s is None else ahead_s))
        except Exception as error:
            self.fault = error
            out.fill(0)
        self.called_s = perf_counter()
        if ran_dry or self.called_s - began_s > len(out) / self._rate_hz:
            self.underruns += 1

    def _fill(self, out: Buffer, heard_s: float) -> None:
        fading, left = self._fading, len(self._falling) - self._fallen
        sounding = out[: 0 if self._ended else left if fading else len(out)]
        out[len(sounding) :].fill(0)
        for first in range(0, len(sounding), LONGEST_FRAMES):
            part = sounding[first : first + LONGEST_FRAMES]
            both = part if part.shape[1] == 2 else self._stereo[: len(part)]
            if self._resampler is None:
                self._render(both, heard_s + first / self._rate_hz)
            else:
                self._resampler.fill(both, heard_s + first / self._rate_hz, self._render)
            if self._risen < len(self._rising):
                self._risen += self._fade(both, self._rising[self._risen :])
            if fading:
                self._fallen += self._fade(both, self._falling[self._fallen :])
            if both is not part:
                np.add(both[:, 0], both[:, 1], out=part[:, 0])
                np.multiply(part, 0.5, out=part)
        if len(out) and out[-1].any():
            self.quiet_s = math.inf
        elif self.quiet_s == math.inf:
            self.quiet_s = heard_s + len(out) / self._rate_hz

    @staticmethod
    def _fade(out: Buffer, gains: Buffer) -> int:
        """Multiply as many frames as there are gains, or all; returns how many."""
        frames = min(len(out), len(gains))
        for side in (0, 1):
            np.multiply(out[:frames, side], gains[:frames], out=out[:frames, side])
        return frames

    def _render(self, out: Buffer, heard_s: float) -> None:
        self._mixer.render(out)
        position, playing, order = self._mixer.began
        self._stamps.add(Stamp(heard_s, position, len(out), playing, order))


class _Resampler:
    """A mixer's sound at a device's rate, a few milliseconds later."""

    FRAMES = 256

    def __init__(self, from_hz: int, to_hz: int) -> None:
        import soxr

        self._to_hz = to_hz
        self._stream: Any = soxr.ResampleStream(from_hz, to_hz, 2, dtype="float32", quality="HQ")
        self._in = np.zeros((self.FRAMES, 2), np.float32)
        longest = LONGEST_FRAMES + 8 * (self.FRAMES * to_hz // from_hz + self.FRAMES)
        self._ready = np.zeros((longest, 2), np.float32)
        self._count = 0

    def fill(self, out: Buffer, heard_s: float, render: Any) -> None:
        """Fill `out`, of which the first frame is heard at `heard_s`; `render` gives the next frames of the mixer."""
        wanted = len(out)
        while self._count < wanted:
            render(self._in, heard_s + (self._count + self._stream.delay()) / self._to_hz)
            more = self._stream.resample_chunk(self._in)
            self._ready[self._count : self._count + len(more)] = more
            self._count += len(more)
        np.copyto(out, self._ready[:wanted])
        self._count -= wanted
        self._ready[: self._count] = self._ready[wanted : wanted + self._count]


class SilentClock:
    """Plays to nobody, in real time, so that the playhead and the meters move on without a device.

    Args:
        pump: At the mixer's rate.
        rate_hz: That rate.
    """

    def __init__(self, pump: Pump, rate_hz: int) -> None:
        self._pump, self._rate_hz = pump, rate_hz
        self._out = np.zeros((round(CLOCK_LAG_S * rate_hz), 2), np.float32)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="silent clock", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop; returns when nothing is played any more."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        began_s, done = perf_counter(), 0
        while not self._stop.wait(CLOCK_TICK_S):
            due = int((perf_counter() - began_s) * self._rate_hz) - done
            n = min(due, len(self._out))  # after a long sleep it goes on from where it was
            self._pump.fill(self._out[:n], 0.0, False)
            done += due
