"""A project opens again exactly as it was, and says so where it cannot."""

import errno
import json
import os
import subprocess
import sys
import time
from pathlib import Path, PureWindowsPath

import numpy as np
import pytest
import soundfile
from mgeldm.audio import map_wav
from mgeldm.errors import Cancelled, InputError, OutputError
from mgeldm.progress import Reporter

from mgeldm_app.core import clips, storage
from mgeldm_app.core.asks import Target, Unfinished
from mgeldm_app.core.errors import StorageError
from mgeldm_app.core.project import Lane, Made, Part, Project, Prompt, SongFile, Span, Take, Tempo
from mgeldm_app.core.storage import KEPT, SPARED_S, ProjectFolder, clear_shell, free_name
from tests.fakes.away import take_away


def clip(folder, seed, samples=3000):
    path = folder.store.begin(44_100, 2, samples)
    frames, _ = map_wav(path, writable=True)
    frames[:] = np.random.default_rng(seed).uniform(-1, 1, frames.shape).astype(np.float32)
    return folder.store.adopt(path)


def full_project(folder):
    """With something other than its default in every field."""
    made = Made("inpaint", "bass", 2**53 + 1, "best", "drums", Span(1, 2), ("a", "b"), 0.1, "embedded", "f" * 64)
    part = Part(7, (Take(clip(folder, 1), made), Take(clip(folder, 2), Made("generate", ""))), 1)
    lane = Lane("l1", "extracted", "The báss 🎸", 3, (part,), -0.1, 1 / 3, True, True, -1.0, "spectrogram")
    project = Project(
        SongFile(clip(folder, 0), "Sóng", "/music/a.flac"),
        tempo=Tempo(123.456789, 0.1, 3, "A minor", "given"),
        region=Span(10, 20),
        looping=True,
        prompt=Prompt("bass, drums", "impute", "noise", Span(3, 4), 9, "draft", 5),
    )
    return project.with_lane(lane)


@pytest.fixture
def folder(tmp_path):
    made = ProjectFolder.create(tmp_path / "Song.mgeldm")
    yield made
    made.close()


def named(name):
    return Project(prompt=Prompt(name))


def test_everything_comes_back_with_its_samples(folder):
    project = full_project(folder)
    folder.save(project)
    before = {audio: folder.store.view(audio).copy() for audio in project.audios()}
    folder.close()
    again = ProjectFolder.open(folder.folder)
    assert (again.project, again.read_only, again.notice) == (project, False, "")
    assert len(before) == 3
    for audio, frames in before.items():
        np.testing.assert_array_equal(again.store.view(audio), frames)
    again.close()


@pytest.mark.parametrize("error", [OSError(24, "Too many open files"), RuntimeError("no flock")])
def test_a_project_that_cannot_be_locked_is_not_made(tmp_path, monkeypatch, error):
    """It would be read-only from the first moment on, and nothing of it would be kept."""

    def fails(self, *_, **__):
        raise error

    monkeypatch.setattr("filelock.FileLock.acquire", fails)
    with pytest.raises(StorageError, match="choose a local disk"):
        ProjectFolder.create(tmp_path / "Song.mgeldm")
    assert not (tmp_path / "Song.mgeldm").exists()


def test_create_and_open_say_what_is_wrong(tmp_path, folder):
    with pytest.raises(StorageError, match="choose another name"):
        ProjectFolder.create(folder.folder)
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match="choose another place"):
        ProjectFolder.create(tmp_path / "file" / "a.mgeldm")
    with pytest.raises(StorageError, match=r"not there any more"):
        ProjectFolder.open(tmp_path / "gone.mgeldm")
    (tmp_path / "photos").mkdir()
    with pytest.raises(StorageError, match="photos is not a project of MGE-LDM Desktop"):
        ProjectFolder.open(tmp_path / "photos")
    assert list((tmp_path / "photos").iterdir()) == []  # not even a lock


def test_a_disk_that_does_not_answer_and_a_name_that_none_takes_are_said(tmp_path, folder, monkeypatch):
    with pytest.raises(StorageError, match=r"cannot be made \(File name too long\); choose another place"):
        ProjectFolder.create(tmp_path / f"{'a' * 300}.mgeldm")
    with pytest.raises(StorageError, match=r"could not be copied .*File name too long.*; choose another place"):
        folder.copy_to(tmp_path / f"{'a' * 300}.mgeldm", Project())
    away = take_away(monkeypatch, tmp_path / "share")
    with pytest.raises(StorageError, match=r"cannot be looked at \(Host is down\); check its rights"):
        ProjectFolder.open(away / "Song.mgeldm")
    assert free_name(away, "Song") == away / "Song.mgeldm"


def test_the_state_file_itself_opens_its_project(folder):
    folder.close()
    again = ProjectFolder.open(folder.folder / "project.json")
    assert again.folder == folder.folder
    again.close()


def test_states_before_the_last_are_kept_and_saving_the_same_twice_costs_none(folder):
    for number in range(6):
        folder.save(named(f"state {number}"))
        folder.save(named(f"state {number}"))
    texts = [json.loads(path.read_text())["project"]["prompt"]["text"] for path in storage._states(folder.folder)]
    assert texts == ["state 5", "state 4", "state 3", "state 2"] and len(texts) == KEPT + 1


def test_to_open_a_project_pushes_no_earlier_state_out(folder):
    for number in range(KEPT + 1):
        folder.save(named(f"state {number}"))
    folder.close()
    before = [path.read_bytes() for path in storage._states(folder.folder)]
    for _ in range(2):
        again = ProjectFolder.open(folder.folder)
        again.save(again.project)
        again.close()
    assert [path.read_bytes() for path in storage._states(folder.folder)] == before
    again = ProjectFolder.open(folder.folder)
    again.save(named("another"))
    assert [path.read_bytes() for path in storage._states(folder.folder)][1:] == before[:-1]
    again.close()


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"[]", b"{}", b'{"schema": 1}', b'{"schema": 1, "project": {"lanes": []}}', None]
)
def test_a_damaged_state_gives_way_to_the_one_before_and_is_kept_aside(folder, damage):
    folder.save(named("before"))
    folder.save(named("last"))
    folder.close()
    state = folder.folder / "project.json"
    state.unlink() if damage is None else state.write_bytes(damage)
    again = ProjectFolder.open(folder.folder)
    assert again.project == named("before")
    assert "The last saved state was damaged" in again.notice
    assert [p.read_bytes() for p in again.folder.glob("damaged*.json")] == ([] if damage is None else [damage])
    again.close()
    third = ProjectFolder.open(folder.folder)
    assert (third.project, third.notice) == (named("before"), "")
    third.close()


def test_several_damaged_states_give_way_to_the_newest_that_is_whole(folder):
    for number in range(5):
        folder.save(named(f"state {number}"))
    folder.close()
    for path in storage._states(folder.folder)[:2]:
        path.write_bytes(path.read_bytes()[:-50])
    again = ProjectFolder.open(folder.folder)
    assert again.project == named("state 2")
    again.save(named("state 5"))
    again.close()
    third = ProjectFolder.open(folder.folder)
    assert (third.project, third.notice) == (named("state 5"), "")
    third.close()


def test_nothing_readable_says_so_and_leaves_the_project_unlocked(folder):
    folder.save(named("a"))
    folder.close()
    for path in storage._states(folder.folder):
        path.write_bytes(b"\0" * 100)
    for _ in range(2):
        with pytest.raises(StorageError, match=r"bring project\.json back from a backup"):
            ProjectFolder.open(folder.folder)


def test_a_newer_version_is_never_opened_over_an_earlier_state(folder):
    folder.save(named("before"))
    folder.save(named("last"))
    folder.close()
    state = folder.folder / "project.json"
    state.write_text(state.read_text().replace('"schema": 1', '"schema": 2'))
    text = state.read_text()
    with pytest.raises(StorageError, match=r"newer version .*update the program"):
        ProjectFolder.open(folder.folder)
    assert state.read_text() == text


def test_migrations_run_one_after_the_other(folder, monkeypatch):
    folder.save(named("new words"))
    folder.close()
    state = folder.folder / "project.json"
    document = json.loads(state.read_text())
    document["schema"] = -1
    document["project"]["question"] = document["project"].pop("prompt")["text"]
    state.write_text(json.dumps(document))
    with pytest.raises(StorageError, match=r"schema -1.*cannot read"):
        ProjectFolder.open(folder.folder)

    def wrapped(project):
        return {**project, "question": {"text": project["question"]}}

    def renamed(project):
        return {"prompt": project.pop("question"), **project}

    monkeypatch.setattr(storage, "MIGRATIONS", {-1: wrapped, 0: renamed})
    again = ProjectFolder.open(folder.folder)
    assert (again.project, again.notice) == (named("new words"), "")
    again.close()


def test_there_is_a_migration_from_every_earlier_schema():
    assert set(storage.MIGRATIONS) == set(range(1, storage.SCHEMA))


def test_an_impossible_value_is_never_written(folder):
    folder.save(named("good"))
    with pytest.raises(StorageError, match="impossible value"):
        folder.save(Project(tempo=Tempo(bpm=float("nan"))))
    with pytest.raises(StorageError, match="two lanes of one id"):
        folder.save(Project(lanes=(Project().lanes[0], Project().lanes[0], Project().lanes[1])))
    folder.close()
    again = ProjectFolder.open(folder.folder)
    assert again.project == named("good")
    again.close()


# --------------------------------------------------------------------------------------------------------------- locks


def test_a_second_instance_reads_only_and_says_so(folder):
    folder.save(named("first"))
    begun = folder.store.begin(44_100, 2, 100)
    second = ProjectFolder.open(folder.folder)
    assert second.read_only and "open in another window; changes are not saved" in second.notice
    second.save(named("second"))
    second.close()
    assert begun.exists()  # the first one's work is not swept away
    folder.save(named("first again"))
    folder.close()
    third = ProjectFolder.open(folder.folder)
    assert (third.project, third.read_only) == (named("first again"), False)
    third.close()


HOLD = """
import sys
from pathlib import Path
from mgeldm_app.core.storage import ProjectFolder
held = ProjectFolder.open(Path(sys.argv[1]))
print(held.read_only, flush=True)
sys.stdin.read()
"""


def test_a_killed_instance_locks_nobody_out(folder):
    folder.close()
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, folder.folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline().strip() == "False"
        second = ProjectFolder.open(folder.folder)
        assert second.read_only
        other.kill()
        other.wait()
    assert (folder.folder / ".lock").exists()
    third = ProjectFolder.open(folder.folder)
    assert not third.read_only
    third.close()


def test_a_folder_that_cannot_be_written_to_opens_for_reading(folder, monkeypatch):
    folder.save(named("here"))
    folder.close()

    def refused(*_, **__):
        raise PermissionError(13, "read-only file system")

    # Rights do not bind an administrator, who may run this test, so the system's refusal is imitated.
    monkeypatch.setattr(storage.filelock.BaseFileLock, "acquire", refused)
    monkeypatch.setattr(Path, "touch", refused)  # Windows says that it can be, as `os.access` does to administrators
    again = ProjectFolder.open(folder.folder)
    assert again.read_only and "cannot be written to" in again.notice
    assert again.project == named("here")
    with pytest.raises(InputError, match="cannot be written to"):
        again.check_writable()


@pytest.mark.parametrize(
    "error, why",
    [(PermissionError(13, "Permission denied"), "Permission denied"), (RuntimeError("no flock"), "no flock")],
)
def test_a_lock_that_cannot_be_had_is_not_said_to_be_another_windows(folder, monkeypatch, error, why):
    """Another account made its file, or the disk knows none; the folder can be written to."""
    folder.close()

    def refused(*_, **__):
        raise error

    monkeypatch.setattr(storage.filelock.BaseFileLock, "acquire", refused)
    again = ProjectFolder.open(folder.folder)
    assert again.read_only
    said = f"The folder of Song.mgeldm cannot be locked ({why}), so another program could change it at the same time"
    assert again.notice.startswith(said) and "Use Save as" in again.notice
    with pytest.raises(InputError, match=rf"cannot be locked \({why}\).*save it under a new name"):
        again.check_writable()


# --------------------------------------------------------------------------------------------------------------- audio


@pytest.mark.parametrize("damage", ["gone", "cut off"])
def test_missing_audio_is_named_silent_and_kept_for_its_return(folder, damage):
    project = full_project(folder)
    folder.save(project)
    folder.close()
    audio = project.lane("l1").parts[0].take.audio
    path = folder.store.path(audio)
    whole = path.read_bytes()
    path.unlink() if damage == "gone" else path.write_bytes(whole[:200])
    again = ProjectFolder.open(folder.folder)
    assert again.project == project
    assert "The báss 🎸" in again.notice and "song" not in again.notice.split(":")[1].split(".")[0]
    assert not again.store.view(audio).any() and len(again.store.view(audio)) == 3000
    again.save(project)
    again.close()
    path.write_bytes(whole)
    third = ProjectFolder.open(folder.folder)
    assert (third.notice, third.store.view(audio).any()) == ("", True)
    third.close()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="asks Linux which files are open")
def test_opening_leaves_few_clips_open_where_few_may_be(folder, monkeypatch):
    project = full_project(folder)
    folder.save(project)
    folder.close()
    assert len(project.audios()) > 2
    monkeypatch.setattr(clips, "may_be_open", lambda: 8)
    before = len(os.listdir("/proc/self/fd"))
    again = ProjectFolder.open(folder.folder)
    assert len(os.listdir("/proc/self/fd")) <= before + 3  # the lock, and a quarter of 8
    again.close()


@pytest.mark.parametrize("short", [errno.EMFILE, errno.ENFILE, errno.ENOMEM])
def test_a_computer_that_can_open_no_more_files_does_not_lose_whole_clips(folder, monkeypatch, short):
    project = full_project(folder)
    folder.save(project)
    folder.close()
    with monkeypatch.context() as crowded:

        def refused(*_, **__):
            raise OSError(short, os.strerror(short))

        crowded.setattr(np, "memmap", refused)
        with pytest.raises(StorageError, match=r"cannot be opened now .* close other programs and open it again"):
            ProjectFolder.open(folder.folder)
    again = ProjectFolder.open(folder.folder)
    assert (again.notice, again.read_only) == ("", False)
    assert all(again.store.view(audio).any() for audio in project.audios())
    again.close()


def test_a_lost_song_is_read_again_from_where_it_came_from(folder, tmp_path):
    source = tmp_path / "song.wav"
    soundfile.write(source, np.random.default_rng(0).uniform(-1, 1, (4000, 2)), 44_100, "PCM_16")
    audio = folder.store.take_in(source)
    folder.save(Project(SongFile(audio, "Song", str(source))))
    folder.close()
    folder.store.path(audio).unlink()
    again = ProjectFolder.open(folder.folder)
    assert again.notice == "" and again.store.view(audio).any()
    again.close()
    folder.store.path(audio).unlink()
    soundfile.write(source, np.zeros((4000, 2)), 44_100, "PCM_16")  # another song under the old name
    third = ProjectFolder.open(folder.folder)
    assert "the song Song" in third.notice and not third.store.view(audio).any()
    third.close()


def test_a_lost_song_that_came_from_a_disk_that_does_not_answer_does_not_keep_its_project_shut(
    folder, tmp_path, monkeypatch
):
    away = take_away(monkeypatch, tmp_path / "share")
    audio = clip(folder, 0)
    folder.save(Project(SongFile(audio, "Song", str(away / "song.wav"))))
    folder.close()
    folder.store.path(audio).unlink()
    again = ProjectFolder.open(folder.folder)
    assert "the song Song" in again.notice and not again.store.view(audio).any()
    again.close()


def keys(audio):
    return Lane("l2", "added", "Keys", parts=(Part(0, (Take(audio, Made("impute", "keys")),)),))


@pytest.fixture
def later(monkeypatch):
    """So many days pass."""

    def pass_days(days):
        monkeypatch.setattr("mgeldm_app.core.storage.SPARED_S", SPARED_S - days * 86400)

    return pass_days


@pytest.fixture
def left(folder):
    """A project with one clip that nothing names, and others that something names, in whichever way."""
    project = full_project(folder)
    earlier, wanted, replaced, copied, unused = (clip(folder, seed) for seed in range(10, 15))
    folder.save(project.with_lane(keys(earlier)))
    folder.save(project)
    target = Target(keys(wanted), Made("impute", "keys"))
    folder.save_unfinished((Unfinished("t", "s", Span(0, 9), (target,), replaces=((replaced,),)),))
    (folder.folder / "of the user").mkdir()
    (folder.folder / "of the user" / "project copy.json").write_text(json.dumps({"audio": copied.id}))
    begun = folder.store.begin(44_100, 2, 100)
    (folder.store.folder / "mine.wav").write_bytes(b"mine")
    stays = {folder.store.path(audio) for audio in project.audios() | {earlier, wanted, replaced, copied}}
    return stays | {begun, folder.store.folder / "mine.wav"}, folder.store.path(unused)


def test_tidy_removes_what_nothing_names(folder, left, later):
    stays, _ = left
    later(30)
    folder.tidy()
    assert set(folder.store.folder.iterdir()) == stays
    folder.tidy()
    assert set(folder.store.folder.iterdir()) == stays


@pytest.mark.parametrize("why", ["new", "old but just copied here", "damaged state", "damaged jobs", "elsewhere"])
def test_tidy_removes_nothing_where_that_might_be_a_loss(folder, left, later, why):
    stays, unused = left
    later(1 if why == "new" else 30)
    if why == "old but just copied here":
        later(0)
        os.utime(unused, times=(time.time() - 30 * 86400,) * 2)
    elif why == "elsewhere":
        second = ProjectFolder.open(folder.folder)
        second.tidy()
        second.close()
    else:
        path = folder.folder / ("jobs.json" if why == "damaged jobs" else "project.json")
        path.write_bytes(path.read_bytes()[:-40])
    if why == "damaged state":
        folder.close()
        again = ProjectFolder.open(folder.folder)
        again.tidy()
        again.close()
        again = ProjectFolder.open(folder.folder)  # what was damaged lies aside now
        again.tidy()
        again.close()
    elif why != "elsewhere":
        folder.tidy()
    assert stays - set(folder.store.folder.iterdir()) <= {path for path in stays if ".part" in path.name}  # swept
    assert unused.exists()


# -------------------------------------------------------------------------------------------------------------- copies


def test_a_copy_is_a_project_of_its_own(folder, tmp_path):
    project = full_project(folder)
    folder.save(project)
    folder.store.begin(44_100, 2, 100)
    copy = folder.copy_to(tmp_path / "deep" / "Copy.mgeldm", project)
    assert (copy.project, copy.read_only, copy.notice) == (project, False, "")
    copy.save(named("only the copy"))
    folder.save(named("only the first"))
    assert {p.name for p in copy.store.folder.iterdir()} == {f"{audio.id}.wav" for audio in project.audios()}
    copy.close()
    with pytest.raises(StorageError, match="choose another name"):
        folder.copy_to(copy.folder, project)
    folder.close()
    for path, name in ((copy.folder, "only the copy"), (folder.folder, "only the first")):
        again = ProjectFolder.open(path)
        assert again.project == named(name)
        again.close()


def test_what_a_copy_that_was_killed_left_goes_with_the_next(folder, tmp_path):
    left, fresh = (storage.aside_of(tmp_path / "Copy.mgeldm") for _ in range(2))
    for path in (left, fresh):
        (path / "audio").mkdir(parents=True)
    os.utime(left, (0, 0))
    folder.copy_to(tmp_path / "Copy.mgeldm", full_project(folder)).close()
    assert fresh.is_dir() and not left.exists()


def test_a_copy_that_is_called_off_leaves_nothing(folder, tmp_path):
    project, asked = full_project(folder), []
    reporter = Reporter(cancelled=lambda: asked.append(1) or len(asked) > 1)  # after the first clip
    with pytest.raises(Cancelled):
        folder.copy_to(tmp_path / "Copy.mgeldm", project, reporter)
    assert [path.name for path in tmp_path.iterdir()] == ["Song.mgeldm"]


def test_a_copy_where_the_file_system_links_nothing_and_one_that_fails(folder, tmp_path, monkeypatch):
    project = full_project(folder)
    folder.save(project)

    def no_links(*_):
        raise OSError(95, "not supported")

    monkeypatch.setattr(os, "link", no_links)
    copy = folder.copy_to(tmp_path / "Copy.mgeldm", project)
    assert copy.project == project and copy.notice == ""
    copy.close()
    folder.save(named("links are not needed to save either"))

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(storage.shutil, "copyfile", full)
    with pytest.raises(StorageError, match=r"No space left on device.*choose another place"):
        folder.copy_to(tmp_path / "Other.mgeldm", project)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["Copy.mgeldm", "Song.mgeldm"]


def test_free_names(tmp_path):
    assert free_name(tmp_path, "A/B: song.") == tmp_path / "A B song.mgeldm"
    for wanted in ("A B song.mgeldm", "A B song 2.mgeldm"):
        path = free_name(tmp_path, "A/B: song.")
        assert path.name == wanted
        path.mkdir()
    assert len(os.fsencode(free_name(tmp_path, "é" * 300).name)) <= 255


def test_what_a_killed_import_left_gives_its_name_back(tmp_path):
    folder = ProjectFolder.create(tmp_path / "Song.mgeldm")
    folder.save(named("a prompt is typed anew in a moment"))
    folder.store.begin(44_100, 2, 9)
    (folder.store.folder / ".0123456789ab.part").touch()
    (folder.folder / ".0123456789ab.part").touch()
    assert folder.exports.is_dir()
    assert free_name(tmp_path, "Song").name == "Song 2.mgeldm"  # it is open
    folder.close()
    assert free_name(tmp_path, "Song") == folder.folder and not folder.folder.exists()


def add_clip(folder):
    clip(folder, 1)  # which undo would have brought back


@pytest.mark.parametrize(
    "add",
    [
        add_clip,
        lambda folder: folder.save(Project(tempo=Tempo(bpm=93.0, source="given"))),
        lambda folder: folder.save_unfinished((Unfinished("t", "s", Span(0, 9), ()),)),
        lambda folder: (folder.exports / "take.wav").touch(),
        lambda folder: (folder.folder / "notes.txt").touch(),
        lambda folder: (folder.folder / "first.part.wav").touch(),
        lambda folder: (folder.store.folder / "mine.wav").touch(),
        lambda folder: (folder.store.folder / "mine").mkdir(),
        lambda folder: (folder.folder / "project.1.json").write_text("damaged"),
        lambda folder: [folder.save(full_project(folder)), folder.save(named(""))],
    ],
)
def test_what_holds_anything_keeps_its_name(folder, add):
    add(folder)
    folder.close()
    there = sorted(folder.folder.rglob("*"))
    assert not clear_shell(folder.folder)
    assert free_name(folder.folder.parent, "Song").name == "Song 2.mgeldm"
    assert sorted(folder.folder.rglob("*")) == there


def test_what_is_no_project_keeps_its_name(tmp_path):
    for name in ("empty.mgeldm", "file.mgeldm"):
        (tmp_path / name).mkdir() if "empty" in name else (tmp_path / name).touch()
        assert not clear_shell(tmp_path / name) and (tmp_path / name).exists()
    assert not clear_shell(tmp_path / "nowhere.mgeldm")


@pytest.mark.parametrize("name", ["A song with a long title " * 6, "é" * 300, "歌" * 80, "👩‍🎤" * 40])
def test_clips_of_a_song_with_a_long_title_have_paths_that_windows_takes(name):
    home = PureWindowsPath("C:/Users/firstname.lastname/OneDrive - Company/Documents/MGE-LDM Projects")
    folder = free_name(Path("nowhere"), name)
    assert len(folder.name) > 40
    assert len(str(home / folder.name / "audio" / f"{'0' * 64}.wav")) < 260


def test_a_folder_that_was_moved_is_saved_to_where_it_is(folder):
    assert not folder.moved
    moved = folder.folder.rename(folder.folder.with_name("Moved.mgeldm"))
    assert folder.moved
    folder.follow(moved / "project.json")
    folder.save(named("after"))
    assert folder.folder == moved and ProjectFolder.open(moved).project == named("after")
    assert folder.moved  # its audio is still looked for where it was


def test_what_is_only_read_says_why_it_cannot_be_changed(folder):
    second = ProjectFolder.open(folder.folder)
    with pytest.raises(InputError, match=r"open elsewhere .* open it here again"):
        second.check_writable()
    assert not list(folder.folder.glob(".*.part"))
    folder.check_writable()


def test_a_full_disk_without_links_loses_no_kept_state(folder, monkeypatch):
    for text in ("a", "b", "c", "d"):
        folder.save(named(text))
    before = [path.read_bytes() for path in storage._states(folder.folder)]

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "link", full)
    monkeypatch.setattr(storage.shutil, "copyfile", full)
    for _ in range(2):
        with pytest.raises(StorageError, match="not saved"):
            folder.save(named("e"))
    assert [path.read_bytes() for path in storage._states(folder.folder)] == before
    assert not list(folder.folder.glob(".*.part"))


def test_a_project_that_cannot_be_begun_says_that_nothing_was_opened(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OutputError("No room.")

    monkeypatch.setattr(storage, "write_whole", full)
    with pytest.raises(StorageError, match=r"nothing was opened\. No room\."):
        ProjectFolder.create(tmp_path / "New.mgeldm")
    assert not list(tmp_path.glob("New*"))


# ----------------------------------------------------------------------------------------------------------- full disk

FULL_DISK = """
import resource, sys
from pathlib import Path, PureWindowsPath
from mgeldm_app.core.project import Project, Prompt
from mgeldm_app.core.storage import ProjectFolder
from mgeldm_app.core.errors import StorageError
folder = ProjectFolder.open(Path(sys.argv[1]))
for text in ("first", "second", "fits"):
    folder.save(Project(prompt=Prompt(text)))
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))  # beyond it every write fails, as on a full disk
for more in range(3):  # the window tries again every few seconds
    try:
        folder.save(Project(prompt=Prompt("x" * (9000 + more))))
    except StorageError as error:
        said = error
print(said)
print(sorted(path.name for path in folder.folder.iterdir()))
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
folder.save(Project(prompt=Prompt("room again")))
"""


if sys.platform != "win32":  # Windows has no limit on a file's size to stand in for the full disk

    def test_a_full_disk_keeps_the_state_that_was_saved(folder):
        folder.close()
        command = [sys.executable, "-c", FULL_DISK, str(folder.folder)]
        lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
        assert lines[0].startswith("The project was not saved. No room for project.json in ")
        assert "free some disk" in lines[0] and lines[0].endswith("only in this window.")
        assert ".part" not in lines[1]
        again = ProjectFolder.open(folder.folder)
        assert again.project == named("room again")
        texts = [json.loads(p.read_text())["project"]["prompt"]["text"] for p in storage._states(folder.folder)]
        assert texts == ["room again", "fits", "second", "first"]
        again.close()
