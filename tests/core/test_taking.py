import os

import numpy as np
import pytest
from mgeldm.audio import read
from mgeldm.outputs import aside_of
from mgeldm.progress import Progress

from mgeldm_app.core import commands
from mgeldm_app.core.actions import BY_ID
from mgeldm_app.core.export import Colours
from mgeldm_app.core.project import Span
from mgeldm_app.core.settings import ExportSettings

COLOURS = Colours(("#112233",), "#445566", "#778899")


@pytest.fixture
def out(tmp_path):
    return tmp_path / "Stems"


def export(world, out, format="wav24"):
    world.c.taking.export(["song", "rest"], ExportSettings(format, folder=str(out)), COLOURS)


def during(world, monkeypatch, function):
    """Call a function while the third block is read."""
    store = world.session.store
    view, blocks = store.view, []

    def reading(audio):
        blocks.append(audio)
        if len(blocks) == 3:
            function()
        return view(audio)

    monkeypatch.setattr(store, "view", reading)


def test_files_to_drag_are_ready_in_the_project(opened):
    opened.ask("bass")
    opened.engine.finish_all()
    files = []
    opened.c.taking.prepare([opened.lane("bass").id], False, files.extend)
    assert files[0].parent == opened.session.folder.exports
    assert files[0].is_file()


@pytest.mark.parametrize("lane", ["bass", "Rest", "Song", "drums"])
def test_whoever_takes_a_draft_away_hears_that_a_better_version_is_to_come(opened, out, lane):
    said = "bass: a better version is still to come; take it again when it is there."
    opened.ask("drums")
    opened.engine.finish_all()
    opened.c.set_region(Span(8000, 16_000))
    opened.c.set_looping(True)
    opened.ask("bass")
    opened.engine.finish()
    ids, files = [opened.lane(lane).id], []
    for better in (False, True):
        opened.told.clear()
        opened.c.taking.prepare(ids, False, files.extend)
        opened.c.taking.export(ids, ExportSettings("wav24", folder=str(out)), COLOURS)
        told = [text for text, _ in opened.told]
        is_draft = lane in ("bass", "Rest") and not better
        assert [said in text for text in told] == ([True, True] if is_draft else [False])
        opened.engine.finish_all()
    assert len(files) == 2


def test_whoever_takes_a_stem_away_that_follows_a_draft_hears_of_it_too(opened, out):
    opened.ask("drums")
    opened.engine.finish_all()
    opened.c.set_region(Span(8000, 16_000))
    opened.c.set_looping(True)
    opened.ask("kick drum")
    opened.engine.finish()
    opened.c.taking.export([opened.lane("drums").id], ExportSettings("wav24", folder=str(out)), COLOURS)
    assert "drums: a better version is still to come; take it again when it is there." in opened.told[-1][0]


def test_an_export_is_there_while_it_lasts_and_tells_how_far_it_is(opened, out, monkeypatch):
    seen, taking = [], opened.c.taking
    during(opened, monkeypatch, lambda: seen.extend((each.title, each.progress) for each in taking.errands.values()))
    export(opened, out)
    ((title, progress),) = seen
    assert title == "Exporting to Stems"
    assert isinstance(progress, Progress) and 0 < progress.done < progress.total
    assert not taking.errands
    assert opened.told[-1] == (f"Exported 2 files to {out}.", False)


@pytest.mark.parametrize("format", ["wav24", "mp3", "dawproject", "reaper", "folder"])
@pytest.mark.parametrize("way", ["cancel", "cancel_jobs"])
def test_an_export_that_is_stopped_leaves_nothing(opened, out, monkeypatch, format, way):
    begun = []

    def stop():
        begun.extend(out.iterdir())
        if way == "cancel":
            opened.c.taking.cancel(next(iter(opened.c.taking.errands)))
        else:
            assert BY_ID[way].enabled(opened.c)
            BY_ID[way].run(opened.c)

    during(opened, monkeypatch, stop)
    export(opened, out, format)
    assert begun and not list(out.iterdir())
    assert not opened.c.taking.errands and not BY_ID["cancel_jobs"].enabled(opened.c)
    assert opened.told[-1] == ("Stopped as asked; no partial file was left.", False)


def test_closing_stops_what_is_being_written(opened, out, monkeypatch):
    opened.porters.holding = True
    exports = opened.session.folder.exports
    export(opened, out)
    opened.c.taking.prepare(["song"], False, lambda files: None)
    opened.porters.close = opened.porters.release  # what a worker has begun goes on to its end
    opened.c.close()
    assert not list(out.iterdir()) and not list(exports.iterdir())


def test_an_export_that_fails_says_why(opened, out):
    out.touch()
    export(opened, out)
    assert opened.told[-1] == (f"{out} is not a folder; create it or choose another.", True)
    assert not opened.c.taking.errands


def test_a_new_folder_that_cannot_be_made_says_why(opened, out, monkeypatch):
    def refused(*_, **__):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(type(out), "mkdir", refused)
    export(opened, out / "new")
    assert f"{out} cannot be written to; choose another folder" in opened.told[-1][0]


def test_a_fault_is_one_sentence_with_details_for_a_report(opened, out, monkeypatch):
    details = []
    opened.session.notice.connect(lambda text, error, more, _: details.append(more))
    during(opened, monkeypatch, lambda: [][0])
    export(opened, out)
    assert opened.told[-1] == ("The files could not be written; try another folder.", True)
    assert "IndexError" in details[-1] and not list(out.iterdir())


def test_nothing_is_taken_from_an_empty_window(world, out):
    export(world, out)
    world.c.taking.prepare(["song"], False, lambda files: None)
    assert not world.c.taking.errands and not out.exists()


def two_at_once(world, monkeypatch, function):
    """Do something, and once more while the third block of the first is read, as the other worker would."""
    during(world, monkeypatch, function)
    function()


@pytest.mark.parametrize("format", ["wav24", "dawproject", "reaper", "folder"])
def test_two_exports_at_once_leave_each_other_alone(opened, out, monkeypatch, format):
    two_at_once(opened, monkeypatch, lambda: export(opened, out, format))
    assert [error for _, error in opened.told] == [False, False]
    assert len(list(out.iterdir())) == (4 if format == "wav24" else 2)
    assert all(path.stat().st_size for path in out.rglob("*"))


@pytest.mark.parametrize("typed", ["~/out", "out"])
def test_a_folder_that_was_typed_is_found(opened, home, tmp_path, monkeypatch, typed):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    export(opened, typed)
    folder = (home if typed[0] == "~" else tmp_path) / "out"
    assert opened.told[-1] == (f"Exported 2 files to {folder}.", False)
    assert len(list(folder.iterdir())) == 2


def test_missing_audio_is_not_taken_away_as_silence(opened, out, tmp_path):
    opened.ask("bass")
    opened.engine.finish_all()
    folder, bass = opened.session.folder.folder, opened.lane("bass")
    clip = opened.session.store.path(bass.parts[0].take.audio)
    opened.c.documents.close()
    clip.rename(tmp_path / "kept.wav")
    opened.open(folder)
    opened.told.clear()
    for take in (
        lambda: export(opened, out),  # the rest, too, is made of it
        lambda: opened.c.taking.export([bass.id], ExportSettings(folder=str(out)), COLOURS),
        lambda: opened.c.taking.prepare([bass.id], False, lambda files: None),
    ):
        take()
        ((text, error),) = opened.told
        assert error and text.startswith("Audio of bass is missing") and "make these parts anew" in text
        opened.told.clear()
    opened.c.taking.export(["song"], ExportSettings(folder=str(out)), COLOURS)
    assert len(list(out.iterdir())) == 1
    opened.c.documents.close()
    (tmp_path / "kept.wav").rename(clip)
    opened.open(folder)
    files = []
    opened.c.taking.prepare([bass.id], False, files.extend)
    assert np.array_equal(read(files[0]).samples.T, opened.session.store.view(bass.parts[0].take.audio))


def test_what_is_made_better_first_is_taken_as_it_was_chosen(opened, out):
    opened.c.set_region(Span(8000, 16_000))
    opened.ask("bass")
    opened.engine.finish_all()
    bass, chosen = opened.lane("bass"), opened.project
    opened.c.set_lane(bass.id, "name", "renamed meanwhile")
    opened.c.set_lane(bass.id, "gain_db", -60.0)
    opened.c.set_region(Span(0, 800))
    opened.c.taking.export([bass.id], ExportSettings(region_only=True, faders=True, folder=str(out)), COLOURS, chosen)
    (file,) = out.iterdir()
    assert file.name == "A song - bass.wav" and read(file).samples.shape == (2, 8000) and read(file).samples.any()


def test_what_was_chosen_is_taken_even_if_it_is_gone_by_then(opened, out):
    opened.ask("bass")
    opened.engine.finish_all()
    bass, chosen = opened.lane("bass"), opened.project
    opened.c.session.do(commands.remove_lanes((bass.id,)))
    opened.c.taking.export([bass.id], ExportSettings(folder=str(out)), COLOURS, chosen)
    (file,) = out.iterdir()
    assert file.name == "A song - bass.wav" and read(file).samples.any()


def test_what_an_export_that_was_killed_left_goes_with_a_later_one(opened, out):
    out.mkdir()
    left = aside_of(out / "A song - bass.wav")
    left.write_bytes(b"x")
    os.utime(left, (0, 0))
    export(opened, out)
    assert not left.exists() and len(list(out.iterdir())) == 2


def test_a_finished_stem_does_not_wait_for_an_export(opened, out):
    opened.porters.holding = True
    export(opened, out)
    opened.ask("bass")
    opened.engine.finish_all()
    assert opened.lane("bass").parts and opened.c.taking.errands
    opened.porters.release()
    assert opened.told[-1] == (f"Exported 2 files to {out}.", False)
