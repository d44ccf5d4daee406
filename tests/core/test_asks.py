"""Parts lie with their fades around the region: no first beat is blunted, and neighbours add up to one."""

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from mgeldm.audio import map_wav
from mgeldm.refine import edge_gains

from mgeldm_app.core.project import Prompt, Span
from tests.core.test_making import FADE, REGION, check_null, sound
from tests.fakes.world import RATE_HZ

BEFORE = Span(REGION.start - RATE_HZ, REGION.start)
AFTER = Span(REGION.stop, REGION.stop + RATE_HZ)


@pytest.fixture
def faded(opened, monkeypatch):
    """A world whose engine fades stems at their edges, as the real one does."""
    fill = opened.engine._fill

    def fill_and_fade(job, begin, end):
        stop = fill(job, begin, end)
        for path in job.outputs:
            out, _ = map_wav(path, writable=True)
            gains = edge_gains(job.start, len(out), job.start, job.start + len(out), opened.project.samples, RATE_HZ)
            if gains is not None:
                out[round(begin * len(out)) : stop] *= gains[round(begin * len(out)) : stop, None]
        return stop

    monkeypatch.setattr(opened.engine, "_fill", fill_and_fade)
    return opened


def extract(world, words, region):
    world.c.set_region(region)
    world.ask(words, seed=1)
    world.engine.finish_all()


def regenerate(world, words, region):
    world.c.set_region(region)
    world.ask(words, task="inpaint", takes=1, seed=1)
    world.engine.finish_all()


def heard(world, name):
    return sound(world, world.lane(name))


def whole(world, words):
    """What a stem is of the whole song; it is undone."""
    extract(world, words, None)
    frames = heard(world, words)
    world.session.undo()
    return frames


def test_a_region_has_all_of_its_stem_from_its_first_sample_to_its_last(faded):
    song = whole(faded, "bass")
    extract(faded, "bass", REGION)
    stem = heard(faded, "bass")
    np.testing.assert_array_equal(stem[REGION.start : REGION.stop], song[REGION.start : REGION.stop])
    assert not stem[: REGION.start - FADE].any() and not stem[REGION.stop + FADE :].any()
    check_null(faded)


@pytest.mark.parametrize("regions", list(permutations([BEFORE, REGION, AFTER])))
def test_regions_side_by_side_make_one_stem(faded, regions):
    song = whole(faded, "bass")
    for region in regions:
        extract(faded, "bass", region)
    stem = heard(faded, "bass")
    inside = slice(BEFORE.start, AFTER.stop)
    np.testing.assert_allclose(stem[inside], song[inside], atol=1e-6)
    assert len(faded.lane("bass").parts) == 3
    check_null(faded)


def test_a_region_that_reaches_the_songs_end_is_not_faded_there(faded):
    samples = faded.project.samples
    for region in (Span(0, REGION.stop), Span(REGION.stop, samples)):
        extract(faded, "bass", region)
    spans = [part.span for part in faded.lane("bass").parts]
    assert spans == [Span(0, REGION.stop + FADE), Span(REGION.stop - FADE, samples)]
    stem = heard(faded, "bass")
    faded.session.undo()
    faded.session.undo()
    np.testing.assert_allclose(stem, whole(faded, "bass"), atol=1e-6)


def test_a_region_of_the_whole_song_is_the_whole_song(faded):
    extract(faded, "bass", Span(0, faded.project.samples))
    assert [part.span for part in faded.lane("bass").parts] == [Span(0, faded.project.samples)]


def test_what_is_made_again_keeps_its_place(faded):
    extract(faded, "bass", REGION)
    (before,) = faded.lane("bass").parts
    for seed in (2, 3):
        faded.c.making.make_again(faded.lane("bass").id, 0, vary=bool(seed == 3))
        faded.engine.finish_all()
    assert [part.span for part in faded.lane("bass").parts] == [before.span]


def test_the_fade_of_a_neighbour_is_nothing_to_sound_like(faded):
    extract(faded, "bass", REGION)
    lane = faded.lane("bass")
    for region in (BEFORE, AFTER):
        faded.c.set_region(region)
        wish = Prompt("", "extract", like=region, like_lane=lane.id)
        assert "nothing in the selection" in faded.c.blocked(wish)
        assert not faded.c.blocked(replace(wish, like=Span(region.start - 2 * FADE, region.stop + 2 * FADE)))


@pytest.mark.parametrize("words", [("drums", "kick drum"), ("kick drum", "drums")])
def test_stems_that_only_fade_into_each_other_are_not_compared(faded, words):
    for name, region in zip(words, (REGION, AFTER), strict=True):
        extract(faded, name, region)
    assert not faded.told
    assert [len(faded.lane(name).parts) for name in words] == [1, 1]
    check_null(faded)


@pytest.mark.parametrize("regions", [(BEFORE, REGION), (REGION, BEFORE)])
def test_more_of_a_stem_is_taken_out_of_another_without_a_seam(faded, regions):
    extract(faded, "drums", None)
    drums = heard(faded, "drums")
    for region in regions:
        extract(faded, "kick drum", region)
    np.testing.assert_allclose(heard(faded, "drums") + heard(faded, "kick drum"), drums, atol=1e-6)
    assert not sound(faded, faded.lane("drums"), BEFORE.start, BEFORE.start + RATE_HZ // 2).any()
    check_null(faded)


@pytest.mark.parametrize("regions", [(BEFORE, REGION), (REGION, BEFORE)])
def test_a_source_regenerated_beside_its_stem_is_taken_away_once(faded, regions):
    stem, regenerated = regions
    bass = whole(faded, "bass")
    regenerate(faded, "bass", Span(0, faded.project.samples))
    gone = heard(faded, "bass (replaced)")
    faded.session.undo()
    extract(faded, "bass", stem)
    regenerate(faded, "bass", regenerated)
    taken = sum(sound(faded, lane) for lane in faded.project.of_kind("extracted"))
    inside = slice(BEFORE.start, REGION.stop)
    assert np.all(((taken - bass) * (taken - gone))[inside] < 1e-6)  # one or the other, or between both
    check_null(faded)


@pytest.mark.parametrize("words", ["other", "the rest", "everything else"])
def test_what_is_left_is_in_the_rest(faded, words):
    why = f'"{words}" is no instrument; what no stem holds is in the Rest lane.'
    assert faded.c.blocked(Prompt(words)) == why
    assert not faded.c.blocked(Prompt(f"bass, {words}")) and not faded.c.blocked(Prompt(words, "impute"))
