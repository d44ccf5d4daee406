"""How long the lanes take to draw a frame, for the benchmark."""

from __future__ import annotations

import time

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
    axis, window = view.axis, view.window()
    rate_hz = view.project.rate_hz
    way, times = 1.0, []
    end = time.perf_counter() + seconds
    view.set_playing(True)
    while (began := time.perf_counter()) < end:
        before = axis.left
        axis.scroll(way * _SCROLL_PX)
        if axis.left == before:
            way = -way
        view.set_position(round(max(0.0, axis.left) + 0.5 * axis.width * axis.scale + rate_hz * (began % 1)))
        QCoreApplication.sendPostedEvents()
        QCoreApplication.sendEvent(window, QEvent(QEvent.Type.UpdateRequest))
        times.append(time.perf_counter() - began)
        time.sleep(max(0.0, FRAME_S - times[-1]))
    view.set_playing(False)
    return times
