"""A small project with everything that an export must carry."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from mgeldm.audio import map_wav
from mgeldm.progress import Reporter

from mgeldm_app.core.clips import ClipStore
from mgeldm_app.core.export import Colours
from mgeldm_app.core.export.arrange import HandOff
from mgeldm_app.core.project import Lane, Made, Part, Project, SongFile, Span, Take, Tempo

RATE_HZ = 44_100
SAMPLES = 3 * RATE_HZ + 7
COLOURS = Colours(("#ff0000", "#00FF80", "#0000ff"), "#A9B4C2", "#6F7A88")


@dataclass
class Kit:
    """A project, its store, and what each lane should sound like [samples, channels] before its fader."""

    project: Project
    store: ClipStore

    @property
    def view(self):
        return self.store.view

    def hand_off(self, path, project=None, reporter=None):
        project = project or self.project
        return HandOff(project, self.view, project.lanes, path, COLOURS, reporter or Reporter())

    def clip(self, frames, rate_hz=RATE_HZ):
        path = self.store.begin(rate_hz, frames.shape[1], len(frames))
        mapped, _ = map_wav(path, writable=True)
        mapped[:] = frames
        return self.store.adopt(path)

    def part(self, start, frames, prompt="the bass"):
        return Part(start, (Take(self.clip(frames), Made("extract", prompt)),))


def noise(seed, samples, scale=0.3, channels=2):
    return np.random.default_rng(seed).uniform(-scale, scale, (samples, channels)).astype(np.float32)


def faded(frames):
    """As an extraction leaves it: silent at its edges."""
    frames = frames.copy()
    ramp = np.linspace(0, 1, 441, dtype=np.float32)[:, None]
    frames[:441] *= ramp
    frames[-441:] *= ramp[::-1]
    return frames


@pytest.fixture
def kit(tmp_path):
    """Song, two stems (one in two stretches, the first of overlapping parts), a new part, the rest; 123.4 bpm."""
    kit = Kit(Project(), ClipStore(tmp_path / "project" / "audio"))
    song = SongFile(kit.clip(noise(0, SAMPLES)), "Söng & Dance.flac", "/music/Söng & Dance.flac")
    project = Project(song, tempo=Tempo(123.4, 0.25, 3, "A minor", "given"), region=Span(30_000, 90_000), looping=True)
    bass = Lane(
        "l1",
        "extracted",
        'Bass "low" <é>',
        1,
        (
            kit.part(20_000, faded(noise(1, 20_000))),
            kit.part(35_000, faded(noise(2, 20_000))),
            kit.part(100_000, faded(noise(3, 10_001))),
        ),
        gain_db=-6.0,
        pan=-0.5,
    )
    drums = Lane("l2", "extracted", "Drums", 2, (kit.part(0, noise(4, SAMPLES, 0.2), "drums"),), muted=True)
    keys = Lane("l3", "added", "Keys", 3, (kit.part(50_000, noise(5, 40_000, 0.2), "keys"),), 3.0, 0.25, soloed=True)
    for lane in (bass, drums, keys):
        project = project.with_lane(lane)
    kit.project = replace(project, lanes=tuple(replace(lane, colour=lane.colour) for lane in project.lanes))
    return kit


def listing(folder):
    return sorted(path.name for path in folder.iterdir())
