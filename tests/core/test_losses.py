"""What lost a stem follows that once, wherever it is put, and what there is to write is written on a worker."""

import numpy as np
import pytest

from mgeldm_app.core import apart, commands, losses
from mgeldm_app.core.project import Span
from tests.core.test_making import REGION, check_null, loop, sound
from tests.core.test_sources import drums_and_then_a_kick, extract, regenerate, stem_lanes, stems, together, undo
from tests.fakes import world as fakes
from tests.fakes.world import _stem

MIDDLE = REGION.start + 200, REGION.stop - 200
QUARTERS = {"kick drum": 0, "offbeat drum": 1}


@pytest.fixture
def drummed(opened, monkeypatch):
    """Drums of which two are a quarter of each second; stems that are made again sound otherwise."""
    made = []

    def quarter(heard, words, share):
        share *= 1.25 if words in made else 1
        made.append(words)
        name = next((name for name in QUARTERS if name in words.casefold()), None)
        sounds = _stem(heard, "drums" if "drum" in words else words, share)
        is_on = (np.arange(len(heard)) % 8000) // 2000 == QUARTERS.get(name, 0)
        return (sounds * is_on[:, None] if name else sounds).astype(np.float32)

    monkeypatch.setattr(fakes, "_stem", quarter)
    return opened


@pytest.fixture
def on_gui(monkeypatch):
    """Lengths of what is written for stems that follow, but for what a worker writes."""
    at_work, written = [], []
    run, write = fakes.FakeWorkers.run, losses.Losses._write

    def run_so(self, function, done, failed):
        def work():
            at_work.append(True)
            try:
                return function()
            finally:
                at_work.pop()

        return run(self, work, done, failed)

    def write_so(self, project, span, *arguments):
        if not at_work:
            written.append(span.samples)
        return write(self, project, span, *arguments)

    monkeypatch.setattr(fakes.FakeWorkers, "run", run_so)
    monkeypatch.setattr(losses.Losses, "_write", write_so)
    return at_work, written


def kick_in_drums(world, *where):
    drums, kick = (sound(world, world.lane(name), *where) for name in ("drums", "kick drum"))
    return round(float(np.vdot(drums, kick) / np.vdot(kick, kick)), 2)


def remove(world, *lanes):
    world.session.do(commands.remove_lanes(tuple(lane.id for lane in lanes)))


def test_a_stem_that_is_removed_while_more_of_it_comes_is_taken_out_once(drummed):
    extract(drummed, "drums", "kick drum")
    drummed.c.set_region(REGION)
    drummed.ask("kick drum", task="extract")
    remove(drummed, drummed.lane("kick drum"))
    drums = sound(drummed, drummed.lane("drums"))
    drummed.engine.finish_all()
    assert stems(drummed) == ["drums", "kick drum"]
    assert kick_in_drums(drummed, *MIDDLE) == 0
    extract(drummed, "kick drum")  # of which the drums have nothing elsewhere either
    assert np.array_equal(sound(drummed, drummed.lane("drums")), drums)
    check_null(drummed)


def test_a_stem_asked_for_again_where_its_regenerated_source_was_thrown_away_is_taken_out_once(drummed):
    extract(drummed, "drums", "kick drum")
    regenerate(drummed, "kick drum")
    remove(drummed, *(lane for lane in drummed.project.lanes if lane.kind == "added" or "replaced" in lane.name))
    extract(drummed, "kick drum", region=REGION)
    assert kick_in_drums(drummed, *MIDDLE) == 0
    check_null(drummed)


def test_more_of_a_stem_is_taken_out_once_where_it_falls_silent_for_what_was_regenerated(drummed):
    """That has the sound there, so the drums have lost it to that."""
    elsewhere = Span(8000, 24000)
    extract(drummed, "kick drum", region=elsewhere)
    extract(drummed, "drums")
    regenerate(drummed, "kick drum")
    drums = sound(drummed, drummed.lane("drums"))
    extract(drummed, "kick drum")
    assert not sound(drummed, drummed.lane("kick drum"), *MIDDLE).any()
    change = np.abs(sound(drummed, drummed.lane("drums")) - drums).max(1)
    assert change[REGION.start : REGION.stop].max() < 1e-6 < change[: REGION.start - 200].max()
    check_null(drummed)


def test_a_stem_that_comes_is_not_taken_out_where_it_was_for_what_was_regenerated(opened):
    where = Span(32000, 40000)
    extract(opened, "drums")
    opened.c.set_region(where)
    opened.ask("kick drum", task="inpaint", takes=1)
    opened.engine.finish_all()
    drums = sound(opened, opened.lane("drums"))
    extract(opened, "kick drum")
    change = np.abs(sound(opened, opened.lane("drums")) - drums).max(1)
    assert change[where.start + 200 : where.stop - 200].max() < 1e-6 < change[: where.start - 200].max()
    check_null(opened)


@pytest.mark.parametrize("names", ["offbeat drum, kick drum", "kick drum, offbeat drum"])
def test_what_lost_a_stem_follows_it_where_that_comes_with_a_new_one(drummed, on_gui, names):
    extract(drummed, "drums")
    whole = sound(drummed, drummed.lane("drums"))
    extract(drummed, "kick drum")
    extract(drummed, names)
    assert sorted(stems(drummed)) == ["drums", "kick drum", "offbeat drum"]
    assert np.abs(together(drummed) - whole).max() < 1e-6
    assert on_gui == ([], [])
    check_null(drummed)


def test_a_stem_comes_without_what_the_one_before_it_leaves_of_another(drummed, on_gui, monkeypatch):
    monkeypatch.setattr(apart, "SHARED", 0.7)  # it has a smaller share of the song
    extract(drummed, "offbeat drum", "drums", "kick drum")
    extract(drummed, "offbeat drum, big drums")
    big, drums, kick = (drummed.lane(name) for name in ("big drums", "drums", "kick drum"))
    assert set(big.parts[0].take.made.lost_to) == {drums.id, kick.id}
    whole = _stem(sound(drummed, drummed.project.lanes[0]), "drums", 0.25)
    assert np.abs(sum(sound(drummed, lane) for lane in (big, drums, kick)) - whole).max() < 1e-6
    assert on_gui == ([], [])


def test_a_better_version_goes_without_a_stem_that_undoing_brings_back(drummed, on_gui):
    drums_and_then_a_kick(drummed)
    drummed.engine.finish()
    remove(drummed, drummed.lane("kick drum"))
    drummed.engine.finish_all()
    whole = sound(drummed, drummed.lane("drums"))
    assert drummed.lane("drums").parts[0].take.made.lost_to == ()
    drummed.session.undo()
    made, kick = drummed.lane("drums").parts[0].take.made, drummed.lane("kick drum")
    assert (made.quality, made.without, made.lost_to) == ("standard", (kick.name,), (kick.id,))
    assert np.abs(together(drummed) - whole).max() < 1e-6 and on_gui == ([], [])
    check_null(drummed)


def test_what_redoing_leads_to_is_written_on_a_worker_too(drummed, on_gui):
    extract(drummed, "drums")
    whole = sound(drummed, drummed.lane("drums"))
    extract(drummed, "kick drum")
    extract(drummed, "kick drum", region=REGION)
    drummed.session.undo()
    extract(drummed, "kick drum", region=Span(8000, 40000))
    assert drummed.session.history.redo_title == "extract kick drum" and on_gui == ([], [])
    while drummed.session.history.redo_title:
        assert np.abs(together(drummed) - whole).max() < 1e-6
        drummed.session.redo()
    assert np.abs(together(drummed) - whole).max() < 1e-6
    check_null(drummed)


@pytest.mark.parametrize("better", [False, True])
def test_a_worker_sees_nothing_of_the_session(drummed, on_gui, better):
    class Session:
        def __getattr__(self, name):
            assert not on_gui[0], "a worker reads the session"
            return getattr(drummed.session, name)

    drummed.c.making._landing.session = Session()
    extract(drummed, "drums", "kick drum", quality="draft")
    whole = together(drummed)
    if better:
        drummed.c.making.best([drummed.lane("kick drum").id])
        drummed.engine.finish_all()
    assert drummed.lane("kick drum").parts[0].take.made.quality == ("best" if better else "draft")
    assert np.abs(together(drummed) - whole).max() < 1e-6


def test_only_what_meets_a_change_is_compared(drummed, monkeypatch):
    """A change goes through all of the history, whose states may have many parts."""
    spans = [Span(start, start + 4000) for start in (0, 8000)]
    extract(drummed, "drums")
    for span in spans:
        extract(drummed, "kick drum", region=span)
    seen, placed = [], losses.placed

    def placed_so(project, lane_id, span):
        seen.append(span)
        return placed(project, lane_id, span)

    drums = drummed.lane("drums").parts
    assert sum(bool(part.take.made.lost_to) for part in drums) == 2
    monkeypatch.setattr(losses, "placed", placed_so)
    extract(drummed, "kick drum", region=spans[1])
    assert seen and all(span.meets(spans[1]) for span in seen)
    assert drummed.lane("drums").parts[:2] == drums[:2] != drummed.lane("drums").parts


def test_a_better_version_does_not_say_that_it_is_without_what_is_in_it_in_the_past(drummed):
    drums_and_then_a_kick(drummed)
    drummed.engine.finish_all()
    (part,) = drummed.lane("drums").parts
    assert (part.take.made.without, len(part.take.made.lost_to)) == (("kick drum",), 1)
    undo(drummed, "extract kick drum")
    (part,) = drummed.lane("drums").parts
    assert part.take.made.quality == "standard" and [lane.name for lane in stem_lanes(drummed)] == ["drums"]
    assert (part.take.made.without, part.take.made.lost_to) == ((), ())


@pytest.mark.parametrize("names", [("drums", "kick drum"), ("kick drum", "drums")])
def test_stems_that_finish_together_share_no_sound(drummed, names):
    """The second finishes while the files of the first are still being read."""
    for name in names:
        drummed.ask(name)
    drummed.workers.holding = True
    drummed.engine.finish_all()
    drummed.workers.release()
    assert sorted(stems(drummed)) == ["drums", "kick drum"] and kick_in_drums(drummed) == 0
    check_null(drummed)


def test_a_better_version_goes_without_a_stem_that_was_silent_when_it_was_made(opened, monkeypatch):
    """Undoing brings that stem's sound back."""
    monkeypatch.setattr(fakes, "_stem", lambda heard, words, share: _stem(heard, words, 0.5))
    extract(opened, "kick drum")
    loop(opened)
    opened.ask("drums")
    opened.engine.finish()
    opened.ask("kick drum", task="inpaint", takes=1, quality="draft")
    opened.engine.finish_all()
    kick, drums = opened.lane("kick drum"), opened.lane("drums")
    assert drums.parts[0].take.made.quality == "standard" and not sound(opened, kick, *MIDDLE).any()
    undo(opened, "regenerate kick drum")
    assert sound(opened, opened.lane("kick drum"), *MIDDLE).any() and kick_in_drums(opened, *MIDDLE) == 0
    check_null(opened)
