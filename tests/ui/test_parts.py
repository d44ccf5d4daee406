import pytest
from PySide6.QtCore import QEvent, QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QAction, QDragEnterEvent, QDragMoveEvent, QDropEvent, QKeyEvent, QKeySequence
from PySide6.QtWidgets import QLineEdit, QVBoxLayout, QWidget

from mgeldm_app.core.actions import BY_ID
from mgeldm_app.ui.parts import ElidedLabel, IconButton, TextLine, button, keyed, label, short
from mgeldm_app.ui.theme import DARK, LIGHT


def test_a_line_that_does_not_fit_is_cut_and_said_in_the_tooltip(qtbot):
    made = ElidedLabel()
    qtbot.addWidget(made)
    made.setText("A long name of a song & more")
    made.resize(400, 20)
    whole = made.grab().toImage()
    assert made.toolTip() == ""
    made.resize(60, 20)
    assert made.grab().toImage() != whole.copy(0, 0, 60, 20) and made.toolTip() == made.text()
    assert made.minimumSizeHint().width() <= 24


def test_it_never_paints_outside_of_its_box(qtbot):
    made = ElidedLabel()
    qtbot.addWidget(made)
    made.setText("x" * 500)
    made.resize(50, 20)
    image = made.grab().toImage()
    ground = image.pixelColor(0, 0)
    assert all(image.pixelColor(image.width() - 1, y) == ground for y in range(image.height()))


@pytest.mark.parametrize("role", ["flat", "tool", "play"])
def test_icons_follow_the_theme(qtbot, role):
    made = IconButton("loop", "Loop", role)
    qtbot.addWidget(made)
    made.setCheckable(True)
    pictures = []
    for theme in (DARK, LIGHT):
        made.set_theme(theme)
        pictures.append(made.icon().pixmap(16, 16).toImage())
    assert pictures[0] != pictures[1]
    made.set_icon("play")
    assert made.icon().pixmap(16, 16).toImage() != pictures[1]
    made.set_label("Play")
    assert made.accessibleName() == made.toolTip() == "Play"


def test_a_click_does_not_take_the_keyboard_away(shown, qtbot):
    field, pressed = QLineEdit(), button("Do it")
    field.setAccessibleName("Field")
    window = QWidget()
    column = QVBoxLayout(window)
    column.addWidget(field)
    column.addWidget(pressed)
    shown(window, 200, 100)
    field.setFocus()
    qtbot.mouseClick(pressed, Qt.MouseButton.LeftButton)
    assert field.hasFocus()


@pytest.mark.parametrize(
    ("keys", "whose"),
    [
        ("Ctrl+K", "window"), ("Ctrl+E", "window"), ("Ctrl+U", "window"), ("Ctrl+1", "window"),
        ("Ctrl+Return", "window"), ("Ctrl+A", "field"),
        ("Ctrl+Z", "window"), ("Ctrl+Shift+Z", "window"),  # nothing was typed
        ("Ctrl+Left", "field"), ("L", "field"), ("Space", "field"),
    ],
)  # fmt: skip
def test_a_field_leaves_the_window_its_shortcuts(shown, qtbot, keys, whose):
    window, field, done = QWidget(), TextLine(), []
    field.setAccessibleName("Field")
    QVBoxLayout(window).addWidget(field)
    action = QAction(window, shortcut=QKeySequence(keys))
    action.triggered.connect(lambda: done.append(keys))
    window.addAction(action)
    shown(window, 200, 100)
    field.setText("some words")
    field.setFocus()
    combination = QKeySequence(keys)[0]
    qtbot.keyClick(window.windowHandle(), combination.key(), combination.keyboardModifiers())
    assert done == ([keys] if whose == "window" else [])
    if whose == "window":
        assert field.text() == "some words"


def test_a_field_undoes_what_was_typed_before_anything_else_is_undone(shown, qtbot):
    field, claims = shown(TextLine(), 200, 30), []
    field.setAccessibleName("Field")
    field.setText("some ")
    qtbot.keyClicks(field, "words")
    for shift in (Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ShiftModifier) * 2:
        modifiers = Qt.KeyboardModifier.ControlModifier | shift
        event = QKeyEvent(QEvent.Type.ShortcutOverride, Qt.Key.Key_Z, modifiers)
        event.ignore()
        field.event(event)
        claims.append((field.text(), event.isAccepted()))
        qtbot.keyClick(field, Qt.Key.Key_Z, modifiers)
    assert claims == [("some words", True), ("some ", True), ("some words", True), ("some ", True)]


def test_what_was_typed_before_is_kept_and_not_undone_any_more(shown, qtbot):
    field = shown(TextLine(), 200, 30)
    field.setAccessibleName("Field")
    qtbot.keyClicks(field, "words")
    field.setCursorPosition(2)
    field.forget()
    assert not field.isUndoAvailable() and (field.text(), field.cursorPosition()) == ("words", 2)


def test_a_field_lets_go_even_of_keys_that_its_system_gives_to_fields(qtbot):
    field = TextLine()
    qtbot.addWidget(field)
    claims = {}
    for key in (Qt.Key.Key_E, Qt.Key.Key_A):
        event = QKeyEvent(QEvent.Type.ShortcutOverride, key, Qt.KeyboardModifier.ControlModifier)
        event.accept()
        field.event(event)
        claims[key] = event.isAccepted()
    assert claims == {Qt.Key.Key_E: False, Qt.Key.Key_A: True}


@pytest.mark.parametrize(("url", "text", "is_taken"), [("file:///a.wav", "/a.wav", False), ("", "a guitar", True)])
def test_dragged_words_are_text_and_files_are_not(qtbot, url, text, is_taken):
    field, data = TextLine(), QMimeData()
    qtbot.addWidget(field)
    data.setText(text)
    if url:
        data.setUrls([QUrl(url)])
    buttons, keys, copy = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, Qt.DropAction.CopyAction
    for kind, at in ((QDragEnterEvent, QPoint(9, 9)), (QDragMoveEvent, QPoint(9, 9)), (QDropEvent, QPointF(9, 9))):
        event = kind(at, copy, data, buttons, keys)
        event.accept()
        field.event(event)
        assert event.isAccepted() == is_taken
    assert field.text() == (text if is_taken else "")


def test_what_is_short_stays_whole():
    assert short("bars 5–7") == "bars 5–7"
    assert short("x" * 27) == "x" * 27 and short("x" * 28) == "x" * 26 + "…"
    assert short("a prompt of many words", 10) == "a prompt…"


def test_a_label_names_its_field(qtbot):
    field = QLineEdit()
    made = label("Seed", "second", field)
    qtbot.addWidget(made)
    assert field.accessibleName() == "Seed" and made.buddy() is field


def test_hints_name_the_key_of_the_table(qtbot):
    assert keyed("Loop", "loop") == f"Loop ({BY_ID['loop'].shortcut})"
    assert keyed("Models", "models") == "Models"
