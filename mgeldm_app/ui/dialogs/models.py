"""The models that are installed, those that can be, and how they get here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from PySide6.QtCore import QCoreApplication, Qt, QTimer, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QFileDialog, QFrame, QHBoxLayout, QLabel, QPushButton, QScrollArea, QVBoxLayout, QWidget

from ...core.text import size_text
from ..jobs import ProgressLine
from ..parts import ElidedLabel, IconButton, button, label, within_screen
from ..theme import DARK, Theme, set_role
from .form import Sheet

_HASH_SHOWN, _SURE_MS = 12, 4000

State = Literal["installed", "available", "downloading", "checking", "broken"]


@dataclass(frozen=True)
class ModelRow:
    """A model as it is shown.

    Attributes:
        id: Comes back in signals.
        name: Of the model.
        about: What it is, under which licence.
        state: How it is.
        sha256: Of its file; "" while unknown.
        size_bytes: Of its file; 0 while unknown.
        in_use: Whether it is the one that works.
        removable: Whether it may be deleted.
        can_use: Of what is installed, whether it can work by itself (CLAP's weights cannot); of what is available,
            whether it can be downloaded (some authors hand theirs out themselves).
        share: Of a download, 0 to 1; None while unknown.
        progress: "1.2 of 4.72 GB · 3 min left".
        message: What went wrong and what to do, or "".
    """

    id: str
    name: str
    about: str = ""
    state: State = "installed"
    sha256: str = ""
    size_bytes: int = 0
    in_use: bool = False
    removable: bool = True
    can_use: bool = True
    share: float | None = None
    progress: str = ""
    message: str = ""


class _ModelWidget(QFrame):
    """One model; follows it while it comes."""

    def __init__(self, dialog: ModelsDialog, row: ModelRow) -> None:
        super().__init__()
        set_role(self, "row")
        self._dialog, self._row = dialog, row
        self._sure = False
        self.name = ElidedLabel("strong")
        self.badge = label(self.tr("in use"), "good")
        self.facts = label("", "small")
        self.copy = IconButton("copy", self.tr("Copy the SHA-256"))
        self.about = QLabel()
        self.message = QLabel()
        for text, role in ((self.about, "second"), (self.message, "bad")):
            text.setWordWrap(True)
            text.setTextFormat(Qt.TextFormat.PlainText)
            set_role(text, role)
        self.progress = ProgressLine()
        self.progress_text = label("", "small")
        self.use = button(self.tr("Use"))
        self.download = button(self.tr("Download"))
        self.cancel = button(self.tr("Cancel"))
        self.remove = button(self.tr("Remove"), "danger")
        self.use.clicked.connect(lambda: dialog.use_clicked.emit(self._row.id))
        self.download.clicked.connect(lambda: dialog.download_clicked.emit(self._row.id))
        self.cancel.clicked.connect(lambda: dialog.cancel_clicked.emit(self._row.id))
        self.remove.clicked.connect(self._remove)
        self.copy.clicked.connect(lambda: QGuiApplication.clipboard().setText(self._row.sha256))
        self._lay_out()
        self.show_row(row)

    def _lay_out(self) -> None:
        top = QHBoxLayout()
        top.setSpacing(8)
        top.addWidget(self.name)
        top.addWidget(self.badge)
        top.addStretch(1)
        top.addWidget(self.facts)
        top.addWidget(self.copy)
        for each in (self.use, self.download, self.cancel, self.remove):
            top.addWidget(each)
        going = QHBoxLayout()
        going.setSpacing(12)
        going.addWidget(self.progress, 1)
        going.addWidget(self.progress_text)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 10, 10, 12)
        column.setSpacing(6)
        column.addLayout(top)
        column.addWidget(self.about)
        column.addLayout(going)
        column.addWidget(self.message)

    def show_row(self, row: ModelRow) -> None:
        """Follow the model."""
        self._row = row
        coming = row.state in ("downloading", "checking")
        here = row.state == "installed"
        self.name.setText(row.name)
        self.badge.setVisible(row.in_use)
        facts = [row.sha256[:_HASH_SHOWN], size_text(row.size_bytes) if row.size_bytes else ""]
        self.facts.setText(" · ".join(part for part in facts if part))
        self.facts.setToolTip(self.tr("SHA-256 {0}").format(row.sha256) if row.sha256 else "")
        self.copy.setVisible(bool(row.sha256))
        self.about.setText(row.about)
        self.about.setVisible(bool(row.about))
        self.progress.setVisible(coming)
        self.progress.show_share(row.share)
        self.progress_text.setText(row.progress)
        self.progress_text.setVisible(coming and bool(row.progress))
        self.message.setText(row.message)
        self.message.setVisible(bool(row.message))
        self.use.setVisible(here and row.can_use and not row.in_use)
        self.download.setVisible(row.state == "available" and row.can_use)
        self.cancel.setVisible(coming)
        self.remove.setVisible(row.removable and row.state in ("installed", "broken"))
        for each in (self.use, self.download, self.cancel, self.remove):
            each.setAccessibleName(f"{each.text()}: {row.name}")
        self.copy.setAccessibleName(self.tr("Copy the SHA-256: {0}").format(row.name))

    def set_theme(self, theme: Theme) -> None:
        """Take other colours."""
        self.progress.set_theme(theme)
        self.copy.set_theme(theme)

    def _remove(self) -> None:
        """The first press asks, the second does it."""
        if self._sure:
            self._ask(False)
            self._dialog.remove_clicked.emit(self._row.id)
        else:
            self._ask(True)
            QTimer.singleShot(_SURE_MS, self, lambda: self._ask(False))

    def _ask(self, sure: bool) -> None:
        self._sure = sure
        self.remove.setText(self.tr("Delete the file?") if sure else self.tr("Remove"))
        self.remove.setAccessibleName(f"{self.remove.text()}: {self._row.name}")


class ModelsDialog(Sheet):
    """Shows the rows it is given.

    Signals:
        use_clicked, download_clicked, cancel_clicked, remove_clicked: With the model's id.
        import_chosen: Path of a file.
    """

    use_clicked = Signal(str)
    download_clicked = Signal(str)
    cancel_clicked = Signal(str)
    remove_clicked = Signal(str)
    import_chosen = Signal(str)

    def __init__(self, rows: Sequence[ModelRow] = (), parent: QWidget | None = None) -> None:
        super().__init__(QCoreApplication.translate("ModelsDialog", "Models"), parent=parent)
        self._theme = DARK
        self._widgets: dict[str, _ModelWidget] = {}
        inside = QWidget()
        self._list = QVBoxLayout(inside)
        self._list.setContentsMargins(0, 0, 6, 0)
        self._list.setSpacing(8)
        self._list.addStretch()
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(inside)
        self.body.addWidget(scroll)
        self.import_button: QPushButton = button(self.tr("Import from a file…"))
        self.import_button.setMinimumHeight(34)
        self.import_button.clicked.connect(self._import)
        self.foot.insertWidget(0, self.import_button)
        self.set_rows(rows)
        self.resize(within_screen(self, 720, 520))
        self.import_button.setFocus()

    def set_rows(self, rows: Sequence[ModelRow]) -> None:
        """All models, from top to bottom; widgets of those that stay are kept, and so is the focus."""
        wanted = {row.id for row in rows}
        for gone in [model for model in self._widgets if model not in wanted]:
            widget = self._widgets.pop(gone)
            self._list.removeWidget(widget)
            widget.hide()
            widget.deleteLater()
        for place, row in enumerate(rows):
            if row.id not in self._widgets:
                self._widgets[row.id] = _ModelWidget(self, row)
                self._widgets[row.id].set_theme(self._theme)
            widget = self._widgets[row.id]
            widget.show_row(row)
            if self._list.indexOf(widget) != place:
                self._list.removeWidget(widget)
                self._list.insertWidget(place, widget)

    def set_theme(self, theme: Theme) -> None:
        """Take other colours."""
        self._theme = theme
        for widget in self._widgets.values():
            widget.set_theme(theme)

    def _import(self) -> None:
        kinds = self.tr("Models (*.safetensors *.ckpt *.pt);;All files (*)")
        path, _ = QFileDialog.getOpenFileName(self, self.tr("Import a model"), "", kinds)
        if path:
            self.import_chosen.emit(path)
