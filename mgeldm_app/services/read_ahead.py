"""Reads the audio ahead of the playhead, so that the callback finds it in memory and never waits for the disk."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator

import numpy as np

from mgeldm_app.core.mixer import Mixer
from mgeldm_app.core.project import Span
from mgeldm_app.core.voices import Clips, Plan, Voice

AHEAD_S, CHUNK_S, TICK_S = 3.0, 0.5, 0.1


class ReadAhead:
    """A thread that touches what will soon be played.

    It copies: numpy lets go of the interpreter while it copies, so that a page that has to come from the disk keeps
    nobody else waiting. Every chunk is touched once on the playhead's way, and again when it comes back after leaving.

    Args:
        mixer: Gives the mixer of the moment, if any.
    """

    def __init__(self, mixer: Callable[[], Mixer | None]) -> None:
        self._mixer = mixer
        self._touched: set[tuple[Hashable, int]] = set()
        self._scratch = np.zeros((1 << 15) * 2, np.float32)
        self._wake, self._closed = threading.Event(), False
        self._thread = threading.Thread(target=self._run, name="read ahead", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Look now: the playhead jumped, or there is something new."""
        self._wake.set()

    def close(self) -> None:
        """End the thread."""
        self._closed = True
        self._wake.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._closed:
            self._wake.wait(TICK_S)
            self._wake.clear()
            mixer = self._mixer()
            if mixer is not None:
                order = mixer.order
                self.touch(order.plan, mixer.place_under(order))

    def touch(self, plan: Plan, position: int) -> None:
        """Touch what will be played from a position on, if it has not been."""
        chunk = max(round(CHUNK_S * plan.rate_hz), 1)
        numbers = list(chunks_ahead(plan, position, chunk))
        wanted = {(voice.key, number) for voice in plan.voices for number in numbers}
        self._touched &= wanted
        for number in numbers:
            for voice in plan.voices:
                if (voice.key, number) not in self._touched:
                    self._read(voice, Span(number * chunk, (number + 1) * chunk))
                    self._touched.add((voice.key, number))

    def _read(self, voice: Voice, span: Span) -> None:
        if not isinstance(voice.source, Clips):
            return
        for clip in voice.source.clips:
            first, last = max(span.start - clip.start, 0), min(span.stop - clip.start, len(clip.frames))
            channels = clip.frames.shape[1]
            step = len(self._scratch) // channels
            for start in range(first, last, step):
                frames = clip.frames[start : min(start + step, last)]
                np.copyto(self._scratch[: frames.size].reshape(frames.shape), frames)


def chunks_ahead(plan: Plan, position: int, chunk: int) -> Iterator[int]:
    """Numbers of the chunks that come next, in the order in which they are heard; a loop's start follows its end."""
    left, loop, seen = round(AHEAD_S * plan.rate_hz), plan.loop, set()
    while left > 0 and position < plan.samples:
        end = loop.stop if loop is not None and position < loop.stop else plan.samples
        stop = min(position + left, end)
        for number in range(position // chunk, -(-stop // chunk)):
            if number not in seen:
                seen.add(number)
                yield number
        left -= stop - position
        position = loop.start if loop is not None and stop == loop.stop else stop
