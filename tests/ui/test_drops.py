from pathlib import Path

import pytest
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDragLeaveEvent, QDropEvent
from PySide6.QtWidgets import QApplication, QWidget

from mgeldm_app.ui.drops import FileDrops

COPY, MOVE = Qt.DropAction.CopyAction, Qt.DropAction.MoveAction
LEFT, SHIFT = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.ShiftModifier


@pytest.fixture
def target(qtbot):
    """A widget on which files may be dropped, and what was told of it."""
    made = QWidget()
    qtbot.addWidget(made)
    drops, made.told = FileDrops(made), []
    drops.held.connect(made.told.append)
    drops.dropped.connect(made.told.append)
    return made


def mime(*urls):
    data = QMimeData()
    data.setUrls([QUrl(url) for url in urls])
    return data


def send(target, kind, at, data):
    """As a file manager that wants to move what is dragged with Shift."""
    event = kind(at, COPY | MOVE, data, LEFT, SHIFT)
    event.setDropAction(MOVE)
    event.ignore()
    QApplication.sendEvent(target, event)
    return event


def enter(target, data):
    return send(target, QDragEnterEvent, QPoint(9, 9), data)


def drop(target, data):
    return send(target, QDropEvent, QPointF(9, 9), data)


def test_files_are_taken_whatever_they_are_and_stay_where_they_are(target, qtbot):
    data = mime("file:///music/a%20song.flac", "https://example.org/b.mp3", "file:///notes.txt")
    for event in (enter(target, data), drop(target, data)):
        assert event.isAccepted() and event.dropAction() == COPY
    assert target.told == [True, False]  # the other program is not kept waiting
    qtbot.waitUntil(lambda: target.told == [True, False, [Path("/music/a song.flac"), Path("/notes.txt")]])


@pytest.mark.parametrize("data", [mime("https://example.org/b.mp3"), QMimeData()], ids=["link", "nothing"])
def test_what_holds_no_file_is_not_welcome(target, data, qtbot):
    assert not enter(target, data).isAccepted() and not drop(target, data).isAccepted()
    qtbot.wait(20)
    assert target.told == []


def test_files_that_went_away_are_held_no_longer(target):
    enter(target, mime("file:///music/song.wav"))
    QApplication.sendEvent(target, QDragLeaveEvent())
    assert target.told == [True, False]
