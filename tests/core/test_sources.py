"""No sound is in two stems: a source has one lane, however it is called, and what is in another stem is taken once."""

import re

import numpy as np
import pytest

from mgeldm_app.core import apart, commands
from mgeldm_app.core.asks import stems_called
from mgeldm_app.core.project import Lane, Made, Part, Take
from tests.core.test_making import REGION, check_null, loop, shares, sound
from tests.fakes import world as fakes
from tests.fakes.world import _stem


def stem_lanes(world):
    return world.project.of_kind("extracted")


def stems(world):
    return [lane.name for lane in stem_lanes(world)]


def rename(world, lane, name):
    world.c.set_lane(world.lane(lane).id, "name", name)


def test_a_renamed_stem_is_still_its_source(opened):
    opened.ask("the bass")
    opened.engine.finish_all()
    rename(opened, "bass", "Low end")
    opened.c.set_region(REGION)
    opened.ask("bass")
    opened.engine.finish_all()
    assert stems(opened) == ["Low end"] and len(opened.lane("Low end").parts) == 2
    assert shares(opened) == (0.5, 0.5)


def test_a_renamed_stem_falls_silent_where_its_source_is_regenerated(opened):
    opened.ask("bass")
    opened.engine.finish_all()
    rename(opened, "bass", "Low end")
    opened.c.set_region(REGION)
    for _ in range(2):
        opened.ask("bass", task="inpaint", takes=1)
        opened.engine.finish_all()
        rename(opened, stems(opened)[1], "what was there")
    assert stems(opened) == ["Low end", "what was there"]
    assert not sound(opened, opened.lane("Low end"), REGION.start + 200, REGION.stop - 200).any()
    assert shares(opened) == (0.75, 0.5)
    check_null(opened)


def test_what_was_replaced_is_known_under_another_name_when_the_project_is_opened_again(opened):
    regenerate(opened, "bass")
    rename(opened, "bass (replaced)", "Old low end")
    folder = opened.session.folder.folder
    opened.c.documents.close()
    opened.open(folder)
    regenerate(opened, "bass")
    assert stems(opened) == ["Old low end"] and shares(opened) == (0.75, 1.0)
    extract(opened, "bass")
    assert stems(opened) == ["Old low end", "bass"] and shares(opened) == (0.75, 0.5)


@pytest.mark.parametrize(
    ("first", "second"),
    [("vocals", "vox"), ("guitar", "the GTR"), ("karaoke", "everything but vocals"), ("no drums", "without drums")],
)
def test_one_source_in_other_words_goes_to_its_lane(opened, first, second):
    for text in (first, second):
        opened.ask(text)
        opened.engine.finish_all()
    assert stems(opened) == [first] and shares(opened) == (0.5, 0.5)


def test_two_words_for_a_source_at_once_are_two_stems(opened):
    """The model divides it between them."""
    for _ in range(2):
        opened.ask("vocals, vox")
        opened.engine.finish_all()
    assert stems(opened) == ["vocals", "vox"]


def test_the_very_name_goes_before_another_word_and_what_was_replaced_is_apart():
    made = Made("extract", "bass")
    lanes = [
        Lane("L1", "extracted", "vox"),
        Lane("L2", "extracted", "Vocals"),
        Lane("L3", "extracted", "vocals (replaced)"),
        Lane("L4", "added", "vocals"),
        Lane("L5", "extracted", "Old", parts=(Part(0, (Take(None, Made("extract", "vocals", replaced=True)),)),)),
        Lane("L6", "extracted", "Low", parts=(Part(0, (Take(None, made),)),)),
    ]
    assert [lane.id for lane in stems_called(lanes, "the vocals")] == ["L2", "L1"]
    assert [lane.id for lane in stems_called(lanes, "vocals", replaced=True)] == ["L3", "L5"]
    assert [lane.id for lane in stems_called(lanes, "Bass")] == ["L6"]
    assert not stems_called(lanes, "no vocals")


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_stem_tried_again_after_it_was_asked_for_anew_goes_to_the_same_lane(opened, share):
    opened.c.set_region(REGION)
    opened.ask("bass")
    job = opened.engine.fail(share)
    if share:  # what was kept is taken back
        opened.session.undo()
    opened.ask("bass")
    opened.engine.finish_all()
    opened.c.retry(job.id)
    assert stems(opened) == ["bass"] and not opened.session.coming
    opened.engine.finish_all()
    assert stems(opened) == ["bass"] and len(opened.lane("bass").parts) == 1
    assert shares(opened) == (0.5, 1.0)


def test_a_stem_from_before_it_was_closed_tried_again_goes_to_the_lane_that_there_is(opened):
    opened.ask("bass")
    folder = opened.session.folder.folder
    opened.c.documents.close()
    opened.open(folder)
    (job_id,) = opened.session.jobs
    opened.ask("the bass")
    opened.engine.finish_all()
    opened.c.retry(job_id)
    opened.engine.finish_all()
    assert stems(opened) == ["bass"] and not opened.session.jobs and not opened.session.coming


@pytest.mark.parametrize("looped", [False, True])
def test_a_stem_that_is_redone_while_it_is_made_anew_stays_one(opened, looped):
    if looped:
        loop(opened)
    else:
        opened.c.set_region(REGION)
    opened.ask("bass", seed=1)
    opened.engine.finish_all()
    opened.session.undo()
    opened.ask("bass", seed=2)
    opened.session.redo()
    opened.engine.finish_all()
    (part,) = opened.lane("bass").parts
    assert stems(opened) == ["bass"] and not opened.session.coming
    assert (part.take.made.seed, part.take.made.quality) == (2, "standard")
    assert shares(opened) == (0.5, 1.0)


def regenerate(world, *texts, region=REGION):
    world.c.set_region(region)
    for text in texts:
        world.ask(text, task="inpaint", takes=2)
        world.engine.finish_all()
    world.c.set_region(None)


def extract(world, *texts, region=None, **changes):
    world.c.set_region(region)
    for text in texts:
        world.ask(text, task="extract", **changes)
        world.engine.finish_all()


def drums_and_then_a_kick(world):
    """Of a looped region: the draft of the drums is there, that of a kick drum in them is asked for."""
    loop(world)
    world.ask("drums")
    world.engine.finish()
    world.ask("kick drum", quality="draft")


def undo(world, title):
    """Take the last step of that title back, and those after it, which say what to look at."""
    while world.session.history.undo_title != title:
        world.session.undo()
    world.session.undo()


def share_of(world, lane, part):
    """How much of a stem is in a lane."""
    lane, part = sound(world, lane), sound(world, part)
    return round(float(np.vdot(lane, part) / np.vdot(part, part)), 2)


def together(world):
    """What all stems play."""
    return sum(sound(world, lane) for lane in stem_lanes(world))


def check_parted(world, whole):
    """Drums and kick drum are together what the drums were, so nothing of the kick drum is in the rest."""
    assert stems(world) in (["drums", "kick drum"], ["kick drum", "drums"])
    assert np.abs(together(world) - whole).max() < 1e-6
    check_null(world)


def test_a_source_that_is_regenerated_in_other_words_is_taken_away_once(opened):
    regenerate(opened, "a funkier bass", "a slower bass", "a deep bass")
    assert stems(opened) == [f"{name} bass (replaced)" for name in ("funkier", "slower", "deep")]
    sounds = [sound(opened, lane, REGION.start + 200, REGION.stop - 200).any() for lane in stem_lanes(opened)]
    assert sounds == [False, False, True]
    assert shares(opened) == (0.75, 1.0) and not opened.told
    check_null(opened)
    undo(opened, "regenerate deep bass")
    assert [lane.parts[-1].take.made.repeatable for lane in stem_lanes(opened)] == [False, True]
    assert shares(opened) == (0.75, 1.0)


def test_a_stem_goes_without_what_is_regenerated_of_it(opened):
    extract(opened, "kick drum")
    middle = REGION.start + 200, REGION.stop - 200
    whole = sound(opened, opened.lane("kick drum"), *middle)
    regenerate(opened, "a slow kick drum")
    assert np.abs(sum(sound(opened, lane, *middle) for lane in stem_lanes(opened)) - whole).max() < 1e-6
    assert opened.told == [("slow kick drum (replaced) was part of kick drum, which goes on without it.", False)]
    opened.told.clear()
    regenerate(opened, "drums")
    for lane in stem_lanes(opened)[:2]:
        assert not sound(opened, lane, REGION.start + 200, REGION.stop - 200).any()
    check_null(opened)


def test_a_stem_without_its_name_comes_without_what_was_regenerated(opened):
    regenerate(opened, "a funkier bass")
    extract(opened, "a low bass", quality="draft")
    assert shares(opened) == (0.75, 0.75)
    assert not np.abs(sound(opened, opened.lane("low bass"), REGION.start + 200, REGION.stop - 200)).max() > 1e-6
    assert opened.told == [("low bass comes without funkier bass (replaced), which is a stem of its own.", False)]
    assert opened.lane("low bass").parts[0].take.made.without == ("funkier bass (replaced)",)
    check_null(opened)


@pytest.mark.parametrize("looped", [False, True], ids=["whole", "draft first"])
def test_a_stem_that_was_in_another_is_taken_out_of_that(opened, looped):
    extract(opened, "drums")
    whole = sound(opened, opened.lane("drums"))
    before = opened.project
    if looped:
        loop(opened)
        opened.ask("kick drum")
        opened.engine.finish_all()
    else:
        extract(opened, "kick drum")
    check_parted(opened, whole)
    assert opened.told == [("kick drum was part of drums, which goes on without it.", False)]
    assert [part.take.made.without for part in opened.lane("drums").parts][-1] == ("kick drum",)
    undo(opened, "extract kick drum")
    assert opened.project.lanes == before.lanes


@pytest.mark.parametrize(
    ("undone", "comes", "can_redo"),
    [
        ("drums", "kick drum", False),
        ("kick drum", "drums", False),
        ("deep bass", "low bass", False),
        ("drums", "bass", True),
    ],
)
def test_a_sound_that_comes_cannot_be_redone_as_part_of_another_stem(opened, undone, comes, can_redo):
    """The rest would lack it twice."""
    extract(opened, undone)
    undo(opened, f"extract {undone}")
    extract(opened, comes)
    assert (opened.session.history.redo_title == f"extract {undone}") == can_redo
    while opened.session.history.redo_title:
        opened.session.redo()
    assert len(stems(opened)) == 1 + can_redo
    check_null(opened)


def test_a_stem_comes_without_one_that_is_in_it(opened):
    extract(opened, "kick drum", "drums")
    assert opened.told == [("drums comes without kick drum, which is a stem of its own.", False)]
    kick, drums = opened.lane("kick drum"), opened.lane("drums")
    assert share_of(opened, drums, kick) == 0 and shares(opened) == (0.5, 0.5)
    check_null(opened)
    assert opened.c.making.best([drums.id]) == 1
    opened.engine.finish_all()
    opened.c.set_lane(drums.id, "sensitivity", 0.5)
    opened.engine.finish_all()
    assert share_of(opened, opened.lane("drums"), kick) == 0 and len(opened.told) == 1


def test_more_of_a_stem_takes_out_no_more_than_there_is(opened):
    extract(opened, "drums")
    whole = sound(opened, opened.lane("drums"))
    extract(opened, "kick drum", region=REGION)
    extract(opened, "kick drum")
    middle = slice(REGION.start + 200, REGION.stop - 200)
    total = sum(sound(opened, lane) for lane in stem_lanes(opened))
    for part in (middle, slice(0, REGION.start - 200), slice(REGION.stop + 200, None)):
        assert np.abs(total[part] - whole[part]).max() < 1e-6
    check_null(opened)


@pytest.mark.parametrize("then", ["drums", "sensitivity", "best"])
def test_a_stem_made_again_still_goes_without_another(opened, then):
    extract(opened, "drums", "kick drum", quality="standard")
    drums = opened.lane("drums")
    if then == "drums":
        extract(opened, "drums")
    elif then == "best":
        opened.c.making.best([drums.id])
    else:
        opened.c.set_lane(drums.id, "sensitivity", 0.5)
    opened.engine.finish_all()
    assert opened.lane("drums").parts != drums.parts
    assert share_of(opened, opened.lane("drums"), opened.lane("kick drum")) == 0
    check_null(opened)


def test_a_better_version_of_a_draft_that_lost_a_stem_takes_its_place(opened):
    drums_and_then_a_kick(opened)
    opened.engine.finish()
    assert opened.lane("drums").parts[0].take.made.quality == "draft"
    opened.engine.finish_all()
    (part,) = opened.lane("drums").parts
    assert part.take.made.quality == "standard" and len(stem_lanes(opened)) == 2


def test_where_a_stem_was_silenced_nothing_is_taken_out_of_it(opened):
    extract(opened, "drums")
    regenerate(opened, "drums")
    extract(opened, "kick drum")
    drums = sound(opened, opened.lane("drums"), REGION.start + 200, REGION.stop - 200)
    assert not drums.any()
    check_null(opened)


def test_a_failed_stem_takes_out_what_was_kept_and_then_the_rest(opened):
    extract(opened, "drums")
    whole = sound(opened, opened.lane("drums"))
    opened.ask("kick drum")
    job = opened.engine.fail(0.5)
    opened.c.retry(job.id)
    opened.engine.finish_all()
    total = sum(sound(opened, lane) for lane in stem_lanes(opened))
    half = opened.project.samples // 2
    for part in (slice(0, half - 200), slice(half + 200, None)):
        assert np.abs(total[part] - whole[part]).max() < 1e-6
    check_null(opened)


def test_what_hardly_sounds_and_what_only_meets_another_stem_is_left(opened):
    extract(opened, "drums", "bass", "vocals, guitar")
    assert stems(opened) == ["drums", "bass", "vocals", "guitar"]
    assert all(len(lane.parts) == 1 for lane in stem_lanes(opened)) and not opened.told


def test_a_stem_whose_neighbour_changed_meanwhile_lands_as_it_is(opened):
    extract(opened, "drums")
    opened.ask("kick drum")
    opened.workers.holding = True
    opened.engine.finish_all()
    opened.session.do(commands.remove_lanes((opened.lane("drums").id,)))
    opened.workers.release()
    assert stems(opened) == ["kick drum"] and not opened.told


def test_a_long_song_is_compared_by_some_of_its_blocks(opened, monkeypatch):
    monkeypatch.setattr(apart, "BLOCK_SAMPLES", 1000)
    monkeypatch.setattr(apart, "_MOST_BLOCKS", 13)  # not always at the same place of a beat
    extract(opened, "drums")
    whole = sound(opened, opened.lane("drums"))
    extract(opened, "kick drum")
    check_parted(opened, whole)


def test_what_is_there_in_other_words_stays_where_it_is(opened, monkeypatch):
    monkeypatch.setattr(apart, "SHARED", 0.4)  # so half of the drums is as good as all of them
    extract(opened, "drums")
    whole = sound(opened, opened.lane("drums"))
    extract(opened, "kick drum")
    assert np.array_equal(sound(opened, opened.lane("drums")), whole)
    assert opened.told[-1] == ("kick drum comes without drums, which is a stem of its own.", False)
    total = sum(sound(opened, lane) for lane in stem_lanes(opened))
    assert np.abs(sound(opened, opened.lane("kick drum")) + whole - total).max() < 1e-6
    check_null(opened)


def test_two_stems_at_once_are_both_taken_out_of_the_one_that_they_were_in(opened):
    extract(opened, "drums")
    whole = sound(opened, opened.lane("drums"))
    extract(opened, "kick drum, offbeat drum")
    assert len(opened.told) == 2
    assert np.abs(sum(sound(opened, lane) for lane in stem_lanes(opened)) - whole).max() < 1e-6
    check_null(opened)
    assert len(opened.lane("drums").parts) == 1
    undo(opened, "extract kick drum, offbeat drum")
    assert np.array_equal(sound(opened, opened.lane("drums")), whole)


SECOND = 1.25  # how much more of the song is in a stem that is made again


@pytest.fixture
def varied(opened, monkeypatch):
    """Stems that are made again sound otherwise."""
    made = []

    def another(heard, words, share):
        made.append(words)
        return _stem(heard, words, share * (SECOND if words in made[:-1] else 1))

    monkeypatch.setattr(fakes, "_stem", another)
    return opened


def remake(world, then, name):
    """Make a stem sound otherwise."""
    lane = world.lane(name)
    if then == "sensitivity":
        world.c.set_lane(lane.id, "sensitivity", 0.5)
    elif then == "best":
        world.c.making.best([lane.id])
    elif then == "anew":
        extract(world, name)
    elif then == "draft first":
        loop(world)
        world.ask(name)
    else:
        world.c.making.make_again(lane.id, 0, vary=True)
    world.engine.finish_all()
    assert world.lane(name).parts != lane.parts


REMAKES = ["sensitivity", "best", "anew", "draft first", "varied"]


@pytest.mark.parametrize("then", REMAKES)
@pytest.mark.parametrize("region", [None, REGION], ids=["whole", "region"])
def test_what_lost_a_stem_follows_it(varied, then, region):
    extract(varied, "drums")
    whole = sound(varied, varied.lane("drums"))
    extract(varied, "kick drum", region=region)
    once = varied.project
    remake(varied, then, "kick drum")
    check_parted(varied, whole)
    while varied.session.history.undo_title != "extract kick drum":
        varied.session.undo()
        check_parted(varied, whole)
    while varied.session.history.redo_title:
        varied.session.redo()
        check_parted(varied, whole)
    assert [lane.id for lane in stem_lanes(varied)] == [lane.id for lane in once.of_kind("extracted")]


@pytest.mark.parametrize("then", REMAKES)
def test_what_came_without_a_stem_follows_it(varied, then):
    extract(varied, "kick drum", "drums")
    whole = together(varied)
    remake(varied, then, "kick drum")
    check_parted(varied, whole)


@pytest.mark.parametrize("names", [("drums", "kick drum"), ("kick drum", "drums")])
@pytest.mark.parametrize("holding", [False, True])
def test_stems_that_are_all_made_best_are_still_parted(varied, names, holding):
    """What a file worker has just worked out may have changed when it lands."""
    extract(varied, "drums", "kick drum", quality="draft")
    varied.c.making.best([varied.lane(name).id for name in names])
    varied.workers.holding = holding
    varied.engine.finish_all()
    varied.workers.wait()
    varied.workers.release()
    check_parted(varied, _stem(sound(varied, varied.project.lanes[0]), "drums", 0.5 * SECOND))


def test_a_better_version_is_whole_in_the_past_before_another_was_taken_out_of_it(varied):
    drums_and_then_a_kick(varied)
    varied.engine.finish_all()
    whole = together(varied)
    check_parted(varied, whole)
    undo(varied, "extract kick drum")
    assert varied.lane("drums").parts[0].take.made.quality == "standard"
    assert np.abs(sound(varied, varied.lane("drums")) - whole).max() < 1e-6


def test_what_lost_a_stem_to_be_made_better_follows_it_also_where_that_was_removed_meanwhile(varied):
    extract(varied, "drums")
    whole = sound(varied, varied.lane("drums"))
    loop(varied)
    varied.ask("kick drum")
    varied.engine.finish()
    varied.session.do(commands.remove_lanes((varied.lane("kick drum").id,)))
    without = sound(varied, varied.lane("drums"))
    assert not varied.engine.jobs
    varied.session.undo()
    varied.engine.finish_all()
    assert varied.lane("kick drum").parts[0].take.made.quality == "standard"
    check_parted(varied, whole)
    varied.session.redo()
    assert stems(varied) == ["drums"] and np.array_equal(sound(varied, varied.lane("drums")), without)


def test_what_lost_a_stem_follows_it_when_the_project_is_opened_again(varied):
    extract(varied, "drums")
    whole = sound(varied, varied.lane("drums"))
    extract(varied, "kick drum")
    rename(varied, "kick drum", "Kick")
    reopen(varied)
    varied.c.set_lane(varied.lane("Kick").id, "sensitivity", 0.5)
    varied.engine.finish_all()
    rename(varied, "Kick", "kick drum")
    check_parted(varied, whole)


def reopen(world):
    folder = world.session.folder.folder
    world.c.documents.close()
    world.open(folder)


def test_no_other_stem_is_followed_for_one_that_was_removed(varied):
    """Their lanes would be of one id."""
    extract(varied, "drums", "kick drum")
    gone = varied.lane("kick drum").id
    varied.session.do(commands.remove_lanes((gone,)))
    reopen(varied)
    extract(varied, "bass")
    assert varied.lane("bass").id != gone


def test_what_lost_a_stem_stays_as_it_is_where_that_is_silent(varied):
    extract(varied, "drums", "kick drum")
    regenerate(varied, "kick drum")
    drums = sound(varied, varied.lane("drums"))
    extract(varied, "kick drum")
    assert not sound(varied, varied.lane("kick drum"), REGION.start + 200, REGION.stop - 200).any()
    change = np.abs(sound(varied, varied.lane("drums")) - drums).max(1)
    assert change[REGION.start : REGION.stop].max() < 1e-6 < change[: REGION.start - 200].max()
    check_null(varied)


def test_a_stem_that_is_without_two_of_which_one_follows_the_other_stays(varied):
    extract(varied, "drums", "kick drum", "big drums")
    big, drums, kick = (varied.lane(name) for name in ("big drums", "drums", "kick drum"))
    assert set(big.parts[0].take.made.lost_to) == {drums.id, kick.id}
    whole = together(varied)
    remake(varied, "sensitivity", "kick drum")
    assert varied.lane("big drums").parts == big.parts and varied.lane("drums").parts != drums.parts
    assert np.abs(together(varied) - whole).max() < 1e-6


def test_what_lost_a_stem_whose_file_is_gone_stays_as_it_is(varied):
    extract(varied, "drums", "kick drum")
    drums, (kick,) = varied.lane("drums"), varied.lane("kick drum").parts
    file = varied.session.store.path(kick.take.audio)
    folder = varied.session.folder.folder
    varied.c.documents.close()
    file.unlink()
    varied.open(folder)
    remake(varied, "sensitivity", "kick drum")
    assert varied.lane("drums").parts == drums.parts


def test_a_project_from_before_stems_followed_each_other_opens(varied):
    extract(varied, "drums", "kick drum")
    folder = varied.session.folder.folder
    varied.c.documents.close()
    state = folder / "project.json"
    text = state.read_text()
    assert '"lost_to"' in text
    state.write_text(re.sub(r',\s*"lost_to": \[[^]]*\]', "", text))
    assert '"lost_to"' not in state.read_text()
    varied.open(folder)
    assert stems(varied) == ["drums", "kick drum"] and not varied.session.folder.notice
    remake(varied, "sensitivity", "kick drum")
    check_null(varied)
