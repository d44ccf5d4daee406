"""Whatever somebody does, in whatever order: no sound is in two stems, nothing is left over, all can be undone."""

import random

import numpy as np
import pytest
from mgeldm.audio import AudioClip, write

from mgeldm_app.core import commands
from mgeldm_app.core.actions import BY_ID
from mgeldm_app.core.project import Span
from mgeldm_app.core.sound import read_lane
from tests.core.test_sources import extract, regenerate, undo
from tests.fakes import world as fakes
from tests.fakes.world import RATE_HZ, World

SAMPLES, BLOCK = 4 * RATE_HZ, 400
PIECES = ("kick drum", "snare drum", "bass", "vocals")
PROMPTS = [*PIECES, "drums", "drums, bass", "kick drum; bass", "vocals, bass, drums"]
TWICE = -0.4  # of a source in the rest; what two stems hold is -1 there
WALKS, STEPS = 16, 40


def noise(seed):
    return np.random.default_rng(seed).normal(0, 0.1, (SAMPLES, 2)).astype(np.float32)


SOURCES = {name: noise(seed) for seed, name in enumerate(PIECES)}
KIT = SOURCES["kick drum"] + SOURCES["snare drum"]


@pytest.fixture
def song(home, tmp_path, monkeypatch):
    """A song of four sources and something else; an extracted stem is its source, a little softer."""
    write(tmp_path / "song.wav", AudioClip((sum(SOURCES.values()) + noise(9)).T, RATE_HZ), "wav32")
    level = {0.25: 0.9, 0.5: 0.95}
    monkeypatch.setattr(
        fakes, "_stem", lambda heard, words, share: (KIT if words == "drums" else SOURCES[words]) * level.get(share, 1)
    )
    return tmp_path / "song.wav"


class Walk:
    """Somebody who does what comes to their mind."""

    def __init__(self, song, seed):
        self.random, self.world, self.done = random.Random(seed), World(), []
        self.world.open(song)

    def step(self):
        ways = [name for name in dir(self) if name.startswith("do_")]
        weights = [3 if name in ("do_ask", "do_finish") else 1 for name in ways]
        (way,) = self.random.choices(ways, weights)
        self.done.append(way)
        getattr(self, way)()

    def do_ask(self):
        task = self.random.choice(["extract", "extract", "extract", "inpaint", "impute"])
        quality, takes = self.random.choice(["draft", "standard", "best"]), self.random.choice([1, 2])
        text = self.random.choice(PROMPTS if task == "extract" else [*PIECES, "drums"])
        self.done[-1] += f" {task} {text}"
        self.world.ask(text, task=task, quality=quality, takes=takes, seed=self.random.choice([None, 3]))

    def do_finish(self):
        if self.world.engine.jobs:
            self.world.engine.finish()

    def do_fail(self):
        if self.world.engine.jobs:
            self.world.engine.fail(self.random.choice([0, 0.3, 0.6]))

    def do_undo(self):
        self.world.session.undo()

    def do_redo(self):
        self.world.session.redo()

    def do_region(self):
        start = self.random.randrange(0, SAMPLES // 2000 - 2)
        span = Span(2000 * start, 2000 * self.random.randrange(start + 1, SAMPLES // 2000))
        self.world.c.set_region(self.random.choice([None, span, span]), looped=self.random.random() < 0.5)

    def do_sensitivity(self):
        if stems := self.world.project.of_kind("extracted"):
            self.world.c.set_lane(self.random.choice(stems).id, "sensitivity", self.random.choice([-1, 0, 1]))

    def do_remove(self):
        if lanes := [lane for lane in self.world.session.shown.lanes if lane.kind in ("extracted", "added")]:
            self.world.session.select((self.random.choice(lanes).id,))
            self.world.c.remove_selected()

    def do_take(self):
        if lanes := [lane for lane in self.world.project.lanes if lane.parts]:
            self.world.session.select((self.random.choice(lanes).id,))
            action = BY_ID[self.random.choice(["again", "vary", "keep_take", "drop_take", "next_take"])]
            if action.enabled(self.world.c):
                action.run(self.world.c)

    def do_cancel(self):
        if jobs := list(self.world.session.jobs):
            self.world.c.making.cancel(self.random.choice(jobs))

    def do_retry(self):
        for job in [job for job, view in self.world.session.jobs.items() if view.state in ("failed", "stopped")][:1]:
            self.world.c.retry(job)

    def do_best(self):
        with self.world.c.told():
            self.world.c.making.best([lane.id for lane in self.world.project.of_kind("extracted")][:1])

    def do_hold(self):
        """Workers are busy for a while."""
        self.world.workers.holding = True

    def do_release(self):
        self.world.workers.release()

    def do_reopen(self):
        folder, held = self.world.session.folder.folder, self.world.workers.holding
        self.world.workers.release()
        self.world.c.close()
        self.world = World()
        self.world.open(folder)
        self.world.workers.holding = held

    def rest(self):
        """Let all come that is under way."""
        self.world.workers.release()
        self.world.engine.finish_all()

    def check(self, project):
        store = self.world.session.store
        rest = read_lane(project, project.lane("rest"), store.view, 0, SAMPLES)
        for name, source in SOURCES.items():
            shares = (rest * source).reshape(-1, 2 * BLOCK).sum(1) / (source**2).reshape(-1, 2 * BLOCK).sum(1)
            assert shares.min() > TWICE, f"{name} at {BLOCK * shares.argmin()} is in two stems after {self.done}"


@pytest.mark.parametrize("seed", range(WALKS))
def test_no_sound_is_in_two_stems(song, seed):
    walk = Walk(song, seed)
    for _ in range(STEPS):
        walk.step()
        walk.check(walk.world.project)
    walk.rest()
    session = walk.world.session
    assert not session.growing and not session.coming and not session.busy, walk.done
    assert session.jobs or not list((session.folder.folder / "audio").glob("*.part*")), walk.done
    for project in session.history.projects:
        walk.check(project)
    while session.history.undo_title:
        session.undo()
    walk.rest()
    walk.check(session.project)
    while session.history.redo_title:
        session.redo()
    walk.rest()
    walk.check(session.project)
    assert not any("unforeseen" in text or "could not be kept" in text for text, _ in walk.world.told), walk.world.told
    walk.world.c.close()


@pytest.mark.parametrize("names", [("drums", "snare drum"), ("snare drum", "drums")])
def test_a_stem_of_a_region_is_thrown_away_and_asked_for_of_the_whole_song(song, names):
    """The drums lost it in the region, and still have it elsewhere."""
    walk = Walk(song, 0)
    for name in names:
        extract(walk.world, name, region=Span(2000, 16000) if name == "snare drum" else None)
    walk.world.session.do(commands.remove_lanes((walk.world.lane("snare drum").id,)))
    extract(walk.world, "snare drum")
    for project in walk.world.session.history.projects:
        walk.check(project)
    walk.world.c.close()


@pytest.mark.parametrize("again", [False, True], ids=["more of it", "all of it"])
def test_a_piece_of_what_was_regenerated_is_asked_for_where_it_had_fallen_silent(song, again):
    """It is in the original that the regenerated drums took the place of."""
    walk = Walk(song, 0)
    extract(walk.world, "kick drum")
    regenerate(walk.world, "drums", region=Span(8000, 20000))
    extract(walk.world, "kick drum", region=None if again else Span(12000, 18000), quality="best")
    for project in walk.world.session.history.projects:
        walk.check(project)
    walk.world.c.close()


def test_a_source_is_regenerated_in_more_than_it_is_a_stem_in(song):
    """Of the drums that came meanwhile, which lost it where it was a stem, it is taken out elsewhere."""
    walk = Walk(song, 0)
    extract(walk.world, "snare drum", region=Span(10000, 30000))
    extract(walk.world, "drums")
    regenerate(walk.world, "snare drum", region=Span(2000, 26000))
    for project in walk.world.session.history.projects:
        walk.check(project)
    walk.world.c.close()


def test_a_better_version_of_what_was_regenerated_goes_without_a_stem_that_came_meanwhile(song):
    walk = Walk(song, 0)
    walk.world.c.set_region(Span(8000, 24000), looped=True)
    walk.world.ask("drums", task="inpaint", takes=1)
    walk.world.engine.finish()
    walk.world.ask("snare drum", task="extract", quality="draft")
    walk.rest()
    assert walk.world.lane("drums (replaced)").parts[0].take.made.quality == "standard"
    for project in walk.world.session.history.projects:
        walk.check(project)
    undo(walk.world, "extract snare drum")
    walk.check(walk.world.project)
    walk.world.c.close()


def test_a_better_version_does_not_end_the_silence_of_what_was_regenerated(song):
    walk = Walk(song, 0)
    walk.world.c.set_region(Span(8000, 24000), looped=True)
    walk.world.ask("kick drum")
    walk.world.engine.finish()
    walk.world.ask("drums", task="inpaint", takes=1, quality="draft")
    walk.rest()
    for project in walk.world.session.history.projects:
        walk.check(project)
    walk.world.c.close()
