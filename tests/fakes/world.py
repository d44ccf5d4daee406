"""The world around the core, made of fakes: everything happens at once, or when the test says so."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from functools import partial
from pathlib import Path
from zlib import crc32

import numpy as np
from mgeldm.audio import AudioClip, map_wav, write

from mgeldm_app.core.controller import Controller
from mgeldm_app.core.events import Event
from mgeldm_app.core.jobs import (
    CancelledJob,
    EngineStatus,
    Failed,
    Filled,
    Finished,
    Progressed,
    Started,
)
from mgeldm_app.core.ports import Levels, OutputStatus
from mgeldm_app.core.project import Tempo
from mgeldm_app.core.session import Session

RATE_HZ = 8000
SONG_S = 20.0
READY = EngineStatus("ready", "cpu", 50.0, "fake", "f" * 64)


class FakeWorkers:
    """Runs functions at once; with `holding`, when `release` is called, or `wait`, which leaves the outcomes to it."""

    def __init__(self):
        self.holding, self._held = False, deque()

    def run(self, function, done, failed):
        def work():
            try:
                return partial(done, function())
            except Exception as error:
                return partial(failed, error)

        if self.holding:
            self._held.append(work)
        else:
            work()()

    def step(self):
        self._held.popleft()()()

    def release(self):
        self.holding = False
        while self._held:
            self.step()

    def wait(self):
        outcomes = [work() for work in self._held]
        self._held = deque((lambda outcome=outcome: outcome) for outcome in outcomes)

    def close(self):
        self._held.clear()


class FakeEngine:
    """Keeps jobs until the test works on them: a stem is the song times 0.25 (0.5 above draft) and as much that is only
    in stems of that last word, a part a tone. The kick drum is the drums for half of each second, another drum for the
    other half.

    Drafts of parts are quieter.
    """

    def __init__(self):
        self.events, self.status = Event(), EngineStatus("off")
        self.jobs, self.config, self.done, self.forgot = [], None, [], 0

    def configure(self, config):
        self.config = config

    def submit(self, job):
        self.jobs.append(job)

    def forget(self):
        self.forgot += 1

    def warm_up(self):
        self.status = READY
        self.events.emit(READY)

    def close(self):
        self.jobs.clear()

    def cancel(self, job_id):
        if any(job.id == job_id for job in self.jobs):
            self.jobs = [job for job in self.jobs if job.id != job_id]
            self.events.emit(CancelledJob(job_id))

    def begin(self, share=0.5):
        """Fill the first part of the next job's outputs."""
        job = self.next()
        self.events.emit(Started(job.id))
        self.events.emit(Progressed(job.id, "windows", 1, 2, 1.5))
        stop = self._fill(job, 0.0, share)
        self.events.emit(Filled(job.id, 0, stop))
        return job

    def finish(self):
        """Work the next job to its end."""
        job = self.begin(1.0)
        self.jobs.remove(job)
        self.done.append(job)
        self.events.emit(Finished(job.id, 0.5, 10.0))
        return job

    def finish_all(self):
        while self.jobs:
            self.finish()

    def fail(self, share=0.5):
        """Work on the next job, then let the process die."""
        job = self.begin(share)
        self.jobs.remove(job)
        self.events.emit(Failed(job.id, "The model's process ended; try once more.", "signal 9"))
        return job

    def next(self):
        return min(self.jobs, key=lambda job: not job.urgent)

    def _fill(self, job, begin, end):
        quality = getattr(job.request.sampling, "quality", "standard")
        stop = 0
        for number, path in enumerate(job.outputs):
            out, _ = map_wav(path, writable=True)
            first, stop = round(begin * len(out)), round(end * len(out))
            if job.heard and type(job.request).__name__ in ("Extract", "Inpaint"):
                heard, _ = map_wav(job.heard[0].path)
                share = (0.25 if quality == "draft" else 0.5) / (number + 1)
                out[first:stop] = _stem(heard, _words(job.request, number), share)[job.start + first : job.start + stop]
            else:
                time = np.arange(first, stop) / RATE_HZ
                pitch_hz, level = 220 + job.request.sampling.seed % 10_007 / 100, 0.05 if quality == "draft" else 0.1
                tone = level * np.sin(2 * np.pi * pitch_hz * time)
                out[first:stop] = tone[:, None]
            del out
        return stop


def _words(request, number):
    """What an output of a request is asked for by."""
    prompts = getattr(request, "prompts", None) or [getattr(request, "prompt", "")]
    return prompts[min(number, len(prompts) - 1)]


def _stem(heard, words, share):
    """A share of the song [samples, channels], and half of what has nothing in common with it or with other stems."""
    _, _, name = words.casefold().rpartition(" ")
    is_drum, name = name == "drum", "drums" if name == "drum" else name
    signs = np.random.default_rng(crc32(name.encode())).choice([-0.5, 0.5], len(heard) // 2)
    own = np.zeros_like(heard)
    own[: 2 * len(signs)] = heard[: 2 * len(signs)].reshape(len(signs), 2, -1)[:, ::-1].reshape(-1, heard.shape[1])
    own[: 2 * len(signs)] *= np.repeat(signs, 2)[:, None] * np.tile([-1, 1], len(signs))[:, None]
    on_beat = np.arange(len(heard)) % RATE_HZ < RATE_HZ // 2
    plays = on_beat == ("kick" in words.casefold()) if is_drum else np.ones(len(heard), bool)
    return (heard * np.float32(share) + own) * plays[:, None]


class FakePlayer:
    """Remembers what it was told."""

    def __init__(self):
        self.changed, self.playing, self.position = Event(), False, 0
        self.status = OutputStatus("fake", RATE_HZ, 0.01)
        self.shown, self.growing, self.what, self.click, self.device = None, (), "stems", False, ("", "safe")

    def show(self, project, growing=()):
        self.shown, self.growing = project, growing

    def play(self):
        self.playing = True
        self.changed.emit()

    def pause(self):
        self.playing = False
        self.changed.emit()

    def seek(self, sample):
        self.position = sample
        self.changed.emit()

    def listen_to(self, what):
        self.what = what

    def set_click(self, on):
        self.click = on

    def set_device(self, name, latency):
        self.device = (name, latency)

    def devices(self):
        return ["fake", "other"]

    def levels(self):
        return Levels(0.1, 0.2, 0.0)

    def close(self):
        self.playing = False


class World:
    """A controller and the fakes around it. Set MGELDM_HOME before making one."""

    def __init__(self, tempo=None, saver=None):
        self.engine, self.player, self.workers = FakeEngine(), FakePlayer(), FakeWorkers()
        self.saver, self.porters = saver or FakeWorkers(), FakeWorkers()
        self.tempo = tempo or Tempo(120.0, 0.0, 4, "A minor", "found")
        self.session = Session()
        self.told = []
        self.session.notice.connect(lambda text, error, *_: self.told.append((text, error)))
        self.c = Controller(
            self.session,
            self.engine,
            self.player,
            self.workers,
            self.saver,
            self.porters,
            lambda path, reporter: self.tempo,
        )

    @property
    def project(self):
        return self.session.project

    def open(self, path):
        self.c.documents.open_paths([Path(path)])

    def ask(self, text, **changes):
        """Submit a prompt."""
        self.c.submit(replace(self.project.prompt, text=text, **changes))

    def lane(self, name):
        return next(lane for lane in self.project.lanes if lane.name == name)


def write_song(path, seconds=SONG_S, channels=2):
    """A song of noise and tones."""
    rng = np.random.default_rng(5)
    time = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    tones = [0.2 * np.sin(2 * np.pi * 110 * (n + 1) * time) for n in range(channels)]
    samples = np.stack(tones) + rng.normal(0, 0.05, (channels, len(time)))
    write(path, AudioClip(samples.astype(np.float32), RATE_HZ), "flac" if path.suffix == ".flac" else "wav24")
    return path
