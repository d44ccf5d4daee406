import shutil

import numpy as np
import pytest

from mgeldm_app.core import commands
from mgeldm_app.core.project import Span
from mgeldm_app.core.resuming import NOT_FINISHED
from mgeldm_app.core.storage import ProjectFolder
from tests.core.test_making import HALF, PART, REGION, check_null
from tests.fakes.world import RATE_HZ, World, write_song


@pytest.fixture
def killed(opened, tmp_path, home):
    """Opens what a run that ends now leaves behind, in another program."""
    worlds = []

    def open_again():
        left = shutil.copytree(opened.session.folder.folder, tmp_path / f"left {len(worlds)}.mgeldm")
        world = World()
        worlds.append(world)
        world.open(left)
        return world

    yield open_again
    for world in worlds:
        world.c.close()


def closed(world):
    """The same project, closed and opened in the same window."""
    folder = world.session.folder.folder
    world.c.documents.close()
    world.open(folder)
    return world


def rows(world):
    return [(view.state, view.job.title) for view in world.session.jobs.values()]


@pytest.mark.parametrize("how", ["killed", "closed", "quit"])
def test_a_stem_under_way_comes_back_with_what_was_finished_and_can_be_had_whole(opened, killed, how):
    opened.c.set_region(REGION)
    opened.ask("bass", seed=3)
    opened.ask("drums", seed=4)
    opened.engine.begin(0.5)
    folder = opened.session.folder.folder
    if how == "quit":
        opened.c.close()
    again = closed(opened) if how == "closed" else killed()
    assert not again.engine.jobs and not again.c.session.busy
    assert rows(again) == [("stopped", "Extracting bass"), ("stopped", "Extracting drums")]
    (part,) = again.lane("bass").parts
    assert part.span == Span(PART.start, PART.start + HALF)
    assert np.abs(again.session.store.view(part.take.audio)).max() > 0
    assert [lane.name for lane in again.session.shown.of_kind("extracted")] == ["bass"]
    check_null(again)
    for job_id in list(again.session.jobs):
        again.c.retry(job_id)
    assert [job.request.sampling.seed for job in again.engine.jobs] == [3, 4]
    again.engine.finish_all()
    assert [part.span for name in ("bass", "drums") for part in again.lane(name).parts] == [PART, PART]
    assert not again.session.jobs and not again.told
    check_null(again)
    assert not list(again.session.store.folder.glob("*.part.wav"))
    assert not (again.session.folder.folder / "jobs.json").exists() and folder.exists()


def test_of_several_stems_those_come_back_that_were_not_there(opened, killed):
    opened.ask("bass")
    opened.engine.finish_all()
    whole = opened.lane("bass").parts
    opened.ask("bass, drums")
    opened.engine.begin(0.5)
    again = killed()
    assert rows(again) == [("stopped", "Extracting bass, drums")]
    assert again.session.jobs.popitem()[1].message == NOT_FINISHED
    assert [part.span for part in again.lane("drums").parts] == [Span(0, again.project.samples // 2)]
    assert again.lane("bass").parts == whole
    check_null(again)


@pytest.mark.parametrize("then", ["finish", "fail"])
def test_a_stem_that_is_finished_as_the_window_closes_is_there_the_next_time(opened, killed, then):
    opened.c.set_region(REGION)
    opened.ask("bass")
    opened.workers.holding = True
    getattr(opened.engine, then)()
    opened.workers.wait()  # the worker has done its part, but the window closes before it hears of that
    opened.c.close()
    again = killed()
    assert [part.span.samples for part in again.lane("bass").parts] == [PART.samples if then == "finish" else HALF]
    assert rows(again) == ([] if then == "finish" else [("stopped", "Extracting bass")])
    assert not again.told
    check_null(again)


def test_a_stem_that_is_finished_but_not_yet_read_as_the_window_closes_is_kept(opened, killed):
    opened.ask("bass")
    opened.workers.holding = True
    opened.engine.finish()
    opened.c.close()
    again = killed()
    assert [part.span for part in again.lane("bass").parts] == [Span(0, again.project.samples)]
    check_null(again)


def test_what_was_put_away_does_not_come_back(opened, killed):
    opened.ask("bass")
    opened.engine.begin(0.5)
    again = killed()
    (job_id,) = again.session.jobs
    again.c.making.cancel(job_id)
    assert not closed(again).session.jobs
    assert not list(again.session.store.folder.glob("*.part.wav"))


def test_a_failure_waits_too_and_is_kept_once(opened):
    opened.ask("bass")
    opened.engine.fail(0.5)
    parts = opened.lane("bass").parts
    assert rows(closed(opened)) == [("stopped", "Extracting bass")]
    assert opened.lane("bass").parts == parts
    assert not list(opened.session.store.folder.glob("*.part.wav"))


def test_takes_still_to_come_join_the_first(opened):
    opened.ask("strings", task="impute", takes=3, seed=10)
    opened.engine.finish()
    closed(opened)
    assert [title for _, title in rows(opened)] == ["Adding strings, take 2", "Adding strings, take 3"]
    for job_id in list(opened.session.jobs):
        opened.c.retry(job_id)
    opened.engine.finish_all()
    (part,) = opened.lane("strings").parts
    assert [take.made.seed for take in part.takes] == [10, 11, 12]


def test_a_draft_comes_back_as_its_better_version(opened):
    opened.c.set_region(REGION)
    opened.c.set_looping(True)
    opened.ask("bass")
    opened.engine.finish()
    closed(opened)
    (job_id,) = opened.session.jobs
    opened.c.retry(job_id)
    opened.engine.finish_all()
    (part,) = opened.lane("bass").parts
    assert (len(part.takes), part.take.made.quality) == (1, "standard")


def test_a_sensitivity_that_was_not_met_can_be(opened):
    opened.ask("bass, drums")
    opened.engine.finish_all()
    opened.c.set_lane(opened.lane("drums").id, "sensitivity", 0.5)
    closed(opened)
    (job_id,) = opened.session.jobs
    opened.c.retry(job_id)
    (job,) = opened.engine.jobs
    assert (job.request.prompts, job.request.sensitivity) == (("bass", "drums"), 0.5)
    opened.engine.finish_all()
    (part,) = opened.lane("drums").parts
    assert (len(part.takes), part.take.made.sensitivity) == (1, 0.5)


def test_new_lanes_do_not_take_the_ids_of_those_to_come(opened):
    opened.ask("bass")
    closed(opened)
    opened.ask("drums")
    opened.engine.finish_all()
    (job_id,) = opened.session.jobs
    opened.c.retry(job_id)
    opened.engine.finish_all()
    assert {lane.name for lane in opened.project.of_kind("extracted")} == {"bass", "drums"}


def test_jobs_that_are_left_for_another_project_do_not_cost_it_its_own(opened, tmp_path):
    first = opened.session.folder.folder
    opened.ask("bass")
    opened.c.documents.close()
    opened.open(write_song(tmp_path / "other.wav"))
    opened.ask("drums")
    opened.open(first)
    (job_id,) = opened.session.jobs
    opened.c.retry(job_id)
    opened.engine.finish_all()
    assert opened.lane("bass").parts


def test_a_second_window_leaves_the_jobs_of_the_first_alone(opened):
    opened.ask("bass")
    second = World()
    second.open(opened.session.folder.folder)
    assert second.session.folder.read_only and not second.session.jobs
    second.c.close()
    opened.engine.finish_all()
    assert opened.lane("bass")


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b'{"schema": 99, "jobs": []}', b'{"schema": 1, "jobs": [{}]}'])
def test_damaged_jobs_are_no_obstacle(opened, content):
    folder = opened.session.folder.folder
    opened.c.documents.close()
    (folder / "jobs.json").write_bytes(content)
    opened.open(folder)
    assert opened.project.song and not opened.session.jobs and not opened.session.folder.notice


def test_files_that_went_cost_what_was_finished_alone(opened, killed):
    opened.ask("bass")
    opened.engine.begin(0.5)
    for path in opened.session.store.folder.glob("*.part.wav"):
        path.unlink()
    again = killed()
    assert not again.project.of_kind("extracted") and not again.told
    assert rows(again) == [("stopped", "Extracting bass")]


def test_how_far_a_job_is_gets_kept_now_and_then(opened):
    waiting = []
    opened.c.documents.later = waiting.append
    opened.ask("bass")
    opened.engine.begin(0.25)
    opened.engine.begin(0.5)
    assert len(waiting) == 1
    waiting.pop()()
    (job,) = opened.session.folder.unfinished
    assert job.filled == 10 * RATE_HZ
    folder = opened.session.folder.folder
    opened.c.documents.close()
    assert ProjectFolder.open(folder).unfinished == (job,)


def test_another_song_leaves_the_jobs_of_the_first_where_they_are(opened, tmp_path):
    opened.ask("bass")
    opened.engine.begin(0.5)
    folder = opened.session.folder.folder
    opened.open(write_song(tmp_path / "another.wav"))
    assert not opened.engine.jobs and not opened.session.jobs
    opened.open(folder)
    assert rows(opened) == [("stopped", "Extracting bass")] and opened.lane("bass")


@pytest.mark.parametrize("task", ["impute", "accompany"])
def test_a_part_whose_lane_to_listen_to_is_gone_says_so_and_is_not_made_of_something_else(opened, task):
    opened.ask("bass")
    opened.engine.finish_all()
    bass = opened.lane("bass")
    opened.session.select((bass.id,))
    like = {"like": Span(0, RATE_HZ), "like_lane": bass.id} if task == "impute" else {}
    opened.ask("keys", task=task, takes=1, **like)
    opened.c.remove_selected()
    assert not closed(opened).told
    ((job_id, view),) = opened.session.jobs.items()
    assert not view.can_retry and "is gone" in view.message
    opened.c.making.cancel(job_id)
    assert not closed(opened).session.jobs


def test_what_was_not_copied_yet_when_the_project_was_left_is_kept_the_next_time(opened):
    opened.c.set_region(REGION)
    opened.ask("bass")
    opened.workers.holding = True
    opened.engine.fail(0.5)
    folder = opened.session.folder.folder
    opened.c.documents.close()
    opened.workers.release()
    opened.open(folder)
    assert [part.span.samples for part in opened.lane("bass").parts] == [HALF]
    assert rows(opened) == [("stopped", "Extracting bass")] and not opened.told
    check_null(opened)


@pytest.mark.parametrize("task", ["extract", "impute"])
def test_a_job_that_failed_goes_along_when_the_project_is_saved_under_another_name(opened, tmp_path, task):
    opened.ask("drums")
    opened.engine.finish_all()
    opened.ask("bass", task=task, seed=3, takes=1, like=Span(0, RATE_HZ))
    failed = opened.engine.fail(0.5)
    before, first = rows(opened), opened.session.folder.folder
    opened.c.documents.save_as(tmp_path / "Another.mgeldm")
    copy = opened.session.store.folder
    assert copy.parent.name == "Another.mgeldm"
    assert rows(opened) == before and before[0][0] == "failed"
    assert [job.title for job in opened.session.folder.unfinished] == [failed.title]
    assert not list(first.glob("audio/*.part.wav"))
    opened.c.retry(failed.id)
    (job,) = opened.engine.jobs
    assert (
        {layer.path.parent for layer in (*job.heard, *job.example)} == {path.parent for path in job.outputs} == {copy}
    )
    assert (job.request, len(job.heard), len(job.example)) == (failed.request, len(failed.heard), len(failed.example))
    opened.engine.finish_all()
    lane = next(lane for lane in opened.project.lanes if failed.title.endswith(lane.name))
    assert [part.span.samples for part in lane.parts] == [opened.project.samples]
    assert not opened.session.jobs and not list(copy.glob("*.part.wav"))
    assert ProjectFolder.open(first).unfinished  # as it was left
    check_null(opened)


def test_a_lane_that_a_job_brings_back_has_nothing_of_what_it_had(opened):
    opened.c.set_region(Span(0, RATE_HZ))
    opened.ask("bass")
    opened.engine.finish_all()
    opened.c.set_region(REGION)
    opened.ask("bass, drums")
    opened.session.do(commands.remove_lanes((opened.lane("bass").id,)))
    closed(opened)
    (job_id,) = opened.session.jobs
    opened.c.retry(job_id)
    assert not any(lane.parts for lane in opened.session.coming.values())
    opened.engine.finish_all()
    assert [part.span for part in opened.lane("bass").parts] == [PART]
    check_null(opened)


def test_a_part_made_again_takes_its_place_the_next_time_too(opened):
    opened.ask("bass")
    opened.engine.finish_all()
    opened.c.set_region(REGION)
    opened.ask("bass")
    opened.engine.finish_all()
    later = opened.lane("bass").parts[1]
    opened.c.making.make_again(opened.lane("bass").id, 0, vary=True)
    closed(opened)
    (job_id,) = opened.session.jobs
    opened.c.retry(job_id)
    job = opened.engine.finish()
    first, second = opened.lane("bass").parts
    assert (first.take.made.seed, second) == (job.request.sampling.seed, later)
