import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel

from mgeldm_app.core.actions import BY_ID, OTHER_WORDS
from mgeldm_app.ui.palette import Entry, Palette, fuzzy, search
from mgeldm_app.ui.shortcuts import ShortcutSheet, grouped, in_columns
from mgeldm_app.ui.theme import LIGHT

ENTRIES = (
    Entry("open", "Open", "Ctrl+O", True, "File"),
    Entry("export", "Export", "Ctrl+E", False, "File"),
    Entry("extract", "Extract", "Ctrl+1", True, "Prompt"),
    Entry("play", "Play or pause", "Space", True, "Play"),
    Entry("theme", "Dark or light", "", True, "View"),
)


@given(st.text("abc d", max_size=12), st.text("abcd ", max_size=30))
def test_a_text_answers_exactly_when_it_has_the_letters_in_order(query, text):
    letters, rest = query.replace(" ", ""), iter(text)
    assert (fuzzy(query, text) is not None) == all(letter in rest for letter in letters)


@pytest.mark.parametrize(
    ("query", "better", "worse"),
    [
        ("zr", "Zoom to the region", "Organizer"),
        ("loo", "Loop the region", "Slow tools"),
        ("play", "Play", "Play or pause"),
        ("ex", "Export", "Next take"),
        ("s", "Settings", "Close"),
    ],
)
def test_beginnings_and_runs_are_better(query, better, worse):
    assert fuzzy(query, better) > fuzzy(query, worse)


def test_what_cannot_be_done_comes_last():
    assert [entry.id for entry in search("ex", ENTRIES)] == ["extract", "export"]
    assert [entry.id for entry in search("", ENTRIES)] == ["open", "extract", "play", "theme", "export"]
    assert [entry.id for entry in search("file", ENTRIES)] == ["open", "export"]


def test_other_words_for_an_action_find_it():
    demo = Entry("demo", "Open the demo song", group="File")
    entries = (demo, Entry("theme", "Dark or light", words="theme colours"))
    assert [entry.id for entry in search("theme", entries)] == ["theme", "demo"]
    assert [entry.id for entry in search("light", entries)] == ["theme"]
    assert set(OTHER_WORDS) <= set(BY_ID)


@pytest.fixture
def palette(shown):
    made = Palette()
    made.set_theme(LIGHT)
    made.open_with(ENTRIES)
    made.heard = []
    made.chosen.connect(made.heard.append)
    return shown(made, 560, 300)


def test_type_and_enter(palette, qtbot):
    qtbot.keyClicks(palette.field, "play")
    qtbot.keyClick(palette.field, Qt.Key.Key_Return)
    assert palette.heard == ["play"] and not palette.isVisible()


def test_arrows_go_round_what_can_be_done(palette, qtbot):
    for _ in range(5):
        qtbot.keyClick(palette.field, Qt.Key.Key_Down)
    assert palette.list.currentIndex().row() == 1
    for _ in range(2):
        qtbot.keyClick(palette.field, Qt.Key.Key_Up)
    assert palette.list.currentIndex().row() == 3
    qtbot.keyClick(palette.field, Qt.Key.Key_Return)
    assert palette.heard == ["theme"]


def test_what_cannot_be_done_is_not_chosen(palette, qtbot):
    qtbot.keyClicks(palette.field, "export")
    qtbot.keyClick(palette.field, Qt.Key.Key_Return)
    assert palette.heard == [] and palette.isVisible()


def test_nothing_found_says_so_and_escape_closes(palette, qtbot):
    qtbot.keyClicks(palette.field, "xyz")
    assert palette._nothing.isVisible() and not palette.list.isVisible()
    qtbot.keyClick(palette.field, Qt.Key.Key_Return)
    qtbot.keyClick(palette.field, Qt.Key.Key_Escape)
    assert palette.heard == [] and not palette.isVisible()


def test_a_click_chooses(palette, qtbot):
    place = palette.list.visualRect(palette._model.index(2, 0)).center()
    qtbot.mouseMove(palette.list.viewport(), place)
    qtbot.mouseClick(palette.list.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert palette.heard == ["play"]


def test_the_sheet_has_every_key_once(qtbot):
    groups = grouped(ENTRIES)
    assert {name: len(entries) for name, entries in groups.items()} == {"File": 2, "Prompt": 1, "Play": 1}
    columns = in_columns(groups)
    assert sorted(name for column in columns for name in column) == sorted(groups)
    sheet = ShortcutSheet(ENTRIES)
    qtbot.addWidget(sheet)
    texts = [child.text() for child in sheet.findChildren(QLabel)]
    for entry in ENTRIES:
        if entry.shortcut:
            assert texts.count(entry.shortcut) == 1
