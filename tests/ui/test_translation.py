"""Every word of the panels goes through Qt's translation: a translator that puts brackets around all it is given."""

import re

import pytest
from PySide6.QtCore import QCoreApplication, QTranslator
from PySide6.QtWidgets import QAbstractButton, QComboBox, QLabel, QLineEdit, QWidget

from mgeldm_app.core.export.formats import Format
from mgeldm_app.core.project import Prompt, Span, Tempo
from mgeldm_app.core.settings import ExportSettings, Settings
from mgeldm_app.ui.dialogs import ExportDialog, LaneRow, MessageBar, ModelRow, ModelsDialog, Notice, SettingsDialog
from mgeldm_app.ui.empty import EmptyState
from mgeldm_app.ui.jobs import JobRow, JobsBar
from mgeldm_app.ui.palette import Palette
from mgeldm_app.ui.prompt import PromptBar
from mgeldm_app.ui.shortcuts import ShortcutSheet
from mgeldm_app.ui.transport import Transport

FORMAT = Format("", "", "", "", "audio")


class Brackets(QTranslator):
    def translate(self, context, source, disambiguation=None, n=-1):
        return f"⟦{source}⟧"

    def isEmpty(self):
        return False


@pytest.fixture(autouse=True)
def brackets(qapp):
    translator = Brackets()
    QCoreApplication.installTranslator(translator)
    yield
    QCoreApplication.removeTranslator(translator)


def texts(root):
    """Everything that is read in a widget and below it."""
    for widget in [root, *root.findChildren(QWidget)]:
        yield from (widget.windowTitle(), widget.toolTip(), widget.accessibleName(), widget.accessibleDescription())
        if isinstance(widget, QLabel | QAbstractButton):
            yield widget.text()
        if isinstance(widget, QLineEdit):
            yield widget.placeholderText()
        if isinstance(widget, QComboBox):
            yield from (widget.itemText(row) for row in range(widget.count()))


def untranslated(root):
    """Texts with a word outside of brackets."""
    found = set()
    for text in texts(root):
        bare = text
        while (inner := re.sub(r"⟦[^⟦⟧]*⟧", "", bare)) != bare:
            bare = inner
        if re.search(r"[^\W\d_]{3,}", bare):
            found.add(text)
    return sorted(found)


def transport():
    made = Transport()
    made.set_tempo(Tempo(120, source="given"))
    made.set_null(-12)
    made.set_playing(True)
    made.set_levels(1.5, 0.1)
    return made


def prompt():
    bar = PromptBar()
    bar.show_prompt(Prompt("", "extract", "-", Span(0, 1), 3, "best", 5))
    return bar


def jobs():
    bar = JobsBar()
    rows = [JobRow(state, "", state) for state in ("running", "queued", "failed", "done", "stopped")]
    bar.set_rows(rows)
    return bar


def notices():
    window = QWidget()
    bar = MessageBar(window)
    bar.say(Notice("", "", details="."))
    return window


def models():
    states = ("installed", "available", "downloading", "broken")
    return ModelsDialog([ModelRow(state, "", state=state, sha256="00", in_use=True) for state in states])


@pytest.mark.parametrize(
    "make",
    [
        transport, prompt, jobs, notices, models, EmptyState, Palette, lambda: ShortcutSheet(()),
        lambda: SettingsDialog(Settings(), (), (), (), "", ""),
        lambda: ExportDialog([LaneRow("", "", "#000000")], [FORMAT], ExportSettings(""), lambda _: [], "", ""),
    ],
    ids=["transport", "prompt", "jobs", "notices", "models", "empty", "palette", "shortcuts", "settings", "export"],
)  # fmt: skip
def test_no_word_stands_in_the_code_alone(make, qtbot):
    widget = make()
    qtbot.addWidget(widget)
    assert untranslated(widget) == []
    assert any("⟦" in text for text in texts(widget))


def test_a_word_of_the_code_is_found(qtbot):
    label = QLabel("Loop")
    qtbot.addWidget(label)
    assert untranslated(label) == ["Loop"]
