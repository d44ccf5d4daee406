from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QMimeData, QPoint, QPointF, Qt, QTimer, QUrl
from PySide6.QtGui import QColor, QDragEnterEvent, QDragLeaveEvent, QDropEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLineEdit, QVBoxLayout, QWidget

from mgeldm_app.core import peaks
from mgeldm_app.core.clips import ClipStore
from mgeldm_app.core.project import REST_ID, SONG_ID, Audio, Lane, Project, SongFile, Span, Tempo
from mgeldm_app.ui import a11y
from mgeldm_app.ui.lanes import LanesView, drawing_times, frame_times
from mgeldm_app.ui.lanes import body as body_module
from mgeldm_app.ui.lanes.body import LaneBody
from mgeldm_app.ui.lanes.chips import Chip
from mgeldm_app.ui.lanes.drops import DropHint
from mgeldm_app.ui.lanes.header import WIDTH, LaneHeader, describe, gain_text, pan_text
from mgeldm_app.ui.lanes.minimap import Minimap
from mgeldm_app.ui.lanes.rows import Rows
from mgeldm_app.ui.lanes.ruler import Ruler, labels, short_time
from mgeldm_app.ui.lanes.view import HEIGHT_STEP
from mgeldm_app.ui.theme import DARK, LIGHT, colour_of, contrast

LEFT = Qt.MouseButton.LeftButton
NONE, CTRL, SHIFT, ALT = (
    Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier,
    Qt.KeyboardModifier.AltModifier,
)  # fmt: skip


class Heard:
    """What a signal told."""

    def __init__(self, signal):
        self.told = []
        signal.connect(lambda *what: self.told.append(what))


def header(view, lane_id):
    return next(h for h in view.findChildren(LaneHeader) if h.lane.id == lane_id)


def body(view, lane_id):
    return next(b for b in view.findChildren(LaneBody) if b.lane.id == lane_id and b.isVisible())


def drag(widget, start, stop, modifiers=NONE):
    QTest.mousePress(widget, LEFT, modifiers, start)
    for step in range(1, 5):
        move(widget, start + (stop - start) * step / 4, modifiers)
    QTest.mouseRelease(widget, LEFT, modifiers, stop)


def move(widget, at, modifiers=NONE):
    from PySide6.QtGui import QMouseEvent

    place = QPointF(at)
    event = QMouseEvent(QEvent.Type.MouseMove, place, QPointF(widget.mapToGlobal(at)), Qt.MouseButton.NoButton, LEFT,
                        modifiers)
    QApplication.sendEvent(widget, event)


def wheel(widget, at, y, modifiers=NONE):
    window = widget.window().windowHandle()
    QTest.wheelEvent(window, QPointF(widget.mapTo(widget.window(), at)), QPoint(0, y), QPoint(), modifiers)


def colours(widget, place):
    """Colours of the pixels of a column of a widget."""
    image = widget.grab().toImage()
    ratio = image.devicePixelRatio()
    return {image.pixelColor(int(place * ratio), y).name() for y in range(image.height())}


@pytest.fixture(autouse=True)
def no_hurry(monkeypatch):
    """Every picture is drawn when it is asked for, on however busy a machine."""
    monkeypatch.setattr(body_module, "BUDGET_S", 1e9)


@pytest.fixture
def project(studio):
    return studio.song(
        studio.stem("a"), studio.stem("b", 4 * studio.bar, 4 * studio.bar, "added", takes=3),
        studio.stem("c", view="spectrogram"), region=Span(2 * studio.bar, 4 * studio.bar),
    )  # fmt: skip


# ---------------------------------------------------------------------------------------------------- what is drawn


def test_lanes_are_drawn_in_their_colours_where_they_sound(make_view, project, studio, workers):
    view = make_view(project)
    QApplication.processEvents()
    workers.finish()
    colour = colour_of(DARK, project.lane("b")).name()
    x = view.axis.x_of
    assert colour in colours(body(view, "b"), x(6.5 * studio.bar))
    assert colour not in colours(body(view, "b"), x(9 * studio.bar))
    assert DARK.song.lower() in colours(body(view, SONG_ID), x(9 * studio.bar))
    assert len(colours(body(view, "c"), x(9 * studio.bar))) > 20


@pytest.mark.parametrize("lane_id", ["a", "c"])
def test_muted_lanes_are_faint(make_view, project, studio, workers, lane_id):
    view = make_view(studio.changed(project, lane_id, muted=True))
    body(view, lane_id).grab()
    workers.finish()
    assert colour_of(DARK, project.lane(lane_id)).name() not in colours(body(view, lane_id), 700)
    view.show_project(studio.changed(project, REST_ID, soloed=True))
    assert colour_of(DARK, project.lane("b")).name() not in colours(body(view, "b"), view.axis.x_of(6 * studio.bar))


def test_the_soloed_song_is_heard_alone(make_view, project, studio):
    view = make_view(studio.changed(project, SONG_ID, muted=True, soloed=True))
    assert [body(view, lane.id).heard for lane in project.lanes] == [lane.id == SONG_ID for lane in project.lanes]


def test_the_playhead_is_where_it_is(make_view, project, studio):
    view = make_view(project)
    for bar in (3, 10.25):
        view.set_position(round(bar * studio.bar))
        image = body(view, REST_ID).grab().toImage()
        line = [x for x in range(image.width()) if image.pixelColor(x, 3).name() == DARK.text.lower()]
        assert line == [int(view.axis.x_of(bar * studio.bar))]


def test_the_strip_of_the_whole_song_lies_below_it(make_view, project, studio):
    view = make_view(project)
    view.fit()
    for height in (500, 160):  # the lanes get a scroll bar
        view.resize(1240, height)
        strip, lane = view.findChild(Minimap), body(view, SONG_ID)
        for sample in (0, 5 * studio.bar, view.axis.samples):
            there = strip.mapTo(view, QPointF(strip.x_of(sample), 0)).x()
            assert there == pytest.approx(lane.mapTo(view, QPointF(view.axis.x_of(sample), 0)).x(), abs=1.5)
            assert strip.sample_at(strip.x_of(sample)) == pytest.approx(sample)


def test_in_the_closest_views_the_ruler_says_where_that_is(make_view, project, studio):
    view = make_view(project)
    view.axis.fit(Span(studio.bar + 10, studio.bar + studio.bar // 40))
    found = [time for _, _, time in labels(view._state)]
    assert 1 < len(found) < 16 and "0:02.02" in found and len(set(found)) == len(found)
    assert [short_time(1234, 1000, digits) for digits in (0, 2, 3)] == ["0:01", "0:01.23", "0:01.234"]


@pytest.mark.parametrize(("first", "last"), [(4, 11), (8, 9), (15, 16)])
def test_what_was_hardly_found_is_said_where_it_was_sought(make_view, studio, first, last):
    """Over the waveform, in as much room as the words need: behind a short part, or before it at the window's edge."""
    span = Span(first * studio.bar, last * studio.bar)
    quiet = studio.stem("q", span.start, span.samples, gain=1e-5)
    view = make_view(studio.song(quiet), height=200)
    lane, axis = body(view, "q"), view.axis
    line = (lane.height() - 1) // 2  # of a silent waveform
    assert [lane.grab().toImage().pixelColor(round(axis.x_of(span.start)) + 6, y).name() for y in (line - 1, line)] == [
        QColor(DARK.lane).name()] * 2
    image, ground = lane.grab().toImage(), QColor(DARK.lane).name()
    top = range(10, 24)
    lettered = [x for x in range(image.width()) if any(image.pixelColor(x, y).name() != ground for y in top)]
    words = [x for x in lettered if x not in view._state.bar_places()]
    assert len(words) > 150 and max(words) < lane.width()
    assert min(words) > axis.x_of(span.start) if last < 16 else max(words) > axis.x_of(span.start)
    assert max(words) < max(axis.x_of(span.stop), min(words) + 320)
    view.axis.fit(Span(0, studio.bar))
    assert len({image.pixelColor(x, 16).name() for image in [lane.grab().toImage()] for x in range(image.width())}) < 4


def test_themes_switch(make_view, project, studio, workers):
    view = make_view(project)
    view.set_theme(LIGHT)
    assert LIGHT.song.lower() in colours(body(view, SONG_ID), 600)
    assert LIGHT.panel.lower() in colours(header(view, "a"), 100)


def test_what_grows_gets_a_lane_with_its_progress(make_view, project, studio, workers):
    file = studio.growing("new", 4 * studio.bar, 4 * studio.bar, (Span(0, 2 * studio.bar),))
    view = make_view(project, (file,), busy={"new": (0.62, "62 % · 3 s")})
    assert [h.lane.id for h in sorted(view.findChildren(LaneHeader), key=lambda h: h.y())][-2:] == ["new", REST_ID]
    assert header(view, "new").lane.name == "new part" and not header(view, "new").isEnabled()
    colour = colour_of(DARK, header(view, "new").lane).name()
    assert colour in colours(body(view, "new"), view.axis.x_of(5 * studio.bar))
    empty = body(view, "new").grab().toImage()
    view.show_project(project, (file,), {"new": (0.9, "90 %")})
    assert body(view, "new").grab().toImage() != empty
    view.show_project(project)
    assert "new" not in [h.lane.id for h in view.findChildren(LaneHeader) if h.isVisible()]


@pytest.mark.parametrize("ratio", [1.0, 2.0])
def test_scrolled_pictures_are_what_would_be_drawn_afresh(make_view, project, studio, workers, ratio):
    view = make_view(project)
    view.axis.resize(view.axis.width, ratio)
    view.axis.show(0, 40)
    for _ in range(7):
        view.axis.scroll(133)
        body(view, "a").grab()
        workers.finish()
    body(view, "a").grab()
    workers.finish()
    scrolled = body(view, "a").grab().toImage()
    body(view, "a")._pictures.look = ()
    assert body(view, "a").grab().toImage() == scrolled


def test_pictures_of_the_zoom_before_stand_in(make_view, project, studio, monkeypatch, workers):
    view = make_view(project)
    body(view, "a").grab()
    monkeypatch.setattr(body_module, "BUDGET_S", -1.0)
    view.zoom(1.3, 300)
    place = view.axis.x_of(8.4 * studio.bar)
    assert colour_of(DARK, project.lane("a")).name() in colours(body(view, "a"), place)
    stretched = body(view, "a").grab().toImage()
    monkeypatch.setattr(body_module, "BUDGET_S", 1.0)
    body(view, "a").grab()
    assert body(view, "a").grab().toImage() != stretched


def test_odd_projects(make_view, studio, workers):
    view = make_view()
    view.grab()
    view.show_project(Project())
    view.grab()
    mono = studio.song(studio.stem("a", kind="added"), frames=np.ones((1, 1), np.float32))
    for project in (mono, studio.song(Lane("e", "added", "empty")), replace(mono, tempo=Tempo())):
        view.show_project(project)
        workers.finish()
        view.grab()
        workers.finish()
        assert view.axis.visible.stop <= max(project.samples, studio.bars * studio.bar)
    view.set_store(None)
    view.show_project(Project())
    view.grab()


def test_a_copy_of_the_project_is_drawn_from_its_own_files(make_view, project, studio, workers):
    view = make_view(project)
    copy = ClipStore(studio.store.folder.with_name("copy"))
    studio.store.hand_on(project.audios(), copy.folder)
    view.set_store(copy.view)
    view.show_project(project)
    assert view.sources.view == copy.view and workers.queue
    workers.finish()
    assert view.sources.complete


def test_a_song_of_three_hours(make_view, studio, workers):
    samples = 3 * 3600 * 48_000
    view = make_view()
    view.set_store(lambda audio: np.broadcast_to(np.float32(0.1), (samples, 2)))
    song = SongFile(Audio("0" * 64, 48_000, 2, samples), "long")
    view.show_project(Project(song, tempo=Tempo(124, 0, 4, "", "found")))
    for _ in range(3):  # the survey and two pieces
        workers.step()
    view.grab()
    view.zoom(1e9, 500)
    view.grab()
    view.axis.show(samples - 500, 1)
    view.grab()
    assert view.axis.visible.stop == samples


# --------------------------------------------------------------------------------------------------------- the mouse


def test_a_drag_in_a_body_selects_bars(make_view, project, studio):
    view = make_view(project)
    heard, sought = Heard(view.region_changed), Heard(view.seek)
    x = view.axis.x_of
    target = body(view, "a")
    drag(target, QPoint(round(x(6.1 * studio.bar)), 20), QPoint(round(x(8.9 * studio.bar)), 20))
    assert heard.told[-1] == (Span(6 * studio.bar, 9 * studio.bar), True)
    assert all(not final for _, final in heard.told[:-1]) and not sought.told
    assert view.selected == ("a",)


def test_the_region_may_be_ahead_of_the_project_while_it_is_dragged(make_view, project, studio):
    view = make_view(project)
    ruler, x = view.findChild(Ruler), view.axis.x_of
    start = QPoint(round(x(6 * studio.bar)), 15)
    QTest.mousePress(ruler, LEFT, NONE, start)
    move(ruler, QPoint(round(x(8 * studio.bar)), 15))
    heard = Heard(view.region_changed)
    view.show_project(replace(project, looping=True))  # something else changed meanwhile
    QTest.mouseRelease(ruler, LEFT, NONE, QPoint(round(x(8 * studio.bar)), 15))
    assert heard.told[-1] == (Span(6 * studio.bar, 8 * studio.bar), True)


def test_ruler_click_seeks_and_its_bar_moves(make_view, project, studio):
    view = make_view(project)
    heard, sought = Heard(view.region_changed), Heard(view.seek)
    ruler, x = view.findChild(Ruler), view.axis.x_of
    QTest.mouseClick(ruler, LEFT, NONE, QPoint(round(x(10 * studio.bar)), 15))
    assert sought.told == [(10 * studio.bar,)]
    drag(ruler, QPoint(round(x(3 * studio.bar)), 15), QPoint(round(x(5 * studio.bar)), 15))
    assert heard.told[-1] == (Span(4 * studio.bar, 6 * studio.bar), True)
    QTest.mouseDClick(ruler, LEFT, NONE, QPoint(round(x(9.5 * studio.bar)), 15))
    assert heard.told[-1] == (Span(4 * studio.bar, 10 * studio.bar), True)


def test_alt_drag_takes_the_region_out_and_the_grip_the_lane(make_view, project, studio):
    view = make_view(project)
    pressed, started, regions = Heard(view.drag_pressed), Heard(view.drag_started), Heard(view.region_changed)
    target = body(view, "a")
    drag(target, QPoint(400, 20), QPoint(440, 20), ALT)
    assert pressed.told == started.told == [(("a",), True)] and not regions.told
    view.select_lanes(("a", "c"))
    grip = header(view, "c").grip
    drag(grip, QPoint(5, 20), QPoint(60, 20))
    assert pressed.told[1:] == started.told[1:] == [(("a", "c"), False)]
    drag(grip, QPoint(5, 20), QPoint(6, 20))
    assert len(started.told) == 2


@pytest.mark.parametrize("held", [CTRL, ALT])
def test_the_grip_takes_the_region_out_with_a_key_held(make_view, project, held):
    """Desktops that move windows by Alt leave it nothing but Ctrl."""
    view = make_view(project)
    pressed, started = Heard(view.drag_pressed), Heard(view.drag_started)
    grip = header(view, "c").grip
    drag(grip, QPoint(5, 20), QPoint(60, 20), held)
    assert pressed.told == started.told == [(("c",), True)]
    view.show_project(replace(project, region=None))
    drag(grip, QPoint(5, 20), QPoint(60, 20), held)
    assert started.told[1:] == [(("c",), False)]
    assert "Ctrl" in grip.toolTip() and "region" in grip.toolTip()


def test_a_click_three_hours_into_a_fine_song_goes_there(make_view, project):
    view = make_view(project)
    sought = Heard(view.seek)
    view._mouse.sought.emit(2**31 + 5)
    assert sought.told == [(2**31 + 5,)]


def test_the_wheel(make_view, project, studio):
    view = make_view(project)
    view.axis.show(4 * studio.bar, 40)
    target = body(view, "a")
    under = view.axis.sample_at(300)
    wheel(target, QPoint(300, 10), y=120, modifiers=CTRL)
    assert view.axis.scale < 40 and abs(view.axis.x_of(under) - 300) <= 2
    left = view.axis.left
    wheel(target, QPoint(300, 10), y=-120, modifiers=SHIFT)
    assert view.axis.left > left
    left = view.axis.left
    wheel(target, QPoint(300, 10), y=120)  # all lanes are in sight
    assert view.axis.left < left
    view.resize(1240, 200)
    QApplication.processEvents()
    left, top = view.axis.left, body(view, "a").mapTo(view, QPoint()).y()
    wheel(target, QPoint(300, 10), y=-120)
    assert view.axis.left == left and body(view, "a").mapTo(view, QPoint()).y() < top
    wheel(view.findChild(Minimap), QPoint(300, 10), y=120)
    assert view.axis.left != left


def test_the_minimap_scrolls(make_view, project, studio):
    view = make_view(project)
    view.axis.show(0, 20)
    mini = view.findChild(Minimap)
    QTest.mouseClick(mini, LEFT, NONE, QPoint(round(mini.x_of(10 * studio.bar)), 10))
    middle = view.axis.sample_at(view.axis.width / 2)
    assert abs(middle - 10 * studio.bar) < studio.bar / 8
    place = round(mini.x_of(10 * studio.bar))
    drag(mini, QPoint(place, 10), QPoint(round(mini.x_of(5 * studio.bar)), 10))
    assert abs(view.axis.sample_at(view.axis.width / 2) - 5 * studio.bar) < studio.bar / 4
    left = view.axis.left
    QTest.keyClick(mini, Qt.Key.Key_Right)
    assert view.axis.left > left


def test_files_may_be_dropped(make_view, project, tmp_path, qtbot):
    view = make_view(project)
    heard = Heard(view.files_dropped)
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(tmp_path / "a.wav")), QUrl("https://example.org/b.wav")])
    hint = view.findChild(DropHint)
    for end in (QDragLeaveEvent(), None):
        assert not hint.isVisible()
        QApplication.sendEvent(view, QDragEnterEvent(QPoint(500, 50), Qt.DropAction.CopyAction, mime, LEFT, NONE))
        assert hint.isVisible()
        assert hint.geometry() == view.rect()
        if end is not None:
            QApplication.sendEvent(view, end)
    both = Qt.DropAction.CopyAction | Qt.DropAction.MoveAction
    event = QDropEvent(QPointF(500, 50), both, mime, LEFT, SHIFT)
    event.setDropAction(Qt.DropAction.MoveAction)
    QApplication.sendEvent(view, event)
    assert event.isAccepted() and event.dropAction() == Qt.DropAction.CopyAction  # the file stays where it is
    assert not hint.isVisible()
    qtbot.waitUntil(lambda: heard.told == [([tmp_path / "a.wav"],)])


# ------------------------------------------------------------------------------------------------------- the headers


def test_headers_tell_what_a_lane_is(project):
    lane = project.lane("a")
    assert describe(lane) == "extracted · best · seed 7"
    assert describe(project.lane("b")) == "added · take 1 of 3"
    assert describe(project.lane(SONG_ID)) == "original"
    assert describe(Lane("x", "added", "x")) == "empty"
    gains = [gain_text(gain) for gain in (0.0, -0.01, -1.6, 12.0, -60.0)]
    assert gains == ["0.0 dB", "0.0 dB", "−1.6 dB", "12.0 dB", "−∞ dB"]
    assert [pan_text(pan) for pan in (0, -0.3, 1)] == ["centre", "30 % left", "100 % right"]


def test_a_header_tells_of_every_way_its_parts_were_made_in_and_not_of_the_silence_in_between(studio):
    lane = studio.stem("a")
    part = lane.parts[0]

    def made(**changes):
        return replace(part, takes=(replace(part.take, made=replace(part.take.made, **changes)),))

    silence = made(prompt="", quality="draft", seed=5)
    assert describe(replace(lane, parts=(part, silence))) == "extracted · best · seed 7"
    assert describe(replace(lane, parts=(part, silence, made(quality="draft")))) == "extracted · best, draft · seed 7"
    assert describe(replace(lane, parts=(part, made(seed=8), part))) == "extracted · best · seeds 7, 8"
    lacking = made(without=("bass", "keys"))
    assert describe(replace(lane, parts=(lacking,))) == "extracted · without bass, keys · best · seed 7"
    assert describe(replace(lane, parts=(silence,))) == "extracted · draft · seed 5"


@pytest.mark.parametrize("name", ["hammond organ", "drums and vocals", "warm Rhodes part"])
def test_a_short_name_is_read_whole(make_view, project, studio, name):
    view = make_view(studio.changed(project, "a", name=name))
    shown = header(view, "a")
    assert shown.name.text() == name
    places = [widget.geometry() for widget in (*shown.stops()[1:], shown.name, shown.gain)]
    assert not [(a, b) for i, a in enumerate(places) for b in places[:i] if a.intersects(b)]


def test_mute_and_solo(make_view, project):
    view = make_view(project)
    heard = Heard(view.lane_changed)
    QTest.mouseClick(header(view, "a").mute, LEFT)
    QTest.mouseClick(header(view, "a").solo, LEFT)
    assert heard.told == [("a", "muted", True, True), ("a", "soloed", True, True)]


def test_the_fader_tells_while_it_moves_and_when_it_is_let_go(make_view, project, studio):
    view = make_view(project)
    heard = Heard(view.lane_changed)
    fader = header(view, "a").fader
    drag(fader, QPoint(fader.width() - 8, 9), QPoint(40, 9))
    fields = {(lane_id, field) for lane_id, field, _, _ in heard.told}
    assert fields == {("a", "gain_db")} and [final for *_, final in heard.told].count(True) == 1
    value = heard.told[-1][2]
    assert heard.told[-1][3] and value < -10 and header(view, "a").gain.text() == gain_text(value)
    view.show_project(studio.changed(project, "a", gain_db=value))
    QTest.mouseDClick(fader, LEFT, NONE, QPoint(40, 9))
    assert heard.told[-1] == ("a", "gain_db", 0.0, True)
    count = len(heard.told)
    view.show_project(studio.changed(project, "a", gain_db=-3.0))
    assert fader.gain_db == -3.0 and len(heard.told) == count
    fader.setFocus(Qt.FocusReason.TabFocusReason)
    QTest.keyClick(fader, Qt.Key.Key_Up)
    assert heard.told[-1] == ("a", "gain_db", -2.5, True)


def test_dials(make_view, project):
    view = make_view(project)
    heard = Heard(view.lane_changed)
    assert header(view, "a").sensitivity.isVisible() and not header(view, "b").sensitivity.isVisible()
    drag(header(view, "a").pan, QPoint(11, 11), QPoint(11, 31))
    assert heard.told[-1][:2] == ("a", "pan") and heard.told[-1][2] < 0 and heard.told[-1][3]
    drag(header(view, "a").sensitivity, QPoint(11, 11), QPoint(11, -60))
    assert heard.told[-1][:2] == ("a", "sensitivity") and heard.told[-1][2] == 1.0
    QTest.mouseDClick(header(view, "a").pan, LEFT)
    assert heard.told[-1] == ("a", "pan", 0.0, True)


def test_renaming(make_view, project):
    view = make_view(project)
    heard = Heard(view.lane_changed)
    name = header(view, "a").name
    QTest.mouseDClick(name, LEFT)
    assert name.field.isVisible() and name.field.hasFocus()
    QTest.keyClicks(name.field, "slide  guitar ")
    QTest.keyClick(name.field, Qt.Key.Key_Return)
    assert heard.told == [("a", "name", "slide guitar", True)] and header(view, "a").hasFocus()
    QTest.keyClick(header(view, "a"), Qt.Key.Key_F2)
    QTest.keyClicks(name.field, "x")
    QTest.keyClick(name.field, Qt.Key.Key_Escape)
    QTest.keyClick(header(view, "a"), Qt.Key.Key_Return)
    QTest.keyClick(name.field, Qt.Key.Key_Backspace)
    QTest.keyClick(name.field, Qt.Key.Key_Return)
    assert len(heard.told) == 1 and not name.field.isVisible()


@pytest.mark.parametrize("chords", ["chords", "🎹🎶🎹"])  # an emoji is two letters to Qt
@pytest.mark.parametrize("key", [Qt.Key.Key_Escape, Qt.Key.Key_Return])
def test_a_long_name_that_is_only_looked_at_stays_whole(make_view, project, studio, key, chords):
    name = f"a very soft and warm electric piano, played in wide open {chords} " * 2 + " far  behind"
    view = make_view(studio.changed(project, "a", name=name))
    heard = Heard(view.lane_changed)
    QTest.keyClick(header(view, "a"), Qt.Key.Key_F2)
    assert header(view, "a").name.field.text() == name
    QTest.keyClick(header(view, "a").name.field, key)
    assert not header(view, "a").name.field.isVisible() and not heard.told


def test_only_the_left_button_takes_in_a_bar(make_view, project):
    view = make_view(project)
    heard = Heard(view.region_changed)
    for widget in (view._ruler, view._rows.bodies()[0]):
        QTest.mouseDClick(widget, Qt.MouseButton.RightButton, pos=QPoint(300, 10))
    assert not heard.told
    QTest.mouseDClick(view._ruler, LEFT, pos=QPoint(300, 10))
    assert heard.told


def test_only_the_left_button_resets_and_renames(make_view, project, studio):
    view = make_view(studio.changed(project, "a", gain_db=-3.0, pan=0.5))
    heard, shown = Heard(view.lane_changed), header(view, "a")
    height = shown.height()
    for control in (shown.fader, shown.pan, shown.name):
        QTest.mouseDClick(control, Qt.MouseButton.RightButton)
    assert not heard.told and not shown.name.field.isVisible()
    pull(shown.edge, 40)
    QTest.mouseDClick(shown.edge, Qt.MouseButton.RightButton)
    assert shown.height() == height + 40


def test_keys_choose_and_switch_lanes(make_view, project):
    view = make_view(project)
    chosen, heard = Heard(view.lanes_selected), Heard(view.lane_changed)
    header(view, SONG_ID).setFocus(Qt.FocusReason.TabFocusReason)
    QTest.keyClick(header(view, SONG_ID), Qt.Key.Key_Down)
    assert header(view, "a").hasFocus() and view.selected == ("a",)
    QTest.keyClick(header(view, "a"), Qt.Key.Key_Down, SHIFT)
    assert view.selected == ("a", "b") and chosen.told[-1] == (("a", "b"),)
    QTest.keyClick(header(view, "b"), Qt.Key.Key_M)
    QTest.keyClick(header(view, "b"), Qt.Key.Key_S)
    assert heard.told == [("b", "muted", True, True), ("b", "soloed", True, True)]
    QTest.keyClick(header(view, SONG_ID), Qt.Key.Key_Up)
    assert view.selected == ("a", "b")


def test_clicks_select_lanes(make_view, project):
    view = make_view(project)
    heard = Heard(view.lanes_selected)
    at = QPoint(60, 60)
    QTest.mouseClick(header(view, "a"), LEFT, NONE, at)
    QTest.mouseClick(header(view, "c"), LEFT, SHIFT, at)
    assert view.selected == ("a", "b", "c")
    QTest.mouseClick(header(view, "b"), LEFT, CTRL, at)
    assert view.selected == ("a", "c") and heard.told[-1] == (("a", "c"),)
    count = len(heard.told)
    view.select_lanes((REST_ID,))
    assert view.selected == (REST_ID,) and len(heard.told) == count
    view.show_project(replace(project, lanes=(project.lanes[0], project.lanes[-1])))
    assert view.selected == (REST_ID,)


@pytest.mark.parametrize("theme", [DARK, LIGHT])
def test_what_is_selected_is_seen_by_everybody(make_view, project, theme):
    """WCAG 2.2, 1.4.11: by something at 3 or more against the same lane unselected."""
    view = make_view(project)
    view.set_theme(theme)
    plain = header(view, "a").grab().toImage()
    view.select_lanes(("a",))
    chosen = header(view, "a").grab().toImage()
    row = plain.height() // 2
    ratios = [contrast(plain.pixelColor(x, row).name(), chosen.pixelColor(x, row).name()) for x in range(WIDTH)]
    assert sum(ratio >= 3 for ratio in ratios) >= 2


def test_takes(make_view, project, studio):
    view = make_view(project)
    heard = Heard(view.take_chosen)
    chips = [chip for chip in view.findChildren(Chip) if chip.isVisible()]
    assert [chip.text() for chip in chips] == ["1", "2", "3"] and chips[0].isChecked()
    QTest.mouseClick(chips[2], LEFT)
    assert heard.told == [("b", 0, 2)]
    part = replace(project.lane("b").parts[0], chosen=2)
    view.show_project(studio.changed(project, "b", parts=(part,)))
    assert [chip.isChecked() for chip in chips] == [False, False, True]
    view.axis.fit(Span(5 * studio.bar, 6 * studio.bar))
    assert all(chip.isVisible() and 0 <= chip.x() < body(view, "b").width() for chip in chips)
    view.axis.show(10 * studio.bar, 20)
    assert not any(chip.isVisible() for chip in chips)
    view.fit()
    view.show_project(studio.changed(project, "b", parts=(replace(part, takes=part.takes[:1], chosen=0),)))
    assert not [chip for chip in view.findChildren(Chip) if chip.isVisible()]


def test_the_menu(make_view, project):
    view = make_view(project)
    heard = Heard(view.lane_menu)
    QTest.mouseClick(header(view, "b").menu, LEFT)
    assert heard.told[0][0] == "b" and view.selected == ("b",)


def test_everything_has_a_name_and_is_reached_by_tab(make_view, project):
    view = make_view(project)
    assert a11y.problems(view) == []
    for part in [*view.findChildren(LaneBody), view.findChild(Ruler), view.findChild(Minimap)]:
        assert part.accessibleName() and part.accessibleDescription()
    assert {header(view, "a").fader.accessibleName(), body(view, "c").accessibleName()} == {
        "Gain of lane a, tenths of a decibel", "lane c, spectrogram"}


def test_a_lane_says_whether_it_is_selected_and_where_the_region_is(make_view, project, studio):
    view = make_view(replace(project, region=None))
    said = [header(view, "a").accessibleDescription(), body(view, "a").accessibleDescription()]
    assert all(each.startswith("not selected · ") and "bars" not in each for each in said)
    view.select_lanes(("a",))
    view.show_project(replace(project, region=Span(2 * studio.bar, 4 * studio.bar)))
    for lane_id, selected in (("a", "selected"), ("b", "not selected")):
        for widget in (header(view, lane_id), body(view, lane_id)):
            assert widget.accessibleDescription().startswith(f"{selected} · bars 3–4 of lane {lane_id} · ")
    assert describe(project.lane("a")) in header(view, "a").accessibleDescription()
    x = view.axis.x_of
    drag(body(view, "b"), QPoint(round(x(6.1 * studio.bar)), 20), QPoint(round(x(8.9 * studio.bar)), 20))
    assert header(view, "b").accessibleDescription().startswith("selected · bars 7–9 of lane b · ")


def test_tab_comes_to_lanes_between_what_stands_around_them(shown, workers, studio, project):
    window, before, after = QWidget(), QLineEdit("before"), QLineEdit("after")
    view = LanesView(workers, DARK)
    layout = QVBoxLayout(window)
    for widget in (before, view, after):
        layout.addWidget(widget)
    shown(window)
    view.set_store(studio.store.view)
    view.show_project(project)  # only now are there lanes
    before.setFocus()
    order = a11y.tab_walk(window)
    places = [order.index(w) for w in (header(view, SONG_ID), header(view, "a"), header(view, REST_ID), after, before)]
    assert places == sorted(places)
    chips = [order.index(chip) for chip in view.findChildren(Chip) if chip.isVisible()]
    assert order.index(header(view, "b")) < min(chips) and max(chips) < order.index(header(view, "c"))


def test_the_view_hands_the_keyboard_to_a_lane(make_view, project):
    view = make_view(project)
    view.setFocus()
    assert header(view, SONG_ID).hasFocus()
    view.select_lanes(("b", "c"))
    view.setFocus()
    assert header(view, "b").hasFocus()


# ------------------------------------------------------------------------------------------------------------ motion


def test_a_click_on_the_ruler_or_below_the_lanes_takes_the_keyboard_from_a_field(shown, workers, studio, project):
    window, field, view = QWidget(), QLineEdit(), LanesView(workers, DARK)
    field.setAccessibleName("Prompt")
    column = QVBoxLayout(window)
    column.addWidget(view)
    column.addWidget(field)
    shown(window, 1240, 900)
    view.set_store(studio.store.view)
    view.show_project(project)
    workers.finish()
    view.stretch(0.1)
    rows = view.findChild(Rows).viewport()
    assert rows.childAt(QPoint(500, rows.height() - 5)) is None
    for place, at in ((view.findChild(Ruler), QPoint(300, 10)), (rows, QPoint(500, rows.height() - 5))):
        field.setFocus()
        QTest.mouseClick(place, LEFT, NONE, at)
        assert header(view, SONG_ID).hasFocus()


def test_playing_turns_pages(make_view, project, studio):
    view = make_view(project)
    view.axis.show(0, 20)
    view.set_playing(True)
    view.set_position(view.axis.visible.stop + 100)
    assert view.axis.visible.start > 0
    view.set_playing(False)
    left = view.axis.left
    view.set_position(studio.bar)
    assert view.axis.left == left


def test_zoom_to_region_and_fit(make_view, project, studio):
    view = make_view(project)
    view.zoom_to_region()
    assert abs(view.axis.visible.start - 2 * studio.bar) < studio.bar / 8
    view.fit()
    assert view.axis.visible == Span(0, project.samples)


def test_many_lanes_scroll_and_few_fill(make_view, studio, workers):
    view = make_view(studio.song())
    assert body(view, REST_ID).height() > 90
    lane = studio.stem("x", samples=100)
    view.show_project(studio.song(*(replace(lane, id=f"x{i}") for i in range(20))))
    workers.finish()
    assert 60 <= body(view, REST_ID).height() <= 70
    QTest.keyClick(header(view, "x19"), Qt.Key.Key_Down)
    QApplication.processEvents()
    assert view.rect().contains(body(view, REST_ID).mapTo(view, QPoint(0, 10)))
    assert view.axis.width < view.width() - WIDTH  # the scroll bar took some


def in_sight(view, lane_id):
    there = header(view, lane_id)
    return not there.visibleRegion().isEmpty() and there.visibleRegion().boundingRect().height() == there.height()


def test_a_lane_that_was_asked_for_comes_into_sight(make_view, studio, workers, monkeypatch):
    stems = [replace(studio.stem("x", samples=100), id=f"x{i}") for i in range(12)]
    project = studio.song(*stems[:9])
    view = make_view(project)
    bar = view._rows.verticalScrollBar()
    assert bar.maximum() > 0 == bar.value()
    monkeypatch.setattr(QApplication, "mouseButtons", lambda: Qt.MouseButton.NoButton)
    file = studio.growing("new", 0, studio.bar)
    view.show_project(project, (file,))
    assert in_sight(view, "new")
    bar.setValue(0)
    for _ in range(2):  # undo and redo
        view.show_project(project)
        view.show_project(project, (file,))
    assert bar.value() == 0
    monkeypatch.setattr(QApplication, "mouseButtons", lambda: LEFT)
    project = project.with_lane(stems[9])
    view.show_project(project)
    assert bar.value() == 0
    monkeypatch.setattr(QApplication, "mouseButtons", lambda: Qt.MouseButton.NoButton)
    view.show_project(project.with_lane(stems[10]).with_lane(stems[11]))
    assert in_sight(view, "x10") and in_sight(view, "x11")
    bar.setValue(0)
    view.show_project(studio.song(*stems))  # another song
    assert bar.value() == 0


def pull(edge, pixels):
    """Drag an edge, which goes with the mouse."""
    from PySide6.QtGui import QMouseEvent

    QTest.mousePress(edge, LEFT, NONE, QPoint(60, 2))
    place, goal = QPointF(60, 2), QPointF(edge.mapToGlobal(QPoint(60, 2 + pixels)))
    QApplication.sendEvent(edge, QMouseEvent(QEvent.Type.MouseMove, place, goal, Qt.MouseButton.NoButton, LEFT, NONE))
    QTest.mouseRelease(edge, LEFT, NONE, QPoint(60, 2))


def heights(view):
    return {each.lane.id: each.height() for each in view.findChildren(LaneHeader) if each.isVisible()}


def test_the_lower_edge_of_a_lane_is_dragged_and_reset(make_view, project, studio):
    view = make_view(project)
    before = heights(view)
    edge = header(view, "a").edge
    pull(edge, 60)
    assert heights(view) == before | {"a": before["a"] + 60}
    assert body(view, "a").height() == before["a"] + 60
    assert header(view, "b").y() == header(view, "a").y() + before["a"] + 60
    pull(edge, -5000)
    assert heights(view)["a"] == 64  # its controls need that much
    pull(edge, 5000)
    assert heights(view)["a"] == 640 and view._rows.verticalScrollBar().maximum() > 0
    QTest.mouseDClick(edge, LEFT, NONE, QPoint(60, 2))
    assert heights(view) == before


def test_a_lane_keeps_its_height_until_another_song_is_there(make_view, project, studio):
    view = make_view(project)
    pull(header(view, "a").edge, 40)
    tall = heights(view)["a"]
    view.show_project(studio.changed(project, "b", muted=True))
    assert heights(view)["a"] == tall
    view.show_project(studio.song(studio.stem("a"), studio.stem("b"), studio.stem("c")))
    assert heights(view)["a"] == heights(view)["b"] < tall


def test_all_lanes_are_made_taller_and_lower(make_view, project):
    view = make_view(project)
    before = heights(view)
    view.stretch(HEIGHT_STEP)
    assert all(height == pytest.approx(HEIGHT_STEP * before[lane], abs=1) for lane, height in heights(view).items())
    view.stretch(1 / HEIGHT_STEP)
    assert heights(view) == before
    for _ in range(30):
        view.stretch(1 / HEIGHT_STEP)
    assert set(heights(view).values()) == {64}
    view.stretch(HEIGHT_STEP)
    assert heights(view)[SONG_ID] == 80  # steps beyond the end do not count
    for _ in range(30):
        view.stretch(HEIGHT_STEP)
    assert set(heights(view).values()) == {640}



def test_showing_the_same_again_repaints_nothing(make_view, project, monkeypatch):
    view = make_view(project)
    QApplication.processEvents()
    painted = []
    monkeypatch.setattr(LaneBody, "paintEvent", lambda self, event: painted.append(self))
    view.show_project(replace(project, prompt=replace(project.prompt, text="a guitar")))
    QApplication.processEvents()
    assert not painted


def test_frames_are_measured(make_view, project):
    view = make_view(project)
    view.axis.show(0, 40)
    left = view.axis.left
    times = frame_times(view, 0.2)
    assert times and all(0 < seconds < 5 for seconds in times) and view.axis.left != left


def test_drawing_is_measured(make_view, project, studio, workers, monkeypatch):
    monkeypatch.setattr(peaks, "PIECE_SAMPLES", 1 << 14)
    view = make_view()
    later = QTimer()
    later.timeout.connect(lambda: workers.queue and workers.step())
    later.start(0)
    rough, fine = drawing_times(view, lambda: view.show_project(project))
    assert 0 < rough < fine and view.sources.complete
    later.stop()
    with pytest.raises(TimeoutError):
        drawing_times(view, lambda: view.show_project(studio.song()), 0.01)


def test_views_go_without_a_trace(qtbot, workers, studio, project):
    import gc
    import weakref

    import shiboken6

    view = LanesView(workers, DARK)
    view.set_store(studio.store.view)
    view.show_project(project)
    workers.finish()
    gone = weakref.ref(view)
    shiboken6.delete(view)
    del view
    gc.collect()
    assert gone() is None or not shiboken6.isValid(gone())


def test_the_playhead_of_a_song_that_was_closed_stays_in_the_minimap(make_view, project):
    """The player is for a moment still where it was."""
    view = make_view(project)
    view.show_project(Project())
    view.set_position(1 << 25)
    view.set_position(0)
    assert view._minimap.x_of(1 << 25) < view._minimap.width()
