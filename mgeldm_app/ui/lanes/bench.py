"""How long the lanes take to draw a song, and a frame: for the benchmark."""

from __future__ import annotations

import time
from collections.abc import Callable

from PySide6.QtCore import QCoreApplication, QEvent

from .view import LanesView

FRAME_S = 1 / 60
_SCROLL_PX = 7.0


def frame_times(view: LanesView, seconds: float) -> list[float]:
    """Scroll through the song while its playhead moves; seconds that the GUI thread spent on each frame.

    Counts what a frame costs: scrolling, moving the playhead, whatever workers have delivered, and painting at once
    all that this changed. The time until the next frame is slept, so workers run as they would.

    Args:
        view: Shown, with a project.
        seconds: How long to go on.
    """
    axis = view.axis
    way, times = 1.0, []
    end = time.perf_counter() + seconds
    view.set_playing(True)
    while (began := time.perf_counter()) < end:
        before = axis.left
        axis.scroll(way * _SCROLL_PX)
        if axis.left == before:
            way = -way
        view.set_position(round(max(0.0, axis.left) + (0.5 + 0.2 * (began % 1)) * axis.width * axis.scale))
        _paint(view)
        times.append(time.perf_counter() - began)
        time.sleep(max(0.0, FRAME_S - times[-1]))
    view.set_playing(False)
    return times


def drawing_times(view: LanesView, show: Callable[[], None], most_s: float = 60.0) -> tuple[float, float]:
    """Seconds from `show`, which shows a project, until all of it is drawn roughly, and until it is drawn finely.

    Args:
        view: Shown, with workers that deliver through the event loop.
        show: Calls `LanesView.show_project`.
        most_s: Give up after so long.

    Raises:
        TimeoutError: It took longer.
    """
    began = time.perf_counter()
    show()
    rough = 0.0
    while view.sources.complete is not True or not rough:
        QCoreApplication.processEvents()
        if not rough and view.sources.complete is not None:
            _paint(view)
            rough = time.perf_counter() - began
        if time.perf_counter() - began > most_s:
            raise TimeoutError(f"The song was not drawn in {most_s:.0f} s.")
        time.sleep(0.001)
    _paint(view)
    return rough, time.perf_counter() - began


def _paint(view: LanesView) -> None:
    """Paint what has changed, now."""
    QCoreApplication.sendPostedEvents()
    QCoreApplication.sendEvent(view.window(), QEvent(QEvent.Type.UpdateRequest))
