import gc
import os
import weakref
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from mgeldm.audio import map_wav
from mgeldm.errors import InputError, OutputError
from mgeldm.requests import Accompany, Extract, Generate, Impute, Inpaint

from mgeldm_app.core import commands
from mgeldm_app.core.actions import BY_ID
from mgeldm_app.core.clips import ClipStore
from mgeldm_app.core.jobs import Finished
from mgeldm_app.core.landing import Landing
from mgeldm_app.core.project import Span
from mgeldm_app.core.sound import read_lane
from tests.fakes.world import RATE_HZ, write_song

REGION, FADE = Span(4 * RATE_HZ, 8 * RATE_HZ), 32


def with_fades(region):
    """Where a part of a region lies."""
    return Span(max(0, region.start - FADE), region.stop + FADE)


PART = with_fades(REGION)
HALF = PART.samples // 2


def sound(world, lane, start=0, stop=None):
    store = world.session.store
    return read_lane(world.project, lane, store.view, start, stop or world.project.samples)


def loop(world):
    """Somebody listens to the region."""
    world.c.set_region(REGION)
    world.c.set_looping(True)


def check_null(world):
    """Stems and rest are the song."""
    lanes = [lane for lane in world.project.lanes if lane.kind in ("extracted", "rest")]
    total = sum(sound(world, lane).astype(np.float64) for lane in lanes)
    assert np.abs(total - sound(world, world.project.lanes[0])).max() < 1e-6


def test_an_extraction_becomes_a_lane_with_its_story(opened):
    opened.c.set_region(REGION)
    opened.engine.warm_up()
    opened.ask("the bass", seed=7)
    job = opened.engine.finish()
    assert isinstance(job.request, Extract)
    assert (job.request.region.start_s, job.request.region.end_s) == (3.996, 8.004)
    lane = opened.lane("bass")
    made = lane.parts[0].take.made
    assert (lane.kind, lane.parts[0].span) == ("extracted", PART)
    assert (made.prompt, made.seed, made.model, made.model_sha256) == ("the bass", 7, "fake", "f" * 64)
    check_null(opened)
    assert not opened.session.jobs
    assert not list(opened.session.store.folder.glob("*.part.wav"))


def test_several_prompts_make_several_stems_at_once(opened):
    opened.ask("drums, bass")
    assert len(opened.engine.jobs) == 1
    opened.engine.finish_all()
    assert [lane.name for lane in opened.project.of_kind("extracted")] == ["drums", "bass"]
    assert opened.session.history.undo_title == "extract drums, bass"
    check_null(opened)


def test_a_stem_is_there_while_it_grows(opened):
    opened.c.set_region(REGION)
    opened.ask("bass")
    opened.engine.begin(0.25)
    (growing,) = opened.player.growing
    assert growing.filled == (Span(0, PART.samples // 4),)
    assert opened.player.shown.has_lane(growing.lane_id)
    assert not opened.project.has_lane(growing.lane_id)
    opened.c.set_lane(growing.lane_id, "muted", True)
    opened.engine.finish()
    assert opened.lane("bass").muted
    assert opened.player.growing == ()


def test_in_a_loop_a_draft_comes_first_and_gives_way(opened):
    loop(opened)
    opened.ask("bass", quality="standard")
    assert [job.request.sampling.quality for job in opened.engine.jobs] == ["draft", "standard"]
    opened.engine.finish()
    draft = opened.lane("bass").parts[0].take
    opened.engine.finish()
    better = opened.lane("bass").parts[0].take
    assert (draft.made.quality, better.made.quality) == ("draft", "standard")
    assert len(opened.lane("bass").parts) == 1
    opened.session.undo()
    assert not opened.project.of_kind("extracted")
    opened.session.redo()
    assert opened.lane("bass").parts[0].take == better


@pytest.mark.parametrize("task", ["impute", "inpaint", "accompany", "generate"])
def test_a_new_part_in_a_loop_has_a_draft_too(opened, task):
    loop(opened)
    opened.session.select((opened.project.lanes[0].id,))
    opened.ask("strings; bass", task=task, takes=3, seed=5, quality="standard")
    asked = [(job.request.sampling.quality, job.request.sampling.seed) for job in opened.engine.jobs]
    takes = [("standard", 5), ("standard", 6), ("standard", 7)]
    assert sorted(asked) == sorted([("draft", 5), *takes] * 2)
    assert [job.request.sampling.quality for job in opened.engine.jobs if job.urgent] == ["draft"] * 2
    first = [opened.engine.finish().request.sampling.quality for _ in range(2)]
    assert first == ["draft"] * 2  # of both parts, before any better version
    drafts = [opened.lane(name).parts[0].take for name in ("strings", "bass")]
    opened.engine.finish_all()
    for lane, draft in zip((opened.lane("strings"), opened.lane("bass")), drafts, strict=True):
        (part,) = lane.parts
        assert [(take.made.quality, take.made.seed) for take in part.takes] == takes
        assert part.takes[0].audio != draft.audio
        assert part.chosen == 0
    opened.session.undo()
    opened.session.undo()
    assert not opened.project.of_kind("added")
    opened.session.redo()
    assert [take.made.quality for take in opened.project.of_kind("added")[0].parts[0].takes] == ["standard"] * 3


def test_a_draft_that_fails_leaves_the_place_to_the_better_version(opened):
    loop(opened)
    opened.ask("strings", task="impute", takes=2)
    draft = opened.engine.jobs[0].id
    opened.engine.fail()
    assert opened.session.jobs[draft].state == "failed"
    opened.engine.finish_all()
    (part,) = opened.lane("strings").parts
    assert [take.made.quality for take in part.takes] == ["standard"] * 2
    assert not opened.session.jobs  # nothing to try again: what is better is there


def test_a_draft_tried_again_gives_way_too(opened):
    loop(opened)
    opened.ask("strings", task="impute", takes=1)
    draft = opened.engine.jobs[0].id
    opened.engine.fail()
    opened.c.making.retry(draft)
    assert not opened.project.of_kind("added")  # half a draft is of no use
    assert opened.engine.finish().request.sampling.quality == "draft"
    assert opened.lane("strings").parts[0].take.made.quality == "draft"
    opened.engine.finish()
    assert [take.made.quality for take in opened.lane("strings").parts[0].takes] == ["standard"]


def test_removing_a_lane_still_to_come_ends_its_draft_and_all_that_was_to_follow(opened):
    loop(opened)
    opened.ask("strings", task="impute", takes=2)
    opened.ask("bass, drums", task="extract")
    opened.engine.finish()
    opened.engine.finish()  # both drafts
    opened.ask("organ", task="impute", takes=2)
    opened.session.select((*opened.session.coming, opened.lane("bass").id))
    opened.c.remove_selected()
    asked = [job.request.prompts for job in opened.engine.jobs]
    assert asked == [("strings",), ("strings",), ("bass", "drums")]  # what is there is still made better
    opened.engine.finish_all()
    assert [lane.name for lane in opened.project.lanes[1:-1]] == ["strings", "drums"]
    assert opened.lane("drums").parts[0].take.made.quality == "standard"
    assert not opened.session.coming


def test_a_take_that_is_undone_while_its_file_is_read_does_not_come_back(opened):
    opened.ask("strings", task="impute", takes=2)
    opened.engine.finish()
    opened.workers.holding = True
    opened.engine.finish()
    opened.session.undo()
    opened.workers.release()
    assert not opened.project.of_kind("added") and not opened.session.jobs and not opened.session.coming
    opened.session.redo()
    assert len(opened.lane("strings").parts[0].takes) == 1


def test_undoing_a_draft_ends_the_better_version(opened):
    loop(opened)
    opened.ask("bass")
    opened.engine.finish()
    opened.session.undo()
    assert not opened.engine.jobs
    assert not opened.session.jobs


@pytest.mark.parametrize("away", ["undone", "removed", "undone with the draft's take"])
def test_a_draft_that_is_there_again_is_made_better_after_all(opened, away):
    loop(opened)
    opened.ask("pads", task="impute", takes=1) if "take" in away else opened.ask("bass")
    opened.engine.finish()
    lane = opened.project.lanes[1]
    assert lane.parts[0].take.made.quality == "draft"
    if away == "removed":
        opened.session.select((lane.id,))
        opened.c.remove_selected()
    else:
        opened.session.undo()
    assert not opened.engine.jobs  # no hours for what nobody has
    opened.session.undo() if away == "removed" else opened.session.redo()
    assert opened.project.lanes[1].parts[0].take == lane.parts[0].take and len(opened.engine.jobs) == 1
    opened.session.undo()
    opened.session.redo()
    opened.engine.finish_all()
    assert opened.project.lanes[1].parts[0].take.made.quality == "standard"
    opened.session.undo()
    opened.session.redo()
    assert not opened.engine.jobs and not opened.session.jobs


def redone_after_cancel(opened):
    """The first that comes is undone, what is still to come cancelled, and the first redone."""
    opened.engine.finish()
    opened.session.undo()
    BY_ID["cancel_jobs"].run(opened.c)
    opened.session.redo()


def test_a_better_version_that_was_cancelled_does_not_come_back(opened):
    loop(opened)
    opened.ask("bass")
    redone_after_cancel(opened)
    assert not opened.engine.jobs


def test_takes_join_one_part_and_undo_as_one(opened):
    opened.c.set_region(REGION)
    opened.ask("a warm Rhodes part", task="impute", takes=3, seed=10)
    assert [job.request.sampling.seed for job in opened.engine.jobs] == [10, 11, 12]
    assert all(isinstance(job.request, Impute) for job in opened.engine.jobs)
    opened.engine.finish()
    opened.c.set_lane(opened.lane("warm Rhodes part").id, "gain_db", -3.0)
    opened.engine.finish_all()
    (part,) = opened.lane("warm Rhodes part").parts
    assert [take.made.seed for take in part.takes] == [10, 11, 12]
    assert part.chosen == 0
    opened.session.undo()
    opened.session.undo()
    assert not opened.project.of_kind("added")


def takes(world, name):
    """Quality and seed of the takes of a lane's first part."""
    return [(take.made.quality, take.made.seed) for take in world.lane(name).parts[0].takes]


@pytest.mark.parametrize("quality", ["draft", "standard"])
def test_a_take_that_is_kept_alone_stays_alone(opened, quality):
    opened.ask("strings", task="impute", takes=4, seed=5, quality=quality)
    opened.engine.finish()
    opened.engine.finish()
    opened.engine.begin(0.5)
    opened.c.making.keep_alone(opened.lane("strings").id, 0)
    assert not opened.engine.jobs and not opened.session.jobs
    assert takes(opened, "strings") == [(quality, 5)] and opened.session.history.undo_title == "keep takes"
    opened.session.undo()
    assert len(takes(opened, "strings")) == 2


def test_a_take_that_is_kept_alone_becomes_better_and_is_varied_all_the_same(opened):
    loop(opened)
    opened.ask("strings", task="impute", takes=3, seed=5)
    opened.ask("organ", task="impute", takes=1, seed=9)
    opened.engine.finish()
    lane = opened.lane("strings")
    opened.c.making.make_again(lane.id, 0, vary=True)
    opened.workers.holding = True
    opened.engine.finish()  # the organ's draft
    opened.c.making.keep_alone(lane.id, 0)
    opened.workers.release()
    opened.engine.finish_all()
    again = opened.lane("strings").parts[0].takes[1].made.seed
    assert takes(opened, "strings") == [("standard", 5), ("standard", again)] and again not in (5, 6, 7)
    assert takes(opened, "organ") == [("standard", 9)]


@pytest.mark.parametrize("task", ["impute", "inpaint"])
@pytest.mark.parametrize("looped", [False, True], ids=["whole", "draft first"])
def test_takes_still_to_come_of_what_was_undone_come_once_it_is_redone(opened, task, looped):
    opened.c.set_region(REGION)
    opened.c.set_looping(looped)
    opened.ask("bass", task=task, takes=3, seed=5)
    opened.engine.finish()
    opened.session.undo()
    assert not opened.engine.jobs and not opened.session.jobs  # no hours for what nobody has
    opened.session.redo()
    assert len(opened.engine.jobs) == (3 if looped else 2)
    opened.session.undo()
    opened.session.redo()
    opened.engine.finish_all()
    lane = opened.project.of_kind("added")[0]
    assert takes(opened, lane.name) == [("standard", 5), ("standard", 6), ("standard", 7)]
    assert lane.parts[0].chosen == 0
    opened.session.undo()
    assert not opened.project.of_kind("added")
    opened.session.redo()
    assert not opened.engine.jobs and not opened.session.jobs
    check_null(opened)


def test_takes_that_were_cancelled_do_not_come_with_a_redo(opened):
    opened.ask("strings", task="impute", takes=3)
    redone_after_cancel(opened)
    assert not opened.engine.jobs


def test_takes_of_what_was_undone_stay_away_where_something_else_is_done(opened):
    opened.ask("strings", task="impute", takes=3)
    opened.engine.finish()
    opened.session.undo()
    opened.ask("organ", task="impute", takes=1)
    opened.engine.finish()
    opened.session.undo()
    opened.session.redo()
    assert not opened.engine.jobs and len(takes(opened, "organ")) == 1


def test_what_is_made_again_of_a_draft_is_as_good_as_the_prompt_asks(opened):
    opened.ask("strings", task="impute", takes=1, seed=5, quality="draft")
    opened.engine.finish_all()
    lane = opened.lane("strings").id
    opened.c.making.make_again(lane, 0, vary=True)
    assert opened.engine.finish().request.sampling.quality == "draft"
    opened.c.set_prompt(replace(opened.project.prompt, quality="standard"))
    for vary in (False, True):
        opened.c.making.make_again(lane, 0, vary)
        opened.engine.finish()
    assert [quality for quality, _ in takes(opened, "strings")] == ["draft", "draft", "standard", "standard"]
    assert takes(opened, "strings")[2][1] == takes(opened, "strings")[1][1]  # of the take that was heard
    opened.c.set_prompt(replace(opened.project.prompt, quality="draft"))
    opened.c.making.make_again(lane, 0, vary=True)
    assert opened.engine.finish().request.sampling.quality == "standard"  # no worse than what is varied


@pytest.mark.parametrize("vary", [False, True])
def test_what_is_made_again_of_a_draft_that_waits_for_better_is_as_good_as_that(opened, vary):
    loop(opened)
    opened.ask("strings", task="impute", takes=1, seed=5, quality="best")
    opened.engine.finish()
    opened.c.set_prompt(replace(opened.project.prompt, quality="draft"))
    opened.c.making.make_again(opened.lane("strings").id, 0, vary)
    assert opened.engine.finish().request.sampling.quality == "best"
    opened.engine.finish_all()
    assert [quality for quality, _ in takes(opened, "strings")] == (["best"] * 2 if vary else ["best"])  # none twice
    assert opened.lane("strings").parts[0].chosen == (1 if vary else 0)


def test_takes_of_draft_quality_are_takes_too(opened):
    opened.ask("strings", task="impute", takes=2, quality="draft")
    opened.engine.finish_all()
    assert len(opened.lane("strings").parts[0].takes) == 2


def test_a_new_part_hears_what_the_user_hears(opened):
    opened.ask("bass, drums")
    opened.engine.finish_all()
    opened.c.set_lane(opened.lane("bass").id, "muted", True)
    opened.ask("a new bass", task="impute", takes=1)
    heard = opened.engine.finish().heard
    bass = opened.session.store.path(opened.lane("bass").parts[0].take.audio)
    assert [(layer.gain, layer.path == bass) for layer in heard] == [(1.0, False), (-1.0, True)]


def test_a_part_is_varied_to_the_song_also_while_it_is_listened_to_alone(opened):
    """What a solo leaves of the others is silence, to which nobody plays."""
    opened.ask("bass")
    opened.ask("rhodes", task="impute", takes=1)
    opened.engine.finish_all()
    first, rhodes = opened.engine.done[-1], opened.lane("rhodes")
    opened.c.set_lane(rhodes.id, "soloed", True)
    opened.c.making.make_again(rhodes.id, 0, vary=True)
    assert [layer.gain for layer in opened.engine.finish().heard] == [layer.gain for layer in first.heard] == [1.0]
    opened.c.set_lane(opened.lane("bass").id, "soloed", True)
    opened.c.making.make_again(rhodes.id, 0, vary=True)
    assert [layer.gain for layer in opened.engine.finish().heard] == [0.0, 1.0]  # that of another lane counts
    opened.c.set_lane(opened.lane("bass").id, "soloed", False)
    opened.c.set_lane(opened.lane("bass").id, "muted", True)
    opened.c.making.make_again(rhodes.id, 0, vary=True)
    assert [layer.gain for layer in opened.engine.finish().heard] == [1.0, -1.0]


def test_accompany_hears_the_selected_lane_alone(opened):
    opened.ask("bass")
    opened.engine.finish_all()
    opened.session.select((opened.lane("bass").id,))
    opened.ask("drums", task="accompany", takes=1)
    job = opened.engine.finish()
    assert isinstance(job.request, Accompany)
    assert [layer.gain for layer in job.heard] == [0.0, 1.0]
    assert opened.lane("drums").kind == "added"


def test_regenerating_replaces_the_source_there_and_only_once(opened):
    opened.ask("bass")
    opened.engine.finish_all()
    opened.c.set_region(REGION)
    opened.ask("bass", task="inpaint", takes=2)
    assert all(isinstance(job.request, Inpaint) for job in opened.engine.jobs)
    opened.engine.finish_all()
    old, new = opened.lane("bass (replaced)"), opened.project.of_kind("added")[0]
    assert old.muted
    assert len(new.parts[0].takes) == 2
    first = opened.project.of_kind("extracted")[0]
    middle = (REGION.start + 200, REGION.stop - 200)
    assert np.abs(sound(opened, first, *middle)).max() == 0
    assert np.abs(sound(opened, first, 0, REGION.start)).max() > 0
    check_null(opened)
    opened.session.undo()
    assert np.abs(sound(opened, opened.lane("bass"), *middle)).max() > 0


def shares(world):
    """What of the song is in the rest: in the region, and outside it."""
    rest, song = (sound(world, world.project.lane(lane_id)) for lane_id in ("rest", "song"))
    inside, outside = slice(REGION.start + 200, REGION.stop - 200), slice(REGION.stop + 200, None)
    return tuple(round(float(np.vdot(rest[x], song[x]) / np.vdot(song[x], song[x])), 3) for x in (inside, outside))


@pytest.mark.parametrize("together", [False, True])
def test_regenerating_a_source_again_takes_it_away_once(opened, together):
    opened.c.set_region(REGION)
    for _ in range(3):
        opened.ask("the bass", task="inpaint", takes=2)
        if not together:
            opened.engine.finish_all()
    opened.engine.finish_all()
    assert [lane.name for lane in opened.project.of_kind("extracted")] == ["bass (replaced)"]
    assert [len(lane.parts[0].takes) for lane in opened.project.of_kind("added")] == [2, 2, 2]
    assert shares(opened) == (0.75, 1.0)
    check_null(opened)


def test_regenerating_again_in_part_or_beside_takes_away_what_is_new(opened):
    second = Span(REGION.start + RATE_HZ, REGION.stop + RATE_HZ)
    for region in (REGION, Span(REGION.start + 10, REGION.stop - 10), second):
        opened.c.set_region(region)
        opened.ask("bass", task="inpaint", takes=1)
        opened.engine.finish_all()
    assert [part.span for part in opened.lane("bass (replaced)").parts] == [PART, with_fades(second)]
    assert shares(opened)[0] == 0.75
    check_null(opened)


def test_a_take_regenerated_again_that_fails_is_kept_as_far_as_it_came(opened):
    opened.c.set_region(REGION)
    opened.ask("bass", task="inpaint", takes=1)
    opened.engine.finish_all()
    opened.ask("bass", task="inpaint", takes=1)
    opened.engine.fail(0.5)
    assert [lane.parts[0].span.samples for lane in opened.project.of_kind("added")] == [PART.samples, HALF]
    assert shares(opened)[0] == 0.75


def test_undoing_what_was_regenerated_again_ends_its_further_takes(opened):
    opened.c.set_region(REGION)
    opened.ask("bass", task="inpaint", takes=1)
    opened.engine.finish_all()
    opened.ask("bass", task="inpaint", takes=2)
    opened.engine.finish()
    opened.session.undo()
    assert not opened.engine.jobs and len(opened.project.of_kind("added")) == 1


@pytest.mark.parametrize("muted", [False, True])
@pytest.mark.parametrize("first", [False, True])
def test_a_source_that_was_regenerated_is_not_taken_away_by_its_stem_too(opened, muted, first):
    if first:
        opened.ask("bass")
        opened.engine.finish_all()
    opened.c.set_region(REGION)
    opened.ask("bass", task="inpaint", takes=1)
    opened.engine.finish_all()
    opened.c.set_lane(opened.lane("bass (replaced)").id, "muted", muted)
    opened.c.set_region(None)
    opened.ask("bass, drums", task="extract")
    opened.engine.finish_all()
    assert shares(opened) == (0.5, 0.25)  # without half of the drums: a quarter less
    stems = opened.project.of_kind("extracted")
    bass = next(lane for lane in stems if lane.name == "bass")
    assert not sound(opened, bass, REGION.start + 200, REGION.stop - 200).any()
    assert sound(opened, bass, REGION.stop + 200).any()
    check_null(opened)
    opened.session.undo()
    assert shares(opened) == (0.75, 0.5 if first else 1.0)


def test_a_source_is_extracted_to_where_it_lies_since_it_was_regenerated(opened):
    opened.c.set_region(REGION)
    opened.ask("bass", task="inpaint", takes=1)
    opened.engine.finish_all()
    inside = Span(REGION.start + RATE_HZ, REGION.stop)
    opened.c.set_region(inside)
    opened.ask("bass", task="extract")
    opened.engine.finish_all()
    (lane,) = opened.project.of_kind("extracted")
    assert (lane.name, lane.muted, lane.parts[-1].span) == ("bass (replaced)", True, with_fades(inside))
    assert sound(opened, lane, inside.start + 200, inside.stop - 200).any()


@pytest.mark.parametrize("heard", [False, True])
@pytest.mark.parametrize("name", ["bass (replaced)", "Old low end"])
def test_where_a_source_is_that_was_extracted_where_it_was_regenerated_is_said(opened, name, heard):
    opened.c.set_region(REGION)
    opened.ask("bass", task="inpaint", takes=1)
    opened.engine.finish_all()
    lane = opened.lane("bass (replaced)")
    opened.c.set_lane(lane.id, "name", name)
    opened.c.set_lane(lane.id, "muted", not heard)
    assert not opened.told
    opened.ask("the bass", task="extract")
    opened.engine.finish_all()
    where = f"{name}." if heard else f"{name}, which is muted."
    assert opened.told == [(f"bass was regenerated here; its original is in {where}", False)]
    opened.c.making.make_again(lane.id, 0, vary=True)
    opened.ask("drums", task="extract")
    opened.engine.finish_all()
    assert len(opened.told) == 1


def test_a_stem_that_is_extracted_while_its_source_is_regenerated_is_silent_there(opened):
    opened.c.set_region(REGION)
    opened.ask("bass", task="inpaint", takes=1)
    opened.c.set_region(None)
    opened.ask("bass", task="extract")
    opened.engine.finish_all()
    assert shares(opened) == (0.75, 0.5)


def test_a_stem_asked_for_again_while_it_is_made_goes_to_the_same_lane(opened):
    opened.c.set_region(REGION)
    opened.ask("bass", seed=1)
    opened.engine.begin(0.25)
    opened.c.set_lane(opened.player.growing[0].lane_id, "gain_db", -3.0)
    opened.ask("The Bass", seed=2)
    opened.c.set_region(Span(0, RATE_HZ))
    opened.ask("bass", seed=3)
    opened.engine.finish_all()
    (lane,) = opened.project.of_kind("extracted")
    assert [(part.span, part.take.made.seed) for part in lane.parts] == [(PART, 2), (with_fades(Span(0, RATE_HZ)), 3)]
    assert lane.gain_db == -3.0 and not opened.session.coming
    assert shares(opened) == (0.5, 1.0)


def test_a_stem_asked_for_twice_is_still_to_come_when_the_first_job_is_cancelled(opened):
    for _ in range(2):
        opened.ask("bass")
    opened.c.making.cancel(opened.engine.begin(0.25).id)
    assert [lane.name for lane in opened.session.coming.values()] == ["bass"]
    opened.engine.finish_all()
    assert len(opened.lane("bass").parts) == 1


def test_whichever_take_comes_first_takes_the_replaced_source_away(opened):
    opened.c.set_region(REGION)
    opened.ask("bass", task="inpaint", takes=3)
    opened.c.making.cancel(opened.engine.begin(0.5).id)
    opened.engine.finish_all()
    assert [len(part.takes) for part in opened.lane("bass").parts] == [2]
    assert [part.span for part in opened.lane("bass (replaced)").parts] == [PART]
    assert not opened.session.coming
    check_null(opened)


def test_generating_without_a_song_makes_one(world):
    world.ask("calm piano", task="generate")
    (job,) = world.engine.jobs
    assert isinstance(job.request, Generate)
    world.engine.finish()
    assert world.project.song.name == "calm piano"
    assert world.session.folder.folder.is_dir()


@pytest.mark.parametrize("task", ["extract", "impute", "generate"])
def test_undoing_a_generated_song_ends_what_is_made_from_it(world, task):
    """What it made would become the song itself, and nothing could be redone."""
    world.ask("calm piano", task="generate")
    world.engine.finish()
    song = world.project.song
    world.ask("the bass", task=task, takes=1)
    while world.project.song is not None:
        world.session.undo()
    assert not world.engine.jobs and not world.session.jobs
    while world.session.history.redo_title:
        world.session.redo()
    assert world.project.song == song and not world.project.of_kind("extracted")


def test_what_is_made_from_a_song_does_not_land_on_another(world):
    """It was done already, and its files were being read."""
    world.ask("calm piano", task="generate")
    world.engine.finish()
    world.ask("the drums", task="extract")
    world.workers.holding = True
    world.engine.finish()
    while world.project.song is not None:
        world.session.undo()
    world.workers.release()
    assert world.project.song is None
    world.ask("loud rock", task="generate", seed=99)
    world.engine.finish()
    assert world.project.song.name == "loud rock"
    assert not world.project.of_kind("extracted") and not world.told


def test_half_a_stem_that_is_being_kept_does_not_become_the_song(world):
    world.ask("calm piano", task="generate")
    world.engine.finish()
    song = world.project.song
    world.ask("the drums", task="extract")
    world.workers.holding = True
    world.engine.fail(0.5)
    while world.project.song is not None:
        world.session.undo()
    world.workers.release()
    assert world.project.song is None
    world.session.redo()
    assert world.project.song == song


def test_a_further_take_that_is_tried_again_is_not_heard_as_it_grows(opened):
    loop(opened)
    opened.ask("piano", task="impute", takes=2, quality="draft")
    opened.engine.finish()
    opened.c.making.retry(opened.engine.fail(0.5).id)
    opened.engine.begin(0.5)
    assert not opened.player.growing


def test_a_further_take_is_not_heard_as_it_grows(opened):
    """It would break into the one that is looped."""
    opened.ask("piano", task="impute", takes=3)
    opened.engine.begin(0.5)
    assert any(part.filled for part in opened.player.growing)
    opened.engine.finish()
    opened.engine.begin(0.5)
    assert not opened.player.growing
    opened.engine.finish_all()
    assert len(opened.lane("piano").parts[0].takes) == 3


def test_what_is_regenerated_is_not_heard_beside_what_takes_its_place(opened):
    opened.c.set_region(REGION)
    opened.ask("bass", task="inpaint", takes=1)
    opened.engine.begin(0.5)
    muted = {lane.name: lane.muted for lane in opened.session.coming.values()}
    assert muted == {"bass": False, "bass (replaced)": True}
    opened.engine.finish_all()
    assert opened.lane("bass (replaced)").muted


def test_a_cancelled_job_that_fails_before_it_hears_of_it_is_gone(opened):
    opened.ask("bass")
    job = opened.engine.begin(0.5)
    opened.engine.cancel = lambda job_id: None
    opened.c.making.cancel(job.id)
    opened.engine.fail(0.5)
    assert not opened.session.jobs and not opened.project.of_kind("extracted") and not opened.session.coming


def test_a_job_that_was_cancelled_just_now_is_not_kept_for_the_next_time(opened):
    opened.ask("bass")
    job = opened.engine.begin(0.5)
    opened.engine.cancel = lambda job_id: None  # it has not stopped yet
    assert len(opened.c.making.unfinished()) == 1
    opened.c.making.cancel(job.id)
    assert not opened.c.making.unfinished()


def test_cancelling_leaves_nothing(opened):
    opened.ask("bass")
    job = opened.engine.begin()
    opened.c.making.cancel(job.id)
    assert not opened.session.jobs
    assert not opened.session.all_growing()
    assert not opened.session.coming
    assert not list(opened.session.store.folder.glob("*.part.wav"))


def test_what_a_failed_job_finished_is_kept_and_retry_makes_it_whole(opened):
    opened.c.set_region(REGION)
    opened.ask("bass", seed=3)
    job = opened.engine.fail(0.5)
    assert opened.lane("bass").parts[0].span == Span(PART.start, PART.start + HALF)
    check_null(opened)
    assert opened.session.jobs[job.id].message.endswith("try once more.")
    opened.c.making.retry(job.id)
    opened.engine.finish_all()
    assert [part.span for part in opened.lane("bass").parts] == [PART]
    check_null(opened)
    assert not opened.session.jobs


def test_a_failed_job_can_be_put_away(opened):
    opened.ask("bass")
    job = opened.engine.fail(0.0)
    assert not opened.project.of_kind("extracted")
    opened.c.making.cancel(job.id)
    assert not opened.session.jobs
    assert not list(opened.session.store.folder.glob("*.part.wav"))


def test_sensitivity_makes_the_stem_again_in_place(opened):
    opened.ask("bass, drums")
    opened.engine.finish_all()
    lane = opened.lane("bass")
    old = lane.parts[0].take
    opened.c.set_lane(lane.id, "sensitivity", 0.4, final=False)
    assert not opened.engine.jobs
    opened.c.set_lane(lane.id, "sensitivity", 0.5)
    job = opened.engine.finish()
    assert (job.request.prompts, job.request.sensitivity) == (("bass", "drums"), 0.5)
    new = opened.lane("bass").parts[0].take
    assert (new.made.sensitivity, new.made.seed) == (0.5, old.made.seed)
    assert len(opened.lane("bass").parts) == 1


def test_a_part_is_made_again_or_varied_as_another_take(opened):
    opened.ask("strings", task="impute", takes=1, seed=5)
    opened.engine.finish_all()
    lane = opened.lane("strings")
    opened.c.making.make_again(lane.id, 0, vary=True)
    job = opened.engine.finish()
    assert job.request.sampling.seed != 5
    assert len(opened.lane("strings").parts[0].takes) == 2


def test_undoing_a_part_ends_its_variation(opened):
    opened.ask("rhodes", task="impute", takes=1)
    opened.engine.finish_all()
    opened.c.making.make_again(opened.lane("rhodes").id, 0, vary=True)
    opened.session.undo()
    assert not opened.engine.jobs and not opened.session.jobs
    opened.session.redo()
    assert len(opened.lane("rhodes").parts[0].takes) == 1


def names(world):
    return [lane.name for lane in world.project.lanes[1:-1]]


def test_a_stem_that_comes_by_itself_leaves_what_was_undone_to_be_redone(opened):
    opened.ask("bass")
    opened.engine.finish_all()
    opened.c.set_lane(opened.lane("bass").id, "pan", 0.5)
    opened.ask("drums")
    opened.ask("rhodes", task="impute", takes=2)
    while opened.session.history.undo_title:
        opened.session.undo()
    opened.engine.finish_all()
    assert names(opened) == ["drums", "rhodes"]
    now, steps = opened.project, 0
    while opened.session.history.redo_title:
        opened.session.redo()
        steps += 1
    assert sorted(names(opened)) == ["bass", "drums", "rhodes"] and opened.lane("bass").pan == 0.5
    assert len(opened.lane("rhodes").parts[0].takes) == 2
    check_null(opened)
    for _ in range(steps):
        opened.session.undo()
    assert opened.project == now and opened.session.history.undo_title == "add rhodes"
    opened.session.undo()
    assert names(opened) == ["drums"] and opened.session.history.undo_title == "extract drums"
    opened.session.undo()
    assert not names(opened)


def test_what_lands_on_a_lane_does_not_come_back_where_the_lane_is_removed(opened):
    opened.c.set_region(Span(0, RATE_HZ))
    opened.ask("bass")
    opened.engine.finish_all()
    opened.session.select((opened.lane("bass").id,))
    opened.c.remove_selected()
    opened.session.undo()
    opened.c.set_region(REGION)
    opened.ask("bass")
    opened.ask("drums")
    opened.engine.finish_all()
    assert len(opened.lane("bass").parts) == 2
    assert opened.session.history.redo_title == "remove a lane"
    opened.session.redo()
    assert names(opened) == ["drums"]
    check_null(opened)
    opened.session.undo()
    assert len(opened.lane("bass").parts) == 2


def test_a_part_lands_beside_one_that_was_undone(opened):
    for region in (Span(0, RATE_HZ), Span(2 * RATE_HZ, 3 * RATE_HZ)):
        opened.c.set_region(region)
        opened.ask("bass")
        opened.engine.finish_all()
    opened.session.undo()
    opened.c.set_region(REGION)
    opened.ask("bass")
    opened.engine.finish_all()
    assert len(opened.lane("bass").parts) == 2 and opened.session.history.redo_title == "extract bass"
    opened.session.redo()
    assert len(opened.lane("bass").parts) == 3
    check_null(opened)


@pytest.mark.parametrize(("undone", "comes"), [("extract", "extract"), ("extract", "inpaint"), ("inpaint", "extract")])
def test_a_source_that_comes_anew_takes_the_place_of_one_that_was_undone(opened, undone, comes):
    """Redoing would bring it twice, and the rest would lack it twice."""
    opened.c.set_region(REGION)
    opened.ask("bass", task=undone, takes=1)
    opened.engine.finish_all()
    while opened.project.of_kind("extracted"):
        opened.session.undo()
    opened.ask("the bass", task=comes)
    opened.engine.finish_all()
    assert not opened.session.history.redo_title
    check_null(opened)


def test_undoing_a_stem_leaves_what_was_asked_for_beside_it(opened):
    """It is a wish of its own, and does not bring back what was undone."""
    opened.c.set_region(Span(0, RATE_HZ))
    opened.ask("bass")
    opened.engine.finish_all()
    opened.c.set_region(REGION)
    opened.ask("bass")
    while opened.session.history.undo_title:
        opened.session.undo()
    opened.engine.finish_all()
    assert [part.span for part in opened.lane("bass").parts] == [PART]
    assert not opened.session.jobs


def test_a_source_regenerated_twice_before_is_silent_where_either_holds_it(opened):
    """Projects of earlier versions have a lane of that name for each time."""
    opened.c.set_region(REGION)
    opened.ask("bass", task="inpaint", takes=1)
    opened.engine.finish_all()
    old = opened.lane("bass (replaced)")
    opened.session.undo()
    elsewhere = replace(old, id="lane901", parts=tuple(replace(part, start=0) for part in old.parts))
    opened.session.amend(lambda project: project.with_lane(elsewhere).with_lane(replace(old, id="lane902")))
    opened.c.set_region(None)
    opened.ask("bass", task="extract")
    opened.engine.finish_all()
    spans = [part.span for part in opened.lane("bass").parts]
    assert PART in spans and Span(0, PART.samples) in spans  # of silence


def test_a_lane_that_is_gone_comes_back_without_what_was_undone(opened):
    opened.c.set_region(Span(0, RATE_HZ))
    opened.ask("bass")
    opened.engine.finish_all()
    opened.c.set_region(REGION)
    opened.ask("bass, drums")
    opened.session.select((opened.lane("bass").id,))
    opened.session.do(commands.remove_lanes(opened.session.selected))
    opened.engine.finish_all()  # the drums are still wanted
    assert [part.span for part in opened.lane("bass").parts] == [PART]
    check_null(opened)


def test_a_stem_made_again_keeps_its_place_under_later_parts(opened):
    opened.ask("bass", seed=1)
    opened.engine.finish_all()
    opened.c.set_region(REGION)
    opened.ask("bass", seed=2, quality="best")
    opened.engine.finish_all()
    lane = opened.lane("bass")
    opened.c.making.make_again(lane.id, 0, vary=True)
    job = opened.engine.finish()
    first, second = opened.lane("bass").parts
    assert (len(first.takes), first.take.made.seed) == (1, job.request.sampling.seed)
    assert second == lane.parts[1]
    assert opened.session.history.undo_title == "vary bass"
    check_null(opened)
    opened.session.undo()
    assert opened.lane("bass") == lane


def test_a_part_that_was_undone_while_it_was_made_again_stays_undone(opened):
    opened.ask("bass")
    opened.engine.finish_all()
    opened.c.set_region(REGION)
    opened.ask("bass")
    opened.engine.finish_all()
    opened.c.making.make_again(opened.lane("bass").id, 1, vary=True)
    opened.session.undo()
    opened.engine.finish_all()
    assert len(opened.lane("bass").parts) == 1 and not opened.session.jobs
    opened.session.redo()
    assert len(opened.lane("bass").parts) == 2


def test_a_stem_asked_for_anew_lies_over_what_is_there(opened):
    opened.ask("bass", seed=1)
    opened.engine.finish_all()
    opened.c.set_region(REGION)
    opened.ask("bass", seed=2)
    opened.engine.finish_all()
    opened.c.set_region(None)
    opened.ask("bass", seed=3)
    opened.engine.finish_all()
    assert [part.take.made.seed for part in opened.lane("bass").parts] == [3]


def test_variations_under_way_count_as_takes(opened):
    opened.ask("strings", task="impute", takes=7)
    opened.engine.finish_all()
    lane = opened.lane("strings")
    for _ in range(2):
        opened.c.making.make_again(lane.id, 0, vary=True)
    with pytest.raises(InputError, match="9 takes"):
        opened.c.making.make_again(lane.id, 0, vary=True)
    assert len(opened.engine.jobs) == 2
    failed = opened.engine.fail(0.0)
    opened.c.making.make_again(lane.id, 0, vary=True)
    opened.engine.finish_all()
    assert len(opened.lane("strings").parts[0].takes) == 9
    with pytest.raises(InputError, match="9 takes"):
        opened.c.making.retry(failed.id)
    opened.c.retry(failed.id)
    assert "9 takes" in opened.told[-1][0] and not opened.engine.jobs


def test_a_variation_has_a_seed_that_no_other_take_has(opened, monkeypatch):
    opened.ask("strings", task="impute", takes=2, seed=4)
    opened.engine.finish_all()
    drawn = []
    monkeypatch.setattr("random.choice", lambda seeds: drawn.append(seeds) or seeds[4])
    lane = opened.lane("strings")
    for _ in range(2):
        opened.c.making.make_again(lane.id, 0, vary=True)
    opened.engine.finish_all()
    assert [take.made.seed for take in opened.lane("strings").parts[0].takes] == [4, 5, 6, 7]
    assert [len(seeds) for seeds in drawn] == [9998, 9997]


def test_what_is_kept_of_a_failed_job_ends_without_a_click(opened):
    opened.ask("bass")
    opened.engine.fail(0.5)
    (part,) = opened.lane("bass").parts
    kept = opened.session.store.view(part.take.audio)
    assert np.abs(kept[-1]).max() < 1e-3 < np.abs(kept[-100]).max()
    check_null(opened)


def test_a_whole_song_is_made_best_before_an_export(opened):
    opened.ask("bass")
    opened.engine.finish_all()
    written = []
    assert opened.c.making.best([opened.lane("bass").id]) == 1
    opened.c.making.when_idle(lambda: written.append(opened.lane("bass").parts[0].take.made.quality))
    assert not written
    opened.engine.finish_all()
    assert written == ["best"]
    assert opened.c.making.best([opened.lane("bass").id]) == 0


def qualities(world):
    return [part.take.made.quality for lane in world.project.of_kind("extracted") for part in lane.parts]


def test_best_stems_that_were_asked_for_are_one_step_that_can_be_taken_back(opened):
    opened.ask("bass, drums")
    opened.engine.finish_all()
    opened.c.set_lane(opened.lane("bass").id, "gain_db", -3.0)
    opened.session.undo()
    before = opened.project
    assert opened.c.making.best([lane.id for lane in opened.project.of_kind("extracted")]) == 2
    opened.engine.finish_all()
    assert qualities(opened) == ["best", "best"]
    assert opened.session.history.undo_title == "best quality"
    opened.session.undo()
    assert opened.project == before and qualities(opened) == ["standard", "standard"]
    opened.session.redo()
    assert qualities(opened) == ["best", "best"]
    opened.session.redo()  # what had been undone before they came can still be done again
    assert opened.lane("bass").gain_db == -3.0 and qualities(opened) == ["best", "best"]
    check_null(opened)


def test_each_wish_for_best_stems_is_a_step(opened):
    opened.ask("bass, drums")
    opened.engine.finish_all()
    for name in ("bass", "drums"):
        opened.c.making.best([opened.lane(name).id])
        opened.engine.finish_all()
    assert qualities(opened) == ["best", "best"]
    opened.session.undo()
    assert sorted(qualities(opened)) == ["best", "standard"]


def test_a_best_stem_of_what_was_undone_meanwhile_comes_with_redoing(opened):
    for region in (Span(0, 8000), Span(16000, 24000)):
        opened.c.set_region(region)
        opened.ask("bass")
        opened.engine.finish_all()
    assert len(opened.lane("bass").parts) == 2
    assert opened.c.making.best([opened.lane("bass").id]) == 2
    opened.session.undo()
    opened.engine.finish_all()
    assert qualities(opened) == ["best"]
    opened.session.undo()
    opened.session.redo()
    opened.session.redo()
    assert qualities(opened) == ["best", "best"]


def test_a_best_stem_that_failed_at_first_can_be_taken_back_too(opened):
    opened.ask("bass")
    opened.engine.finish_all()
    opened.c.making.best([opened.lane("bass").id])
    failed = opened.engine.fail(0.0)
    folder = opened.session.folder.folder
    for again in (False, True):
        if again:
            opened.c.making.best([opened.lane("bass").id])
            failed = opened.engine.fail(0.0)
            opened.c.documents.close()
            opened.open(folder)
            failed = next(iter(opened.session.jobs.values())).job
        opened.c.retry(failed.id)
        opened.engine.finish_all()
        assert qualities(opened) == ["best"]
        opened.session.undo()
        assert qualities(opened) == ["standard"]


def test_of_the_rest_every_stem_is_made_best(opened):
    opened.ask("bass, drums")
    opened.engine.finish_all()
    assert opened.c.making.best(["rest", opened.lane("bass").id]) == 2


def test_what_waits_for_jobs_that_are_all_cancelled_does_not_begin(opened):
    opened.ask("bass")
    written = []
    opened.c.making.when_idle(lambda: written.append(1))
    BY_ID["cancel_jobs"].run(opened.c)
    assert not opened.session.busy
    assert len(opened.told) == 1 and "export" in opened.told[0][0]
    opened.ask("bass")
    opened.engine.finish_all()
    BY_ID["cancel_jobs"].run(opened.c)
    assert not written and len(opened.told) == 1


def test_an_export_that_waits_for_stems_of_a_project_that_is_left_is_called_off(opened):
    opened.ask("bass")
    written = []
    opened.c.making.when_idle(lambda: written.append(1))
    opened.c.documents.close()
    assert not written and len(opened.told) == 1 and "export" in opened.told[0][0]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"text": ""}, "Say which instrument"),
        ({"text": "bass", "task": "inpaint"}, "Select the region"),
        ({"text": "bass", "task": "accompany"}, "Select the lane"),
        ({"text": "x" * 2000}, "characters"),
        ({"text": "bass", "seed": -1}, "negative"),
    ],
)
def test_what_cannot_be_done_says_why(opened, changes, why):
    prompt = replace(opened.project.prompt, **changes)
    assert why in opened.c.blocked(prompt)
    opened.c.submit(prompt)
    assert why in opened.told[-1][0]
    assert not opened.engine.jobs


def test_why_a_selection_cannot_be_accompanied(opened):
    opened.ask("bass")
    opened.engine.finish_all()
    prompt = replace(opened.project.prompt, text="drums", task="accompany")
    for selected, why in ((("rest",), "The rest cannot be accompanied"), (("song", "L1"), "One lane can be")):
        opened.session.select(selected)
        assert why in opened.c.blocked(prompt)
    opened.session.select(("song",))
    assert not opened.c.blocked(prompt)


def test_an_example_is_enough_for_an_extraction(opened):
    opened.ask("", like=Span(RATE_HZ, 3 * RATE_HZ))
    job = opened.engine.finish()
    assert job.request.examples[0].start_s == 1.0
    assert opened.project.of_kind("extracted")[0].name == "like 1.0 s"


def test_a_closed_project_is_let_go_of(opened):
    opened.ask("bass")
    opened.engine.finish_all()
    folder = weakref.ref(opened.session.folder)
    opened.c.documents.close()
    gc.collect()
    assert folder() is None


def test_results_of_a_closed_project_are_dropped(opened, tmp_path):
    opened.ask("bass")
    opened.engine.begin()
    opened.c.documents.close()
    assert not opened.engine.jobs
    assert opened.project.song is None


def test_speed_is_learned_and_said(opened):
    opened.engine.warm_up()
    prompt = replace(opened.project.prompt, text="bass")
    assert opened.c.seconds_for(prompt) == pytest.approx(20 / 50)
    opened.c.submit(prompt)
    opened.engine.finish()  # 10 s of music in half a second
    assert opened.c.seconds_for(prompt) == pytest.approx(1.0)


def test_a_new_part_hears_faders_and_a_muted_rest(opened):
    opened.ask("bass, drums")
    opened.engine.finish_all()
    opened.c.set_lane(opened.lane("drums").id, "gain_db", -60.0)
    opened.c.set_lane("rest", "muted", True)
    opened.ask("a new bass", task="impute", takes=1)
    assert [layer.gain for layer in opened.engine.finish().heard] == [0.0, 1.0]


def test_stems_that_overlap_on_a_lane_are_heard_as_one(opened):
    opened.c.set_region(REGION)
    opened.ask("bass")
    opened.engine.finish_all()
    opened.c.set_region(Span(6 * RATE_HZ, 10 * RATE_HZ))
    opened.ask("bass")
    opened.engine.finish_all()
    lane = opened.lane("bass")
    assert len(lane.parts) == 2
    opened.c.set_lane(lane.id, "muted", True)
    opened.ask("a new bass", task="impute", takes=1)
    assert [layer.lane for layer in opened.engine.finish().heard] == ["", lane.id, lane.id]


def test_an_accompaniment_is_made_again_beside_the_same_lane(opened):
    opened.ask("bass")
    opened.engine.finish_all()
    opened.session.select((opened.lane("bass").id,))
    opened.ask("drums", task="accompany", takes=1)
    first = opened.engine.finish()
    opened.session.select(())
    opened.c.making.make_again(opened.lane("drums").id, 0, vary=True)
    assert opened.engine.finish().heard == first.heard


def test_undoing_a_sensitivity_brings_back_its_sound(opened):
    opened.ask("bass")
    opened.engine.finish_all()
    lane = opened.lane("bass")
    old = lane.parts[0].take
    opened.c.set_lane(lane.id, "sensitivity", 0.5)
    opened.engine.finish_all()
    opened.session.undo()
    assert (opened.lane("bass").sensitivity, opened.lane("bass").parts[0].take) == (0.0, old)
    opened.session.redo()
    assert opened.lane("bass").parts[0].take.made.sensitivity == 0.5


def test_a_sensitivity_whose_job_ended_with_an_undo_is_met_once_it_is_done_again(opened):
    opened.ask("bass")
    opened.engine.finish_all()
    opened.c.set_lane(opened.lane("bass").id, "sensitivity", 0.5)
    opened.session.undo()
    opened.session.undo()
    assert not opened.engine.jobs
    opened.session.redo()
    assert not opened.engine.jobs
    opened.session.redo()
    (job,) = opened.engine.jobs
    opened.engine.finish_all()
    assert opened.lane("bass").parts[0].take.made.sensitivity == job.request.sensitivity == 0.5


def test_going_back_to_a_sensitivity_that_was_turned_on_before_it_was_met_meets_it(opened, monkeypatch):
    opened.ask("bass")
    opened.engine.finish_all()
    lane_id, cancelled = opened.lane("bass").id, []
    opened.c.set_lane(lane_id, "sensitivity", 0.4)
    cancel = opened.engine.cancel
    monkeypatch.setattr(opened.engine, "cancel", cancelled.append)  # as the real one, it takes a moment
    opened.c.set_lane(lane_id, "sensitivity", 0.5)
    opened.session.undo()
    for job_id in cancelled:
        cancel(job_id)
    monkeypatch.undo()
    (job,) = opened.engine.jobs
    assert job.request.sensitivity == 0.4
    opened.engine.finish_all()
    assert opened.lane("bass").parts[0].take.made.sensitivity == 0.4
    opened.session.redo()
    opened.session.undo()
    assert [job.request.sensitivity for job in opened.engine.jobs] == [0.5]


def test_an_undo_beside_a_sensitivity_that_is_being_met_begins_nothing_anew(opened):
    opened.ask("bass")
    opened.engine.finish_all()
    opened.c.set_lane(opened.lane("bass").id, "sensitivity", 0.5)
    jobs = list(opened.engine.jobs)
    opened.c.set_lane("song", "muted", True)
    opened.session.undo()
    opened.session.redo()
    assert opened.engine.jobs == jobs


def test_a_better_version_comes_through_a_sensitivity_turned_meanwhile(opened):
    loop(opened)
    opened.ask("bass")
    opened.engine.finish()
    opened.c.set_lane(opened.lane("bass").id, "sensitivity", 0.5)
    opened.engine.finish_all()
    (part,) = opened.lane("bass").parts
    assert (part.take.made.quality, part.take.made.sensitivity) == ("standard", 0.5)
    assert not opened.session.jobs


def test_a_sensitivity_turned_while_a_stem_grows_is_met(opened):
    opened.ask("bass, drums")
    opened.engine.begin()
    lane_id = opened.player.growing[0].lane_id
    opened.c.set_lane(lane_id, "sensitivity", -0.5)
    opened.engine.finish_all()
    assert opened.project.lane(lane_id).parts[0].take.made.sensitivity == -0.5


def test_what_is_made_again_is_heard_and_undone(opened):
    opened.ask("strings", task="impute", takes=1, seed=5)
    opened.engine.finish_all()
    opened.c.making.make_again(opened.lane("strings").id, 0, vary=True)
    opened.engine.finish_all()
    assert opened.lane("strings").parts[0].chosen == 1
    assert opened.session.history.undo_title == "vary strings"
    opened.c.making.make_again(opened.lane("strings").id, 0, vary=False)
    opened.engine.finish_all()
    assert len(opened.lane("strings").parts[0].takes) == 2
    opened.session.undo()
    assert len(opened.lane("strings").parts[0].takes) == 1


def test_more_takes_than_there_are_keys_are_not_made_in_vain(opened):
    opened.ask("strings", task="impute", takes=9)
    opened.engine.finish_all()
    with pytest.raises(InputError, match="9 takes"):
        opened.c.making.make_again(opened.lane("strings").id, 0, vary=True)
    assert not opened.engine.jobs


def test_a_later_take_that_fails_leaves_the_first_as_it_is(opened):
    opened.ask("strings", task="impute", takes=2)
    opened.engine.finish()
    opened.engine.fail(0.5)
    (part,) = opened.lane("strings").parts
    assert part.span == Span(0, opened.project.samples)


def test_what_was_not_finished_promises_no_more_than_is_kept(opened):
    opened.c.set_region(REGION)
    opened.ask("bass")
    opened.engine.fail(0.5)
    opened.ask("drums")
    opened.engine.begin(0.5)
    opened.ask("strings", task="impute", takes=3)
    folder = opened.session.folder.folder
    for _ in range(2):
        opened.c.documents.close()
        opened.open(folder)
        said = [view.message for view in opened.session.jobs.values()]
        assert len(said) == 5
        assert ["What was done is kept" in each for each in said] == [True] * 2 + [False] * 3
        assert ["Nothing of it was finished" in each for each in said] == [False] * 2 + [True] * 3
    opened.session.select(("song",))
    opened.ask("keys", task="impute", takes=1, like=REGION, like_lane=opened.lane("bass").id)
    opened.session.select((opened.lane("bass").id,))
    opened.c.remove_selected()
    opened.c.documents.close()
    opened.open(folder)
    (lost,) = [view for view in opened.session.jobs.values() if view.job.title == "Adding keys"]
    assert not lost.can_retry and "Nothing of it was finished" in lost.message and "is gone" in lost.message


def test_a_failed_job_leaves_no_empty_lane_and_retry_brings_it_back(opened):
    opened.ask("bass")
    job = opened.engine.fail(0.0)
    assert not opened.session.shown.of_kind("extracted")
    opened.c.making.retry(job.id)
    assert opened.session.shown.of_kind("extracted")
    opened.engine.finish_all()
    assert opened.lane("bass")


@pytest.mark.parametrize("looped", [False, True], ids=["whole", "draft first"])
def test_one_of_several_stems_is_removed_and_the_others_still_come(opened, looped):
    if looped:
        loop(opened)
    opened.ask("drums, bass, vocals")
    opened.engine.begin(0.5)
    bass = next(lane.id for lane in opened.session.shown.lanes if lane.name == "bass")
    opened.session.select((bass,))
    opened.c.remove_selected()
    assert [lane.name for lane in opened.session.shown.of_kind("extracted")] == ["drums", "vocals"]
    assert [part.lane_id == bass for part in opened.player.growing] == [False, False]
    opened.engine.finish_all()
    assert [lane.name for lane in opened.project.of_kind("extracted")] == ["drums", "vocals"]
    assert {lane.parts[0].take.made.quality for lane in opened.project.of_kind("extracted")} == {"standard"}
    assert opened.session.history.undo_title == "extract drums, vocals"
    assert not opened.session.jobs and not list(opened.session.store.folder.glob("*.part.wav"))
    check_null(opened)


def test_a_job_all_of_whose_stems_are_removed_is_stopped(opened):
    opened.ask("drums, bass")
    opened.engine.begin(0.5)
    for lane in opened.session.shown.of_kind("extracted"):
        opened.session.select((lane.id,))
        opened.c.remove_selected()
    assert not opened.engine.jobs and not opened.session.shown.of_kind("extracted")


def test_a_regenerated_source_goes_with_either_of_its_lanes(opened):
    opened.c.set_region(REGION)
    for name in ("bass", "bass (replaced)"):
        opened.ask("bass", task="inpaint", takes=1)
        lane = next(lane for lane in opened.session.shown.lanes if lane.name == name)
        opened.session.select((lane.id,))
        opened.c.remove_selected()
        assert not opened.engine.jobs


def test_generated_music_leaves_no_empty_lane(world):
    world.ask("calm piano; drums", task="generate")
    world.engine.finish()
    world.engine.finish_all()
    assert [lane.name for lane in world.session.shown.lanes] == ["Song", "drums", "Rest"]


def test_ids_of_removed_lanes_do_not_come_back(opened):
    opened.ask("rhodes", task="impute", takes=1)
    opened.engine.finish_all()
    gone = opened.lane("rhodes").id
    opened.session.select((gone,))
    opened.c.remove_selected()
    opened.ask("strings", task="impute", takes=3)
    opened.engine.finish_all()
    assert opened.lane("strings").id != gone


def test_ids_of_removed_lanes_do_not_come_back_under_another_name(opened, tmp_path):
    opened.ask("rhodes", task="impute", takes=2)
    opened.engine.finish_all()
    gone = opened.lane("rhodes").id
    opened.session.select((gone,))
    opened.c.remove_selected()
    opened.c.documents.save_as(tmp_path / "Copy.mgeldm")
    opened.ask("strings", task="impute", takes=3)
    opened.engine.finish_all()
    assert opened.lane("strings").id != gone
    while opened.session.history.undo_title != "add rhodes":
        opened.session.undo()
    assert [take.made.prompt for take in opened.lane("rhodes").parts[0].takes] == ["rhodes", "rhodes"]


def test_jobs_of_a_project_that_was_left_are_forgotten(opened, tmp_path):
    opened.ask("bass")
    opened.engine.fail(0.0)
    opened.ask("drums")
    audio = opened.session.store.folder
    opened.open(write_song(tmp_path / "another.wav"))
    assert not opened.c.making._works
    assert not list(audio.glob("*.part.wav"))


def test_sensitivity_leaves_the_silence_over_a_regenerated_source(opened):
    opened.ask("bass")
    opened.engine.finish_all()
    opened.c.set_region(REGION)
    opened.ask("bass", task="inpaint", takes=1)
    opened.engine.finish_all()
    opened.c.set_lane(opened.project.of_kind("extracted")[0].id, "sensitivity", 0.5)
    opened.engine.finish_all()
    first = opened.project.of_kind("extracted")[0]
    assert np.abs(sound(opened, first, REGION.start + 200, REGION.stop - 200)).max() == 0
    check_null(opened)


def test_generating_beside_a_song_makes_a_lane_of_a_few_seconds_or_of_the_region(opened):
    opened.ask("rain", task="generate", takes=1)
    opened.engine.finish_all()
    assert (opened.lane("rain").kind, opened.lane("rain").parts[0].span) == ("added", Span(0, 10 * RATE_HZ))
    opened.c.set_region(REGION)
    opened.ask("wind", task="generate", takes=1)
    opened.engine.finish_all()
    assert opened.lane("wind").parts[0].span == PART


@pytest.mark.parametrize(
    ("playhead_s", "known", "span_s"),
    [
        (4.5, True, (4.0, 14.0)), (4.5, False, (4.5, 14.5)), (0.0, True, (0.0, 10.0)), (1.9, True, (0.0, 10.0)),
        (13.0, True, (12.0, 20.0)), (19.99, True, (18.0, 20.0)), (20.0, True, (0.0, 10.0)),
    ],
)  # fmt: skip
def test_music_from_nothing_begins_with_the_bar_of_the_playhead(opened, playhead_s, known, span_s):
    if not known:
        opened.session.amend(lambda project: replace(project, tempo=replace(project.tempo, source="none")))
    opened.player.seek(round(playhead_s * RATE_HZ))
    opened.ask("rain", task="generate", takes=2)
    opened.engine.finish_all()
    (part,) = opened.lane("rain").parts
    assert part.span == Span(*(round(at_s * RATE_HZ) for at_s in span_s)) and len(part.takes) == 2


def test_music_from_nothing_has_room_for_the_shortest_part_and_leaves_the_playhead_for_a_region(opened):
    opened.session.amend(lambda project: replace(project, tempo=replace(project.tempo, source="none")))
    opened.player.seek(opened.project.samples - 1)
    opened.ask("rain", task="generate", takes=1)
    opened.c.set_region(REGION)
    opened.ask("wind", task="generate", takes=1)
    opened.engine.finish_all()
    assert not opened.told and opened.lane("wind").parts[0].span == PART
    assert opened.lane("rain").parts[0].span.stop == opened.project.samples


def test_a_part_is_like_a_lane_in_the_selection(opened):
    opened.ask("bass", seed=3)
    opened.engine.finish_all()
    bass, like = opened.lane("bass"), Span(RATE_HZ, 3 * RATE_HZ)
    wish = {"like": like, "like_lane": bass.id, "takes": 1, "seed": 9}
    opened.c.set_region(REGION)
    opened.ask("", task="impute", **wish)
    job = opened.engine.finish()
    assert (job.request.prompts, job.request.like.start_s, job.request.like.end_s) == ((), 1.0, 3.0)
    path = opened.session.store.path(bass.parts[0].take.audio)
    assert [(layer.gain, layer.path == path) for layer in job.example] == [(0.0, False), (1.0, True)]
    lane = opened.lane("like bass at 1.0 s")
    assert (lane.parts[0].take.made.like, lane.parts[0].take.made.like_lane) == (like, bass.id)
    opened.c.making.make_again(lane.id, 0, vary=True)
    again = opened.engine.finish()
    assert (again.example, again.request.like) == (job.example, job.request.like)
    opened.session.select((bass.id,))
    opened.c.remove_selected()
    with pytest.raises(InputError, match="is gone"):
        opened.c.making.make_again(lane.id, 0, vary=True)
    assert "is gone" in opened.c.blocked(replace(opened.project.prompt, text="", task="impute", **wish))


def test_a_lane_that_is_silent_in_the_selection_is_no_example(opened):
    opened.c.set_region(REGION)
    opened.ask("bass")
    opened.engine.finish_all()
    wish = {"task": "impute", "like": Span(0, RATE_HZ), "like_lane": opened.lane("bass").id}
    assert "bass has nothing in the selection" in opened.c.blocked(replace(opened.project.prompt, **wish))


def test_a_selection_of_the_song_is_an_example_for_every_task_but_generate(opened):
    opened.c.set_region(REGION)
    opened.session.select((opened.project.lanes[0].id,))
    for task in ("extract", "impute", "accompany", "inpaint", "generate"):
        opened.ask("strings", task=task, takes=1, like=Span(0, RATE_HZ))
        job = opened.engine.finish()
        assert bool(job.example) == (task != "generate")


def test_a_stem_like_a_lane_that_is_gone_stays_as_it_is_and_holds_up_nothing(opened):
    opened.ask("bass")
    opened.engine.finish_all()
    bass = opened.lane("bass")
    opened.ask("", like=Span(0, RATE_HZ), like_lane=bass.id)
    opened.ask("drums", like=None)
    opened.engine.finish_all()
    stem, drums = opened.lane("like bass at 0.0 s"), opened.lane("drums")
    opened.session.select((bass.id,))
    opened.c.remove_selected()
    opened.c.set_lane(stem.id, "sensitivity", 0.5)
    assert len(opened.told) == 1 and "is gone" in opened.told[0][0]
    opened.c.set_lane(stem.id, "gain_db", -3.0)
    opened.session.undo()
    opened.session.redo()
    assert len(opened.told) == 1  # once is enough
    assert opened.c.making.best([stem.id, drums.id]) == 1
    opened.engine.finish_all()
    assert opened.lane("drums").parts[0].take.made.quality == "best"
    for _ in range(4):
        opened.session.undo()
    assert opened.c.making.best([stem.id]) == 1  # it is there again
    opened.engine.finish_all()


def test_a_part_like_what_it_took_the_place_of_can_be_varied(opened):
    opened.ask("bass")
    opened.engine.finish_all()
    bass = opened.lane("bass")
    opened.c.set_region(REGION)
    opened.ask("bass", task="inpaint", takes=1, like=REGION, like_lane=bass.id)
    job = opened.engine.finish()
    assert len(opened.lane("bass").parts) == 2  # the second is silence
    part = opened.project.of_kind("added")[0]
    opened.c.making.make_again(part.id, 0, vary=True)
    assert opened.engine.finish().example == job.example
    opened.ask("bass", task="inpaint", takes=1, like=REGION, like_lane=bass.id)
    assert opened.engine.finish().example == job.example


@pytest.mark.parametrize("like_lane", [True, False])
def test_what_a_sound_alone_names_is_not_taken_away_twice_either(opened, like_lane):
    """By the lane that it is like, or by the stem that was found by the same sound."""
    opened.ask("bass")
    opened.engine.finish_all()
    like = {"like": REGION, "like_lane": opened.lane("bass").id if like_lane else ""}
    opened.ask("", task="extract", **like)
    opened.engine.finish_all()
    opened.c.set_region(REGION)
    opened.ask("", task="inpaint", takes=2, **like)
    opened.engine.finish_all()
    names = ["bass", "like bass at 4.0 s"] if like_lane else ["like 4.0 s"]
    silent = [lane.name for lane in opened.project.of_kind("extracted") if not lane.parts[-1].take.made.repeatable]
    assert silent == names
    check_null(opened)


def test_a_lane_that_was_silenced_whole_is_no_example(opened):
    opened.c.set_region(REGION)
    opened.ask("bass")
    opened.engine.finish_all()
    wish = {"task": "inpaint", "takes": 1, "like": REGION, "like_lane": opened.lane("bass").id}
    opened.ask("bass", **wish)
    opened.engine.finish_all()
    with pytest.raises(InputError, match="silent there"):
        opened.c.making.make_again(opened.project.of_kind("added")[0].id, 0, vary=True)
    assert "has nothing in the selection" in opened.c.blocked(replace(opened.project.prompt, text="bass", **wish))


def parts_of(world):
    """Files of the store that were begun and are still there."""
    return list(world.session.store.folder.glob("*.part.wav"))


@pytest.fixture(params=["while it grows", "for ever"])
def held(request, opened, monkeypatch):
    """As on Windows, where a file that the player has mapped can be neither renamed nor removed."""
    real_replace, real_unlink, mapped = os.replace, Path.unlink, set()

    def check(path):
        mapped.update(part.path for part in opened.player.growing)
        if path in (mapped if request.param == "for ever" else {part.path for part in opened.player.growing}):
            raise PermissionError(13, "in use")

    def replace(source, target):
        check(source)
        real_replace(source, target)

    def unlink(path, missing_ok=False):
        if path.exists():
            check(path)
        real_unlink(path, missing_ok)

    monkeypatch.setattr(os, "replace", replace)
    monkeypatch.setattr(Path, "unlink", unlink)
    yield opened
    left = parts_of(opened)
    assert bool(left) == (request.param == "for ever")
    monkeypatch.undo()
    opened.session.store.sweep()
    assert not parts_of(opened)


def test_a_stem_whose_file_the_player_holds_lands(held):
    held.ask("bass, drums")
    held.engine.finish_all()
    assert [lane.name for lane in held.project.of_kind("extracted")] == ["bass", "drums"]
    assert not held.session.jobs and not held.told and not held.player.growing
    check_null(held)


def test_a_stem_whose_file_the_player_holds_can_be_cancelled(held):
    held.ask("bass")
    held.c.making.cancel(held.engine.begin().id)
    assert not held.session.jobs and not held.session.coming and not held.told and not held.player.growing


def test_a_stem_that_is_there_already_lands_though_the_player_holds_its_file(held):
    for _ in range(2):
        held.ask("bass", seed=1)
        held.engine.finish_all()
    assert len(held.lane("bass").parts) == 1 and not held.session.jobs and not held.told


def test_what_cannot_be_kept_ends_its_job_and_says_so(opened, monkeypatch):
    opened.ask("bass")
    opened.engine.finish_all()
    opened.c.set_region(REGION)
    opened.ask("bass", task="inpaint", takes=1)
    before = set(opened.session.store.folder.iterdir())

    def full(*_):
        raise OutputError("No room for audio in {folder}; free some disk, then try again.", folder="here")

    monkeypatch.setattr(ClipStore, "begin", full)
    opened.engine.finish_all()
    assert not opened.session.jobs and not opened.session.coming and not opened.player.growing
    assert set(opened.session.store.folder.iterdir()) == {path for path in before if ".part" not in path.name}
    assert opened.told == [
        (
            "A finished stem could not be kept; ask for it again. No room for audio in here; free some disk, then try "
            "again.",
            True,
        )
    ]


def test_an_error_nobody_foresaw_while_landing_ends_the_job_and_is_told(opened, monkeypatch):
    def fail(*_):
        raise KeyError("L7")

    monkeypatch.setattr(Landing, "add", fail)
    details = []
    opened.session.notice.connect(lambda text, error, more, _: details.append(more))
    opened.ask("bass")
    opened.engine.finish_all()
    assert not opened.session.jobs and not opened.session.coming and not opened.player.growing
    assert opened.told == [("A finished stem could not be kept; ask for it again.", True)]
    assert "Traceback" in details[0] and "KeyError: 'L7'" in details[0]


def test_an_error_nobody_foresaw_while_keeping_what_was_finished_is_told_with_a_report(opened, monkeypatch):
    def fail(*_):
        raise AssertionError

    monkeypatch.setattr(Landing, "add", fail)
    details = []
    opened.session.notice.connect(lambda text, error, more, _: details.append(more))
    opened.ask("bass")
    opened.engine.fail(0.5)
    assert opened.told == [("What was finished of a stem could not be kept; ask for it again.", True)]
    assert "Traceback" in details[0] and "AssertionError" in details[0]


def test_silence_over_a_regenerated_source_is_made_on_a_worker(opened, monkeypatch):
    opened.ask("bass")
    opened.engine.finish_all()
    opened.c.set_region(REGION)
    opened.ask("bass", task="inpaint", takes=2)
    run, adopt, working = opened.workers.run, ClipStore.adopt, []

    def run_marked(function, done, failed):
        def marked():
            working.append(True)
            try:
                return function()
            finally:
                working.pop()

        run(marked, done, failed)

    def adopt_there(store, path, *rest):
        assert working
        return adopt(store, path, *rest)

    monkeypatch.setattr(opened.workers, "run", run_marked)
    monkeypatch.setattr(ClipStore, "adopt", adopt_there)
    opened.engine.finish_all()
    assert not opened.told and not opened.session.jobs
    first = opened.project.of_kind("extracted")[0]
    assert np.abs(sound(opened, first, REGION.start + 200, REGION.stop - 200)).max() == 0


def test_half_a_regenerated_part_takes_away_half_a_source_and_the_whole_one_all_of_it(opened):
    opened.ask("bass")
    opened.engine.finish_all()
    opened.c.set_region(REGION)
    opened.ask("bass", task="inpaint", takes=1)
    job = opened.engine.fail(0.5)
    first, half = opened.project.of_kind("extracted")[0], REGION.start + REGION.samples // 2
    assert np.abs(sound(opened, first, REGION.start + 200, half - 200)).max() == 0
    assert np.abs(sound(opened, first, half + 200, REGION.stop)).max() > 0
    check_null(opened)
    opened.c.making.retry(job.id)
    opened.engine.finish_all()
    assert [part.span for part in opened.lane("bass (replaced)").parts] == [PART]
    check_null(opened)


@pytest.mark.parametrize("then", ["retry", "cancel"])
def test_what_was_finished_is_kept_though_the_job_is_tried_again_or_put_away_before_it_is_copied(opened, then):
    opened.c.set_region(REGION)
    opened.ask("bass")
    opened.workers.holding = True
    job = opened.engine.fail(0.5)
    getattr(opened.c.making, then)(job.id)
    opened.workers.release()
    assert [part.span.samples for part in opened.lane("bass").parts] == [HALF]
    assert not opened.told and len(parts_of(opened)) == len(opened.engine.jobs)
    if then == "retry":
        opened.engine.finish_all()
        assert [part.span for part in opened.lane("bass").parts] == [PART]
    assert not parts_of(opened) and not opened.session.jobs
    check_null(opened)


def test_half_that_is_copied_when_the_whole_is_there_is_of_no_use(opened, monkeypatch):
    opened.ask("bass")
    held = []
    with monkeypatch.context() as later:
        later.setattr(opened.c.making, "workers", SimpleNamespace(run_in_turn=lambda *work: held.append(work)))
        job = opened.engine.fail(0.5)
    opened.c.making.retry(job.id)
    opened.engine.finish_all()
    ((begin, land, _),) = held
    land(begin()())
    assert [part.span.samples for part in opened.lane("bass").parts] == [opened.project.samples]
    assert not parts_of(opened) and not opened.told


def test_of_several_stems_those_are_kept_that_are_not_there(opened):
    opened.ask("bass")
    opened.engine.finish_all()
    whole = opened.lane("bass").parts
    opened.ask("bass, drums", seed=3)
    job = opened.engine.fail(0.5)
    assert [part.span for part in opened.lane("drums").parts] == [Span(0, opened.project.samples // 2)]
    assert opened.lane("bass").parts == whole  # half of another one would be of no use there
    check_null(opened)
    opened.c.retry(job.id)
    opened.engine.finish_all()
    whole = Span(0, opened.project.samples)
    assert [part.span for name in ("bass", "drums") for part in opened.lane(name).parts] == [whole, whole]
    check_null(opened)


def test_speed_is_learned_of_new_work_alone(opened):
    opened.engine.warm_up()
    opened.ask("bass", quality="best")
    (job,) = opened.engine.jobs
    opened.engine.events.emit(Finished(job.id, 0.01, 10.0, is_new=False))  # 1000 times real time
    assert not opened.c.settings.speed("extract", "best", "cpu")
    opened.ask("drums", quality="best")
    opened.engine.jobs.remove(job)
    opened.engine.finish()
    assert opened.c.settings.speed("extract", "best", "cpu") == pytest.approx(20.0)


def test_a_stem_of_what_is_no_number_is_told_and_becomes_no_lane(opened):
    before = set(opened.session.store.folder.iterdir())
    opened.ask("bass")
    job = opened.engine.next()
    opened.engine.begin(1.0)
    map_wav(job.outputs[0], writable=True)[0][100] = np.nan
    opened.engine.jobs.remove(job)
    opened.engine.events.emit(Finished(job.id, 0.5, 10.0))
    ((text, error),) = opened.told
    assert error and text.startswith("A finished stem could not be kept") and "not numbers" in text
    assert not opened.project.of_kind("extracted") and not opened.session.jobs and not opened.session.coming
    assert set(opened.session.store.folder.iterdir()) == before
