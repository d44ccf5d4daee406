import os

import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")


@pytest.fixture(autouse=True)
def let_go(qapp):
    """Deletes what a test has closed: a stylesheet that is set dresses every widget there is, also those."""
    from PySide6.QtCore import QCoreApplication, QEvent

    yield
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


@pytest.fixture
def world(tmp_path, monkeypatch):
    """A controller among fakes, with nothing open."""
    from tests.fakes.world import World

    monkeypatch.setenv("MGELDM_HOME", str(tmp_path / "home"))
    return World()


@pytest.fixture
def shown(qtbot):
    """Shows a widget in an active window, dressed, as a user would meet it."""
    from PySide6.QtWidgets import QApplication

    from mgeldm_app.ui.theme import DARK, apply

    apply(QApplication.instance(), DARK)

    def show(widget, width=1280, height=800):
        qtbot.addWidget(widget)
        widget.resize(width, height)
        with qtbot.waitActive(widget):
            widget.show()
            widget.activateWindow()
        return widget

    return show
