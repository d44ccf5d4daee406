"""What the dialogs have in common: a title, labelled fields in a column, and buttons at the foot."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QSize, Qt, Signal
from PySide6.QtGui import QResizeEvent, QWheelEvent
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QFileDialog,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from ...core.files import whole_path
from ..parts import TITLE_BAR_PX, button, label

LABEL_PX = 92
_AROUND_PX = 160  # title, buttons and margins of a dialog, with a little to spare


class Combo(QComboBox):
    """One of several; the wheel that scrolls the dialog chooses nothing while it passes by."""

    def __init__(self) -> None:
        super().__init__()
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Only with the keyboard on it."""
        if self.hasFocus():
            super().wheelEvent(event)
        else:
            event.ignore()


class Form(QGridLayout):
    """Rows of a label and a field; a hint may stand under the field."""

    def __init__(self) -> None:
        super().__init__()
        self.setHorizontalSpacing(16)
        self.setVerticalSpacing(6)
        self.setColumnMinimumWidth(0, LABEL_PX)
        self.setColumnStretch(1, 1)

    def add_field(
        self, text: str, field: QWidget, hint: str | QLabel = "", buddy: QWidget | None = None
    ) -> QLabel:
        """A row; `buddy` takes the label's name where `field` only holds it. Returns the hint under the field."""
        row = self.rowCount()
        self.addWidget(label(text, "second", buddy or field), row, 0, Qt.AlignmentFlag.AlignVCenter)
        self.addWidget(field, row, 1)
        below = label(hint, "small") if isinstance(hint, str) else hint
        if isinstance(hint, str):
            below.setWordWrap(True)
            below.setVisible(bool(hint))
        self.addWidget(below, row + 1, 1)
        self.setRowMinimumHeight(row + 2, 4)
        return below


class FolderField(QWidget):
    """A path and a button that looks for one.

    Signals:
        changed: The path, after every edit.
    """

    changed = Signal(str)

    def __init__(self, name: str, path: str, placeholder: str = "") -> None:
        super().__init__()
        self._name = name
        self.edit = QLineEdit(path)
        self.edit.setAccessibleName(name)
        self.edit.setPlaceholderText(placeholder)
        self.edit.textChanged.connect(self.changed)
        self.browse = button(self.tr("Choose…"))
        self.browse.setAccessibleName(self.tr("Choose: {0}").format(name))
        self.browse.clicked.connect(self._choose)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        row.addWidget(self.edit, 1)
        row.addWidget(self.browse)

    @property
    def path(self) -> str:
        """What stands in the field, whole; "" where nothing does."""
        text = self.edit.text().strip()
        return str(whole_path(text)) if text else ""

    def _choose(self) -> None:
        path = QFileDialog.getExistingDirectory(self, self._name, self.path or self.edit.placeholderText())
        if path:
            self.edit.setText(path)


class _Body(QScrollArea):
    """Holds a column, which is always whole on a screen that has room for it; else it is scrolled."""

    def __init__(self) -> None:
        super().__init__()
        self._inside = QWidget()
        self.column = QVBoxLayout(self._inside)
        self.column.setContentsMargins(0, 0, 0, 0)
        self.column.setSpacing(16)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setWidgetResizable(True)
        self.setWidget(self._inside)

    def sizeHint(self) -> QSize:
        """All of the column, which a scroll area alone would not ask for."""
        return self._inside.sizeHint()

    def minimumSizeHint(self) -> QSize:
        """All of it, too, unless the buttons below would lie outside the screen."""
        inside = self._inside
        least = inside.minimumSizeHint()
        wide = inside.heightForWidth(max(self.width(), least.width())) if inside.hasHeightForWidth() else 0
        needs, room = max(least.height(), wide), self.screen().availableSize().height() - TITLE_BAR_PX - _AROUND_PX
        bar = self.verticalScrollBar().sizeHint().width() if needs > room else 0
        return QSize(least.width() + bar, min(needs, room))

    def event(self, event: QEvent) -> bool:
        """The dialog grows when a hint comes."""
        if event.type() == QEvent.Type.LayoutRequest:
            self.updateGeometry()
        return super().event(event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Lines break elsewhere in another width."""
        super().resizeEvent(event)
        if event.oldSize().width() != event.size().width():
            self.updateGeometry()


class Sheet(QDialog):
    """A dialog with a title over `body` and buttons under it.

    Args:
        title: Also the window's.
        accept: What the button says that does it; "" for none.
        parent: The window.
    """

    def __init__(self, title: str, accept: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(title)
        body = _Body()
        self.body = body.column
        self.foot = QHBoxLayout()
        self.foot.setSpacing(8)
        self.foot.addStretch()
        self.close_button = button(self.tr("Cancel") if accept else self.tr("Close"))
        self.close_button.setMinimumHeight(34)
        self.close_button.clicked.connect(self.reject)
        self.foot.addWidget(self.close_button)
        self.accept_button: QPushButton | None = None
        if accept:
            self.accept_button = button(accept, "primary")
            self.accept_button.setDefault(True)
            self.accept_button.clicked.connect(self.accept)
            self.foot.addWidget(self.accept_button)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(24, 20, 24, 20)
        whole.setSpacing(20)
        whole.addWidget(label(title, "title"))
        whole.addWidget(body, 1)
        whole.addLayout(self.foot)
