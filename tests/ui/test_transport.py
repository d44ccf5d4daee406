import math
from itertools import pairwise

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QWidget

from mgeldm_app.core.actions import BY_ID
from mgeldm_app.core.project import Tempo
from mgeldm_app.ui import a11y
from mgeldm_app.ui.theme import LIGHT
from mgeldm_app.ui.transport import Transport


@pytest.fixture
def bar(shown):
    made = Transport()
    made.set_song("Midnight Ferry.flac", "48 kHz stereo · 3:42")
    made.set_tempo(Tempo(124, 0, 4, "A minor", "found"))
    made.set_theme(LIGHT)
    return shown(made, 1280, 60)


def heard(signal):
    found = []
    signal.connect(lambda *values: found.append(values[0] if values else None))
    return found


@pytest.mark.parametrize("name", ["start", "play", "device", "notice", "tap"])
def test_buttons_say_that_they_were_pressed(bar, name, qtbot):
    signal = {
        "start": bar.start_clicked, "play": bar.play_clicked, "device": bar.device_clicked,
        "notice": bar.output_clicked, "tap": bar.tap_clicked,
    }[name]  # fmt: skip
    found = heard(signal)
    bar.set_output_notice("No sound card: silent clock")
    getattr(bar, name).click()
    assert len(found) == 1


def test_switches_say_what_they_are_now_but_not_when_they_are_set(bar):
    loops, clicks, listens = heard(bar.loop_toggled), heard(bar.click_toggled), heard(bar.listen_chosen)
    bar.set_looping(True)
    bar.set_click(True)
    bar.set_listening("song")
    assert loops == clicks == listens == []
    bar.loop.click()
    bar.click.click()
    bar.stems.click()
    bar.song.click()
    assert (loops, clicks, listens) == ([False], [False], ["stems", "song"])


def test_playing_shows_in_icon_and_name(bar):
    bar.set_playing(True)
    assert bar.play.accessibleName().startswith("Pause")
    bar.set_playing(False)
    assert bar.play.accessibleName().startswith("Play")
    assert BY_ID["play"].shortcut in bar.play.toolTip()


@pytest.mark.parametrize(("typed", "bpm"), [("98.5", 98.5), ("120,5", 120.5), ("99,25", 99.25)])
def test_a_tempo_is_typed(bar, qtbot, typed, bpm):
    found = heard(bar.tempo_entered)
    assert bar.tempo.text() == "124.0"
    bar.tempo.setFocus()
    bar.tempo.selectAll()
    qtbot.keyClicks(bar.tempo, typed)
    qtbot.keyClick(bar.tempo, Qt.Key.Key_Return)
    assert found == [bpm] and not bar.tempo.hasFocus()


@pytest.mark.parametrize("typed", ["", "7", "abc", "4000", "1e9", "1,205"])
def test_an_impossible_tempo_is_taken_back(bar, qtbot, typed):
    found = heard(bar.tempo_entered)
    bar.tempo.setFocus()
    bar.tempo.selectAll()
    qtbot.keyClick(bar.tempo, Qt.Key.Key_Backspace)
    qtbot.keyClicks(bar.tempo, typed)
    bar.key.setFocus()
    assert all(20 <= bpm <= 400 for bpm in found)
    assert bar.tempo.text() == "124.0" or found


@pytest.mark.parametrize("typed", ["5", "500"])
@pytest.mark.parametrize("leave", [Qt.Key.Key_Return, Qt.Key.Key_Tab])
def test_a_tempo_out_of_range_is_refused_with_the_range(bar, qtbot, typed, leave):
    found, refused = heard(bar.tempo_entered), heard(bar.refused)
    bar.tempo.setFocus()
    bar.tempo.selectAll()
    qtbot.keyClicks(bar.tempo, typed)
    qtbot.keyClick(bar.tempo, leave)
    assert found == [] and bar.tempo.text() == "124.0" and not bar.tempo.hasFocus()
    assert len(refused) == 1 and typed in refused[0] and "20 to 400" in refused[0]


@pytest.mark.parametrize("known", [True, False])
def test_a_tempo_that_is_emptied_or_left_alone_is_refused_without_a_word(bar, qtbot, known):
    refused = heard(bar.refused)
    bar.set_tempo(Tempo(124, source="found" if known else "none"))
    shown = bar.tempo.text()
    for key in (Qt.Key.Key_Backspace, Qt.Key.Key_Escape):
        bar.tempo.setFocus()
        bar.tempo.selectAll()
        qtbot.keyClick(bar.tempo, key)
        bar.key.setFocus()
        assert bar.tempo.text() == shown
    assert refused == []


def test_escape_takes_back_what_was_typed(bar, qtbot):
    found = heard(bar.tempo_entered)
    bar.tempo.setFocus()
    bar.tempo.selectAll()
    qtbot.keyClicks(bar.tempo, "99")
    qtbot.keyClick(bar.tempo, Qt.Key.Key_Escape)
    assert bar.tempo.text() == "124.0" and found == [] and not bar.tempo.hasFocus()


def test_a_field_in_use_is_not_written_over(bar, qtbot):
    bar.tempo.setFocus()
    bar.tempo.selectAll()
    qtbot.keyClicks(bar.tempo, "99")
    bar.set_tempo(Tempo(120, source="found"))
    assert bar.tempo.text() == "99"


@pytest.mark.parametrize(("typed", "keys"), [("f#m", ["F# minor"]), ("nothing", []), ("", [""])])
def test_a_key_is_typed_as_people_do(bar, qtbot, typed, keys):
    found = heard(bar.key_entered)
    bar.key.setFocus()
    bar.key.selectAll()
    qtbot.keyClick(bar.key, Qt.Key.Key_Backspace)
    qtbot.keyClicks(bar.key, typed)
    bar.key.completer().popup().hide()
    qtbot.keyClick(bar.key, Qt.Key.Key_Return)
    assert found == keys
    if not keys:
        assert bar.key.text() == "A minor"


def test_the_metre_is_chosen_from_a_menu(bar):
    found = []
    bar.metre_chosen.connect(lambda *metre: found.append(metre))
    for metre in ("3/4", "6/8"):
        next(action for action in bar.metre.menu().actions() if action.text() == metre).trigger()
    assert found == [(3, 4), (6, 8)]
    bar.set_tempo(Tempo(90, beats_per_bar=6, beat_unit=8, source="given"))
    assert bar.metre.text() == "6/8"


def test_an_unknown_tempo_is_not_made_up(bar):
    bar.set_tempo(Tempo())
    assert bar.tempo.text() == bar.key.text() == "–"


@pytest.mark.parametrize(
    ("level", "text", "role"),
    [
        (None, "–", "second"), (-math.inf, "−∞ dB", "good"), (-120.1, "−∞ dB", "good"), (-120, "−120.0 dB", "warn"),
        (-32.4, "−32.4 dB", "warn"),
    ],
)  # fmt: skip
def test_the_null_meter_is_good_only_below_what_any_file_can_hold(bar, level, text, role):
    bar.set_null(-3.0)
    bar.set_null(level)
    assert (bar.null.text(), bar.null.property("role")) == (text, role)
    assert a11y.name_of(bar.null) == f"Null: {text}"


def test_the_null_meter_does_not_call_lost_audio_good(bar):
    for level in (-math.inf, -3.0):
        bar.set_null(level, lacks_audio=True)
        assert (bar.null.text(), bar.null.property("role")) == ("lost", "warn")
        assert "lost" in bar.null.toolTip()
    bar.set_null(None, lacks_audio=True)
    assert bar.null.text() == "–"
    bar.set_null(-math.inf)
    assert "not how clean" in bar.null.toolTip()


def test_without_a_song_nothing_can_be_played(bar):
    bar.set_song("", "")
    assert not any(each.isEnabled() for each in (bar.play, bar.loop, bar.tempo, bar.song, bar.metre))
    assert bar.device.isEnabled()


def test_the_badge_and_the_notice_are_read_aloud(bar):
    bar.set_device("CPU · 7.4× live", "Embedded model", "good")
    bar.set_output_notice("No sound card: silent clock", "Connect one.")
    assert (bar.device.accessibleName(), bar.device.toolTip()) == ("CPU · 7.4× live", "Embedded model")
    assert bar.notice.isVisible() and bar.notice.toolTip() == "Connect one."
    bar.set_output_notice("")
    assert not bar.notice.isVisible()


@pytest.mark.parametrize("width", [1440, 1100, 960, 860, 720])
def test_a_narrow_bar_keeps_what_is_needed_most(bar, width):
    bar.set_device("CPU · 7.4× live", "")
    bar.resize(width, 52)
    kept = (bar.start, bar.play, bar.loop, bar.time, bar.song, bar.stems, bar.null, bar.device)
    assert all(each.isVisible() for each in kept)
    assert all(bar.rect().contains(each.mapTo(bar, each.rect().bottomRight())) for each in kept)
    spared = [each.isVisible() for each in (bar.tap, bar.click, bar.meter_box, bar.name, bar.metre, bar.key)]
    assert spared == sorted(spared)  # the first are the first to go
    bar.resize(1600, 52)
    assert bar.tap.isVisible()


@pytest.mark.parametrize("notice", ["", "No sound card: silent clock"])
@pytest.mark.parametrize("width", [1100, 853, 800, 760, 720])
def test_the_switch_is_whole_however_narrow_the_bar_is(bar, width, notice):
    bar.set_device("CPU · 7.4× live", "")
    bar.set_output_notice(notice)
    bar.resize(width, 52)
    bar.layout().activate()
    switch = bar.song.parentWidget()
    assert not bar.song.geometry().intersects(bar.stems.geometry())
    assert switch.rect() == bar.song.geometry() | bar.stems.geometry()
    boxes = [each for each in bar.findChildren(QWidget, options=Qt.FindChildOption.FindDirectChildrenOnly)
             if each.isVisible() and bar.layout().indexOf(each) >= 0]
    for before, after in pairwise(sorted(boxes, key=lambda each: each.x())):
        assert before.geometry().right() < after.x()
    assert bar.device.geometry().right() < width


@pytest.mark.parametrize("width", [1180, 1240, 1280, 1340, 1440])
def test_a_notice_is_whole_where_there_is_room(bar, width):
    bar.set_song("A song of some length.flac", "48 kHz stereo · 3:00")
    bar.set_device("CPU · 7.4× live", "")
    bar.set_output_notice("No sound card: silent clock")
    bar.resize(width, 52)
    bar.layout().activate()
    bar.meter_box.layout().activate()
    assert bar.notice.width() >= bar.notice.sizeHint().width()


def test_a_notice_without_room_ends_in_an_ellipsis(bar):
    bar.set_output_notice("No sound card: silent clock")
    bar.resize(720, 52)
    bar.layout().activate()
    bar.meter_box.layout().activate()
    assert bar.notice.minimumSizeHint().width() <= bar.notice.width() < bar.notice.sizeHint().width()
    whole = bar.notice.grab().toImage()
    bar.notice.setText("No sound card: a clock")
    assert bar.notice.grab().toImage() == whole


def test_a_warning_does_not_give_way(bar):
    bar.set_device("CPU · 7.4× live", "")
    bar.set_output_notice("No sound card: silent clock")
    bar.resize(800, 52)
    assert bar.notice.isVisible() and not bar.tap.isVisible() and not bar.click.isVisible()


def test_long_names_give_way(bar):
    bar.set_song("x" * 300, "y" * 300)
    assert bar.minimumSizeHint().width() <= 1280
    bar.grab()
    assert bar.name.toolTip() == "x" * 300


def test_a_badge_without_room_ends_in_an_ellipsis(bar):
    bar.set_device("CPU · 7.4× live and more of it than anyone can see", "")
    bar.resize(720, 52)
    bar.grab()
    assert bar.device.width() < bar.device.sizeHint().width()
    assert bar.rect().contains(bar.device.geometry()) and bar.metre.isHidden()
