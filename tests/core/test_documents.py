from pathlib import Path

import numpy as np
import pytest
from mgeldm.audio import AudioClip, write

from mgeldm_app.core import drop
from mgeldm_app.core.project import Span, Tempo
from mgeldm_app.core.storage import ProjectFolder
from tests.fakes.world import RATE_HZ, World, write_song


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


def test_every_change_is_on_the_disk_at_once(opened):
    opened.c.set_region(Span(100, 9000))
    other = ProjectFolder.open(opened.session.folder.folder)
    assert other.read_only
    assert other.project == opened.project


def test_while_one_save_runs_the_newest_waits(opened):
    opened.workers.holding = True
    for start in range(1, 6):
        opened.c.set_region(Span(start, 9000))
    opened.workers.release()
    assert ProjectFolder.open(opened.session.folder.folder).project == opened.project


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


def test_a_tempo_given_by_the_user_is_never_overwritten(opened):
    opened.c.set_tempo(Tempo(99.0))
    opened.tempo = Tempo(140.0, source="found")
    opened.c.documents._find_tempo()
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
    assert "and 2 more" in drop.refusals(plan)
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
