from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from mgeldm.audio import AudioClip, write

from mgeldm_app.core import commands, drop
from mgeldm_app.core.export import Colours
from mgeldm_app.core.opening import look_into
from mgeldm_app.core.project import Span, Tempo
from mgeldm_app.core.settings import ExportSettings
from mgeldm_app.core.storage import ProjectFolder
from tests.fakes.world import RATE_HZ, FakeWorkers, World, write_song


def test_a_song_opens_in_a_project_of_its_own(world, tmp_path, home):
    world.open(write_song(tmp_path / "Midnight Ferry.wav"))
    assert world.project.song.name == "Midnight Ferry.wav"
    assert world.project.tempo == world.tempo
    assert world.session.folder.folder == home / "MGE-LDM Projects" / "Midnight Ferry.mgeldm"
    assert world.c.settings.recent == (str(world.session.folder.folder),)
    assert not world.told


def test_two_songs_of_one_name_get_two_projects(world, tmp_path):
    song = write_song(tmp_path / "song.wav")
    world.open(song)
    first = world.session.folder.folder
    world.open(song)
    assert world.session.folder.folder != first
    assert first.is_dir()


def test_a_project_opens_as_it_was_left(opened, home):
    opened.c.set_region(Span(100, 9000))
    opened.ask("bass, drums")
    opened.engine.finish_all()
    opened.c.set_lane(opened.lane("bass").id, "gain_db", -4.5)
    before, folder = opened.project, opened.session.folder.folder
    opened.c.documents.close()
    assert opened.project.song is None
    opened.open(folder)
    assert opened.project == before
    assert opened.session.history.undo_title == ""


@pytest.mark.parametrize("lost", ["bass", "song", "piano", "nothing"])
def test_it_is_known_that_silence_stands_in_for_song_or_stem(opened, tmp_path, lost):
    opened.ask("bass")
    opened.ask("piano", task="impute", takes=1)
    opened.engine.finish_all()
    folder, store = opened.session.folder.folder, opened.session.store
    clips = {name: opened.lane(name).parts[0].take.audio for name in ("bass", "piano")}
    clips["song"] = opened.project.song.audio
    opened.c.documents.close()
    assert not opened.session.lacks_audio
    (tmp_path / "A song.wav").unlink()  # it would be read again
    if lost != "nothing":
        store.path(clips[lost]).unlink()
    opened.open(folder)
    assert opened.session.lacks_audio == (lost in ("bass", "song"))  # a part that was added is not in the sum


def test_every_change_is_on_the_disk_at_once(opened):
    opened.c.set_region(Span(100, 9000))
    other = ProjectFolder.open(opened.session.folder.folder)
    assert other.read_only
    assert other.project == opened.project


def test_while_one_save_runs_the_newest_waits(opened):
    opened.saver.holding = True
    for start in range(1, 6):
        opened.c.set_region(Span(start, 9000))
    opened.saver.release()
    assert ProjectFolder.open(opened.session.folder.folder).project == opened.project


def test_to_open_a_project_writes_nothing(opened):
    opened.c.set_tempo(Tempo(77.0))
    folder = opened.session.folder.folder
    opened.c.documents.close()

    def states():
        return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.glob("*.json")}

    before = states()
    for _ in range(2):
        opened.open(folder)
        opened.c.documents.close()
    assert states() == before and len(before) > 1


def bpm_in(folder):
    return ProjectFolder.open(folder).project.tempo.bpm


def test_closing_leaves_the_last_state_though_an_older_one_still_waits_to_be_written(opened):
    opened.saver.holding = True
    for bpm in (100.0, 77.0):
        opened.c.set_tempo(Tempo(bpm))
    opened.engine.close = opened.saver.wait  # the saver becomes free while the program ends
    opened.c.close()
    assert bpm_in(opened.session.folder.folder) == 77.0


def test_an_older_state_that_is_still_being_written_does_not_come_after_what_is_saved_now(opened):
    opened.saver.holding = True
    for bpm in (100.0, 77.0):
        opened.c.set_tempo(Tempo(bpm))
    opened.c.documents.save_now()
    opened.saver.wait()
    assert bpm_in(opened.session.folder.folder) == 77.0
    opened.saver.release()
    assert bpm_in(opened.session.folder.folder) == 77.0 and not opened.c.documents.unsaved


def test_a_project_that_is_left_for_another_keeps_its_last_state(opened, tmp_path):
    left = opened.session.folder.folder
    opened.saver.holding = True
    for bpm in (100.0, 77.0):
        opened.c.set_tempo(Tempo(bpm))
    opened.open(write_song(tmp_path / "other.wav"))
    opened.saver.release()
    assert bpm_in(left) == 77.0
    assert ProjectFolder.open(opened.session.folder.folder).project == opened.project


def test_saves_are_not_held_up_by_whatever_else_is_slow(opened):
    opened.workers.holding = True
    opened.c.taking.prepare(["song"], False, lambda files: None)
    opened.c.set_tempo(Tempo(77.0))
    assert bpm_in(opened.session.folder.folder) == 77.0
    opened.workers.release()


@pytest.mark.parametrize("content", [b"", b"RIFF....WAVE nonsense", b"\x00" * 5000])
def test_what_is_no_song_says_so_and_leaves_what_is_open(opened, tmp_path, content):
    before = opened.project
    bad = tmp_path / "bad.wav"
    bad.write_bytes(content)
    opened.open(bad)
    text, error = opened.told[-1]
    assert error
    assert "bad.wav" in text
    assert opened.project == before
    assert not (opened.session.folder.folder.parent / "bad.mgeldm").exists()


def test_a_second_window_reads_only(opened):
    opened.ask("bass")
    opened.engine.finish_all()
    second = World()
    second.open(opened.session.folder.folder)
    assert "is open in another window" in second.told[-1][0]
    assert second.project == opened.project
    second.ask("drums")
    assert "cannot be changed here" in second.told[-1][0]
    assert not second.engine.jobs
    second.c.close()


def test_save_as_goes_on_in_the_copy(opened, tmp_path):
    old = opened.session.folder.folder
    opened.ask("bass")
    opened.engine.finish_all()
    opened.c.documents.save_as(tmp_path / "copy.mgeldm")
    assert opened.session.folder.folder == tmp_path / "copy.mgeldm"
    opened.c.set_region(Span(0, 800))
    assert ProjectFolder.open(old).project.region is None
    assert opened.lane("bass").parts


def test_what_is_done_while_the_project_is_copied_is_not_lost_where_it_was(opened, tmp_path):
    old = opened.session.folder.folder
    opened.workers.holding = True
    opened.c.documents.save_as(tmp_path / "copy.mgeldm")
    opened.c.set_tempo(Tempo(77.0))
    opened.workers.release()
    assert bpm_in(old) == bpm_in(tmp_path / "copy.mgeldm") == 77.0


def test_a_copy_of_what_cannot_be_changed_has_what_was_done_in_the_window(opened, tmp_path):
    second = World()
    second.open(opened.session.folder.folder)
    second.c.set_tempo(Tempo(77.0))
    second.c.documents.save_as(tmp_path / "copy.mgeldm")
    assert bpm_in(tmp_path / "copy.mgeldm") == 77.0
    second.c.close()


def test_where_the_disk_is_full_the_project_goes_on_elsewhere(opened, tmp_path, monkeypatch):
    def full(project):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(opened.session.folder, "save", full)
    opened.c.set_tempo(Tempo(77.0))
    opened.c.documents.save_as(tmp_path / "copy.mgeldm")
    assert opened.session.folder.folder == tmp_path / "copy.mgeldm"
    assert bpm_in(tmp_path / "copy.mgeldm") == 77.0 and not opened.c.documents.unsaved


def test_a_tempo_given_by_the_user_is_never_overwritten(opened):
    opened.c.set_tempo(Tempo(99.0))
    opened.tempo = Tempo(140.0, source="found")
    opened.c.documents.find_tempo()
    assert opened.project.tempo.bpm == 99.0


def test_an_odd_song_opens(world, tmp_path):
    write(tmp_path / "mono.wav", AudioClip(np.zeros((1, RATE_HZ), np.float32), RATE_HZ))
    world.open(tmp_path / "mono.wav")
    assert world.project.song.audio.channels == 1
    world.ask("bass")
    world.engine.finish_all()
    assert world.project.of_kind("extracted")


def test_drops_are_sorted(tmp_path):
    song, other = tmp_path / "a.wav", tmp_path / "b.wav"
    song.touch()
    other.touch()
    project = tmp_path / "p.mgeldm"
    project.mkdir()
    (project / "project.json").touch()
    folder = tmp_path / "folder"
    folder.mkdir()
    plan = drop.plan([song, other, folder, tmp_path / "gone.wav"])
    assert (plan.song, plan.project) == (song, None)
    assert [name for name, _ in plan.refused] == ["b.wav", "folder", "gone.wav"]
    assert drop.refusals(plan).endswith("Nor were 2 others.")
    plan = drop.plan([song, project / "project.json"])
    assert (plan.song, plan.project) == (None, project)
    assert drop.plan([Path(song)]).refused == ()


def test_a_song_is_seen_before_it_is_decoded_and_can_be_called_off(world, tmp_path):
    world.workers.holding = True
    world.open(write_song(tmp_path / "long.flac"))
    opening = world.c.documents.opening
    assert (opening.name, opening.is_song, opening.share) == ("long.flac", True, 0.0)
    world.c.documents.cancel_opening()
    world.workers.release()
    assert opening.overview.peaks.max() > 0.1
    assert opening.overview.info.samples == 20 * RATE_HZ
    assert world.c.documents.opening is None
    assert world.project.song is None
    assert not world.told
    assert not (world.c.documents.home() / "long.mgeldm").exists()


def test_while_one_song_opens_another_waits(world, tmp_path):
    world.workers.holding = True
    world.open(write_song(tmp_path / "first.wav"))
    world.open(write_song(tmp_path / "second.wav"))
    assert "first.wav is still being opened" in world.told[-1][0]
    world.workers.release()
    assert world.project.song.name == "first.wav"


def test_save_as_keeps_the_history_and_what_was_done_meanwhile(opened, tmp_path):
    opened.ask("bass")
    opened.engine.finish_all()
    opened.workers.holding = True
    opened.c.documents.save_as(tmp_path / "copy.mgeldm")
    opened.c.set_lane(opened.lane("bass").id, "muted", True)
    opened.workers.release()
    assert opened.lane("bass").muted
    assert ProjectFolder.open(tmp_path / "copy.mgeldm").project == opened.project
    opened.session.undo()
    opened.session.undo()
    assert not opened.project.of_kind("extracted")
    opened.session.redo()
    opened.session.store.view(opened.lane("bass").parts[0].take.audio)


def test_a_copy_that_is_called_off_when_it_was_just_made_leaves_nothing(opened, tmp_path):
    here = opened.session.folder
    opened.workers.holding = True
    opened.c.documents.save_as(tmp_path / "copy.mgeldm")
    opened.workers.wait()
    opened.c.documents.cancel_opening()
    opened.workers.release()
    assert opened.session.folder is here and not opened.told and opened.c.documents.opening is None
    assert not (tmp_path / "copy.mgeldm").exists()


def test_a_copy_that_is_called_off_in_time_is_not_made(opened, tmp_path):
    opened.workers.holding = True
    opened.c.documents.save_as(tmp_path / "copy.mgeldm")
    opened.c.documents.cancel_opening()
    opened.workers.step()
    assert not (tmp_path / "copy.mgeldm").exists() and not list(tmp_path.glob(".*.part"))
    opened.workers.release()


def test_a_copy_that_was_asked_for_is_there_though_the_window_closed(opened, tmp_path):
    opened.workers.holding = True
    opened.c.documents.save_as(tmp_path / "copy.mgeldm")
    opened.workers.close = lambda: FakeWorkers.wait(opened.workers)  # it is being made, and so is waited for
    opened.c.close()
    copy = ProjectFolder.open(tmp_path / "copy.mgeldm")
    assert copy.project == opened.project and not copy.read_only and copy.notice == ""
    copy.close()


def test_save_as_does_not_leave_jobs_behind(opened, tmp_path):
    opened.ask("bass")
    opened.c.documents.save_as(tmp_path / "copy.mgeldm")
    assert "still being made" in opened.told[-1][0]
    assert not (tmp_path / "copy.mgeldm").exists()
    opened.engine.finish_all()
    assert opened.lane("bass")


def test_stems_asked_for_while_the_project_is_copied_are_made_where_they_were_asked_for(opened, tmp_path):
    here = opened.session.folder.folder
    opened.workers.holding = True
    opened.c.documents.save_as(tmp_path / "copy.mgeldm")
    opened.ask("bass")
    opened.workers.release()
    assert "so this project stays open" in opened.told[-1][0]
    assert opened.session.folder.folder == here
    opened.engine.finish_all()
    assert opened.lane("bass").parts
    assert not opened.session.coming
    assert not ProjectFolder.open(tmp_path / "copy.mgeldm").read_only


def test_opening_another_song_lets_jobs_run_until_it_is_there(opened, tmp_path):
    opened.ask("bass")
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"nonsense")
    opened.open(bad)
    assert len(opened.engine.jobs) == 1
    opened.engine.finish_all()
    assert opened.lane("bass")


def test_a_project_with_stems_under_way_is_left_if_the_user_says_so(opened, tmp_path):
    other, folder, answers = write_song(tmp_path / "other.wav"), opened.session.folder.folder, []
    opened.c.documents.ask_to_leave = lambda: answers.pop()
    opened.ask("bass")
    for leave in (opened.c.documents.close, lambda: opened.open(other)):
        answers.append(False)
        leave()
        assert not answers and opened.session.folder.folder == folder and len(opened.engine.jobs) == 1
    opened.engine.finish_all()
    opened.open(other)  # nobody is asked
    opened.ask("bass")
    answers.append(True)
    opened.open(folder)
    assert opened.session.folder.folder == folder and not opened.engine.jobs


def test_the_project_that_is_open_is_not_opened_again(opened):
    opened.open(opened.session.folder.folder)
    assert "is open already" in opened.told[-1][0]
    assert not opened.session.folder.read_only


def test_what_was_typed_before_the_song_came_stays(world, tmp_path):
    world.workers.holding = True
    world.open(write_song(tmp_path / "song.wav"))
    world.c.set_prompt(replace(world.project.prompt, text="the bass"))
    world.workers.release()
    assert world.project.prompt.text == "the bass"


def test_where_the_tempo_is_sought_anew_what_was_sought_before_counts_no_more(opened):
    opened.session.amend(lambda project: replace(project, tempo=Tempo()))
    opened.workers.holding = True
    opened.c.documents.find_tempo()
    opened.c.documents.find_tempo()
    opened.workers.step()
    assert opened.project.tempo.source == "none"
    opened.workers.release()
    assert opened.project.tempo.source == "found"


def test_a_tempo_that_cannot_be_found_is_one_sentence(world, tmp_path):
    def fail(path, reporter):
        raise RuntimeError("a long story")

    details = []
    world.session.notice.connect(lambda text, error, more, _: details.append(more))
    world.c.documents.analyse = fail
    world.open(write_song(tmp_path / "song.wav"))
    assert world.told == [("The tempo could not be found; tap or type it.", False)]
    assert "a long story" in details[0]


def test_what_is_dragged_is_saved_now_and_then_and_when_let_go(opened, monkeypatch):
    waiting, saves = [], []
    opened.c.documents.later = waiting.append
    save = opened.session.folder.save
    monkeypatch.setattr(opened.session.folder, "save", lambda project: (saves.append(project), save(project)))
    for stop in range(1000, 1050):
        opened.c.set_region(Span(0, stop), final=False)
    assert (len(waiting), len(saves)) == (1, 0)
    waiting.pop()()
    assert saves == [opened.project]
    opened.c.set_region(Span(0, 2000), final=False)
    opened.c.set_region(Span(0, 2000), final=True)
    assert saves[1:] == [opened.project]


def test_a_song_that_was_left_is_not_listened_to_any_more(world, tmp_path):
    reporters = []
    world.c.documents.analyse = lambda path, reporter: (reporters.append(reporter), Tempo())[1]
    world.open(write_song(tmp_path / "song.wav"))
    assert not reporters[0].cancelled()
    world.open(write_song(tmp_path / "another.wav"))
    assert reporters[0].cancelled() and not reporters[1].cancelled()
    world.c.documents.stop()
    assert reporters[1].cancelled()


def test_a_key_given_while_the_tempo_is_sought_stays_and_the_tempo_is_found(world, tmp_path):
    world.workers.holding = True
    world.open(write_song(tmp_path / "song.wav"))
    world.workers.step()
    world.c.set_tempo(replace(world.project.tempo, key="C major"))
    world.workers.release()
    assert (world.project.tempo.key, world.project.tempo.bpm, world.project.tempo.source) == ("C major", 120.0, "found")


@pytest.fixture
def aged(monkeypatch):
    """All clips were made long ago."""
    monkeypatch.setattr("mgeldm_app.core.storage.SPARED_S", -86400)


def clips(world):
    return {path.stem for path in world.session.store.folder.iterdir()}


def test_what_nothing_needs_any_more_is_gone_when_a_project_is_opened(opened, aged):
    opened.ask("strings", task="impute", takes=3)
    opened.engine.finish_all()
    lane = opened.lane("strings")
    opened.session.do(commands.keep_takes(lane.id, 0, (1,)))
    for number in range(5):
        opened.c.set_lane(lane.id, "name", f"strings {number}")
    before, folder = opened.project, opened.session.folder.folder
    opened.session.undo()
    opened.session.redo()
    assert len(clips(opened)) == 4  # undo may bring them back
    second = World()
    second.open(folder)
    second.c.close()
    assert len(clips(opened)) == 4
    opened.c.documents.close()
    opened.open(folder)
    assert opened.project == before and not opened.told
    assert clips(opened) == {audio.id for audio in before.audios()} and len(clips(opened)) == 2


def test_save_as_takes_along_what_undo_may_bring_back(opened, aged, tmp_path):
    opened.ask("bass")
    opened.engine.finish_all()
    while opened.session.history.undo_title:
        opened.session.undo()
    opened.c.documents.save_as(tmp_path / "copy.mgeldm")
    while opened.session.history.redo_title:
        opened.session.redo()
    assert opened.session.store.folder.parent.name == "copy.mgeldm"
    assert clips(opened) == {audio.id for audio in opened.project.audios()} and len(clips(opened)) == 2


def moved_away(world):
    """Somebody renames the project's folder, so that nothing can be saved any more; where it is now."""
    folder = world.session.folder.folder
    return folder.rename(folder.with_name("moved.mgeldm"))


@pytest.mark.parametrize("way", ["close", "song"])
def test_changes_that_cannot_be_saved_are_not_lost_unasked(opened, tmp_path, way):
    other, answers, here = write_song(tmp_path / "other.wav"), [], opened.session.folder
    opened.c.documents.ask_to_lose = lambda: answers.pop()
    moved_away(opened)
    opened.c.set_lane("rest", "name", "What is left")

    def leave():
        opened.open(other) if way == "song" else opened.c.documents.close()

    answers.append(False)
    leave()
    assert not answers and opened.session.folder is here and opened.lane("What is left")
    answers.append(True)
    leave()
    assert not answers and opened.session.folder is not here


@pytest.mark.parametrize("by", ["", "project.json"])
def test_a_project_that_was_moved_goes_on_where_it_is_opened_with_what_was_done_since(opened, by):
    opened.c.documents.ask_to_lose = lambda: pytest.fail("nothing is lost")
    opened.ask("bass")
    opened.engine.finish_all()
    moved = moved_away(opened)
    opened.c.set_lane("rest", "name", "What is left")
    opened.open(moved / by)
    assert opened.session.folder.folder == moved and not opened.session.folder.read_only
    assert ProjectFolder.open(moved).project == opened.project and opened.lane("What is left")
    opened.session.undo()
    assert opened.lane("Rest") and ProjectFolder.open(moved).project == opened.project
    opened.ask("drums")
    opened.engine.finish_all()
    assert opened.session.store.path(opened.lane("drums").parts[0].take.audio).parent == moved / "audio"
    opened.open(moved)
    assert "is open already" in opened.told[-1][0]


def test_where_a_moved_project_cannot_be_opened_it_is_said_that_it_is_not_open(opened):
    moved = moved_away(opened)
    states = {path: path.read_bytes() for path in moved.glob("project*.json")}
    for path in states:
        path.write_text("{")
    opened.open(moved)
    opened.told.clear()
    opened.ask("bass")
    assert "This project was closed" in opened.told[-1][0] and not opened.engine.jobs
    for path, state in states.items():
        path.write_bytes(state)
    opened.open(moved)  # as that says
    opened.ask("bass")
    assert opened.engine.jobs


def test_a_copy_that_fails_unforeseen_is_not_said_to_be_opened(opened, tmp_path, monkeypatch):
    here = opened.session.folder
    monkeypatch.setattr(ProjectFolder, "copy_to", lambda *_: 1 / 0)
    opened.c.documents.save_as(tmp_path / "copy.mgeldm")
    assert opened.told[-1][0].startswith("copy could not be saved; try another place.")
    assert opened.session.folder is here


@pytest.mark.parametrize("stays", [True, False])
def test_what_is_being_made_for_a_project_that_was_moved_can_be_made_where_it_is_opened(opened, stays):
    answers = [True] if not stays else [False, True]
    opened.c.documents.ask_to_leave = lambda: answers.pop(0)
    opened.c.documents.ask_to_lose = lambda: pytest.fail("nothing is lost")
    opened.ask("bass")
    moved, (lane_id,) = moved_away(opened), opened.session.coming
    opened.c.set_lane(lane_id, "name", "Growl")
    opened.c.set_lane("rest", "name", "What is left")
    for _ in answers[:]:
        opened.open(moved)
    assert not answers and opened.session.folder.folder == opened.session.store.folder.parent == moved
    (job,) = opened.session.jobs
    opened.c.retry(job)
    opened.engine.finish_all()
    assert opened.lane("Growl").parts and opened.lane("What is left")
    assert ProjectFolder.open(moved).project == opened.project


def test_what_redo_may_bring_back_goes_along_where_a_project_was_moved(opened, aged):
    for number in range(5):
        opened.c.set_lane("rest", "gain_db", -1.0 - number)
        opened.session.settle()
    opened.ask("bass")
    opened.engine.finish_all()
    while opened.session.history.undo_title:  # until no state that is kept names the clip
        opened.session.undo()
    opened.open(moved_away(opened))
    while opened.session.history.redo_title:
        opened.session.redo()
    assert clips(opened) == {audio.id for audio in opened.project.audios()} and len(clips(opened)) == 2


def test_what_could_only_be_read_can_be_changed_when_it_is_opened_again_and_free(opened):
    folder, second = opened.session.folder.folder, World()
    second.open(folder)
    opened.c.set_lane("rest", "name", "What is left")
    second.open(folder)
    assert second.session.folder.read_only and "is open in another window" in second.told[-1][0]
    assert second.lane("What is left")
    opened.c.close()
    second.open(folder)
    assert not second.session.folder.read_only
    second.c.set_lane("rest", "name", "Changed")
    assert ProjectFolder.open(folder).project == second.project and second.lane("Changed")
    second.c.close()


def test_what_cannot_be_saved_by_the_time_that_a_song_is_read_is_asked_for_then(opened, tmp_path):
    asked, here = [], opened.session.folder
    opened.c.documents.ask_to_lose = lambda: asked.append(1)
    opened.workers.holding = True
    opened.open(write_song(tmp_path / "other.wav"))
    moved_away(opened)
    opened.c.set_tempo(Tempo(77.0))
    opened.workers.release()
    assert asked and opened.session.folder is here and opened.project.tempo.bpm == 77.0
    assert not (opened.c.documents.home() / "other.mgeldm").exists()


def test_changes_of_what_is_only_read_are_not_lost_unasked(opened):
    folder, asked = opened.session.folder.folder, []
    second = World(tempo=Tempo(99.0, source="found"))
    second.c.documents.ask_to_lose = lambda: asked.append(1)
    second.open(folder)
    second.c.set_lane("rest", "gain_db", -9.0)
    second.c.documents.close()
    assert asked and second.session.folder is not None
    second.session.undo()
    second.c.documents.close()
    assert len(asked) == 1 and second.session.folder is None
    second.c.close()


def test_a_tempo_found_in_what_is_only_read_is_no_change_of_the_users(opened):
    opened.session.amend(lambda project: replace(project, tempo=Tempo()))
    second = World(tempo=Tempo(99.0, source="found"))
    second.c.documents.ask_to_lose = lambda: pytest.fail("nothing to ask")
    second.open(opened.session.folder.folder)
    assert second.project.tempo.bpm == 99.0
    second.c.documents.close()
    assert second.session.folder is None
    second.c.close()


def test_save_as_rescues_what_is_in_the_window_from_a_folder_that_was_moved(opened, tmp_path):
    opened.ask("bass, drums")
    opened.engine.finish_all()
    for audio in opened.project.audios():
        opened.session.store.view(audio)  # as the player does
    moved_away(opened)
    (tmp_path / "A song.wav").unlink()
    opened.c.set_lane("rest", "gain_db", -9.0)
    before = opened.project
    opened.c.documents.save_as(tmp_path / "rescue.mgeldm")
    assert opened.told[-1] == ("Saved as rescue.mgeldm; the project goes on there.", False)
    opened.c.documents.close()
    opened.told.clear()
    opened.open(tmp_path / "rescue.mgeldm")
    assert opened.project == before and not opened.told  # no audio is missing


@pytest.mark.parametrize("way", ["close", "song"])
def test_a_stem_that_is_finished_just_as_the_project_is_left_is_kept(opened, tmp_path, way):
    folder, other = opened.session.folder.folder, write_song(tmp_path / "other.wav")
    opened.c.documents.deliver = opened.c.making.workers.deliver
    opened.ask("bass")
    opened.workers.holding = True
    opened.engine.finish()  # a worker names its file now
    opened.workers.wait()
    opened.c.documents.close() if way == "close" else opened.open(other)
    opened.workers.release()
    opened.open(folder)
    assert opened.lane("bass").parts and not opened.session.jobs


@pytest.mark.parametrize("way", ["project", "window"])
@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_lane_that_was_named_before_it_came_has_its_name_when_it_is_opened_again(home, tmp_path, way, share):
    world = World()
    world.open(write_song(tmp_path / "song.wav"))
    folder = world.session.folder.folder
    world.ask("bass")
    world.engine.begin(share) if share else None
    (lane_id,) = world.session.coming
    world.c.set_lane(lane_id, "name", "My bass")
    world.c.set_lane(lane_id, "muted", True)
    if way == "project":
        world.c.documents.close()
    world.c.close()
    world = World()
    world.open(folder)
    if not share:
        world.c.retry(next(iter(world.session.jobs)))
        world.engine.finish_all()
    assert world.lane("My bass").muted and world.lane("My bass").parts
    world.c.close()


def test_a_song_called_off_when_it_was_just_read_is_not_opened(opened, tmp_path):
    here = opened.session.folder
    opened.workers.holding = True
    opened.open(write_song(tmp_path / "other.wav"))
    opened.workers.wait()  # at 100 %
    opened.c.documents.cancel_opening()
    opened.workers.release()
    assert opened.session.folder is here and opened.c.documents.opening is None and not opened.told
    assert not (opened.c.documents.home() / "other.mgeldm").exists()


def test_a_song_that_was_just_read_when_the_window_closes_leaves_nothing(world, tmp_path):
    world.workers.holding = True
    world.open(write_song(tmp_path / "other.wav"))
    world.workers.wait()
    world.c.close()
    assert not list(world.c.documents.home().iterdir())


def test_stems_asked_for_while_the_next_song_is_read_are_not_dropped_unasked(opened, tmp_path):
    asked, here = [], opened.session.folder
    opened.c.documents.ask_to_leave = lambda: asked.append(1)
    opened.workers.holding = True
    opened.open(write_song(tmp_path / "other.wav"))
    opened.c.making.submit(replace(opened.project.prompt, text="drums"))
    assert not asked
    opened.workers.release()
    assert asked and opened.session.folder is here and opened.session.busy
    assert not (opened.c.documents.home() / "other.mgeldm").exists()
    opened.engine.finish_all()
    assert opened.lane("drums").parts


@pytest.mark.parametrize("way", ["close", "song"])
def test_a_project_is_left_without_waiting_for_exports(opened, tmp_path, way):
    """Stems that were finished by then are waited for, and are kept."""
    folder, other, out = opened.session.folder.folder, write_song(tmp_path / "other.wav"), tmp_path / "out"
    opened.porters.holding = opened.workers.holding = True
    opened.c.taking.export(["song"], ExportSettings(folder=str(out)), Colours(("#ff0000",), "#A9B4C2", "#6F7A88"))
    for name in ("bass", "drums"):
        opened.ask(name)
        opened.engine.finish()
    if way == "song":
        opened.workers.holding = False  # the other worker reads it meanwhile
    opened.c.documents.close() if way == "close" else opened.open(other)
    assert opened.c.taking.errands and not out.exists()
    opened.workers.release()
    opened.porters.release()
    assert [path.name for path in out.iterdir()] == ["A song - Song.wav"]
    opened.open(folder)
    assert all(opened.lane(name).parts for name in ("bass", "drums")) and not opened.session.jobs


def test_stems_that_are_being_named_are_there_although_the_program_ends(opened):
    folder, second = opened.session.folder.folder, World()
    opened.workers.holding = True
    for name in ("bass", "drums"):
        opened.ask(name)
        opened.engine.finish()
    opened.c.close()
    second.open(folder)
    assert all(second.lane(name).parts for name in ("bass", "drums")) and not second.session.jobs
    second.c.close()


@pytest.mark.parametrize("what", ["song", "copy"])
def test_to_close_a_project_does_not_wait_for_what_is_read_or_copied(opened, tmp_path, monkeypatch, what):
    """The window would stand still until then."""
    here = opened.session.folder
    opened.workers.holding = True
    if what == "song":
        opened.open(write_song(tmp_path / "other.wav"))
        opened.c.making.submit(replace(opened.project.prompt, text="bass"))
    else:
        opened.c.documents.save_as(tmp_path / "copy.mgeldm")
        opened.ask("bass")
    with monkeypatch.context() as patch:
        patch.setattr(opened.workers, "wait", lambda: pytest.fail("it stands still"))
        opened.c.documents.close()
    said = "other.wav is still being opened" if what == "song" else "copy is still being saved"
    assert said in opened.told[-1][0] and opened.session.folder is here
    opened.c.making.cancel_all()
    opened.c.documents.close()
    assert opened.session.folder is None
    opened.workers.release()


def test_a_look_into_what_cannot_be_entered_decodes_nothing(tmp_path, monkeypatch):
    """All of it is being decoded beside that."""
    monkeypatch.setattr("mgeldm.audio._DecodedSource", lambda *_: pytest.fail("it is decoded twice"))
    song = tmp_path / "song.m4a"
    song.write_bytes(b"not what libsndfile reads")
    assert look_into(song) is None
    assert look_into(write_song(tmp_path / "song.flac")).peaks.max() > 0.1


def test_a_job_that_was_cancelled_just_now_is_no_reason_to_stay(opened):
    opened.ask("bass")
    job = opened.engine.begin(0.5)
    opened.engine.cancel = lambda job_id: None  # it has not stopped yet
    opened.c.documents.ask_to_leave = lambda: False
    assert not opened.c.documents.may_leave()
    opened.c.making.cancel(job.id)
    assert opened.c.documents.may_leave()
