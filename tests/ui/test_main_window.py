import gc
import weakref
from dataclasses import replace
from operator import attrgetter

import pytest
import shiboken6
from mgeldm.progress import Progress
from PySide6.QtCore import QEvent, QMimeData, QPoint, QPointF, QSize, Qt, QUrl
from PySide6.QtGui import QCloseEvent, QDragEnterEvent, QDropEvent, QGuiApplication, QKeyEvent, QMouseEvent
from PySide6.QtWidgets import QApplication, QMenu

from mgeldm_app.core.actions import ACTIONS
from mgeldm_app.core.jobs import EngineStatus, Progressed
from mgeldm_app.core.ports import OutputStatus
from mgeldm_app.core.project import Audio, Lane, Made, Part, Project, Span, Take
from mgeldm_app.ui import a11y, menus
from mgeldm_app.ui import theme as themes
from mgeldm_app.ui.lanes.body import LaneBody
from mgeldm_app.ui.lanes.header import LaneHeader, describe
from mgeldm_app.ui.lanes.minimap import Minimap
from mgeldm_app.ui.main_window import SMALLEST, MainWindow
from tests.fakes.world import RATE_HZ, World, write_song

BAR = 2 * RATE_HZ


@pytest.fixture
def window(world, qtbot):
    """The window among fakes, with nothing open."""
    made = MainWindow(world.c)
    qtbot.addWidget(made)
    made.show()
    return made


@pytest.fixture
def opened(window, world, tmp_path):
    """The same with a song, two stems and a part of three takes."""
    world.open(write_song(tmp_path / "Midnight Ferry.wav"))
    world.engine.warm_up()
    world.ask("bass, drums")
    world.ask("rhodes", task="impute", takes=3)
    world.engine.finish_all()
    return window


def test_what_is_being_saved_under_another_name_is_not_said_to_be_opened(window, opened, world, tmp_path):
    world.workers.holding = True
    world.c.documents.save_as(tmp_path / "copy.mgeldm")
    assert window.jobs.text.text() == "Saving copy…"
    world.workers.release()
    world.workers.holding = True
    world.open(write_song(tmp_path / "other.wav", seconds=2))
    assert window.jobs.text.text().startswith("Opening other")
    world.workers.release()


def test_empty_it_asks_for_a_song(window):
    assert window.middle.currentWidget() is window.empty
    assert not window.menus.actions["play"].isEnabled()
    assert window.menus.actions["open"].isEnabled()


def test_without_a_song_the_button_promises_no_seconds(window):
    assert window.prompt.action.text() == "Extract from a song"
    window.prompt.tasks["generate"].click()
    assert window.prompt.action.text().startswith("Generate 10.0 s")


def test_it_is_no_larger_than_the_screen(window):
    screen = window.screen().availableSize()
    assert screen.width() < SMALLEST[0]  # as at 200 % on a small one
    assert window.minimumSize() == QSize(*SMALLEST).boundedTo(screen)
    assert window.width() <= screen.width() and window.height() <= screen.height()


def test_the_keyboard_is_where_it_is_needed(window, world, tmp_path, qtbot):
    qtbot.waitUntil(lambda: window.focusWidget() is window.empty.open_button)
    world.open(write_song(tmp_path / "song.wav"))
    assert window.lanes.isAncestorOf(window.focusWidget())


def test_steps_of_a_job_are_shown_now_and_then(opened, world, qtbot, monkeypatch):
    shown = []
    show = opened.lanes.show_project
    monkeypatch.setattr(opened.lanes, "show_project", lambda *a, **k: (shown.append(a), show(*a, **k)))
    world.ask("organ")
    job = world.engine.begin(0.2)
    before = len(shown)
    for step in range(50):
        world.engine.events.emit(Progressed(job.id, "steps", step, 50, 1.0))
    assert len(shown) == before
    qtbot.waitUntil(lambda: len(shown) == before + 1)
    assert any("step 50 of 50" in row.progress for row in opened.jobs._rows if row.id == job.id)


def test_a_failure_is_told_once_with_what_a_report_needs(opened, world):
    world.ask("organ", task="extract")
    world.engine.fail(0.0)
    assert opened.messages.notices == ()
    assert "organ: The model's process ended" in opened.jobs.text.text() and opened.jobs.retry.isVisible()
    assert [row.details for row in opened.jobs._rows] == ["signal 9"]
    opened.jobs.retry.click()
    world.engine.finish_all()
    assert world.lane("organ")


def test_stems_under_way_come_back_with_their_project(opened, world):
    world.ask("organ", task="extract")
    world.engine.begin(0.5)
    world.ask("tuba", task="extract")
    folder = world.session.folder.folder
    world.c.documents.ask_to_leave = lambda: True
    world.c.documents.close()
    world.open(folder)
    headers = {header.lane.name for header in opened.lanes.findChildren(LaneHeader) if header.isVisible()}
    assert "organ" in headers and "tuba" not in headers
    assert opened.lanes.sources.complete  # every lane is drawn
    assert [(row.title, row.state) for row in opened.jobs._rows] == [
        ("Extracting organ", "stopped"),
        ("Extracting tuba", "stopped"),
    ]
    opened.jobs.retry.click()
    assert [job.title for job in world.engine.jobs] == ["Extracting organ"]


def test_a_model_that_does_not_start_is_told_once(opened, world):
    message = "The model's process did not start; install the program again."
    world.engine.events.emit(EngineStatus("failed", message=message))
    assert [notice.text for notice in opened.messages.notices] == [message]
    opened.messages.dismiss(message)
    world.ask("organ")
    world.engine.events.emit(EngineStatus("failed", "cpu", message=message))  # and its jobs fail with the same words
    assert opened.messages.notices == ()


def test_a_song_shows_its_lanes_facts_and_tempo(opened):
    assert opened.middle.currentWidget() is opened.lanes
    assert opened.transport.name.text() == "Midnight Ferry.wav"
    assert opened.transport.tempo.text() == "120.0"
    headers = sorted(opened.lanes.findChildren(LaneHeader), key=lambda header: header.y())
    assert [header.lane.name for header in headers] == ["Song", "bass", "drums", "rhodes", "Rest"]
    assert "Midnight Ferry" in opened.windowTitle()


def test_everything_can_be_reached_by_keyboard_and_has_a_name(opened, qtbot):
    assert a11y.problems(opened) == []


def test_the_button_says_what_it_will_do(opened, world, qtbot):
    world.c.set_region(Span(BAR, 9 * BAR))
    assert opened.prompt.action.text().startswith("Add to 8 bars")
    opened.prompt.tasks["extract"].click()
    assert opened.prompt.action.text().startswith("Extract from 8 bars ≈")
    opened.prompt.line.clear()
    assert not opened.prompt.action.isEnabled()
    assert "Say which instrument" in opened.prompt.note.text()


def test_enter_in_the_prompt_extracts(opened, world, qtbot):
    opened.prompt.tasks["extract"].click()
    opened.prompt.line.setText("strings")
    opened.prompt.line.textEdited.emit("strings")
    qtbot.keyClick(opened.prompt.line, Qt.Key.Key_Return)
    world.engine.finish_all()
    assert world.lane("strings").kind == "extracted"


def key_event(kind, key, text="", time_ms=0, held=False):
    made = QKeyEvent(kind, key, Qt.KeyboardModifier.NoModifier, text, held)
    made.setTimestamp(time_ms)
    return made


@pytest.mark.parametrize("platform", ["wayland", "xcb"])
def test_enter_that_is_held_asks_once(opened, world, monkeypatch, platform):
    monkeypatch.setattr(QGuiApplication, "platformName", lambda: platform)
    press, release, enter = QEvent.Type.KeyPress, QEvent.Type.KeyRelease, Qt.Key.Key_Return
    line, told_apart = opened.prompt.line, platform != "xcb"
    line.setText("piano")
    for time_ms in range(1, 6):
        QApplication.sendEvent(line, key_event(press, enter, "\r", time_ms, told_apart and time_ms > 1))
        QApplication.sendEvent(line, key_event(release, enter, "\r", time_ms + 1, told_apart))
    assert len(world.engine.jobs) == 3  # the takes of one part
    QApplication.sendEvent(line, key_event(press, enter, "\r", 99))
    assert len(world.engine.jobs) == 6


def test_a_key_that_is_held_plays_once_and_steps_on(opened, world, qtbot):
    opened.menus.refresh()
    opened.menus.actions["play"].trigger()
    opened.keys.repeated = True
    opened.menus.actions["play"].trigger()
    opened.menus.actions["right"].trigger()
    assert (world.player.playing, world.player.position) == (True, BAR)
    qtbot.mouseClick(opened.transport.start, Qt.MouseButton.LeftButton)
    opened.menus.actions["play"].trigger()
    assert not world.player.playing


def test_only_steps_are_repeated_while_their_key_is_held(opened):
    repeated = {name for name, made in opened.menus.actions.items() if made.autoRepeat()}
    moves = "left right shorter longer zoom_in zoom_out taller lower lane_up lane_down"
    assert repeated == {*moves.split(), "undo", "redo", "next_take", "previous_take"}


def test_a_tempo_that_cannot_be_kept_is_told(opened, qtbot):
    field = opened.transport.tempo
    field.setFocus()
    field.selectAll()
    qtbot.keyClicks(field, "5")
    qtbot.keyClick(field, Qt.Key.Key_Return)
    assert "from 20 to 400 beats a minute" in opened.messages.notices[-1].text


def test_menus_have_letters_and_the_projects_opened_last(opened, world):
    letters = [action.text().partition("&")[2][:1].casefold() for action in opened.menuBar().actions()]
    assert all(letters) and len(set(letters)) == len(letters)
    opened.menus.recent.parent().aboutToShow.emit()
    assert [action.toolTip() for action in opened.menus.recent.actions()] == [str(world.session.folder.folder)]


def test_every_action_is_in_a_menu_and_undo_says_what(opened, world):
    in_menus = {action for menu in opened.menuBar().findChildren(QMenu) for action in menu.actions()}
    assert {opened.menus.actions[action.id] for action in ACTIONS} <= in_menus
    world.c.set_lane(world.lane("bass").id, "gain_db", -3.0)
    opened.menus.refresh()
    assert opened.menus.actions["undo"].text() == "Undo: gain of bass"
    world.c.set_lane(world.lane("bass").id, "name", "R&B bass")
    world.c.set_lane(world.lane("R&B bass").id, "pan", 0.5)
    opened.menus.refresh()
    assert opened.menus.actions["undo"].text() == "Undo: pan of R&&B bass"  # as Qt wants it
    assert "Undo: pan of R&B bass" in {entry.title for entry in opened.menus.entries()}


def test_space_plays_even_after_a_click_on_a_button(opened, world, qtbot):
    qtbot.mouseClick(opened.transport.click, Qt.MouseButton.LeftButton)
    assert world.player.click
    opened.menus.refresh()
    opened.menus.actions["play"].trigger()
    assert world.player.playing


def test_a_held_key_hears_the_original(opened, world, qtbot):
    opened.lanes.setFocus()
    qtbot.keyPress(opened.windowHandle(), Qt.Key.Key_A)
    assert world.player.what == "song"
    qtbot.keyRelease(opened.windowHandle(), Qt.Key.Key_A)
    assert world.player.what == "stems"


def test_a_held_key_lets_go_whatever_else_is_held_by_then(opened, world, qtbot):
    opened.lanes.setFocus()
    qtbot.keyPress(opened.windowHandle(), Qt.Key.Key_A)
    qtbot.keyRelease(opened.windowHandle(), Qt.Key.Key_A, Qt.KeyboardModifier.ShiftModifier)
    assert world.player.what == "stems"
    qtbot.keyPress(opened.windowHandle(), Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)  # selects all
    assert world.player.what == "stems"


def test_a_control_with_the_keyboard_keeps_its_arrows(opened, world, qtbot):
    def press(widget, *keys):
        widget.setFocus(Qt.FocusReason.TabFocusReason)
        qtbot.wait(1)  # menus show what can be done
        for key in keys:
            qtbot.keyClick(opened.windowHandle(), key)

    world.player.position = BAR
    header = next(header for header in opened.findChildren(LaneHeader) if header.lane.name == "bass")
    press(header.pan, Qt.Key.Key_Right, Qt.Key.Key_Up)
    assert world.lane("bass").pan == pytest.approx(0.1)
    press(header.fader, Qt.Key.Key_End)
    assert world.lane("bass").gain_db == 12.0
    axis, strip = opened.lanes.axis, opened.findChild(Minimap)
    axis.show(2 * BAR, 20)
    press(strip, Qt.Key.Key_Right)
    assert axis.left > 2 * BAR
    press(strip, Qt.Key.Key_End)
    assert axis.left + axis.width * axis.scale >= world.project.samples
    press(strip, Qt.Key.Key_Home)
    assert axis.left == 0
    press(opened.prompt.tasks["impute"], Qt.Key.Key_Right)
    assert world.project.prompt.task == "accompany"
    assert world.player.position == BAR
    press(opened.transport.loop, Qt.Key.Key_Right)  # which has no use for it
    assert world.player.position == 2 * BAR


def test_letters_typed_into_the_prompt_are_letters(opened, world, qtbot):
    opened.prompt.focus_line()
    qtbot.keyClicks(opened.prompt.line, "mask all")
    assert opened.prompt.line.text() == "mask all"
    assert world.player.what == "stems"
    assert not world.lane("bass").muted


def test_undo_in_the_prompt_takes_back_what_was_typed_and_then_what_was_done(opened, world, qtbot):
    bass, line = world.lane("bass").id, opened.prompt.line
    before = line.text()
    world.c.set_lane(bass, "gain_db", -3.0)
    line.setFocus()
    qtbot.keyClick(line, Qt.Key.Key_End)
    qtbot.keyClicks(line, ", organ")
    assert world.project.prompt.text == f"{before}, organ"

    def press(key):
        qtbot.wait(1)  # menus show what can be done
        qtbot.keyClick(opened.windowHandle(), key, Qt.KeyboardModifier.ControlModifier)

    press(Qt.Key.Key_Z)
    assert (line.text(), world.lane("bass").gain_db) == (before, -3.0)
    press(Qt.Key.Key_Z)
    assert (line.text(), world.lane("bass").gain_db) == (before, 0.0)
    assert line.hasFocus()


def test_the_menu_of_a_lane_acts_on_it(opened, world, qtbot):
    lane = world.lane("drums")
    opened._lane_menu(lane.id, QPoint(10, 10))
    menu = QApplication.activePopupWidget()
    assert isinstance(menu, QMenu)
    next(action for action in menu.actions() if action is opened.menus.actions["mute"]).trigger()
    menu.close()
    assert world.lane("drums").muted


def test_progress_and_failure_are_shown(opened, world, qtbot):
    world.ask("organ")
    world.engine.begin(0.5)
    assert opened.jobs.isVisible()
    assert any(row.state == "running" for row in opened.jobs._rows)
    world.engine.fail(0.0)
    assert any(row.state == "failed" for row in opened.jobs._rows)
    assert opened.jobs.more.text() == "1 job failed"


def test_the_theme_follows_its_action(opened, world):
    before = opened.theme.name
    world.c.wants.emit("theme")
    assert opened.theme.name != before


def test_without_a_sound_card_it_says_so(opened, world):
    world.player.status = OutputStatus("", RATE_HZ, 0.0, "No sound card was found; a silent clock runs.")
    world.player.changed.emit()
    assert opened.transport.notice.isVisibleTo(opened)
    assert opened.transport.notice.text() == "No sound card: silent clock"
    assert "silent clock" in opened.transport.notice.toolTip()


def test_files_are_copied_and_dragged(opened, world, qtbot):
    world.session.select((world.lane("bass").id,))
    opened.menus.run("copy_files")
    urls = QApplication.clipboard().mimeData().urls()
    assert urls[0].toLocalFile().endswith(".wav")


def test_a_place_on_the_screen_that_is_no_place_opens_the_window_all_the_same(opened, world):
    for geometry in ("abc", "ü", "\ud800", "AAAA", "AdnQywADAAA="):
        world.c.settings = replace(world.c.settings, geometry=geometry)
        opened._restore()
        assert opened.isVisible() and opened.width() > 700


def test_closing_saves_and_remembers_the_window(opened, world):
    opened.close()
    assert world.c.settings.geometry
    assert not world.player.playing


def test_a_window_that_was_closed_measures_nothing_more(opened, world, monkeypatch):
    world.workers.holding = True
    opened.lanes.show_project(Project())
    opened.lanes.show_project(world.project)
    monkeypatch.setattr(world.workers, "close", lambda: None)  # what runs at the end is waited for, and comes later
    opened.close()
    while world.workers._held:
        left = len(world.workers._held)
        world.workers.step()
        assert len(world.workers._held) < left


@pytest.mark.usefixtures("qapp", "world")
def test_a_window_that_is_gone_leaves_nothing_behind():
    another = World()
    window = MainWindow(another.c)
    window.close()
    gone = weakref.ref(window), weakref.ref(another.c)
    shiboken6.delete(window)
    del window, another
    gc.collect()
    assert [each() for each in gone] == [None, None]


def test_a_closed_window_follows_no_theme(window, monkeypatch):
    window.close()
    monkeypatch.setattr(themes, "system_theme", lambda: themes.LIGHT)
    before = window.theme
    QApplication.styleHints().colorSchemeChanged.emit(Qt.ColorScheme.Unknown)
    assert window.theme is before


def test_the_theme_follows_the_systems(window, monkeypatch):
    for theme in (themes.LIGHT, themes.DARK):
        monkeypatch.setattr(themes, "system_theme", lambda theme=theme: theme)
        QApplication.styleHints().colorSchemeChanged.emit(Qt.ColorScheme.Unknown)
        assert window.theme is theme


def test_files_being_written_are_seen_and_can_be_stopped(opened, world, qtbot):
    world.porters.holding = True
    world.c.taking.prepare(["song"], False, lambda files: None)
    assert not opened.jobs.cancel.isVisible()  # until it has begun: files that are there already take no time
    (errand,) = world.c.taking.errands.values()
    errand.progress = Progress("samples", 1, 4, 3.0)
    qtbot.waitUntil(lambda: opened.jobs.text.text() == "Making files of Song · 3 s left")
    assert [row.share for row in opened.jobs._rows] == [0.25]
    assert opened.menus.actions["cancel_jobs"].isEnabled()
    opened.jobs.cancel.click()
    world.porters.release()
    assert "Stopped as asked" in world.told[-1][0]
    assert not opened.jobs._rows and not list(world.session.folder.exports.iterdir())


def test_a_song_shows_while_it_is_decoded(window, world, tmp_path, qtbot):
    world.workers.holding = True
    world.open(write_song(tmp_path / "song.wav"))
    assert window.middle.currentWidget() is window.opening
    assert window.opening.name.text() == "song.wav"
    window.opening.stop.click()
    world.workers.release()
    assert window.middle.currentWidget() is window.empty


@pytest.mark.parametrize("way", [Qt.Key.Key_Escape, Qt.Key.Key_Tab])
def test_space_stops_nothing_that_is_being_read_unless_tab_was_pressed(window, world, tmp_path, qtbot, way):
    window.activateWindow()
    qtbot.waitUntil(lambda: window.focusWidget() is window.empty.open_button)
    world.workers.holding = True
    world.open(write_song(tmp_path / "song.wav"))
    qtbot.keyClick(window.windowHandle(), Qt.Key.Key_Space)
    assert window.opening.hasFocus() and not world.c.documents.opening.cancelled
    qtbot.keyClick(window.windowHandle(), way)
    if window.opening.stop.hasFocus():
        assert not world.c.documents.opening.cancelled
        qtbot.keyClick(window.windowHandle(), Qt.Key.Key_Space)
    assert world.c.documents.opening.cancelled
    world.workers.release()


def test_a_long_name_of_a_file_makes_no_wide_window(window, world, tmp_path):
    narrow = window.centralWidget().minimumSizeHint().width()
    world.workers.holding = True
    world.open(write_song(tmp_path / ("a very long name " * 10 + ".wav")))
    assert window.centralWidget().minimumSizeHint().width() == narrow
    world.c.documents.cancel_opening()
    world.workers.release()


def test_in_a_low_window_the_options_are_whole(opened, qtbot):
    opened.prompt.options.click()
    opened.setMinimumSize(1, 1)  # as on a low screen
    opened.resize(790, 430)
    qtbot.waitUntil(lambda: opened.height() == 430 and opened.prompt.fold.isVisible())
    assert opened.prompt.height() >= opened.prompt.minimumSizeHint().height()


class Drop(QDropEvent):
    """Files let go over a window, by itself or by another program."""

    def __init__(self, path, source=None):
        self.files, self.sender = QMimeData(), source
        self.files.setUrls([QUrl.fromLocalFile(str(path))])
        none, left = Qt.KeyboardModifier.NoModifier, Qt.MouseButton.LeftButton
        super().__init__(QPointF(9, 9), Qt.DropAction.CopyAction, self.files, left, none)

    def source(self):
        return self.sender


def drag_over(widget, path):
    """Another program's file is held over a widget."""
    files = QMimeData()
    files.setUrls([QUrl.fromLocalFile(str(path))])
    none, left = Qt.KeyboardModifier.NoModifier, Qt.MouseButton.LeftButton
    QApplication.sendEvent(widget, QDragEnterEvent(QPoint(9, 9), Qt.DropAction.CopyAction, files, left, none))


@pytest.mark.parametrize("name", ["prompt.line", "transport.time", "jobs", "lanes", "transport.tempo"])
def test_files_may_be_dropped_anywhere(opened, world, tmp_path, qtbot, name):
    song, hint = write_song(tmp_path / "other.wav", seconds=2), opened.lanes.drop_hint
    widget = attrgetter(name)(opened)
    drag_over(widget, song)
    assert hint.isVisible()
    QApplication.sendEvent(widget, Drop(song))
    assert not hint.isVisible() and world.project.song.name == "Midnight Ferry.wav"  # not while the other one waits
    qtbot.waitUntil(lambda: world.project.song.name == "other.wav")
    assert "other" not in opened.prompt.line.text()


def test_lanes_that_are_dragged_out_and_back_are_not_opened(opened, world, tmp_path, qtbot):
    song = write_song(tmp_path / "other.wav", seconds=2)
    for widget in (opened, opened.lanes):
        drag_over(widget, song)
        QApplication.sendEvent(widget, Drop(song, source=opened.lanes))
        qtbot.wait(20)
    assert world.project.song.name == "Midnight Ferry.wav"


def test_what_was_done_with_a_long_prompt_makes_no_wide_menu(opened, world):
    world.ask("a & b " * 150, task="impute")
    world.engine.finish_all()
    assert len(world.session.history.undo_title) > 200
    opened.menus.refresh()
    text = opened.menus.actions["undo"].text().replace("&&", "&")
    assert text.startswith("Undo: ") and text.endswith("…") and len(text) <= len("Undo: ") + 40
    titles = {entry.id: entry.title for entry in opened.menus.entries()}
    assert titles["undo"] == text and titles["open"] == "Open"  # its "…" says that it asks something


def test_a_letter_typed_into_a_number_is_no_held_key(opened, world, qtbot):
    opened.prompt.options.click()
    opened.prompt.tasks["impute"].click()
    opened.prompt.takes.setFocus()
    assert opened.prompt.takes.hasFocus()
    qtbot.keyPress(opened.windowHandle(), Qt.Key.Key_A)
    assert world.c.listening == "stems"
    qtbot.keyRelease(opened.windowHandle(), Qt.Key.Key_A)


def test_notices_lie_over_whatever_page_comes(window, world, tmp_path):
    (tmp_path / "notes.txt").write_text("no song")
    world.open(tmp_path / "notes.txt")
    world.session.tell("Something to know.")
    assert [notice.kind for notice in window.messages.notices] == ["bad", "info"]
    world.c.documents.open_paths([write_song(tmp_path / "song.wav")])
    assert window.middle.currentWidget() is window.lanes
    assert [notice.text for notice in window.messages.notices] == ["Something to know."]
    at = window.messages.geometry().center()
    assert window.messages.isAncestorOf(window.middle.childAt(at))


def test_the_overload_of_one_song_is_not_that_of_the_next(opened, world, tmp_path):
    opened.transport.meter.set_levels(1.5, 0.2)
    world.c.set_region(Span(0, BAR))
    assert opened.transport.meter.clipped
    world.open(write_song(tmp_path / "another.wav"))
    assert not opened.transport.meter.clipped


def test_no_sound_card_is_missed_while_there_is_nothing_to_play(window, world):
    world.player.status = OutputStatus("", 0, 0.0)
    world.player.changed.emit()
    assert not window.transport.notice.isVisibleTo(window)
    world.player.status = OutputStatus("", 0, 0.0, "Sound needs the PortAudio library, which is missing.")
    world.player.changed.emit()
    assert window.transport.notice.isVisibleTo(window)


def test_undo_after_a_stem_has_come_takes_back_the_stem(opened, world, qtbot):
    line = opened.prompt.line
    opened.prompt.tasks["extract"].click()
    opened.prompt.focus_line()
    qtbot.keyClicks(line, "organ")
    qtbot.keyClick(line.completer().popup(), Qt.Key.Key_Return)
    world.engine.finish_all()
    assert world.lane("organ").parts
    qtbot.wait(1)  # menus show what can be done
    qtbot.keyClick(opened.windowHandle(), Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert "organ" not in [lane.name for lane in world.project.lanes] and line.text() == "organ"


def test_what_is_dragged_over_and_asked_for_is_heard_in_a_loop(opened, world, qtbot):
    lane = next(body for body in opened.findChildren(LaneBody) if body.lane.name == "Song")
    first, last = (QPoint(round(opened.lanes.axis.x_of(bar * BAR)), 20) for bar in (2, 4))
    qtbot.mousePress(lane, Qt.MouseButton.LeftButton, pos=first)
    for at in (first + QPoint(20, 0), last):
        place = QPointF(at)
        held = (QEvent.Type.MouseMove, place, QPointF(lane.mapToGlobal(at)), Qt.MouseButton.NoButton)
        QApplication.sendEvent(lane, QMouseEvent(*held, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier))
    qtbot.mouseRelease(lane, Qt.MouseButton.LeftButton, pos=last)
    assert (world.project.region, world.project.looping) == (Span(2 * BAR, 4 * BAR), True)
    assert opened.transport.loop.isChecked()
    world.session.undo()
    assert (world.project.region, world.project.looping) == (None, False)
    world.session.redo()
    world.ask("organ", task="extract")
    assert (world.player.playing, world.player.position) == (True, 2 * BAR)
    assert world.engine.jobs[0].urgent


def test_what_a_region_snaps_to_is_seen_and_changed(opened, world, qtbot):
    assert opened.lanes.snap.text() == "Snap: bars"
    opened.lanes.snap.click()
    assert (world.c.snap, opened.lanes.snap.text()) == ("beat", "Snap: beats")
    opened.menus.run("snap")
    opened.menus.refresh()
    assert opened.lanes.snap.text() == "Snap: nothing"
    assert opened.menus.actions["snap"].text() == "Snap to bars, beats or nothing: nothing"


def test_a_window_that_can_only_look_says_so_for_good(opened, world, qtbot):
    second = World()
    other = MainWindow(second.c)
    qtbot.addWidget(other)
    second.open(world.session.folder.folder)
    assert other.windowTitle().startswith("Midnight Ferry (read only)")
    assert not other.prompt.action.isEnabled() and "open elsewhere" in other.prompt.note.text()
    assert "read only" not in opened.windowTitle() and opened.prompt.action.isEnabled()
    second.c.close()


def test_lanes_say_when_they_are_not_heard(opened, world):
    def notes():
        headers = opened.findChildren(LaneHeader)
        return {header.lane.name: header.note.toolTip() for header in headers if header.isVisible()}

    assert "heard under “Song” (B)" in notes()["Song"] and "not heard" not in notes()["bass"]
    song = next(header for header in opened.findChildren(LaneHeader) if header.lane.name == "Song")
    assert "under “Song”" in song.mute.toolTip() and "under “Song”" in song.fader.toolTip()
    world.c.listen_to("song")
    assert notes()["Song"] == "original" and "not heard under “Song”" in notes()["bass"]
    assert "under" not in song.mute.toolTip() + song.fader.toolTip()
    world.c.listen_to("stems")
    world.c.set_lane("song", "soloed", True)
    world.c.set_lane(world.lane("drums").id, "soloed", True)
    assert notes()["Song"] == "original" and notes()["drums"] == "not heard while the song is soloed"


def test_whatever_fails_as_the_window_closes_all_that_runs_is_ended(window, world, monkeypatch):
    ended = []
    with monkeypatch.context() as failing:
        failing.setattr(world.c, "close", lambda: ended.append(True))
        failing.setattr(world.c, "set_settings", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            window.closeEvent(QCloseEvent())
    assert ended


@pytest.mark.parametrize("way", ["close", "other", "copy"])
def test_the_model_forgets_a_project_that_is_left(opened, world, tmp_path, way):
    """Windows neither moves nor deletes files that its process maps."""
    before = world.engine.forgot
    world.ask("organ")
    world.engine.finish_all()
    assert world.engine.forgot == before
    if way == "close":
        world.c.documents.close()
    elif way == "other":
        world.open(write_song(tmp_path / "other.wav"))
    else:
        world.c.documents.save_as(tmp_path / "copy.mgeldm")
    assert world.engine.forgot == before + 1


def test_on_a_mac_the_key_called_delete_removes(world, qtbot, monkeypatch):
    monkeypatch.setattr(menus.sys, "platform", "darwin")
    window = MainWindow(world.c)
    qtbot.addWidget(window)
    keys = {name: [key.toString() for key in made.shortcuts()] for name, made in window.menus.actions.items()}
    assert keys["remove"] == ["Backspace", "Del"] and keys["drop_take"] == ["Shift+Backspace", "Shift+Del"]
    assert keys["undo"] == ["Ctrl+Z"] and keys["about"] == []
    used = [key for each in keys.values() for key in each]
    assert len(used) == len(set(used))


def test_the_note_says_where_music_from_nothing_begins(world, opened):
    world.c.set_prompt(replace(world.project.prompt, text="rain", task="generate", takes=1))
    assert "at the start" in opened.prompt.note.text()
    world.player.seek(round(4.5 * RATE_HZ))
    assert "at bar 3" in opened.prompt.note.text()


def test_what_could_not_be_done_is_forgotten_when_the_project_travels(opened, world):
    world.ask("organ")
    world.engine.finish_all()
    world.session.tell("The lane is gone; undo that.", error=True)
    world.session.tell("Nobody foresaw this.", error=True, details="Traceback")
    world.session.undo()
    assert [notice.text for notice in opened.messages.notices if notice.kind == "bad"] == ["Nobody foresaw this."]


def test_an_added_part_that_stayed_a_draft_says_so():
    for quality, said in (("draft", "added · draft · seed 3"), ("standard", "added · seed 3")):
        take = Take(Audio("a" * 64, RATE_HZ, 2, 9), Made("impute", "keys", 3, quality))
        assert describe(Lane("L1", "added", "keys", parts=(Part(0, (take,)),))) == said
