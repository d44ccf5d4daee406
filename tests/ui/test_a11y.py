import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAccessible
from PySide6.QtWidgets import QLineEdit, QPushButton, QSpinBox, QTextEdit, QToolButton, QVBoxLayout, QWidget

from mgeldm_app.core.export.formats import formats
from mgeldm_app.core.settings import ExportSettings, Settings
from mgeldm_app.ui import a11y
from mgeldm_app.ui.dialogs import (
    Choice,
    ExportDialog,
    LaneRow,
    MessageBar,
    ModelRow,
    ModelsDialog,
    Notice,
    SettingsDialog,
)
from mgeldm_app.ui.empty import EmptyState
from mgeldm_app.ui.jobs import JobRow, JobsBar
from mgeldm_app.ui.palette import Entry, Palette
from mgeldm_app.ui.prompt import PromptBar
from mgeldm_app.ui.shortcuts import ShortcutSheet
from mgeldm_app.ui.transport import Transport

ROWS = (
    JobRow("a", "Adding a warm Rhodes", "running", 0.5, "window 1 of 2"),
    JobRow("b", "Extracting", "queued"),
    JobRow("c", "Extracting", "failed", message="It failed.", details="why"),
)
MODELS = (
    ModelRow("a", "Embedded model", sha256="ab" * 32, size_bytes=1, in_use=True, removable=False),
    ModelRow("b", "Published", state="available"),
    ModelRow("c", "CLAP", state="downloading"),
    ModelRow("d", "Mine", sha256="cd" * 32),
)
ENTRIES = (Entry("a", "Open", "Ctrl+O", group="File"), Entry("b", "Undo", "Ctrl+Z", False, "Edit"))


def column(*widgets):
    window = QWidget()
    layout = QVBoxLayout(window)
    for widget in widgets:
        layout.addWidget(widget)
    return window


def prompt_bar():
    bar = PromptBar()
    bar.set_summary("Extract", "Extracts", True)
    bar.options.click()
    return bar


def transport():
    made = Transport()
    made.set_song("A song.flac", "48 kHz")
    made.set_output_notice("No sound card: silent clock")
    return made


def jobs_bar():
    bar = JobsBar()
    bar.set_rows(ROWS)
    return bar


def empty_state():
    made = EmptyState()
    made.set_recent(["/music/a.mgeldm", "/music/b.mgeldm"])
    return made


def notices():
    window = column(QPushButton("Below"))
    bar = MessageBar(window)
    bar.say(Notice("a", "Removed the drums.", actions=(("undo", "Undo"),)))
    bar.say(Notice("b", "It failed.", "bad", (("retry", "Try again"),), "details"))
    return window


def settings():
    return SettingsDialog(Settings(), ["Card"], [Choice("auto", "Automatic")], [Choice("embedded", "Embedded")])


def export():
    lanes = [LaneRow("song", "Song", "#ffffff"), LaneRow("rest", "Rest", "#ffffff")]
    options = ExportSettings(folder="/x")
    return ExportDialog(lanes, formats(), options, lambda c: c.lanes, lambda c: c.lanes, "8 bars", "3 stems")


@pytest.mark.parametrize(
    "make",
    [
        prompt_bar, transport, jobs_bar, empty_state, notices, settings, export,
        lambda: ModelsDialog(MODELS), lambda: ShortcutSheet(ENTRIES),
    ],
    ids=["prompt", "transport", "jobs", "empty", "notices", "settings", "export", "models", "shortcuts"],
)  # fmt: skip
def test_everything_has_a_name_and_is_reached_by_tab(make, shown):
    window = make()
    window = shown(window if window.isWindow() and not isinstance(window, PromptBar) else column(window))
    assert len(a11y.controls(window)) >= 1
    assert a11y.problems(window) == []


@pytest.mark.parametrize("make", [jobs_bar, lambda: Palette()], ids=["jobs panel", "palette"])
def test_popups_too(make, shown):
    owner = make()
    popup = owner.panel if isinstance(owner, JobsBar) else owner
    below = shown(column(QPushButton("Below")) if popup is owner else column(owner))
    if popup is owner:
        popup.open_with(ENTRIES)
    else:
        owner.open_panel()
    shown(popup, 480, 400)
    found = [problem for problem in a11y.problems(popup) if "QListView" not in problem]  # moved by the field's arrows
    assert found == [] and below.isVisible()


def test_faults_are_found(shown):
    nameless, unreachable, trap = QToolButton(), QPushButton("Mouse only"), QTextEdit()
    nameless.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    unreachable.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
    trap.setAccessibleName("A field that keeps Tab for itself")
    after = QLineEdit()
    after.setAccessibleName("After the trap")
    window = shown(column(nameless, unreachable, trap, after))
    found = a11y.problems(window)
    assert [problem for problem in found if "no accessible name" in problem and "QToolButton" in problem]
    assert [problem for problem in found if "Mouse only" in problem and "reached" in problem]
    assert [problem for problem in found if "After the trap" in problem and "reached" in problem]


def test_parts_of_controls_and_what_is_hidden_are_left_alone(shown):
    spin, hidden = QSpinBox(), QToolButton()
    spin.setAccessibleName("How many")
    window = column(spin, hidden)
    hidden.hide()
    assert a11y.controls(shown(window)) == [spin]
    assert a11y.problems(window) == []


def test_describing_names_and_hints(qtbot):
    button = QPushButton()
    a11y.describe(button, "Play", "Plays the song")
    assert (button.accessibleName(), button.accessibleDescription(), button.toolTip()) == (
        "Play",
        "Plays the song",
        "Plays the song",
    )
    assert a11y.name_of(button) == "Play"


def test_news_is_announced_in_the_words_given(qtbot, monkeypatch):
    heard, button = [], QPushButton("A")
    qtbot.addWidget(button)
    monkeypatch.setattr(a11y.QAccessible, "updateAccessibility", heard.append)
    a11y.announce(button, "Saved.")
    a11y.announce(button, "The disk is full.", urgent=True)
    kinds = QAccessible.AnnouncementPoliteness
    assert [(each.message(), each.politeness()) for each in heard] == [
        ("Saved.", kinds.Polite), ("The disk is full.", kinds.Assertive)]
    assert {each.type() for each in heard} == {QAccessible.Event.Announcement}
