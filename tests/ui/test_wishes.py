from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from mgeldm.audio import read
from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QCloseEvent
from PySide6.QtWidgets import QApplication, QDialog, QLabel, QMessageBox

from mgeldm_app.core import models
from mgeldm_app.core.actions import BY_ID
from mgeldm_app.core.mixer import Mixer, Order
from mgeldm_app.core.models import EMBEDDED, Known
from mgeldm_app.core.project import Span
from mgeldm_app.core.voices import make_plan
from mgeldm_app.ui import dragging, wishes
from mgeldm_app.ui.dialogs.export import ExportChoice
from mgeldm_app.ui.dialogs.models import ModelsDialog
from mgeldm_app.ui.main_window import MainWindow
from mgeldm_app.ui.model_desk import ModelDesk
from mgeldm_app.ui.palette import Entry
from tests.fakes.world import RATE_HZ, write_song


@pytest.fixture
def window(world, qtbot, tmp_path):
    """The window among fakes, with a song and two stems."""
    made = MainWindow(world.c)
    qtbot.addWidget(made)
    world.open(write_song(tmp_path / "song.wav"))
    world.ask("bass, drums")
    world.engine.finish_all()
    return made


def accept(monkeypatch, name, answer, dialog):
    """Let a dialog be accepted at once, as `answer` says."""
    monkeypatch.setattr(dialog, "exec", lambda self: QDialog.DialogCode.Accepted)
    monkeypatch.setattr(dialog, name, answer)


def exporting(monkeypatch, tmp_path, **changes):
    def choice(self):
        options = replace(self._options, folder=str(tmp_path / "new folder"), **changes)
        return ExportChoice(("song", "L1", "L2", "rest"), options, best=changes.pop("best", False))

    accept(monkeypatch, "choice", choice, wishes.ExportDialog)


def test_an_export_nulls_and_is_remembered(window, world, monkeypatch, tmp_path):
    exporting(monkeypatch, tmp_path, format="flac")
    window.menus.run("export")
    sounds = {path.stem: read(path).samples.astype(np.float64) for path in (tmp_path / "new folder").iterdir()}
    song = sounds.pop("song - Song")
    assert np.array_equal(song, sum(sounds.values()))
    assert world.c.settings.export.format == "flac"
    assert "Exported 4 files" in world.told[-1][0]


@pytest.mark.parametrize(("selected", "chosen"), [(("L1",), 4), (("L1", "L2"), 2)])
def test_one_lane_that_was_clicked_is_not_all_that_is_exported(window, world, monkeypatch, selected, chosen):
    choices = []
    monkeypatch.setattr(wishes.ExportDialog, "exec", lambda self: choices.append(self.choice()))
    world.session.select(selected)
    window.menus.run("export")
    assert len(choices[0].lanes) == chosen


def test_what_was_exported_can_be_shown(window, monkeypatch, tmp_path):
    exporting(monkeypatch, tmp_path, format="flac")
    window.menus.run("export")
    shown = []
    monkeypatch.setattr(wishes.QDesktopServices, "openUrl", lambda url: shown.append(Path(url.toLocalFile())))
    (notice,) = window.messages.notices
    window.messages.act(notice.key, notice.actions[0][0])
    assert shown == [tmp_path / "new folder"]


def test_on_a_mac_a_project_is_shown_in_its_folder(window, world, monkeypatch, tmp_path):
    """There it is a package of this program, and opening it would only come back here."""
    shown, opened, folder = [], [], world.session.folder.folder
    monkeypatch.setattr(wishes.sys, "platform", "darwin")
    monkeypatch.setattr(wishes.QProcess, "startDetached", lambda *command: shown.append(command))
    monkeypatch.setattr(wishes.QDesktopServices, "openUrl", lambda url: opened.append(Path(url.toLocalFile())))
    window.menus.run("show_folder")
    window.wishes.show_folder(tmp_path)
    assert shown == [("open", ["-R", str(folder)])] and opened == [tmp_path]


def test_save_says_that_all_is_saved(window, world):
    window.menus.run("save")
    assert world.told[-1] == ("Saved in song.mgeldm, as every change is when it is made.", False)


@pytest.mark.parametrize("way", ["export", "save_as"])
def test_what_was_asked_of_one_project_is_not_done_to_the_next(window, world, monkeypatch, tmp_path, way):
    """A song that was being read arrives while the dialog is open; lanes of all projects have the same ids."""
    exporting(monkeypatch, tmp_path)

    def meanwhile(*_):
        world.open(write_song(tmp_path / "next.wav"))
        return QDialog.DialogCode.Accepted if way == "export" else (str(tmp_path / "Copy.mgeldm"), "")

    monkeypatch.setattr(wishes.ExportDialog, "exec", meanwhile)
    monkeypatch.setattr(wishes.QFileDialog, "getSaveFileName", meanwhile)
    window.menus.run(way)
    assert world.session.folder.folder.stem == "next"
    assert "nothing was written" in world.told[-1][0]
    assert not (tmp_path / "new folder").exists() and not (tmp_path / "Copy.mgeldm").exists()


def test_one_mix_of_all_is_what_is_heard(window, world, monkeypatch, tmp_path):
    """All lanes are chosen at first: the song, and, after a source was regenerated, what is muted in its place, too."""
    world.c.set_region(Span(0, 8000))
    world.ask("bass", task="inpaint", takes=1)
    world.engine.finish_all()
    world.c.set_region(None)
    assert world.lane("bass (replaced)").muted
    monkeypatch.setattr(wishes.ExportDialog, "exec", lambda self: QDialog.DialogCode.Accepted)
    options = replace(world.c.settings.export, format="wav32", as_mix=True, folder=str(tmp_path / "mix"))
    world.c.set_settings(replace(world.c.settings, export=options))
    window.menus.run("export")
    (file,) = (tmp_path / "mix").iterdir()
    mixer, heard = Mixer(RATE_HZ), np.zeros((world.project.samples, 2), np.float32)
    mixer.order = Order(make_plan(world.project, world.session.store.view), playing=True)
    mixer.render(heard)
    np.testing.assert_allclose(read(file).samples.T, heard, atol=1e-6)
    world.c.set_lane("rest", "muted", True)
    assert wishes_dialog(window, monkeypatch).summary.text() == "1 file: bass, drums and bass"
    world.c.set_lane("song", "soloed", True)
    assert wishes_dialog(window, monkeypatch).summary.text() == "1 file: Song"


def wishes_dialog(window, monkeypatch):
    """The export dialog as it is shown."""
    shown = []
    with monkeypatch.context() as patch:
        patch.setattr(wishes.ExportDialog, "exec", lambda self: shown.append(self) or QDialog.DialogCode.Rejected)
        window.menus.run("export")
    return shown[0]


def test_a_best_export_is_of_what_was_chosen(window, world, monkeypatch, tmp_path):
    def choice(self):
        options = replace(self._options, folder=str(tmp_path / "new folder"), region_only=True)
        return ExportChoice(("L1",), options, best=True)

    world.c.set_region(Span(8000, 16_000))
    accept(monkeypatch, "choice", choice, wishes.ExportDialog)
    window.menus.run("export")
    world.c.set_region(Span(40_000, 44_000))
    world.c.set_lane("L1", "name", "renamed meanwhile")
    world.engine.finish_all()
    (file,) = (tmp_path / "new folder").iterdir()
    assert file.name == "song - bass.wav" and read(file).samples.shape[1] == 8000
    made = world.session.store.view(world.lane("renamed meanwhile").parts[0].take.audio)[8000:16_000]
    np.testing.assert_allclose(read(file).samples.T, made, atol=2**-23)


def test_a_best_export_waits_for_the_stems(window, world, monkeypatch, tmp_path):
    def choice(self):
        return ExportChoice(("L1",), replace(self._options, folder=str(tmp_path / "new folder")), best=True)

    accept(monkeypatch, "choice", choice, wishes.ExportDialog)
    window.menus.run("export")
    assert not (tmp_path / "new folder").exists()
    world.engine.finish_all()
    assert world.lane("bass").parts[0].take.made.quality == "best"
    assert len(list((tmp_path / "new folder").iterdir())) == 1


def test_the_rest_is_best_when_all_stems_are(window, world, monkeypatch, tmp_path):
    def choice(self):
        return ExportChoice(("rest",), replace(self._options, folder=str(tmp_path / "new folder")), best=True)

    accept(monkeypatch, "choice", choice, wishes.ExportDialog)
    window.menus.run("export")
    assert len(world.engine.jobs) == 2
    world.engine.finish()
    world.engine.fail(0.0)
    assert len(list((tmp_path / "new folder").iterdir())) == 1
    assert any("exported as they are" in text for text, _ in world.told)


def test_a_best_export_that_fails_says_what_it_holds(window, world, monkeypatch, tmp_path):
    def choice(self):
        return ExportChoice(("L1",), replace(self._options, folder=str(tmp_path / "new folder")), best=True)

    accept(monkeypatch, "choice", choice, wishes.ExportDialog)
    window.menus.run("export")
    world.engine.fail(0.0)
    assert len(list((tmp_path / "new folder").iterdir())) == 1
    assert any("exported as they are" in text for text, _ in world.told)


def test_a_region_is_copied_as_a_file(window, world, tmp_path):
    world.c.set_region(Span(0, RATE_HZ))
    world.session.select(("L1",))
    window.menus.run("copy_region")
    (url,) = QApplication.clipboard().mimeData().urls()
    assert read(url.toLocalFile()).samples.shape[1] == RATE_HZ


def test_the_held_key_is_on_the_sheet(window, monkeypatch):
    shown = []
    monkeypatch.setattr(wishes, "ShortcutSheet", lambda entries, parent: shown.extend(entries))
    monkeypatch.setattr(wishes, "_accepted", lambda dialog: True)
    window.menus.run("shortcuts")
    assert any((entry.title, entry.shortcut) == ("Hear the original while held", "A") for entry in shown)
    assert any(entry.shortcut == "Ctrl+Drag" and "region" in entry.title for entry in shown)


def test_settings_reach_sound_engine_and_prompt(window, world, monkeypatch):
    def settings(self):
        return replace(self.before, device="other", latency="low", quality="best", compute="cpu", theme="light")

    accept(monkeypatch, "settings", settings, wishes.SettingsDialog)
    window.menus.run("settings")
    assert world.player.device == ("other", "low")
    assert world.engine.config.device == "cpu"
    assert world.project.prompt.quality == "best"
    assert window.theme.name == "light"


def test_a_model_used_or_removed_from_within_the_settings_stays_so(window, world, monkeypatch):
    taken = world.c.models.take_in(models.EMBEDDED_PATH)

    def use(desk, dialog):
        desk.use(next(model.id for model in world.c.models.installed() if model.id != EMBEDDED))

    def remove(desk, dialog):
        desk.remove(world.c.settings.model)

    def within(what, chosen=None):
        def manage(dialog):
            what(ModelDesk(world.c, dialog), dialog)
            return QDialog.DialogCode.Accepted

        def settings(dialog):
            dialog.models_clicked.emit()
            seen.append((dialog.model.currentData(), dialog.model.count()))
            dialog.model.setCurrentIndex(dialog.model.findData(chosen or dialog.model.currentData()))
            return QDialog.DialogCode.Accepted

        monkeypatch.setattr(ModelsDialog, "exec", manage)
        monkeypatch.setattr(wishes.SettingsDialog, "exec", settings)
        window.menus.run("settings")
        return world.c.settings.model, world.engine.config.model

    seen = []
    used = next(model.id for model in world.c.models.installed() if model.id != EMBEDDED)
    assert taken and within(use) == (used, used) and seen.pop() == (used, 2)
    assert within(remove) == (EMBEDDED, EMBEDDED) and seen.pop() == (EMBEDDED, 1)
    world.c.models.take_in(models.EMBEDDED_PATH)
    assert within(use, EMBEDDED) == (EMBEDDED, EMBEDDED)


def test_what_was_remembered_while_the_settings_were_open_stays(window, world, monkeypatch, tmp_path):
    def change(dialog):
        world.open(write_song(tmp_path / "other.wav"))
        dialog.theme.setCurrentIndex(dialog.theme.findData("light"))
        return QDialog.DialogCode.Accepted

    monkeypatch.setattr(wishes.SettingsDialog, "exec", change)
    window.menus.run("settings")
    assert world.c.settings.theme == "light"
    assert world.c.settings.recent[0] == str(world.session.folder.folder)


def test_an_interface_that_is_plugged_in_is_in_the_open_settings(window, world, monkeypatch):
    """The look that opening them starts is over only later, and one that playing does not allow still later."""
    seen, player = [], world.player

    def look(dialog):
        names = [dialog.device.itemText(row) for row in range(dialog.device.count())]
        seen.append((names[1:], not dialog._outputs_hint.isHidden()))

    def use(dialog):
        look(dialog)
        monkeypatch.setattr(player, "devices", lambda: ["fake", "interface"])
        player.pause()
        look(dialog)
        player.status = replace(player.status, device="")  # the silent clock plays: looks go on
        player.play()
        look(dialog)
        dialog.device.setCurrentIndex(2)
        return QDialog.DialogCode.Accepted

    monkeypatch.setattr(wishes.SettingsDialog, "exec", use)
    player.play()
    listeners = len(player.changed._functions)
    window.menus.run("settings")
    assert seen == [(["fake", "other"], True), (["fake", "interface"], False), (["fake", "interface"], False)]
    assert player.device[0] == "interface" and len(player.changed._functions) == listeners


def test_a_cancelled_dialog_changes_nothing(window, world, monkeypatch, tmp_path):
    before = world.c.settings
    for dialog in (wishes.ExportDialog, wishes.SettingsDialog):
        monkeypatch.setattr(dialog, "exec", lambda self: QDialog.DialogCode.Rejected)
    window.menus.run("export")
    window.menus.run("settings")
    assert world.c.settings == before


def test_open_and_save_as_ask_for_a_place(window, world, monkeypatch, tmp_path):
    other = write_song(tmp_path / "other.wav", seconds=2)
    monkeypatch.setattr(wishes.QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "copy"), ""))
    window.menus.run("save_as")
    assert world.session.folder.folder == tmp_path / "copy.mgeldm"
    monkeypatch.setattr(wishes.QFileDialog, "getOpenFileName", lambda *_: (str(other), ""))
    window.menus.run("open")
    assert world.project.song.name == "other.wav"
    monkeypatch.setattr(wishes.QFileDialog, "getOpenFileName", lambda *_: ("", ""))
    window.menus.run("open")
    assert world.project.song.name == "other.wav"


@pytest.mark.parametrize("chosen", [".", "project.json"])
def test_a_project_is_chosen_as_a_folder_or_as_its_file(window, world, monkeypatch, tmp_path, chosen):
    """macOS shows the folder as one file, which no filter may leave out."""
    folder, filters = world.session.folder.folder, []
    world.c.documents.close()
    choose = lambda *args: (filters.append(args[-1]), (str(folder / chosen), ""))[1]  # noqa: E731
    monkeypatch.setattr(wishes.QFileDialog, "getOpenFileName", choose)
    window.menus.run("open")
    assert world.session.folder.folder == folder
    assert "Projects (*.mgeldm project.json)" in filters[0].split(";;")


def test_every_wish_is_known(window):
    from mgeldm_app.core import actions

    asked = []
    window.controller.wants._functions[:] = [asked.append]
    for action in actions.ACTIONS:
        if "wants" in action.run.__qualname__:
            action.run(window.controller)
    assert set(asked) <= set(window.wishes.table)
    assert len(asked) > 10


class Drag:
    """Stands for QDrag, which would wait for a mouse."""

    made: list = []  # noqa: RUF012 - emptied by the test

    def __init__(self, source):
        Drag.made.append(self)
        self.urls, self.pixmap, self.action = [], None, None

    def setMimeData(self, data):
        self.urls = [url.toLocalFile() for url in data.urls()]

    def setPixmap(self, pixmap):
        self.pixmap = pixmap

    def exec(self, action):
        self.action = action


@pytest.fixture
def drags(monkeypatch):
    Drag.made = []
    monkeypatch.setattr(dragging, "QDrag", Drag)
    return Drag.made


def test_dragged_lanes_are_real_files(window, world, drags):
    ids = (world.lane("bass").id, world.lane("drums").id)
    window.lanes.drag_pressed.emit(ids, False)
    window.lanes.drag_started.emit(ids, False)
    (drag,) = drags
    assert [read(url).samples.shape[1] for url in drag.urls] == [world.project.samples] * 2
    assert (drag.action, drag.pixmap.isNull()) == (Qt.DropAction.CopyAction, False)


def test_a_drag_waits_for_its_files(window, world, drags, monkeypatch):
    ids = (world.lane("bass").id,)
    world.porters.holding = True
    window.lanes.drag_pressed.emit(ids, False)
    window.lanes.drag_started.emit(ids, False)
    assert not drags
    monkeypatch.setattr(QApplication, "mouseButtons", lambda: Qt.MouseButton.LeftButton)
    world.porters.release()
    assert len(drags) == 1


def test_a_drag_that_was_let_go_does_not_start_later(window, world, drags, monkeypatch):
    ids = (world.lane("bass").id,)
    world.porters.holding = True
    window.lanes.drag_pressed.emit(ids, False)
    window.lanes.drag_started.emit(ids, False)
    monkeypatch.setattr(QApplication, "mouseButtons", lambda: Qt.MouseButton.NoButton)
    world.porters.release()
    assert not drags


def test_models_are_imported_used_and_removed(window, world, qtbot, tmp_path):
    dialog = ModelsDialog(parent=window)
    desk = ModelDesk(world.c, dialog)
    dialog.import_chosen.emit(str(models.EMBEDDED_PATH))
    taken = next(model for model in world.c.models.installed() if model.id != EMBEDDED)
    dialog.use_clicked.emit(taken.id)
    assert world.c.settings.model == world.engine.config.model == taken.id
    dialog.remove_clicked.emit(taken.id)
    assert world.c.settings.model == world.engine.config.model == EMBEDDED
    assert [model.id for model in world.c.models.installed()] == [EMBEDDED]
    desk.close()


def test_a_download_that_fails_says_why(window, world, qtbot, monkeypatch):
    files = (models.Remote("a.pt", "http://127.0.0.1:9/a", "0" * 64),)
    monkeypatch.setattr(models, "KNOWN", (Known("clap", "CLAP", "", files),))
    dialog = ModelsDialog(parent=window)
    desk = ModelDesk(world.c, dialog)
    dialog.download_clicked.emit("clap")
    assert "check the connection" in world.told[-1][0]
    desk.close()


class ByTheUser(QCloseEvent):
    """As the window system sends it."""

    def spontaneous(self):
        return True


def answering(window, text):
    """Presses the button of that text in the question that comes, and returns the questions."""
    asked = []

    def answer():
        box = QApplication.activeModalWidget()
        if not isinstance(box, QMessageBox):
            QTimer.singleShot(5, answer)
            return
        asked.append(box.text())
        assert box.defaultButton().text() == "&Stay"
        next(each for each in box.buttons() if each.text() == f"&{text}").click()

    QTimer.singleShot(5, answer)
    return asked


def test_whoever_closes_the_window_while_stems_are_made_is_asked_once(window, world, qtbot):
    said = (
        "stems are still being made. What is finished is kept; the rest can be made when the project is opened again."
    )
    window.show()
    world.ask("organ, strings")
    for leave in (lambda: window.closeEvent(ByTheUser()), window.wishes.quit, world.c.documents.close):
        asked = answering(window, "Stay")
        leave()
        assert asked == [f"2 {said}"] and window.isVisible() and world.session.busy
    asked = answering(window, "Close")
    window.wishes.quit()
    assert len(asked) == 1 and not window.isVisible()


def test_whoever_closes_the_window_while_files_are_written_is_asked_first(window, world, monkeypatch, tmp_path):
    window.show()
    exporting(monkeypatch, tmp_path)
    world.porters.holding = True
    window.menus.run("export")
    (errand,) = world.c.taking.errands.values()
    for leave in (lambda: window.closeEvent(ByTheUser()), window.wishes.quit):
        asked = answering(window, "Stay")
        leave()
        assert asked == ["Files are still being written. If you close now, they are not made."]
        assert window.isVisible() and not errand.cancelled
    asked = answering(window, "Close")
    window.wishes.quit()
    assert len(asked) == 1 and not window.isVisible() and errand.cancelled


def test_where_nothing_is_made_nobody_is_asked(window):
    window.show()
    event = ByTheUser()
    window.closeEvent(event)
    assert event.isAccepted()


def test_the_program_closes_its_window_unasked(window, world):
    window.show()
    world.ask("organ")
    assert window.close() and not window.isVisible()


def test_what_cannot_be_saved_is_tried_again_and_not_lost_unasked(window, world, monkeypatch):
    def full(project):
        raise OSError(28, "No space left on device")

    asked = []
    answers = iter([wishes.QMessageBox.StandardButton.Cancel, wishes.QMessageBox.StandardButton.Discard])
    monkeypatch.setattr(wishes.QMessageBox, "warning", lambda *words: asked.append(words) or next(answers))
    with monkeypatch.context() as patch:
        patch.setattr(world.session.folder, "save", full)
        world.c.set_lane(world.lane("bass").id, "gain_db", -3.0)
        told = len(world.told)
        world.c.documents.save_again()
        assert len(world.told) == told  # said once
        assert not window.wishes.may_close()
        assert window.wishes.may_close()
    assert len(asked) == 2
    world.c.documents.save_again()
    assert not world.c.documents.unsaved
    assert window.wishes.may_close()


def test_a_project_that_cannot_be_saved_is_not_closed_or_left_unasked(window, world, monkeypatch, tmp_path):
    asked, folder = [], world.session.folder.folder
    stay = wishes.QMessageBox.StandardButton.Cancel
    monkeypatch.setattr(wishes.QMessageBox, "warning", lambda *words: asked.append(words[2]) or stay)
    folder.rename(folder.with_name("moved.mgeldm"))
    world.c.set_lane(world.lane("bass").id, "gain_db", -3.0)
    window.menus.run("close")
    world.open(write_song(tmp_path / "other.wav"))
    assert len(asked) == 2 and "Save as keeps them" in asked[0]
    assert world.session.folder.folder == folder and world.lane("bass").gain_db == -3.0


def test_a_stem_that_is_finished_as_the_project_is_closed_is_kept(window, world, monkeypatch):
    folder = world.session.folder.folder
    world.ask("organ")
    world.workers.holding = True
    world.engine.finish()
    asked = answering(window, "Close")
    world.c.documents.close()
    world.workers.release()
    assert asked and world.session.folder is None
    world.open(folder)
    assert world.lane("organ").parts and not world.session.jobs


def test_the_sheet_says_all_that_the_keys_of_takes_do(window):
    sheet = wishes.ShortcutSheet([Entry("takes", "Hear take 1 to 9", "1 … 9", True, "Takes")])
    assert "Hear take 1 to 9" in [each.text() for each in sheet.findChildren(QLabel)]
    shown = []
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(wishes, "ShortcutSheet", lambda entries, parent: shown.extend(entries))
        patched.setattr(wishes, "_accepted", lambda dialog: True)
        window.menus.run("shortcuts")
    (takes,) = [entry for entry in shown if entry.shortcut == "1 … 9"]
    assert takes.title == "Hear take 1 to 9" and takes.id not in BY_ID


def test_takes_that_are_still_to_come_are_counted(window, world):
    window.show()
    world.ask("piano", task="impute", takes=3)
    asked = answering(window, "Stay")
    window.wishes.quit()
    assert asked[0].startswith("3 parts are still being made.")
    world.ask("organ", task="extract")
    asked = answering(window, "Stay")
    window.wishes.quit()
    assert asked[0].startswith("4 parts and stems are still being made.")
    world.engine.finish_all()


@pytest.mark.parametrize("has_others", [True, False])
def test_about_leads_to_the_licences_of_others_where_they_are(window, monkeypatch, tmp_path, has_others):
    said = []
    monkeypatch.setattr(wishes, "RESOURCES", tmp_path)
    monkeypatch.setattr(wishes.QMessageBox, "about", lambda parent, title, text: said.append(text))
    if has_others:
        (tmp_path / "licences").mkdir()
        (tmp_path / "licences" / "THIRD-PARTY.txt").write_text("PySide6: LGPL", encoding="utf-8")
    window.menus.run("about")
    assert ("THIRD-PARTY.txt" in said[0]) == has_others and "MIT" in said[0]


def test_metre_and_key_are_chosen_in_a_window_too_narrow_to_show_them(window, world, monkeypatch):
    for action, name in (("metre", "6/8"), ("key", "A minor")):
        monkeypatch.setattr(wishes.QInputDialog, "getItem", lambda *_, name=name: (name, True))
        window.menus.run(action)
        monkeypatch.setattr(wishes.QInputDialog, "getItem", lambda *_: ("C major", False))
        window.menus.run(action)
    tempo = world.project.tempo
    assert (tempo.beats_per_bar, tempo.beat_unit, tempo.key) == (6, 8, "A minor")
