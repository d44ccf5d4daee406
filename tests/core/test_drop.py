"""What is dropped, or named on the command line, is found out of anything that comes along with it."""

from mgeldm_app.core import drop
from tests.fakes.away import take_away
from tests.fakes.world import write_song


def test_an_albums_picture_is_no_song(tmp_path):
    picture, notes, song, other = (tmp_path / name for name in ("00.jpg", "01.txt", "02.FLAC", "03.wav"))
    for path in (picture, notes, song, other):
        path.touch()
    plan = drop.plan([picture, notes, song, other])
    assert (plan.song, [name for name, _ in plan.refused]) == (song, ["00.jpg", "01.txt", "03.wav"])


def test_a_file_of_any_name_is_tried_where_nothing_is_called_like_audio(tmp_path):
    song = tmp_path / "take 3"
    song.touch()
    assert drop.plan([tmp_path / "gone.wav", song]).song == song


def test_paths_as_somebody_types_them_are_made_whole(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    song = write_song(tmp_path / "song.wav", seconds=1)
    assert drop.plan(["song.wav"]).song == drop.plan(["~/song.wav"]).song == song
    assert drop.plan(["~nobody in particular/song.wav"]).refused == (("song.wav", "it is no longer there"),)


def test_a_file_that_is_called_like_a_project_is_said_to_be_none(tmp_path):
    packed = tmp_path / "song.mgeldm"
    packed.touch()
    plan = drop.plan([packed])
    assert (plan.project, plan.song) == (None, None)
    assert "projects are folders; unpack it" in drop.refusals(plan)
    assert drop.plan([tmp_path / "gone.mgeldm"]).project == tmp_path / "gone.mgeldm"  # which says that it is not there


def test_what_was_left_out_is_told_with_its_own_reason_and_counted(tmp_path):
    paths = [tmp_path / name for name in ("song.wav", "notes.txt", "other.wav", "cover.jpg")]
    for path in paths:
        path.touch()
    assert drop.refusals(drop.plan(paths[:1])) == ""
    assert drop.refusals(drop.plan(paths[:2])) == "notes.txt was not opened: it is no song."
    assert drop.refusals(drop.plan(paths[:3])) == "notes.txt was not opened: it is no song. Nor was 1 other."
    assert drop.refusals(drop.plan(paths)).endswith("Nor were 2 others.")
    assert dict(drop.plan(paths).refused)["other.wav"] == "one song at a time can be open"


def test_what_lies_on_a_disk_that_does_not_answer_is_not_said_to_be_gone(tmp_path, monkeypatch):
    away, here = take_away(monkeypatch, tmp_path / "share"), write_song(tmp_path / "song.wav", seconds=1)
    plan = drop.plan([away / "song.wav"])
    assert plan.song is None
    assert "song.wav was not opened: it cannot be looked at (Host is down);" in drop.refusals(plan)
    assert drop.plan([away / "Song.mgeldm"]).project == away / "Song.mgeldm"  # which says it itself
    assert drop.plan([away / "song.wav", here]).song == here


def test_a_name_that_no_disk_takes_is_of_nothing(tmp_path):
    refused = drop.plan([tmp_path / f"{'a' * 300}.wav", tmp_path / "nul\0.wav"]).refused
    assert [why for _, why in refused] == ["it is no longer there"] * 2
