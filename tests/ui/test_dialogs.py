import gc
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from mgeldm.errors import InputError
from PySide6.QtCore import QCoreApplication, QEvent, QPoint, QPointF, QSize, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QFileDialog, QLabel, QPushButton, QScrollArea, QWidget

from mgeldm_app.core.export.formats import formats
from mgeldm_app.core.settings import ExportSettings, Settings
from mgeldm_app.ui import a11y
from mgeldm_app.ui.dialogs import (
    Choice,
    ExportChoice,
    ExportDialog,
    LaneRow,
    MessageBar,
    ModelRow,
    ModelsDialog,
    Notice,
    SettingsDialog,
)
from mgeldm_app.ui.dialogs.form import Sheet
from mgeldm_app.ui.dialogs.messages import _breakable, _NoticeWidget
from mgeldm_app.ui.shortcuts import ShortcutSheet
from mgeldm_app.ui.theme import LIGHT

COMPUTES = [Choice("auto", "Automatic"), Choice("cpu", "CPU")]
MODELS = [Choice("embedded", "Embedded model"), Choice("/m/x.ckpt", "x")]
FULL = Settings(
    device="Card", latency="low", quality="best", compute="cpu", model="/m/x.ckpt", theme="light",
    clap=str(Path("/c").absolute()), projects=str(Path("/p").absolute()), recent=("/a",), prompts=("drums",),
)  # fmt: skip

# ------------------------------------------------------------------------------------------------------------ settings


def settings_dialog(qtbot, settings):
    dialog = SettingsDialog(settings, ["Card"], COMPUTES, MODELS, "/home/music", "11 ms now")
    qtbot.addWidget(dialog)
    return dialog


@pytest.mark.parametrize("settings", [Settings(), FULL])
def test_settings_come_back_as_they_were(qtbot, settings):
    assert settings_dialog(qtbot, settings).settings() == settings


def test_each_setting_can_be_changed(qtbot):
    dialog = settings_dialog(qtbot, Settings(recent=("/a",), prompts=("drums",)))
    for field in ("device", "latency", "compute", "model"):
        getattr(dialog, field).setCurrentIndex(1)
    dialog.quality.setCurrentIndex(2)
    dialog.theme.setCurrentIndex(2)
    dialog.projects.edit.setText(" /p ")
    dialog.clap.edit.setText("/c")
    assert dialog.settings() == FULL


def test_what_is_not_there_any_more_is_kept_and_said(qtbot):
    gone = replace(FULL, device="Unplugged", model="/gone.ckpt", compute="cuda")
    dialog = settings_dialog(qtbot, gone)
    assert dialog.settings() == gone
    assert dialog.device.currentText() == "Unplugged (not connected)"
    assert dialog.model.currentText() == "/gone.ckpt (not found)"


def test_sound_cards_that_come_and_go_leave_the_choice_alone(qtbot):
    dialog = settings_dialog(qtbot, Settings(device="Card"))
    assert dialog._outputs_hint.isHidden()
    dialog.set_outputs(["Interface", "Card"], True)
    assert [dialog.device.itemData(row) for row in range(dialog.device.count())] == ["", "Interface", "Card"]
    assert dialog.settings().device == "Card" and not dialog._outputs_hint.isHidden()
    dialog.device.setCurrentIndex(1)
    dialog.set_outputs(["Card"], False)
    assert dialog.settings().device == "Interface" and dialog._outputs_hint.isHidden()
    assert dialog.device.currentText() == "Interface (not connected)"
    dialog.set_outputs(["Card", "Interface"], False)
    assert (dialog.device.currentText(), dialog.device.count()) == ("Interface", 3)


def test_a_folder_is_chosen_or_kept(qtbot, monkeypatch):
    dialog = settings_dialog(qtbot, Settings())
    new = str(Path("/new").absolute())
    for answer, path in (("/new", new), ("", new)):
        monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_, answer=answer: answer)
        dialog.projects.browse.click()
        assert dialog.settings().projects == path


def test_a_folder_that_is_typed_is_whole(qtbot, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    dialog = settings_dialog(qtbot, Settings())
    for typed, folder in (("~", tmp_path), (" ~/My Songs ", tmp_path / "My Songs"), ("here", tmp_path / "here")):
        dialog.projects.edit.setText(typed)
        assert dialog.settings().projects == str(folder)
    dialog.projects.edit.setText("  ")
    assert dialog.settings().projects == ""


# -------------------------------------------------------------------------------------------------------------- models

ROWS = (
    ModelRow("own", "Embedded model", "Small.", sha256="ab" * 32, size_bytes=24_200_000, in_use=True, removable=False),
    ModelRow("big", "Published", state="available", size_bytes=4_720_000_000),
    ModelRow("clap", "CLAP", state="downloading", share=0.3, progress="0.7 of 2.4 GB"),
    ModelRow("mine", "Mine", sha256="cd" * 32, size_bytes=5),
    ModelRow("bad", "Broken", state="broken", message="It is too short; fetch it again."),
)


@pytest.fixture
def models(shown):
    made = ModelsDialog(ROWS)
    made.set_theme(LIGHT)
    made.heard = []
    for name in ("use_clicked", "download_clicked", "cancel_clicked", "remove_clicked", "import_chosen"):
        getattr(made, name).connect(lambda value, name=name: made.heard.append((name, value)))
    return shown(made, 720, 900)


def test_a_model_offers_what_can_be_done_with_it(models):
    offers = {
        key: [name for name in ("use", "download", "cancel", "remove", "copy") if getattr(widget, name).isVisible()]
        for key, widget in models._widgets.items()
    }
    assert offers == {
        "own": ["copy"], "big": ["download"], "clap": ["cancel"], "mine": ["use", "remove", "copy"], "bad": ["remove"],
    }  # fmt: skip
    assert models._widgets["own"].badge.isVisible() and models._widgets["clap"].progress.isVisible()
    assert models._widgets["own"].facts.text() == "abababababab · 24.2 MB"
    assert models._widgets["bad"].message.text() == ROWS[4].message


def test_what_only_its_authors_hand_out_offers_no_download(models):
    models.set_rows((replace(ROWS[1], can_use=False),))
    assert not models._widgets["big"].download.isVisible()


def test_buttons_say_which_model(models):
    models._widgets["mine"].use.click()
    models._widgets["big"].download.click()
    models._widgets["clap"].cancel.click()
    models._widgets["mine"].copy.click()
    assert models.heard == [("use_clicked", "mine"), ("download_clicked", "big"), ("cancel_clicked", "clap")]
    assert QGuiApplication.clipboard().text() == "cd" * 32


def test_a_file_is_deleted_only_when_asked_twice(models):
    remove = models._widgets["mine"].remove
    remove.click()
    assert models.heard == [] and remove.text() == "Delete the file?"
    remove.click()
    assert models.heard == [("remove_clicked", "mine")] and remove.text() == "Remove"


def test_rows_keep_their_widgets(models):
    kept = models._widgets["clap"]
    models.set_rows((replace(ROWS[2], state="installed", can_use=False), ROWS[0]))
    assert list(models._widgets) == ["own", "clap"] and models._widgets["clap"] is kept
    assert not kept.use.isVisible() and kept.remove.isVisible()
    assert [models._list.itemAt(place).widget() for place in (0, 1)] == [kept, models._widgets["own"]]


def test_a_file_is_imported_if_one_is_chosen(models, monkeypatch):
    for answer in ("", "/m/new.ckpt"):
        monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_, answer=answer: (answer, ""))
        models.import_button.click()
    assert models.heard == [("import_chosen", "/m/new.ckpt")]


# -------------------------------------------------------------------------------------------------------------- export

LANES = (
    LaneRow("song", "Song", "#A9B4C2", chosen=False),
    LaneRow("L1", "drums", "#F2726B"),
    LaneRow("L2", "bass", "#4FC6E0"),
    LaneRow("rest", "Rest", "#6F7A88"),
)


def names(choice):
    if "{x}" in choice.options.pattern:
        raise InputError("The pattern of names has {x}; it may have {song}.")
    lanes = choice.lanes[:1] if choice.options.as_mix else choice.lanes
    return [f"{choice.options.pattern} {lane}" for lane in lanes]


def mixed(choice):
    return [f"{lane} too" for lane in choice.lanes if lane != "L1"]


def export_dialog(qtbot, options=ExportSettings(folder="/out"), region="8 bars", best="2 stems, 4 min"):  # noqa: B008
    dialog = ExportDialog(LANES, formats(), options, names, mixed, region, best)
    qtbot.addWidget(dialog)
    return dialog


def test_the_heard_lanes_are_chosen_first(qtbot):
    assert export_dialog(qtbot).choice() == ExportChoice(("L1", "L2", "rest"), ExportSettings(folder="/out"))


def test_everything_can_be_chosen(qtbot):
    dialog = export_dialog(qtbot)
    dialog.none.click()
    dialog.lanes.item(0).setCheckState(Qt.CheckState.Checked)
    dialog.format.setCurrentIndex(dialog.format.findData("flac"))
    dialog.region.click()
    dialog.mix.click()
    dialog.best.click()
    dialog.pattern.setText("{lane}")
    dialog.folder.edit.setText("/else")
    wanted = ExportSettings("flac", region_only=True, as_mix=True, pattern="{lane}", folder="/else")
    assert dialog.choice() == ExportChoice(("song",), wanted, best=True)
    assert dialog.example.text() == "For example: {lane} song" and dialog.summary.text() == "1 file: song too"


def test_options_are_remembered(qtbot):
    options = ExportSettings("mp3", True, True, True, "{number}", "/f")
    assert export_dialog(qtbot, options).choice().options == options


def test_what_is_missing_is_said_and_stops_it(qtbot):
    dialog = export_dialog(qtbot)
    assert dialog.accept_button.isEnabled() and dialog.summary.text() == "3 files"
    dialog.none.click()
    assert not dialog.accept_button.isEnabled() and dialog.summary.text() == "Choose at least one lane."
    dialog.all.click()
    dialog.folder.edit.clear()
    assert not dialog.accept_button.isEnabled() and dialog.summary.text() == "Choose a folder."
    dialog.folder.edit.setText("/out")
    dialog.pattern.setText("{x}")
    assert not dialog.accept_button.isEnabled() and "{x}" in dialog.example.text()
    dialog.pattern.setText("{lane}")
    assert dialog.accept_button.isEnabled()


def test_what_will_be_in_a_mix_is_said(qtbot):
    dialog = export_dialog(qtbot)
    dialog.mix.click()
    assert dialog.summary.text() == "1 file: L2 too and rest too"
    dialog.none.click()
    dialog.lanes.item(1).setCheckState(Qt.CheckState.Checked)
    assert not dialog.accept_button.isEnabled() and "None of these lanes is heard" in dialog.summary.text()
    dialog.format.setCurrentIndex(dialog.format.findData("dawproject"))  # which takes them as they are
    assert dialog.accept_button.isEnabled()


def test_a_project_for_a_daw_is_the_whole_song_under_its_own_name(qtbot):
    dialog = export_dialog(qtbot)
    dialog.format.setCurrentIndex(dialog.format.findData("dawproject"))
    assert not any(each.isEnabled() for each in (dialog.region, dialog.each, dialog.pattern, dialog.faders))
    assert dialog.summary.text() == "DAWproject with 3 lanes"
    dialog.format.setCurrentIndex(dialog.format.findData("wav24"))
    assert dialog.region.isEnabled() and dialog.pattern.isEnabled()


def test_without_a_region_or_stems_there_is_no_choice(qtbot):
    dialog = export_dialog(qtbot, ExportSettings(region_only=True, folder="/out"), region="", best="")
    assert not dialog.region.isEnabled() and not dialog.best.isEnabled()
    assert dialog.choice().options.region_only is False


# ------------------------------------------------------------------------------------------------------ small screens


@pytest.mark.parametrize(("rows", "fits"), [(5, True), (60, False)])
def test_a_dialog_is_whole_or_scrolled_above_its_buttons(shown, rows, fits):
    sheet, room = Sheet("Many fields", "Save"), QGuiApplication.primaryScreen().availableSize().height()
    for row in range(rows):
        sheet.body.addWidget(QLabel(f"Field {row}"))
    shown(sheet, 400, 0)
    assert sheet.findChild(QScrollArea).verticalScrollBar().isVisible() != fits
    assert sheet.rect().contains(sheet.accept_button.geometry()) and sheet.height() < room


def test_a_dialog_grows_when_a_hint_comes(shown, qtbot):
    sheet, hint = Sheet("Fields", "Save"), QLabel("It may be long. " * 40)
    hint.setWordWrap(True)
    hint.hide()
    sheet.body.addWidget(QLabel("Field"))
    sheet.body.addWidget(hint)
    shown(sheet, 400, 0)
    hint.show()
    qtbot.waitUntil(lambda: hint.height() >= hint.heightForWidth(hint.width()))
    assert not sheet.findChild(QScrollArea).verticalScrollBar().isVisible()


def test_the_wheel_chooses_only_where_the_keyboard_is(shown, qtbot):
    dialog = shown(settings_dialog(qtbot, Settings()), 560, 0)
    dialog.device.setFocus()
    for combo in (dialog.theme, dialog.device):
        down, at = QPoint(0, -120), QPointF(combo.rect().center())
        QTest.wheelEvent(dialog.windowHandle(), combo.mapTo(dialog, at), down)
    assert dialog.settings() == replace(Settings(), device="Card")


def test_dialogs_are_no_larger_than_the_screen_at_first(qtbot, monkeypatch):
    small = QSize(640, 400)
    monkeypatch.setattr(QWidget, "screen", lambda _: SimpleNamespace(availableSize=lambda: small))
    for make in (ModelsDialog, lambda: ShortcutSheet(()), lambda: settings_dialog(qtbot, Settings())):
        dialog = make()
        qtbot.addWidget(dialog)
        assert dialog.width() <= 640 and dialog.height() < 400
        assert dialog.minimumSizeHint().height() < 400


# ------------------------------------------------------------------------------------------------------------- notices


@pytest.fixture
def bar(shown, qtbot):
    window = QWidget()
    made = MessageBar(window)
    made.window_kept = shown(window, 1000, 500)
    qtbot.mouseMove(window, QPoint(2, 2))  # a notice under the pointer would stay
    made.heard = []
    made.acted.connect(lambda key, action: made.heard.append((key, action)))
    made.dismissed.connect(lambda key: made.heard.append((key, "")))
    return made


def test_a_notice_is_acted_on_or_dismissed(bar):
    bar.say(Notice("a", "Removed the drums.", actions=(("undo", "Undo"),)))
    bar.say(Notice("b", "It failed.", "bad", details="why"))
    bar._widgets["b"].copy.click()
    assert QGuiApplication.clipboard().text() == "It failed.\nwhy"
    bar._widgets["a"].findChildren(QPushButton)[0].click()
    bar._widgets["b"].close_button.click()
    assert bar.heard == [("a", "undo"), ("b", "")] and not bar.isVisible()


def test_notices_lie_inside_the_window_over_its_foot(bar, qtbot):
    bar.say(Notice("a", "A long sentence that has to be broken into several lines. " * 4, "warn"))
    bar.say(Notice("b", "Short."))
    window = bar.window_kept
    assert bar.isVisible() and window.rect().contains(bar.geometry())
    qtbot.waitUntil(lambda: bar._widgets["a"].height() > bar._widgets["b"].height() > 30)
    window.resize(420, 300)
    assert window.rect().contains(bar.geometry())


def test_a_name_without_spaces_is_broken_where_it_must(bar):
    name = "verylongname_" * 17 + "x" * 120 + ".txt"
    text = f"{name} is no song. 3.5 of 7.5 bars were read."
    bar.say(Notice("a", text, "bad", details="why"))
    widget = bar._widgets["a"]
    said = next(each for each in widget.findChildren(QLabel) if each.text())
    assert said.minimumSizeHint().width() <= said.width() < bar.window_kept.width()
    assert said.text().replace("\u200b", "") == text and said.text().endswith(" is no song. 3.5 of 7.5 bars were read.")
    assert widget.accessibleName() == said.accessibleName() == text
    widget.copy.click()
    assert QGuiApplication.clipboard().text() == f"{text}\nwhy"


def test_no_accent_is_parted_from_its_letter():
    assert "\u200b\u0308" not in _breakable("x" * 23 + "u\u0308" * 60)


def test_notices_that_went_leave_nothing_behind(bar):
    before = [each for each in gc.get_objects() if type(each) is _NoticeWidget]  # of windows that tests left open
    for number in range(30):
        bar.say(Notice(str(number), "Text.", "bad", (("a", "A"),), "details"))
    for notice in bar.notices:
        bar.dismiss(notice.key)
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    gc.collect()
    kept = {id(each) for each in before}
    assert not [each for each in gc.get_objects() if type(each) is _NoticeWidget and id(each) not in kept]


def test_only_harmless_notices_leave_by_themselves(bar):
    for kind in ("info", "good", "warn", "bad"):
        bar.say(Notice("a", "Text.", kind))
        assert bar._widgets["a"].timer.isActive() == (kind in ("info", "good"))
    bar.say(Notice("a", "Text."))
    bar._widgets["a"].timer.timeout.emit()
    assert bar.notices == () and bar.heard == [("a", "")]


def test_a_notice_stays_while_the_pointer_is_on_it(bar):
    bar.say(Notice("a", "Text."))
    widget = bar._widgets["a"]
    widget.setAttribute(Qt.WidgetAttribute.WA_UnderMouse)  # what `underMouse` tells; the real pointer may come late
    widget.timer.timeout.emit()
    assert bar.notices and widget.timer.isActive()
    widget.setAttribute(Qt.WidgetAttribute.WA_UnderMouse, False)
    widget.timer.timeout.emit()
    assert not bar.notices


def test_a_notice_stays_while_the_keyboard_is_on_it(bar):
    bar.say(Notice("a", "Text.", actions=(("undo", "Undo"),)))
    widget = bar._widgets["a"]
    widget.buttons["undo"].setFocus(Qt.FocusReason.TabFocusReason)
    widget.timer.timeout.emit()
    assert bar.notices and widget.timer.isActive()
    bar.window_kept.setFocus()
    widget.timer.timeout.emit()
    assert not bar.notices


def test_notices_are_said_to_those_who_do_not_see_them(bar, monkeypatch):
    said = []
    monkeypatch.setattr(a11y, "announce", lambda widget, text, urgent=False: said.append((text, urgent)))
    bar.say(Notice("a", "Exported."))
    bar.say(Notice("b", "The disk is full.", "bad"))
    assert said == [("Exported.", False), ("The disk is full.", True)]


def test_what_was_wrong_with_something_else_is_forgotten(bar):
    for kind in ("bad", "info", "warn"):
        bar.say(Notice(kind, "Text.", kind))
    bar.forget_errors()
    assert [notice.key for notice in bar.notices] == ["info"]


def test_the_same_key_replaces_and_of_four_the_oldest_goes(bar):
    bar.say(Notice("a", "One."))
    bar.say(Notice("a", "Two."))
    assert [notice.text for notice in bar.notices] == ["Two."]
    for key in "bcd":
        bar.say(Notice(key, key))
    assert [notice.key for notice in bar.notices] == ["b", "c", "d"] and bar.heard == [("a", "")]
