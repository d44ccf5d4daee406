"""What the models dialog shows while models come, and what follows when they are there."""

import threading
from dataclasses import replace

import pytest
from mgeldm.errors import Cancelled, CheckpointError, OutputError

from mgeldm_app.core import models
from mgeldm_app.core.jobs import EngineStatus
from mgeldm_app.core.models import EMBEDDED, Known, Remote
from mgeldm_app.services.workers import Workers
from mgeldm_app.ui.dialogs.models import ModelsDialog
from mgeldm_app.ui.model_desk import ModelDesk

LACKING = EngineStatus("failed", message="This model understands text through CLAP: download CLAP.")


@pytest.fixture
def open_desk(world, qtbot):
    """Opens the dialog with its desk."""

    def make():
        dialog = ModelsDialog()
        qtbot.addWidget(dialog)
        desk = ModelDesk(world.c, dialog)
        desk.rows = lambda: {key: widget._row for key, widget in dialog._widgets.items()}
        return desk

    return make


@pytest.fixture
def published(world, tmp_path):
    """A model that is in use and needs CLAP."""
    path = tmp_path / "published.safetensors"
    path.write_bytes((2).to_bytes(8, "little") + b"{}" + bytes(100))
    model = world.c.models.take_in(path)
    world.c.settings = replace(world.c.settings, model=model.id)
    world.c.configure_engine()
    return model


@pytest.fixture
def clap(monkeypatch):
    """A CLAP whose download brings two small files at once."""

    def fetch(remote, folder, reporter):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / remote.name).touch()

    files = (Remote("a.pt", ""), Remote("vocab.json", ""))
    monkeypatch.setattr(models, "KNOWN", (Known("clap", "CLAP", "", files),))
    monkeypatch.setattr(models, "fetch", fetch)


def test_a_model_that_waits_for_clap_starts_when_it_is_there(world, open_desk, clap, published):
    desk = open_desk()
    assert world.engine.config.clap == ""
    desk.download("clap")
    assert world.engine.config.clap == str(world.c.models.clap)
    desk.remove(str(world.c.models.clap))
    assert world.engine.config.clap == ""
    assert world.engine.config.model == published.id
    desk.close()


def test_what_a_model_in_use_lacks_is_said(world, open_desk, clap, published):
    desk = open_desk()
    world.session.show_engine(LACKING)
    desk.refresh()
    rows = desk.rows()
    assert "download" in rows[published.id].message and rows[EMBEDDED].message == ""
    assert rows["clap"].state == "available"
    desk.download("clap")
    desk.refresh()
    assert desk.rows()[published.id].message == ""
    desk.close()


def test_an_import_is_seen_and_goes_on_when_the_dialog_is_closed(world, open_desk):
    path, world.porters.holding = str(models.EMBEDDED_PATH), True
    desk = open_desk()
    desk.take_in(path)
    desk.take_in(path)  # pressed twice
    assert (desk.rows()[path].state, desk.rows()[path].name) == ("downloading", models.EMBEDDED_PATH.stem)
    desk.close()
    later = open_desk()
    assert later.rows()[path].state == "downloading"
    world.porters.release()
    later.refresh()
    assert path not in later.rows() and len(world.c.models.installed()) == 2
    assert [text for text, _ in world.told] == [f"{models.EMBEDDED_PATH.name} is imported; choose it in File > Models."]
    later.close()


def test_an_import_can_be_stopped(world, open_desk):
    path, world.porters.holding = str(models.EMBEDDED_PATH), True
    desk = open_desk()
    desk.take_in(path)
    desk.dialog._widgets[path].cancel.click()
    world.porters.release()
    desk.refresh()
    assert list(desk.rows()) == [EMBEDDED, *(known.id for known in models.KNOWN)]
    assert world.told == []
    desk.close()


def test_an_import_that_fails_says_why_where_it_was_seen(world, open_desk, tmp_path):
    (tmp_path / "song.safetensors").write_bytes(b"RIFF not a model")
    desk = open_desk()
    desk.take_in(str(tmp_path / "song.safetensors"))
    desk.refresh()
    row = desk.rows()[str(tmp_path / "song.safetensors")]
    assert row.state == "broken" and "not a model" in row.message and not row.removable
    desk.close()


def test_a_download_is_stopped_with_its_dialog_and_not_begun_twice(world, open_desk, clap):
    world.porters.holding = True
    desk = open_desk()
    desk.download("clap")
    coming = world.c.models.coming["clap"]
    desk.close()
    assert coming.cancelled
    again = open_desk()
    again.download("clap")  # the first is still about to end
    assert world.c.models.coming == {"clap": coming}
    again.close()


def test_the_program_ends_in_the_midst_of_a_download(world, open_desk, monkeypatch):
    """With the dialog open, as when the system shuts down: what workers are at is stopped, not waited for."""
    begun, ends = threading.Event(), []

    def fetch(remote, folder, reporter):
        begun.set()
        for _ in range(500):  # ten seconds
            threading.Event().wait(0.02)
            try:
                reporter.check()
            except Cancelled:
                ends.append("stopped")
                raise
        raise CheckpointError("late")

    monkeypatch.setattr(models, "fetch", fetch)
    world.c.porters = Workers(lambda function: None)
    desk = open_desk()
    desk.download("clap")
    assert begun.wait(5)
    world.c.close()
    assert ends == ["stopped"]
    desk.close()


@pytest.mark.parametrize("state", ["ready", "working"])
def test_a_model_in_use_is_deleted_when_the_engine_has_left_it(world, open_desk, published, monkeypatch, state):
    """Windows deletes no file that a process maps, and the engine's goes when it is done with its job."""
    desk, remove = open_desk(), world.c.models.remove

    def locked(model_id):
        raise OutputError("It could not be deleted; close what uses it.")

    world.engine.events.emit(EngineStatus(state, "cpu", model=published.id))
    monkeypatch.setattr(world.c.models, "remove", locked)
    desk.remove(published.id)
    assert world.c.settings.model == EMBEDDED and published.id in desk.rows() and world.told == []
    monkeypatch.setattr(world.c.models, "remove", remove)
    desk.close()
    world.engine.events.emit(EngineStatus("working", "cpu", model=published.id))
    assert len(world.c.models.installed()) == 2
    world.engine.events.emit(EngineStatus("starting"))
    assert [model.id for model in world.c.models.installed()] == [EMBEDDED]


def test_a_model_that_cannot_be_deleted_is_told_of(world, open_desk, published, monkeypatch):
    def locked(model_id):
        raise OutputError("It could not be deleted; close what uses it.")

    monkeypatch.setattr(world.c.models, "remove", locked)
    desk = open_desk()
    for state in ("off", "ready"):  # where nothing of this program has it, and where it is no longer used
        world.engine.events.emit(EngineStatus(state, "cpu", model=EMBEDDED))
        desk.remove(published.id)
        assert world.told.pop() == ("It could not be deleted; close what uses it.", True)
