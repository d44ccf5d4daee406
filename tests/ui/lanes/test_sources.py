from dataclasses import replace

import numpy as np
import pytest
import shiboken6
from mgeldm.audio import map_wav
from mgeldm.errors import AudioError

from mgeldm_app.core import peaks
from mgeldm_app.core.clips import ClipStore
from mgeldm_app.core.project import REST_ID, SONG_ID, Lane, Part, Project, Span, Take
from mgeldm_app.core.sound import read_lane
from mgeldm_app.core.voices import BLOCK_FRAMES, Bench, make_plan
from mgeldm_app.ui.lanes.sources import Sources
from mgeldm_app.ui.lanes.view import with_growing


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    monkeypatch.setattr(peaks, "PIECE_SAMPLES", 1 << 14)


@pytest.fixture
def sources(qapp, workers):
    return Sources(workers)


def shown(sources, studio, workers, project, growing=(), lanes=None):
    sources.show(project, lanes or project.lanes, tuple(growing), studio.store.view)
    workers.finish()


def columns(sources, lane_id, project, pixels=64):
    return sources.columns(lane_id, 0, project.samples / pixels, pixels)


def true_columns(studio, project, lane_id, pixels=64):
    frames = read_lane(project, project.lane(lane_id), studio.store.view, 0, project.samples)
    stretches = frames.reshape(pixels, -1)
    return stretches.min(axis=1), stretches.max(axis=1), np.sqrt(np.square(stretches).mean(axis=1))


def assert_true(sources, studio, project, lane_id):
    for found, true in zip(columns(sources, lane_id, project), true_columns(studio, project, lane_id), strict=True):
        np.testing.assert_allclose(found, true, atol=2e-3)


def test_all_lanes_show_what_they_sound_like(sources, studio, workers):
    part = studio.stem("b", 4 * studio.bar, 4 * studio.bar)
    project = studio.song(studio.stem("a"), part, studio.stem("c", kind="added", takes=3))
    shown(sources, studio, workers, project)
    for lane in project.lanes:
        assert_true(sources, studio, project, lane.id)
    assert sources.inside("b", 0, studio.bar, 16).tolist() == [False] * 4 + [True] * 4 + [False] * 8


def test_after_the_window_was_closed_nothing_more_is_begun(sources, studio, workers):
    sources.show(studio.song(), studio.song().lanes, (), studio.store.view)
    assert workers.queue
    sources.stop()
    workers.finish()
    assert not sources.complete


def test_the_rest_follows_the_stems(sources, studio, workers):
    project = studio.song()
    shown(sources, studio, workers, project)
    assert_true(sources, studio, project, REST_ID)
    whole = project.with_lane(studio.stem("a"))
    for state in (whole, whole.with_lane(studio.stem("b", 2 * studio.bar, 2 * studio.bar)), whole, project):
        shown(sources, studio, workers, state)
        assert_true(sources, studio, state, REST_ID)
        assert_true(sources, studio, state, SONG_ID)


@pytest.mark.parametrize("kind", ["extracted", "added"])
def test_what_grows_is_drawn_as_it_is_heard(sources, studio, workers, kind):
    project = studio.song(studio.stem("s", samples=4 * studio.bar))
    file = studio.growing("s" if kind == "extracted" else "g", studio.bar, 6 * studio.bar, [Span(0, 5000)], kind=kind)
    frames, done = map_wav(file.path, writable=True)[0], 5000
    for stop in (5000, 2 * studio.bar, 4 * studio.bar + 77, 6 * studio.bar):
        frames[done:stop] = studio.frames(stop - done)
        done = stop
        grown = replace(file, filled=(Span(0, stop),))
        lanes = with_growing(project, (grown,))
        plan = make_plan(project, studio.store.view, [(grown, frames)])
        shown(sources, studio, workers, project, (grown,), lanes)
        for lane in lanes:
            if lane.kind in ("extracted", "added"):
                voice = next(voice for voice in plan.voices if voice.key[0] == lane.id)
                heard = np.zeros((2, project.samples))
                for at in range(0, project.samples, BLOCK_FRAMES):
                    voice.source.fill(heard[:, at : at + BLOCK_FRAMES], at, Bench())
                drawn = sources._sounds[lane.id].read(0, project.samples)
                np.testing.assert_array_equal(drawn.T, heard)
        rest = sources._sounds[REST_ID].read(0, project.samples)
        taken = [sources._sounds[lane.id].read(0, project.samples) for lane in lanes if lane.kind == "extracted"]
        song = sources._sounds[SONG_ID].read(0, project.samples)
        np.testing.assert_allclose(rest, song - sum(taken), atol=1e-6)
        stretches = rest.reshape(64, -1)
        np.testing.assert_allclose(columns(sources, REST_ID, project)[1], stretches.max(axis=1), atol=2e-3)


def test_of_what_grew_only_the_end_is_measured_anew(sources, studio, workers):
    project = studio.song()
    file = studio.growing("g", 0, 12 * studio.bar, [Span(0, 12 * studio.bar)], kind="extracted")
    first = replace(file, filled=(Span(0, 10 * studio.bar),))
    shown(sources, studio, workers, project, (first,), with_growing(project, (first,)))
    told = []
    sources.changed.connect(lambda lane_id, span: told.append((lane_id, span)))
    shown(sources, studio, workers, project, (file,), with_growing(project, (file,)))
    starts = [span.start for lane_id, span in told if lane_id == REST_ID]
    assert starts and min(starts) >= 10 * studio.bar - 2 * 4096


def test_the_rest_is_measured_only_where_stems_changed(sources, studio, workers):
    project = studio.song(studio.stem("a"))
    shown(sources, studio, workers, project)
    told = []
    sources.changed.connect(lambda lane_id, span: told.append((lane_id, span)))
    shown(sources, studio, workers, project.with_lane(studio.stem("b", 2 * studio.bar, studio.bar)))
    spans = [span for lane_id, span in told if lane_id == REST_ID]
    assert spans and all(span.start >= 2 * studio.bar - 256 and span.stop <= 3 * studio.bar + 256 for span in spans)


def test_a_stem_that_changes_while_the_rest_is_measured_is_not_missed(sources, studio, workers):
    project = studio.song(studio.stem("a"))
    sources.show(project, project.lanes, (), studio.store.view)
    workers.step()
    other = project.with_lane(studio.stem("a", gain=0.3))
    shown(sources, studio, workers, other)
    assert_true(sources, studio, other, REST_ID)


def test_what_grows_is_seen_where_it_is_filled(sources, studio, workers):
    project = studio.song()
    half = Span(0, studio.bar)
    file = studio.growing(start=2 * studio.bar, samples=4 * studio.bar, filled=(half,))
    lanes = (*project.lanes[:-1], studio.stem("g1", kind="added", samples=100), project.lanes[-1])
    lanes = tuple(replace(lane, parts=()) if lane.id == "g1" else lane for lane in lanes)
    shown(sources, studio, workers, project, (file,), lanes)
    assert np.flatnonzero(columns(sources, "g1", project, 16)[1]).tolist() == [2]
    more = replace(file, filled=(half, Span(2 * studio.bar, 4 * studio.bar)))
    shown(sources, studio, workers, project, (more,), lanes)
    assert sources.inside("g1", 0, studio.bar, 16).nonzero()[0].tolist() == [2, 4, 5]


def test_close_views_show_the_samples(sources, studio, workers):
    project = studio.song(studio.stem("a", studio.bar, studio.bar))
    shown(sources, studio, workers, project)
    start, step, pixels = studio.bar - 200, 3.0, 400
    rough = sources.columns("a", start, step, pixels)
    workers.finish()
    close = sources.columns("a", start, step, pixels)
    frames = read_lane(project, project.lane("a"), studio.store.view, start, start + 1200).reshape(pixels, -1)
    np.testing.assert_allclose(close[0], frames.min(axis=1), atol=0.4)
    assert np.corrcoef(close[1], frames.max(axis=1))[0, 1] > 0.6
    assert abs(np.corrcoef(rough[1][200:], close[1][200:])[0, 1]) < 0.6
    assert not close[:, :66].any()
    exact = sources.columns("a", start, 1.0, 200)
    workers.finish()
    exact = sources.columns("a", start, 1.0, 1200)
    workers.finish()
    exact = sources.columns("a", start, 1.0, 1200)
    np.testing.assert_allclose(exact[1], frames.reshape(1200, 2).max(axis=1), atol=1e-3)


def test_a_spectrum_comes_later_and_coarser_ones_stand_in(sources, studio, workers):
    project = studio.song()
    shown(sources, studio, workers, project)
    assert not sources.spectrum(SONG_ID, 0, 1024, 300).any()
    workers.finish()
    coarse = sources.spectrum(SONG_ID, 0, 1024, 120)
    assert coarse.any()
    stand_in = sources.spectrum(SONG_ID, 0, 256, 400)
    assert stand_in.any()
    workers.finish()
    assert (sources.spectrum(SONG_ID, 0, 256, 400) != stand_in).any()


def test_undo_shows_the_old_audio_again(sources, studio, workers):
    first = studio.song(studio.stem("a", kind="added", takes=2))
    part = first.lane("a").parts[0]
    second = first.with_lane(replace(first.lane("a"), parts=(replace(part, chosen=1),)))
    for state in (first, second, first):
        shown(sources, studio, workers, state)
        assert_true(sources, studio, state, "a")


def test_showing_the_same_again_costs_nothing(sources, studio, workers):
    project = studio.song(studio.stem("a"))
    shown(sources, studio, workers, project)
    told = []
    sources.changed.connect(lambda *what: told.append(what))
    faded = project.with_lane(replace(project.lane("a"), gain_db=-6.0, muted=True))
    sources.show(faded, faded.lanes, (), studio.store.view)
    assert not workers.queue and not told


def test_all_lanes_are_drawn_to_the_songs_measure(sources, studio, workers):
    project = studio.song(frames=np.full((studio.bar * 16, 1), 0.25, np.float32))
    shown(sources, studio, workers, project)
    assert sources.scale == pytest.approx(4)
    silent = studio.song(frames=np.zeros((studio.bar * 16, 1), np.float32))
    shown(sources, studio, workers, silent)
    assert sources.scale == pytest.approx(20)


def test_a_lost_clip_is_told_of_and_the_rest_is_drawn(sources, studio, workers):
    lost = studio.stem("lost")
    project = studio.song(lost, studio.stem("a", kind="added"))

    def view(audio):
        if audio == lost.parts[0].take.audio:
            raise AudioError("It is cut off; bring the folder back from a backup.")
        return studio.store.view(audio)

    sources.show(project, project.lanes, (), view)
    workers.finish()
    sources.spectrum("lost", 0, 512, 50)
    workers.finish()
    assert "backup" in sources.trouble("lost") and not sources.trouble("a")
    assert columns(sources, "a", project).any()


def test_a_lane_as_good_as_silent_is_known_once_all_of_it_is_measured(sources, studio, workers):
    quiet, loud = studio.stem("quiet", gain=0.0005), studio.stem("loud")
    frames = studio.frames(studio.bars * studio.bar, gain=0.0005)
    frames[-studio.rate_hz // 5 :] = 0.2
    made = loud.parts[0].take.made
    late = Lane("late", "extracted", "late", 1, (Part(0, (Take(studio.clip(frames), made),)),))
    project = studio.song(quiet, loud, late)
    sources.show(project, project.lanes, (), studio.store.view)
    while workers.queue:
        assert not sources.hardly_heard("late") and not sources.hardly_heard("loud")
        workers.step()
    assert sources.hardly_heard("quiet") and not sources.hardly_heard("late")


def test_neither_a_click_nor_the_bar_behind_a_part_is_something_that_was_found(sources, studio, workers):
    made = studio.stem().parts[0].take.made

    def lane(lane_id, first, samples):
        frames = np.zeros((4 * studio.bar, 2), np.float32)
        frames[first : first + samples] = 0.3
        return Lane(lane_id, "extracted", lane_id, 1, (Part(0, (Take(studio.clip(frames), made),)),))

    short, last = studio.rate_hz // 50, 4 * studio.bar
    clicks = lane("click", studio.bar, short), lane("end", last - short, short), lane("start", 0, 8)
    shown(sources, studio, workers, studio.song(*clicks, lane("hit", studio.bar, studio.rate_hz // 6)))
    assert [sources.hardly_heard(each.id) for each in clicks] == [True] * 3 and not sources.hardly_heard("hit")


def test_another_song_leaves_nothing_of_the_old_one(sources, studio, workers):
    old, new = studio.song(), studio.song(frames=np.zeros((studio.bars * studio.bar, 1), np.float32))
    shown(sources, studio, workers, old)
    sources.spectrum(SONG_ID, 0, 512, 300)
    sources.show(new, new.lanes, (), studio.store.view)
    workers.finish()
    sources.spectrum(SONG_ID, 0, 512, 300)
    workers.finish()
    assert not sources.spectrum(SONG_ID, 0, 512, 300).any() and not columns(sources, SONG_ID, new).any()


def test_what_arrives_after_the_end_is_dropped(qapp, studio, workers):
    sources = Sources(workers)
    project = studio.song()
    sources.show(project, project.lanes, (), studio.store.view)
    shiboken6.delete(sources)
    workers.finish()


def test_nothing_is_shown_of_nothing(sources, studio, workers):
    shown(sources, studio, workers, studio.song(studio.stem("a")))
    sources.show(Project(), (), (), None)
    workers.finish()
    assert not sources.columns("a", 0, 100, 10).any()
    assert not sources.spectrum("a", 0, 100, 10).any()
    assert not sources.inside("a", 0, 100, 10).any()


def test_audio_that_comes_from_elsewhere_is_drawn_from_there(sources, studio, workers, tmp_path):
    """Silence stood in for it; then a backup copy of the project is opened, or the file is made anew."""
    project = studio.song(studio.stem("a"))
    broken = ClipStore(tmp_path / "broken")
    studio.store.hand_on(project.audios(), broken.folder)
    stem = project.lane("a").parts[0].take.audio
    for audio in (stem, project.song.audio):
        broken.stand_in(audio)
    for store in (broken, studio.store, broken):
        sources.show(project, project.lanes, (), store.view)
        workers.finish()
        assert columns(sources, "a", project).any() == columns(sources, SONG_ID, project).any() == (store is not broken)
        assert {name[0] for name in sources._pyramids._kept if name != REST_ID} == {a.id for a in project.audios()}
    made_anew = broken.begin(stem.rate_hz, 2, stem.samples)
    map_wav(made_anew, writable=True)[0][:] = studio.store.view(stem)
    assert broken.adopt(made_anew) == stem
    sources.show(project, project.lanes, (), broken.view)
    workers.finish()
    assert_true(sources, studio, project, "a")
