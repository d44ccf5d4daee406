import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QApplication

from mgeldm_app.ui import dragging
from mgeldm_app.ui.lanes.header import LaneHeader
from mgeldm_app.ui.main_window import MainWindow
from tests.fakes.world import write_song

LEFT, NONE = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier


@pytest.fixture
def grip(world, qtbot, tmp_path):
    """The grip of the song's lane, in a window."""
    window = MainWindow(world.c)
    qtbot.addWidget(window)
    window.show()
    world.open(write_song(tmp_path / "song.wav"))
    yield next(header.grip for header in window.findChildren(LaneHeader) if header.lane.kind == "song")
    world.c.close()


def drag_away(grip, qtbot):
    """Press and move so far that it is a drag."""
    qtbot.mousePress(grip, LEFT, NONE, QPoint(5, 20))
    qtbot.mouseMove(grip, QPoint(5 + 2 * QApplication.startDragDistance(), 20))


def test_a_click_makes_no_files(grip, world, qtbot):
    qtbot.mouseClick(grip, LEFT, NONE, QPoint(5, 20))
    assert world.session.selected == ("song",)
    assert not list(world.session.folder.exports.iterdir())


def test_files_that_the_mouse_does_not_wait_for_are_not_made(grip, world, qtbot):
    world.porters.holding = True
    drag_away(grip, qtbot)
    (errand,) = world.c.taking.errands.values()
    qtbot.mouseRelease(grip, LEFT, NONE, QPoint(40, 20))
    assert errand.cancelled
    world.porters.release()
    assert not list(world.session.folder.exports.iterdir())


def test_one_who_waits_long_is_told_why(grip, world, qtbot, monkeypatch):
    monkeypatch.setattr(dragging.QDrag, "exec", lambda self, action: None)
    world.porters.holding = True
    drag_away(grip, qtbot)
    qtbot.waitUntil(lambda: bool(world.told))
    assert "keep the mouse button down" in world.told[0][0]
    world.porters.release()
    assert len(list(world.session.folder.exports.glob("*.wav"))) == 1
