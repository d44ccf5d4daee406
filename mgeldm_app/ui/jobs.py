"""The bottom line with the work that is done now, and the panel with all of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from PySide6.QtCore import QPoint, QRectF, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QColor, QGuiApplication, QKeyEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QScrollArea, QSizePolicy, QVBoxLayout, QWidget

from . import a11y
from .parts import ElidedLabel, IconButton, button, keyed, label
from .theme import DARK, Theme, mix, set_role

_BAR_HEIGHT, _PANEL_WIDTH, _PANEL_HEIGHT = 32, 480, 440
_COPIED_MS = 1600
_ACTIVE, _OVER = ("queued", "running"), ("failed", "stopped")

State = Literal["queued", "running", "done", "failed", "stopped"]


@dataclass(frozen=True)
class JobRow:
    """A job as it is shown.

    Attributes:
        id: Comes back in signals.
        title: "Adding a warm Rhodes".
        state: How it is.
        share: Of the work that is done, 0 to 1; None while unknown.
        progress: "window 2 of 3, step 15 of 24 · 3 s left" (`core.text.progress_text`).
        message: Of one that failed or was stopped: what happened, why, what to do.
        details: Of a failure: for a report.
        can_retry: Whether trying again may help.
        colour: Of the progress bar; "" takes the accent.
    """

    id: str
    title: str
    state: State
    share: float | None = None
    progress: str = ""
    message: str = ""
    details: str = ""
    can_retry: bool = True
    colour: str = ""


class ProgressLine(QWidget):
    """A thin bar that fills; a third of it wanders where the share is not known."""

    def __init__(self, width: int = 0) -> None:
        super().__init__()
        self._share: float | None = 0.0
        self._colour, self._theme, self._place = "", DARK, 0.4
        self._timer = QTimer(self)
        self._timer.setInterval(40)
        self._timer.timeout.connect(self._wander)
        self.setFixedHeight(4)
        if width:
            self.setFixedWidth(width)
        self.setAccessibleName(self.tr("Progress"))

    def show_share(self, share: float | None, colour: str = "") -> None:
        """How full it is, and in which colour."""
        self._share, self._colour = share, colour
        self.setAccessibleDescription("" if share is None else f"{share:.0%}")
        self._tend()
        self.update()

    def set_theme(self, theme: Theme) -> None:
        """Take other colours."""
        self._theme = theme
        self.update()

    def sizeHint(self) -> QSize:
        """A quarter of the bar."""
        return QSize(240, 4)

    def paintEvent(self, _: QPaintEvent) -> None:
        """Track and filling."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(mix(self._theme.raised, self._theme.text, 0.1)))
        box = QRectF(self.rect())
        painter.drawRoundedRect(box, 2, 2)
        painter.setBrush(QColor(self._colour or self._theme.accent))
        if self._share is None:
            left = (box.width() * 4 / 3) * self._place - box.width() / 3
            box = QRectF(left, 0, box.width() / 3, box.height()) & box
        else:
            box.setWidth(box.width() * min(max(self._share, 0.0), 1.0))
        painter.drawRoundedRect(box, 2, 2)

    def showEvent(self, _: object) -> None:
        """Move only while seen."""
        self._tend()

    def hideEvent(self, _: object) -> None:
        """Rest."""
        self._timer.stop()

    def _tend(self) -> None:
        if self._share is None and self.isVisible():
            if not self._timer.isActive():
                self._timer.start()
        else:
            self._timer.stop()

    def _wander(self) -> None:
        self._place = (self._place + 0.02) % 1
        self.update()


class JobsBar(QFrame):
    """One line: what runs, how far it is, and how to stop it.

    Signals:
        cancel_clicked, retry_clicked, dismiss_clicked: With the job's id.
    """

    cancel_clicked = Signal(str)
    retry_clicked = Signal(str)
    dismiss_clicked = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        set_role(self, "panel")
        self.setFixedHeight(_BAR_HEIGHT)
        self._rows: tuple[JobRow, ...] = ()
        self._idle = self.tr("Ready")
        self.progress = ProgressLine(240)
        self.text = ElidedLabel("second")
        self.text.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.more = button("", "flat", hint=keyed(self.tr("Show all jobs"), "jobs"))
        self.retry = button(self.tr("Try again"), "flat")
        self.cancel = button(self.tr("Cancel"), "flat")
        self.panel = JobsPanel(self)
        for signal in ("cancel_clicked", "retry_clicked", "dismiss_clicked"):
            getattr(self.panel, signal).connect(getattr(self, signal))
        self.more.clicked.connect(self.open_panel)
        self.retry.clicked.connect(self._retry)
        self.cancel.clicked.connect(self._act)
        row = QHBoxLayout(self)
        row.setContentsMargins(20, 0, 8, 0)
        row.setSpacing(12)
        row.addWidget(self.progress)
        row.addWidget(self.text, 1)
        for each in (self.more, self.retry, self.cancel):
            row.addWidget(each)
        self.set_rows(())

    def set_rows(self, rows: Sequence[JobRow]) -> None:
        """All jobs that are to be seen, in the order in which they are worked on; those that ended come last."""
        before, self._rows = self._rows, tuple(rows)
        self._announce(before)
        self.panel.set_rows(self._rows)
        self._refresh()

    def _announce(self, before: Sequence[JobRow]) -> None:
        """Say which jobs have ended, and how: those that are done or were called off are not among the rows any more.

        Of several takes, which have one title, the end of the last is told.
        """
        now, goes_on = {row.id: row for row in self._rows}, {row.title for row in self._rows if row.state in _ACTIVE}
        for was in (row for row in before if row.state in _ACTIVE and row.title not in goes_on):
            row = now.get(was.id, was)
            if row.state in _OVER:
                a11y.announce(self, self.tr("{0}: {1}").format(row.title, row.message), urgent=row.state == "failed")
            else:
                a11y.announce(self, self.tr("{0}: ended").format(row.title))

    def set_idle_text(self, text: str) -> None:
        """What it says when nothing runs."""
        self._idle = text
        self._refresh()

    def set_theme(self, theme: Theme) -> None:
        """Take other colours."""
        self.progress.set_theme(theme)
        self.panel.set_theme(theme)

    def open_panel(self) -> None:
        """Show all jobs above the line, at its right end."""
        self.panel.fit()
        corner = self.mapToGlobal(QPoint(self.width() - self.panel.width() - 8, -self.panel.height() - 8))
        self.panel.move(corner)
        self.panel.show()
        self.panel.setFocus(Qt.FocusReason.PopupFocusReason)

    def _leading(self) -> JobRow | None:
        """The row that the line shows: what runs, else what waits, else the latest failure, else what was stopped."""
        for state in ("running", "queued", "failed", "stopped"):
            found = [row for row in self._rows if row.state == state]
            if found:
                return found[-1] if state == "failed" else found[0]
        return None

    def _refresh(self) -> None:
        row = self._leading()
        over, failed = row is not None and row.state in _OVER, row is not None and row.state == "failed"
        self.progress.setVisible(row is not None and not over)
        self.cancel.setVisible(row is not None)
        self.retry.setVisible(row is not None and over and row.can_retry)
        if row is None:
            self.text.setText(self._idle)
        elif over:
            self.text.setText(self.tr("{0}: {1}").format(row.title, row.message))
            self.cancel.setText(self.tr("Dismiss"))
        else:
            self.progress.show_share(row.share, row.colour)
            waiting = self.tr("waiting") if row.state == "queued" else ""
            self.text.setText(" · ".join(part for part in (row.title, row.progress or waiting) if part))
            self.cancel.setText(self.tr("Cancel"))
        set_role(self.text, "bad" if failed else "second")
        self._show_more(row)

    def _show_more(self, row: JobRow | None) -> None:
        """A failure comes before what waits: nothing else tells of it while other jobs run."""
        waiting = sum(each.state == "queued" for each in self._rows if each is not row)
        failed = sum(each.state == "failed" for each in self._rows)
        text = self.tr("{0} more queued").format(waiting) if waiting else self.tr("All jobs")
        if failed:
            text = self.tr("1 job failed") if failed == 1 else self.tr("{0} jobs failed").format(failed)
        self.more.setText(text)
        set_role(self.more, "danger" if failed and row is not None and row.state != "failed" else "flat")
        self.more.setVisible(bool(self._rows))

    def _retry(self) -> None:
        row = self._leading()
        if row is not None:
            self.retry_clicked.emit(row.id)

    def _act(self) -> None:
        row = self._leading()
        if row is not None:
            (self.dismiss_clicked if row.state in _OVER else self.cancel_clicked).emit(row.id)


class _RowWidget(QFrame):
    """One job in the panel; the same widget follows a job through its life."""

    def __init__(self, panel: JobsPanel, row: JobRow) -> None:
        super().__init__()
        self._row = row
        self.title = ElidedLabel("strong")
        self.state = label("", "small")
        self.progress = ProgressLine()
        self.message = QLabel()
        self.message.setWordWrap(True)
        self.message.setTextFormat(Qt.TextFormat.PlainText)
        self.cancel = button(self.tr("Cancel"), "flat")
        self.retry = button(self.tr("Try again"))
        self.copy = button(self.tr("Copy diagnostics"), "flat")
        self.dismiss = IconButton("close", self.tr("Dismiss"))
        self.cancel.clicked.connect(lambda: panel.cancel_clicked.emit(self._row.id))
        self.retry.clicked.connect(lambda: panel.retry_clicked.emit(self._row.id))
        self.dismiss.clicked.connect(lambda: panel.dismiss_clicked.emit(self._row.id))
        self.copy.clicked.connect(self._copy)
        self._lay_out()
        self.show_row(row)

    def _lay_out(self) -> None:
        top = QHBoxLayout()
        top.setSpacing(8)
        top.addWidget(self.title, 1)
        top.addWidget(self.state)
        top.addWidget(self.cancel)
        top.addWidget(self.dismiss)
        actions = QHBoxLayout()
        actions.setSpacing(4)
        for each in (self.retry, self.copy):
            actions.addWidget(each)
        actions.addStretch()
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 6, 12, 6)
        column.setSpacing(6)
        column.addLayout(top)
        column.addWidget(self.progress)
        column.addWidget(self.message)
        column.addLayout(actions)

    def show_row(self, row: JobRow) -> None:
        """Follow the job."""
        self._row = row
        active, failed = row.state in _ACTIVE, row.state == "failed"
        names = {
            "queued": self.tr("waiting"),
            "running": row.progress or self.tr("running"),
            "done": self.tr("done"),
            "failed": self.tr("failed"),
            "stopped": self.tr("not finished"),
        }
        self.title.setText(row.title)
        self.state.setText(names[row.state])
        set_role(self.state, "bad" if failed else "small")
        self.progress.setVisible(row.state == "running")
        self.progress.show_share(row.share, row.colour)
        self.message.setText(row.message)
        self.message.setVisible(row.state in _OVER)
        self.cancel.setVisible(active)
        self.retry.setVisible(row.can_retry and row.state in _OVER)
        self.copy.setVisible(failed)
        self.dismiss.setVisible(not active)
        for each in (self.cancel, self.retry, self.copy, self.dismiss):
            each.setAccessibleName(f"{each.text() or each.toolTip()}: {row.title}")

    def set_theme(self, theme: Theme) -> None:
        """Take other colours."""
        self.progress.set_theme(theme)
        self.dismiss.set_theme(theme)

    def _copy(self) -> None:
        row = self._row
        QGuiApplication.clipboard().setText("\n".join(part for part in (row.title, row.message, row.details) if part))
        self.copy.setText(self.tr("Copied"))
        QTimer.singleShot(_COPIED_MS, self.copy, lambda: self.copy.setText(self.tr("Copy diagnostics")))


class JobsPanel(QFrame):
    """Every job: cancel it, try it again, read why it failed. Escape or a click beside it closes it.

    Signals:
        cancel_clicked, retry_clicked, dismiss_clicked: With the job's id.
    """

    cancel_clicked = Signal(str)
    retry_clicked = Signal(str)
    dismiss_clicked = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent, Qt.WindowType.Popup)
        set_role(self, "popup")
        self.setAccessibleName(self.tr("Jobs"))
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._theme = DARK
        self._widgets: dict[str, _RowWidget] = {}
        self._empty = label(self.tr("Nothing to do. What you ask for appears here."), "second")
        self._empty.setContentsMargins(16, 0, 16, 12)
        inside = QWidget()
        self._list = QVBoxLayout(inside)
        self._list.setContentsMargins(0, 0, 0, 4)
        self._list.setSpacing(0)
        self._list.addWidget(self._empty)
        self._list.addStretch()
        self._scroll = QScrollArea()
        self._scroll.setWidgetResizable(True)
        self._scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._scroll.setMinimumHeight(1)  # else it asks for more than two lines need
        self._scroll.setWidget(inside)
        heading = label(self.tr("Jobs"), "heading")
        heading.setContentsMargins(16, 12, 16, 6)
        column = QVBoxLayout(self)
        column.setContentsMargins(1, 1, 1, 1)
        column.setSpacing(0)
        column.addWidget(heading)
        column.addWidget(self._scroll)

    def set_rows(self, rows: Sequence[JobRow]) -> None:
        """All jobs to be seen, from top to bottom; widgets of those that stay are kept, and so is the focus."""
        wanted = {row.id for row in rows}
        for gone in [job for job in self._widgets if job not in wanted]:
            widget = self._widgets.pop(gone)
            self._list.removeWidget(widget)
            widget.hide()
            widget.deleteLater()
        for place, row in enumerate(rows):
            widget = self._widgets.get(row.id) or self._added(row)
            widget.show_row(row)
            if self._list.indexOf(widget) != place + 1:
                self._list.removeWidget(widget)
                self._list.insertWidget(place + 1, widget)
        self._empty.setVisible(not rows)
        if self.isVisible():
            self.fit()

    def fit(self) -> None:
        """As high as the jobs need, up to a limit."""
        self._list.activate()
        height = self._list.totalHeightForWidth(_PANEL_WIDTH - 2)
        height = height if height > 0 else self._list.totalSizeHint().height()
        bottom = self.geometry().bottom()
        self.resize(_PANEL_WIDTH, min(height + 44, _PANEL_HEIGHT))
        if self.isVisible():
            self.move(self.x(), bottom + 1 - self.height())

    def set_theme(self, theme: Theme) -> None:
        """Take other colours."""
        self._theme = theme
        for widget in self._widgets.values():
            widget.set_theme(theme)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Escape closes."""
        if event.key() == Qt.Key.Key_Escape:
            self.close()
        else:
            super().keyPressEvent(event)

    def _added(self, row: JobRow) -> _RowWidget:
        made = self._widgets[row.id] = _RowWidget(self, row)
        made.set_theme(self._theme)
        return made
