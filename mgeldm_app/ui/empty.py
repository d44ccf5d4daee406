"""What the window shows before there is a song: where to drop one, and two ways to begin."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen, QResizeEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from .drops import FileDrops
from .icons import icon, paint_icon
from .parts import button, label
from .theme import DARK, Theme, mix

_MOST_RECENT = 5
_ICON_PX, _BUTTON_PX = 44, 36


class _Icon(QWidget):
    """The sign above the sentence."""

    def __init__(self) -> None:
        super().__init__()
        self.setFixedSize(_ICON_PX, _ICON_PX)
        self.colour = DARK.second

    def paintEvent(self, _: QPaintEvent) -> None:
        """Draw the icon at the screen's own resolution."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        paint_icon(painter, "song", QRectF(self.rect()), self.colour)


class EmptyState(QFrame):
    """The drop target.

    Signals:
        open_clicked: Choose a file.
        demo_clicked: Open the demo song.
        recent_clicked: A project was chosen; its path.
        files_dropped: A list of `Path`, as dropped; whether they can be used is not decided here.
    """

    open_clicked = Signal()
    demo_clicked = Signal()
    recent_clicked = Signal(str)
    files_dropped = Signal(list)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme, self._over = DARK, False
        drops = FileDrops(self)
        drops.dropped.connect(self.files_dropped)
        drops.held.connect(self.welcome)
        self.setAccessibleName(self.tr("No song yet"))
        self._icon = _Icon()
        self.open_button = button(self.tr("Open a song…"), "primary")
        self.demo_button = button(self.tr("Try the demo song"))
        for each in (self.open_button, self.demo_button):
            each.setFixedHeight(_BUTTON_PX)
        self.open_button.clicked.connect(self.open_clicked)
        self.demo_button.clicked.connect(self.demo_clicked)
        self.setFocusProxy(self.open_button)
        self._recent = QWidget()
        self._recent_list = QVBoxLayout(self._recent)
        self._recent_list.setContentsMargins(0, 24, 0, 0)
        self._recent_list.setSpacing(2)
        self._shown: list[QPushButton] = []
        self._recent.hide()
        self._lay_out()
        self.set_theme(DARK)

    def _lay_out(self) -> None:
        centre = Qt.AlignmentFlag.AlignHCenter
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        buttons.addStretch()
        buttons.addWidget(self.open_button)
        buttons.addWidget(self.demo_button)
        buttons.addStretch()
        column = QVBoxLayout(self)
        column.setContentsMargins(48, 32, 48, 32)
        column.setSpacing(0)
        column.addStretch(5)
        column.addWidget(self._icon, alignment=centre)
        column.addSpacing(20)
        sentence = label(self.tr("Drop a song here, then say what you want out of it."), "title")
        column.addWidget(sentence, alignment=centre)
        column.addSpacing(6)
        formats = label(self.tr("wav, flac, mp3, ogg, m4a, aiff and the sound of videos"), "second")
        column.addWidget(formats, alignment=centre)
        column.addSpacing(24)
        column.addLayout(buttons)
        column.addWidget(self._recent, alignment=centre)
        column.addStretch(6)

    def set_recent(self, paths: Sequence[str]) -> None:
        """The projects opened last, latest first."""
        while (item := self._recent_list.takeAt(0)) is not None:
            if widget := item.widget():
                widget.deleteLater()
        if paths:
            heading = label(self.tr("Recent projects"), "small")
            self._recent_list.addWidget(heading, alignment=Qt.AlignmentFlag.AlignHCenter)
            self._recent_list.addSpacing(4)
        self._shown = [self._recent_button(path) for path in paths[:_MOST_RECENT]]
        for made in self._shown:
            self._recent_list.addWidget(made, alignment=Qt.AlignmentFlag.AlignHCenter)
        self._fit()
        self.set_theme(self._theme)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Another number of projects fits."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        """Show as many recent projects as there is room for; all are in the menu."""
        self._recent.hide()
        for made in self._shown:
            made.hide()
        if (column := self.layout()) is None:
            return
        column.invalidate()
        self._recent_list.invalidate()
        left = self.height() - column.minimumSize().height() - self._recent_list.minimumSize().height()
        for made in self._shown:
            left -= made.sizeHint().height() + self._recent_list.spacing()
            made.setVisible(left >= 0)
        self._recent.setVisible(any(not made.isHidden() for made in self._shown))

    def _recent_button(self, path: str) -> QPushButton:
        made = button("", "flat", hint=path)
        name = made.fontMetrics().elidedText(Path(path).stem, Qt.TextElideMode.ElideMiddle, 360)
        made.setText(name.replace("&", "&&"))
        made.setAccessibleName(self.tr("Open the project {0}").format(Path(path).stem))
        made.setIconSize(QSize(14, 14))
        made.clicked.connect(lambda: self.recent_clicked.emit(path))
        return made

    def set_theme(self, theme: Theme) -> None:
        """Take other colours."""
        self._theme = theme
        self._icon.colour = theme.accent if self._over else theme.second
        for made in self._recent.findChildren(QPushButton):
            made.setIcon(icon("folder", theme.second))
        self.update()
        self._icon.update()

    def paintEvent(self, _: QPaintEvent) -> None:
        """A dashed frame, in the accent's colour while files are held over it."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        frame = QRectF(self.rect()).adjusted(24.5, 24.5, -24.5, -24.5)
        pen = QPen(QColor(self._theme.accent if self._over else self._theme.third), 1.5 if self._over else 1)
        pen.setDashPattern([5, 5])
        painter.setPen(pen)
        ground = mix(self._theme.background, self._theme.accent, 0.08) if self._over else self._theme.background
        painter.setBrush(QColor(ground))
        painter.drawRoundedRect(frame, 14, 14)

    def welcome(self, held: bool) -> None:
        """Light up while files are held over it, or elsewhere over the window."""
        if held != self._over:
            self._over = held
            self.set_theme(self._theme)
