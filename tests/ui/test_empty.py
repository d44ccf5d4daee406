from pathlib import Path

import pytest
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QApplication, QPushButton

from mgeldm_app.ui.empty import EmptyState
from mgeldm_app.ui.theme import DARK, LIGHT

ACTIONS, LEFT, NONE = Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier


@pytest.fixture
def empty(shown):
    made = EmptyState()
    made.set_theme(DARK)
    return shown(made, 1280, 500)


def mime(*urls):
    data = QMimeData()
    data.setUrls([QUrl(url) for url in urls])
    return data


def enter(data):
    return QDragEnterEvent(QPoint(9, 9), ACTIONS, data, LEFT, NONE)


def test_two_ways_to_begin(empty, qtbot):
    for button, signal in ((empty.open_button, empty.open_clicked), (empty.demo_button, empty.demo_clicked)):
        with qtbot.waitSignal(signal, timeout=1000):
            button.click()


def test_dropped_files_are_told(empty, qtbot):
    data = mime("file:///music/a%20song.flac")
    QApplication.sendEvent(empty, enter(data))
    with qtbot.waitSignal(empty.files_dropped, timeout=1000) as caught:
        QApplication.sendEvent(empty, QDropEvent(QPointF(9, 9), ACTIONS, data, LEFT, NONE))
    assert caught.args == [[Path("/music/a song.flac")]]


def test_the_frame_lights_up_under_a_file(empty):
    calm = empty.grab().toImage()
    data = mime("file:///a.wav")
    QApplication.sendEvent(empty, enter(data))
    assert empty.grab().toImage() != calm
    QApplication.sendEvent(empty, QDropEvent(QPointF(9, 9), ACTIONS, data, LEFT, NONE))
    assert empty.grab().toImage() == calm
    empty.set_theme(LIGHT)
    assert empty.grab().toImage() != calm


def test_recent_projects_are_five_at_most(empty, qtbot):
    paths = [f"/music/project {number} & co.mgeldm" for number in range(7)]
    empty.set_recent(paths)
    buttons = empty._recent.findChildren(QPushButton)
    assert len(buttons) == 5 and buttons[0].text() == "project 0 && co"
    with qtbot.waitSignal(empty.recent_clicked, timeout=1000) as caught:
        buttons[1].click()
    assert caught.args == [paths[1]]
    empty.set_recent([])
    assert not empty._recent.isVisible()


def test_as_many_recent_projects_are_shown_as_fit(empty):
    empty.set_recent([f"/songs/Midnight Ferry {number}.mgeldm" for number in range(5)])
    buttons = [each for each in empty.findChildren(QPushButton) if each.toolTip().startswith("/songs")]
    counts = []
    empty.setMinimumSize(1, 1)  # as in the window, whose own size holds
    for height in (700, 330, 300, 200, 700):
        empty.resize(1280, height)
        empty.layout().activate()
        empty._recent.layout().activate()
        shown = [each for each in buttons if each.isVisible()]
        assert all(each.height() >= each.sizeHint().height() for each in shown)
        counts.append(len(shown))
    assert counts[0] == counts[-1] == 5 and 5 > counts[1] > counts[2] and counts[3] == 0
