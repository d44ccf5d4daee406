from dataclasses import replace

import numpy as np
import pytest
from mgeldm.audio import map_wav

from mgeldm_app.core.clips import ClipStore
from mgeldm_app.core.ports import Growing
from mgeldm_app.core.project import Lane, Made, Part, Project, SongFile, Take, Tempo
from mgeldm_app.ui.theme import DARK

RATE_HZ = 8192
BEAT = RATE_HZ // 2  # at 120 beats a minute
BAR = 4 * BEAT
BARS = 16


class LaterWorkers:
    """Runs what it is given when the test says so."""

    def __init__(self):
        self.queue = []

    def run(self, function, done, failed):
        self.queue.append((function, done, failed))

    def step(self):
        function, done, failed = self.queue.pop(0)
        try:
            result = function()
        except Exception as error:
            failed(error)
        else:
            done(result)

    def finish(self):
        for _ in range(10_000):
            if not self.queue:
                return
            self.step()
        raise AssertionError("work without end")

    def close(self):
        self.queue.clear()


@pytest.fixture
def workers():
    return LaterWorkers()


class Studio:
    """A store and projects made of it: 16 bars of 4 beats at 120 beats a minute, 8192 Hz."""

    rate_hz, beat, bar, bars = RATE_HZ, BEAT, BAR, BARS

    def __init__(self, folder):
        self.store = ClipStore(folder)
        self.rng = np.random.default_rng(0)

    def frames(self, samples, channels=2, gain=0.2):
        return (self.rng.standard_normal((samples, channels)) * gain).astype(np.float32)

    def clip(self, frames):
        path = self.store.begin(RATE_HZ, frames.shape[1], len(frames))
        mapped, _ = map_wav(path, writable=True)
        mapped[:] = frames
        mapped.flush()
        return self.store.adopt(path)

    def song(self, *lanes, frames=None, **changes):
        audio = self.clip(self.frames(BARS * BAR) if frames is None else frames)
        project = Project(SongFile(audio, "song"), tempo=Tempo(120, 0, 4, "", "found"), **changes)
        for lane in lanes:
            project = project.with_lane(lane)
        return project

    def stem(self, lane_id="s1", start=0, samples=BARS * BAR, kind="extracted", takes=1, gain=0.1, **changes):
        made = Made("extract", "a guitar", 7, "best")
        versions = tuple(Take(self.clip(self.frames(samples, gain=gain)), made) for _ in range(takes))
        return Lane(lane_id, kind, f"lane {lane_id}", 1, (Part(start, versions),), **changes)

    @staticmethod
    def changed(project, lane_id, **changes):
        return project.with_lane(replace(project.lane(lane_id), **changes))

    def growing(self, lane_id="g1", start=0, samples=4 * BAR, filled=(), kind="added", gain=0.2):
        path = self.store.begin(RATE_HZ, 2, samples)
        mapped, _ = map_wav(path, writable=True)
        for span in filled:
            mapped[span.start : span.stop] = self.frames(span.samples, gain=gain)
        mapped.flush()
        return Growing(lane_id, path, start, tuple(filled), kind)


@pytest.fixture
def studio(tmp_path):
    return Studio(tmp_path / "audio")


@pytest.fixture
def make_view(shown, workers, studio):
    """A shown lanes view; everything measured."""
    from mgeldm_app.ui.lanes import LanesView

    def make(project=None, growing=(), width=1240, height=500, **more):
        view = LanesView(workers, DARK)
        view.set_store(studio.store.view)
        shown(view, width, height)
        if project is not None:
            view.show_project(project, tuple(growing), **more)
            workers.finish()
        return view

    return make
