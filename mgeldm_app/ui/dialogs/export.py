"""Export: which lanes, as what, under which names, where to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from mgeldm.errors import InputError
from mgeldm.language import say
from PySide6.QtCore import QCoreApplication, Qt
from PySide6.QtGui import QColor, QIcon, QPainter, QPixmap
from PySide6.QtWidgets import (
    QButtonGroup,
    QCheckBox,
    QHBoxLayout,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QRadioButton,
    QVBoxLayout,
    QWidget,
)

from ...core.export.formats import Format
from ...core.settings import ExportSettings
from ...core.text import listed
from ..parts import ElidedLabel, button, label, within_screen
from ..theme import set_role
from .form import Combo, FolderField, Form, Sheet

_ID = Qt.ItemDataRole.UserRole


@dataclass(frozen=True)
class LaneRow:
    """A lane that can be exported; `chosen` at first."""

    id: str
    name: str
    colour: str
    chosen: bool = True


@dataclass(frozen=True)
class ExportChoice:
    """What the user wants.

    Attributes:
        lanes: Ids, from top to bottom.
        options: To be remembered, too.
        best: Compute extracted stems of the whole song at the best quality first.
    """

    lanes: tuple[str, ...]
    options: ExportSettings
    best: bool = False


class ExportDialog(Sheet):
    """Edits an `ExportChoice`.

    Args:
        lanes: All of the window, from top to bottom.
        formats: `core.export.formats()`.
        options: What was chosen the last time.
        names: Gives the names of the files of a choice, or raises `InputError` with a sentence about the pattern.
        mixed: Gives the names of the lanes that a mix of a choice is made of.
        region: The region in words ("8 bars"); "" without one.
        best_note: What the best quality means here ("3 stems, about 4 min"); "" if there is nothing to compute.
        parent: The window.
    """

    def __init__(
        self,
        lanes: Sequence[LaneRow],
        formats: Sequence[Format],
        options: ExportSettings,
        names: Callable[[ExportChoice], Sequence[str]],
        mixed: Callable[[ExportChoice], Sequence[str]],
        region: str = "",
        best_note: str = "",
        parent: QWidget | None = None,
    ) -> None:
        translate = QCoreApplication.translate
        super().__init__(translate("ExportDialog", "Export"), translate("ExportDialog", "Export"), parent)
        self._formats, self._options = {form.key: form for form in formats}, options
        self._names, self._mixed = names, mixed
        self._build_lanes(lanes)
        self._build_format(formats, options)
        self._build_scope(options, region)
        self._build_names(options, best_note)
        self._lay_out()
        self.resize(within_screen(self, 760))
        self._refresh()
        self.lanes.setFocus()

    def choice(self) -> ExportChoice:
        """As the user left it."""
        items = [self.lanes.item(row) for row in range(self.lanes.count())]
        options = replace(
            self._options,
            format=self.format.currentData(),
            region_only=self.region.isChecked(),
            as_mix=self.mix.isChecked(),
            faders=self.faders.isChecked(),
            pattern=self.pattern.text(),
            folder=self.folder.path,
        )
        chosen = tuple(item.data(_ID) for item in items if item.checkState() == Qt.CheckState.Checked)
        return ExportChoice(chosen, options, self.best.isChecked() and self.best.isEnabled())

    # ---------------------------------------------------------------------------------------------------------- built

    def _build_lanes(self, lanes: Sequence[LaneRow]) -> None:
        self.lanes = QListWidget()
        self.lanes.setAccessibleName(self.tr("Lanes to export"))
        self.lanes.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        set_role(self.lanes, "box")
        for lane in lanes:
            item = QListWidgetItem(_swatch(lane.colour, self.devicePixelRatioF()), lane.name)
            item.setData(_ID, lane.id)
            item.setFlags(Qt.ItemFlag.ItemIsUserCheckable | Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable)
            item.setCheckState(Qt.CheckState.Checked if lane.chosen else Qt.CheckState.Unchecked)
            item.setToolTip(lane.name)
            self.lanes.addItem(item)
        self.lanes.setCurrentRow(0)
        self.lanes.itemChanged.connect(self._refresh)
        self.all, self.none = button(self.tr("All"), "flat"), button(self.tr("None"), "flat")
        self.all.clicked.connect(lambda: self._check_all(Qt.CheckState.Checked))
        self.none.clicked.connect(lambda: self._check_all(Qt.CheckState.Unchecked))

    def _build_format(self, formats: Sequence[Format], options: ExportSettings) -> None:
        self.format = Combo()
        for before, form in zip((None, *formats), formats, strict=False):
            if before is not None and before.kind != form.kind:
                self.format.insertSeparator(self.format.count())
            self.format.addItem(say(form.title), form.key)
        self.format.setCurrentIndex(max(0, self.format.findData(options.format)))
        self.format.currentIndexChanged.connect(self._refresh)

    def _build_scope(self, options: ExportSettings, region: str) -> None:
        self.whole = QRadioButton(self.tr("The whole song"))
        self.region = QRadioButton(self.tr("The region, {0}").format(region) if region else self.tr("The region"))
        self._has_region = bool(region)
        (self.region if options.region_only and region else self.whole).setChecked(True)
        self.each = QRadioButton(self.tr("A file for each lane"))
        self.mix = QRadioButton(self.tr("One mix of all"))
        self.mix.setToolTip(self.tr("As it is heard: with gain and pan, without what is muted"))
        (self.mix if options.as_mix else self.each).setChecked(True)
        self._groups = []
        for pair in ((self.whole, self.region), (self.each, self.mix)):
            group = QButtonGroup(self)
            for radio in pair:
                group.addButton(radio)
            group.buttonToggled.connect(self._refresh)
            self._groups.append(group)
        self.faders = QCheckBox(self.tr("With gain and pan"))
        self.faders.setToolTip(self.tr("Without, stems and rest add up to the song"))
        self.faders.setChecked(options.faders)
        self.faders.toggled.connect(self._refresh)

    def _build_names(self, options: ExportSettings, best_note: str) -> None:
        self.best = QCheckBox(self.tr("Best quality for the whole song first"))
        self.best.setEnabled(bool(best_note))
        self._best_note = best_note or self.tr("There is no extracted stem to compute again.")
        self.pattern = QLineEdit(options.pattern)
        self.pattern.textChanged.connect(self._refresh)
        self.pattern.setToolTip(self.tr("May hold {song}, {lane}, {number}, {bpm}, {key} and {prompt}"))
        self.example = ElidedLabel("small", Qt.TextElideMode.ElideMiddle)
        self.folder = FolderField(self.tr("Folder"), options.folder, self.tr("choose a folder"))
        self.folder.changed.connect(self._refresh)
        self.summary = ElidedLabel("second")

    def _lay_out(self) -> None:
        left = QVBoxLayout()
        left.setSpacing(6)
        head = QHBoxLayout()
        head.addWidget(label(self.tr("Lanes"), "heading"), 1)
        head.addWidget(self.all)
        head.addWidget(self.none)
        left.addLayout(head)
        left.addWidget(self.lanes, 1)
        right = Form()
        self._purpose = right.add_field(self.tr("Format"), self.format, " ")
        self._purpose.setMinimumHeight(2 * self._purpose.fontMetrics().lineSpacing() + 2)
        self._purpose.setAlignment(Qt.AlignmentFlag.AlignTop)
        right.add_field(self.tr("How much"), _side_by_side(self.whole, self.region), buddy=self.whole)
        right.add_field(self.tr("Files"), _side_by_side(self.each, self.mix), buddy=self.each)
        right.add_field(self.tr("Faders"), self.faders)
        right.add_field(self.tr("Quality"), self.best, self._best_note)
        right.add_field(self.tr("Names"), self.pattern, self.example)
        right.add_field(self.tr("Folder"), self.folder, buddy=self.folder.edit)
        for radio in (self.whole, self.each):
            radio.setAccessibleName("")
        sides = QHBoxLayout()
        sides.setSpacing(24)
        sides.addLayout(left, 2)
        sides.addLayout(right, 3)
        self.body.addLayout(sides)
        self.foot.insertWidget(0, self.summary, 1)

    # --------------------------------------------------------------------------------------------------------- followed

    def _check_all(self, state: Qt.CheckState) -> None:
        for row in range(self.lanes.count()):
            self.lanes.item(row).setCheckState(state)

    def _refresh(self) -> None:
        """What follows from the choice: what can be set, an example of the names, whether it can be done."""
        choice = self.choice()
        form = self._formats[choice.options.format]
        audio = form.kind == "audio"
        self._purpose.setText(say(form.purpose))
        for widget in (self.whole, self.each, self.mix, self.pattern):
            widget.setEnabled(audio)
        self.region.setEnabled(audio and self._has_region)
        self.faders.setEnabled(audio and not choice.options.as_mix)
        why_not = self._why_not(choice)
        self.summary.setText(why_not or self._summary(choice, form))
        if self.accept_button:
            self.accept_button.setEnabled(not why_not)

    def _why_not(self, choice: ExportChoice) -> str:
        """What is missing, or ""; shows the example on the way."""
        try:
            names = list(self._names(choice)) if choice.lanes else []
        except InputError as error:
            self.example.setText(str(error))
            set_role(self.example, "bad")
            return self.tr("The pattern of names cannot be used.")
        set_role(self.example, "small")
        self.example.setText(self.tr("For example: {0}").format(names[-1]) if names else "")
        self._count = len(names)
        if not choice.lanes:
            return self.tr("Choose at least one lane.")
        if self._is_mix(choice) and not self._mixed(choice):
            return self.tr("None of these lanes is heard; unmute one, or switch off the solo of others.")
        return "" if choice.options.folder else self.tr("Choose a folder.")

    def _summary(self, choice: ExportChoice, form: Format) -> str:
        if form.kind == "project":
            lanes = self.tr("1 lane") if len(choice.lanes) == 1 else self.tr("{0} lanes").format(len(choice.lanes))
            return self.tr("{0} with {1}").format(form.title, lanes)
        if choice.options.as_mix:
            return self.tr("1 file: {0}").format(listed(self._mixed(choice)))
        return self.tr("1 file") if self._count == 1 else self.tr("{0} files").format(self._count)

    def _is_mix(self, choice: ExportChoice) -> bool:
        return choice.options.as_mix and self._formats[choice.options.format].kind == "audio"


def _side_by_side(*widgets: QWidget) -> QWidget:
    made = QWidget()
    row = QHBoxLayout(made)
    row.setContentsMargins(0, 0, 0, 0)
    row.setSpacing(16)
    for widget in widgets:
        row.addWidget(widget)
    row.addStretch()
    return made


def _swatch(colour: str, ratio: float) -> QIcon:
    """A dot of a lane's colour, at the screen's resolution."""
    pixmap = QPixmap(round(12 * ratio), round(12 * ratio))
    pixmap.setDevicePixelRatio(ratio)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(colour))
    painter.drawRoundedRect(1, 1, 10, 10, 3, 3)
    painter.end()
    made = QIcon(pixmap)
    made.addPixmap(pixmap, QIcon.Mode.Selected)  # else a style may tint it
    return made
