"""The prompt bar: what to do, in which words, and what will come of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from mgeldm.language import say
from mgeldm.requests import LONGEST_GENERATED_S, MAX_PROMPT, QUALITIES
from PySide6.QtCore import (
    QCoreApplication,
    QEvent,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QRegularExpression,
    QSignalBlocker,
    QSize,
    QStringListModel,
    Qt,
    Signal,
)
from PySide6.QtGui import QKeyEvent, QMouseEvent, QRegularExpressionValidator, QResizeEvent
from PySide6.QtWidgets import (
    QApplication,
    QButtonGroup,
    QComboBox,
    QCompleter,
    QDoubleSpinBox,
    QFrame,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QSizePolicy,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from ..core import text as words
from ..core.project import MOST_TAKES, Lane, Prompt, Span, Task
from .icons import icon
from .parts import ElidedButton, ElidedLabel, IconButton, TextLine, button, label, short
from .theme import DARK, Theme, set_role

translate = QCoreApplication.translate
_ACTION_PX = 176


def task_names() -> dict[Task, tuple[str, str, str]]:
    """What each task's button says, what it does, and an example of a prompt for it."""
    return {
        "extract": (
            translate("PromptBar", "Extract"),
            translate("PromptBar", "Take what you name out of the song"),
            translate("PromptBar", "the slide guitar, the bass"),
        ),
        "impute": (
            translate("PromptBar", "Add a part"),
            translate("PromptBar", "Add a part that fits the song"),
            translate("PromptBar", "a warm Rhodes part, soft attack"),
        ),
        "accompany": (
            translate("PromptBar", "Accompany"),
            translate("PromptBar", "Make a part that goes with the selected lane"),
            translate("PromptBar", "soft jazz drums"),
        ),
        "inpaint": (
            translate("PromptBar", "Regenerate"),
            translate("PromptBar", "Replace what you name inside the region"),
            translate("PromptBar", "the bass"),
        ),
        "generate": (
            translate("PromptBar", "Generate"),
            translate("PromptBar", "Make music from nothing"),
            translate("PromptBar", "slow ambient pads"),
        ),
    }


class PromptLine(TextLine):
    """The line itself, with completion of the last prompt in it; Escape leaves it."""

    left = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._history: tuple[str, ...] = ()
        self._model = QStringListModel(self)
        completer = _LineCompleter(self._model, self)
        self.setCompleter(completer)
        self.setMaxLength(MAX_PROMPT)
        self.textEdited.connect(self._suggest)
        set_role(self, "prompt")

    def set_history(self, history: Sequence[str]) -> None:
        """Earlier prompts, latest first."""
        self._history = tuple(history)

    def _suggest(self, text: str) -> None:
        at_end = self.cursorPosition() == len(text)
        self._model.setStringList(words.complete(text, self._history) if at_end else [])

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Escape closes the suggestions first, then leaves; Enter submits, or first takes a suggestion that was chosen.

        Qt makes the suggestion that fits current by itself; only arrows and mouse select one.
        """
        popup = self.completer().popup()
        if popup is None or not popup.isVisible():
            if event.key() == Qt.Key.Key_Escape:
                self.clearFocus()
                self.left.emit()
                return
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            is_chosen = popup.selectionModel().hasSelection()
            popup.hide()
            if not is_chosen:
                super().keyPressEvent(event)
            event.accept()  # else the completer would put its current suggestion into the line
            return
        super().keyPressEvent(event)


class _LineCompleter(QCompleter):
    """Shows what its model holds, and puts a choice in place of the last prompt of the line."""

    def __init__(self, model: QStringListModel, owner: QLineEdit) -> None:
        super().__init__(model, owner)
        self._line = owner
        self._typed = ""
        self.setCompletionMode(QCompleter.CompletionMode.UnfilteredPopupCompletion)
        self.setMaxVisibleItems(words.SUGGESTIONS)
        owner.textEdited.connect(self._remember)
        if popup := self.popup():
            popup.setAccessibleName(translate("PromptBar", "Suggestions"))
            set_role(popup, "popup")

    def _remember(self, text: str) -> None:
        self._typed = text

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """A press beside the suggestions closes them and clicks what lies there; a completer would swallow it.

        Dragging begins with the next press: the true release is lost to the popup, so one follows at once.
        """
        popup, pressed = self.popup(), QEvent.Type.MouseButtonPress
        if watched is not popup or not isinstance(event, QMouseEvent) or event.type() != pressed:
            return super().eventFilter(watched, event)
        if event.button() != Qt.MouseButton.LeftButton or popup.rect().contains(event.position().toPoint()):
            return super().eventFilter(watched, event)
        popup.hide()
        window, place = self._line.window(), event.globalPosition()
        if (target := window.childAt(window.mapFromGlobal(place.toPoint()))) is not None:
            at, button, none = target.mapFromGlobal(place), event.button(), Qt.MouseButton.NoButton
            for kind, held in ((pressed, button), (QEvent.Type.MouseButtonRelease, none)):
                QApplication.postEvent(target, QMouseEvent(kind, at, place, button, held, event.modifiers()))
        return True

    def pathFromIndex(self, index: QModelIndex | QPersistentModelIndex) -> str:
        """The whole line with the suggestion in it."""
        return words.completed(self._typed, str(index.data()))


class PromptBar(QWidget):
    """Task, words, options and the button that starts it.

    Signals:
        changed: The `Prompt` as it stands, after every edit by the user.
        submitted: The `Prompt` to work on.
        left: Escape was pressed in the line.
    """

    changed = Signal(object)
    submitted = Signal(object)
    left = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._shown = Prompt()
        self._region: Span | None = None
        self._region_s: float | None = None
        self._has_song = True
        self._lane = ""
        self._place: Callable[[Span, str], str] = lambda span, lane_id: self.tr("this selection")
        self._theme = DARK
        self._build_tasks()
        self._build_line()
        self._build_fold()
        self._build_chips()
        self._lay_out()
        self.show_prompt(Prompt())
        self.set_theme(DARK)

    # ---------------------------------------------------------------------------------------------------------- shown

    def prompt(self) -> Prompt:
        """What stands in the bar."""
        task: Task = next((each for each, made in self.tasks.items() if made.isChecked()), "extract")
        seed = self.seed.text()
        return replace(
            self._shown,
            text=self.line.text(),
            task=task,
            negative=self.negative.text(),
            takes=self.takes.value(),
            length_s=self._shown.length_s if self._region_s else self.length.value(),
            quality=self.quality.currentData(),
            seed=min(int(seed), words.MAX_SEED) if seed else None,
        )

    def show_prompt(self, prompt: Prompt) -> None:
        """Show another prompt; tells nobody."""
        self._shown = prompt
        fields = (self.line, self.negative, self.takes, self.quality, self.seed, *self.tasks.values())
        blockers = [QSignalBlocker(field) for field in fields]
        for field, text in (
            (self.line, prompt.text),
            (self.negative, prompt.negative),
            (self.seed, "" if prompt.seed is None else str(prompt.seed)),
        ):
            if field.text() != text:
                field.setText(text)
        self.tasks[prompt.task].setChecked(True)
        self.takes.setValue(prompt.takes)
        self.quality.setCurrentIndex(QUALITIES.index(prompt.quality))
        del blockers
        self._refresh()

    def set_example(self, region: Span | None, lane: Lane | None, place: Callable[[Span, str], str]) -> None:
        """What "like this selection" would take: a region of a lane, or of the song.

        Args:
            region: The selected region.
            lane: The selected lane, if there is one with a sound of its own.
            place: Names a stretch of the lane of an id: "bars 5–7 of Keys".
        """
        self._region, self._lane, self._place = region, lane.id if lane else "", place
        self._refresh()

    def set_beside(self, region_s: float | None, has_song: bool) -> None:
        """How long the region is, which says how long music from nothing is, and whether that becomes the song."""
        self._region_s, self._has_song = region_s, has_song
        self._refresh()

    def set_history(self, history: Sequence[str]) -> None:
        """Earlier prompts, latest first, for completion."""
        self.line.set_history(history)

    def set_summary(self, button: str, note: str, enabled: bool, why_not: str = "") -> None:
        """Say what the button will do ("Extract from 8 bars ≈ 6 s"), in full in a note, or why it cannot."""
        self.action.setText(button)
        self.action.setEnabled(enabled)
        self.action.setToolTip(note if enabled else why_not)
        self.note.setText(note if enabled else why_not)
        self.offers.fit(self.note.sizeHint().width())

    def set_theme(self, theme: Theme) -> None:
        """Take other colours."""
        self._theme = theme
        self.dice.set_theme(theme)
        self._show_fold(self.fold.isVisibleTo(self))

    def focus_line(self) -> None:
        """Put the cursor into the line, all of it selected."""
        self.line.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.line.selectAll()

    # ---------------------------------------------------------------------------------------------------------- built

    def _build_tasks(self) -> None:
        self._group = QButtonGroup(self)
        self.tasks: dict[Task, QPushButton] = {}
        for task, (name, does, _) in task_names().items():
            made = button(name, "segment", checkable=True, hint=does)
            made.setAccessibleDescription(does)
            made.toggled.connect(lambda on: self._edited() if on else None)
            self._group.addButton(made)
            self.tasks[task] = made
        self.options = button("", "flat", hint=self.tr("More about what you want"))
        self.options.setLayoutDirection(Qt.LayoutDirection.RightToLeft)
        self.options.setIconSize(QSize(12, 12))
        self.options.clicked.connect(lambda: self._show_fold(not self.fold.isVisibleTo(self)))

    def _build_line(self) -> None:
        self.line = PromptLine()
        self.line.textChanged.connect(self._edited)
        self.line.returnPressed.connect(self._submit)
        self.line.left.connect(self.left)
        self.action = button(self.tr("Extract"), "primary")
        self.action.setMinimumWidth(_ACTION_PX)
        self.action.clicked.connect(self._submit)

    def _build_fold(self) -> None:
        self.negative = TextLine()
        self.negative.setPlaceholderText(self.tr("what it should not sound like"))
        self.negative.setMaxLength(MAX_PROMPT)
        self.negative.textChanged.connect(self._edited)
        self.like = ElidedButton()
        self.like.setCheckable(True)
        self.like.toggled.connect(self._like)
        self.takes = QSpinBox()
        self.takes.setRange(1, MOST_TAKES)
        self.takes.valueChanged.connect(self._edited)
        self.length = QDoubleSpinBox()
        self.length.setRange(1.0, LONGEST_GENERATED_S)
        self.length.setDecimals(1)
        self.length.setSuffix(self.tr(" s"))
        self.length.valueChanged.connect(self._edited)
        self.quality = QComboBox()
        for quality in QUALITIES:
            self.quality.addItem(say(words.QUALITY_NAMES[quality]), quality)
        self.quality.currentIndexChanged.connect(self._edited)
        self.seed = TextLine()
        self.seed.setPlaceholderText(self.tr("new each time"))
        digits = QRegularExpression("[0-9]{0,10}")  # a validator of numbers lets signs and separators through
        self.seed.setValidator(QRegularExpressionValidator(digits, self))
        self.seed.setMinimumWidth(98)
        self.seed.setMaximumWidth(112)
        self.seed.textChanged.connect(self._edited)
        self.dice = IconButton("dice", self.tr("Draw a seed and keep it"))
        self.dice.clicked.connect(lambda: self.seed.setText(str(words.drawn_seed())))

    def _build_chips(self) -> None:
        self.chips = {name: button(say(name), "chip", checkable=True) for name in words.CHIPS}
        for name, chip in self.chips.items():
            chip.setToolTip(self.tr("Adds it, or takes it out; with Ctrl it replaces the line"))
            chip.clicked.connect(lambda _=False, name=name: self._chip(name))
        self.note = ElidedLabel("second")
        self.note.setAlignment(Qt.AlignmentFlag.AlignRight)

    def _lay_out(self) -> None:
        tasks = _row(4, *self.tasks.values(), None, self.options)
        entry = _row(12, self.line, self.action)
        entry.setStretch(0, 1)
        self.fold = QWidget()
        self.lasts = QWidget()
        _row(8, *self._named(self.tr("Length"), self.length), into=self.lasts)
        more = _row(8, *self._named(self.tr("Not"), self.negative), self.like, self.lasts, into=self.fold)
        more.setStretch(1, 1)
        for text, field in ((self.tr("Takes"), self.takes), (self.tr("Quality"), self.quality)):
            more.addSpacing(8)
            for widget in self._named(text, field):
                more.addWidget(widget)
        more.addSpacing(8)
        for widget in (*self._named(self.tr("Seed"), self.seed), self.dice):
            more.addWidget(widget)
        self.fold.hide()
        card = QFrame()
        set_role(card, "card")
        column = QVBoxLayout(card)
        column.setContentsMargins(16, 12, 16, 12)
        column.setSpacing(10)
        column.addLayout(tasks)
        column.addLayout(entry)
        column.addWidget(self.fold)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(16, 8, 16, 8)
        whole.setSpacing(8)
        whole.addWidget(card)
        self.offers = _Offers(list(self.chips.values()), self.note)
        whole.addWidget(self.offers)

    def _named(self, text: str, field: QWidget) -> tuple[QWidget, QWidget]:
        return label(text, "second", field), field

    # ---------------------------------------------------------------------------------------------------------- edited

    def _edited(self) -> None:
        prompt = self.prompt()
        if prompt != self._shown:
            self._shown = prompt
            self._refresh()
            self.changed.emit(prompt)

    def _like(self, on: bool) -> None:
        on = on and self._region is not None
        prompt = replace(self.prompt(), like=self._region if on else None, like_lane=self._lane if on else "")
        if prompt != self._shown:
            self._shown = prompt
            self._refresh()
            self.changed.emit(prompt)

    def _chip(self, name: str) -> None:
        replaces = QApplication.keyboardModifiers() & Qt.KeyboardModifier.ControlModifier
        commas = self._shown.task == "extract"
        self.line.setText(name if replaces else words.with_toggled(self.line.text(), name, commas))
        self._refresh()

    def _submit(self) -> None:
        if self.action.isEnabled():
            self.line.forget()
            self.submitted.emit(self.prompt())

    def _show_fold(self, shown: bool) -> None:
        self.fold.setVisible(shown)
        self.options.setIcon(icon("up" if shown else "down", self._theme.second))
        self._refresh()

    def _refresh(self) -> None:
        """What follows from the prompt: the fold's summary, chips, what can be used."""
        prompt = self._shown
        extracts = prompt.task == "extract"
        generates = prompt.task == "generate"
        present = {words.called(each).casefold() for each in words.prompts_of(prompt)}
        for name, chip in self.chips.items():
            chip.setChecked(name.casefold() in present)
        several = self.tr("What you want; several with commas")
        self.line.setAccessibleName(several if extracts else self.tr("What you want; several with semicolons"))
        self.line.setPlaceholderText(self.tr("for example: {0}").format(task_names()[prompt.task][2]))
        blockers = [QSignalBlocker(field) for field in (self.like, self.length)]
        self.like.setChecked(prompt.like is not None)
        self.length.setValue(self._region_s or prompt.length_s)
        del blockers
        self.like.setVisible(not generates)
        self.lasts.setVisible(generates)
        self.length.setEnabled(self._region_s is None)
        self.length.setToolTip(self.tr("As long as the region") if self._region_s else "")
        self.like.setEnabled(prompt.like is not None or self._region is not None)
        place = self._example(prompt)
        self.like.setText(self.tr("Like {0}").format(short(place)) if place else self.tr("Like this selection"))
        self.like.setToolTip(self._like_means(prompt, place))
        self.takes.setEnabled(not extracts and (self._has_song or not generates))
        self.options.setText(" · ".join(self._options(prompt)))
        self.options.setAccessibleName(self.tr("Options: {0}").format(", ".join(self._options(prompt))))

    def _example(self, prompt: Prompt) -> str:
        """Where the example is, or would be: "bars 5–7 of Keys"; "" without one."""
        if prompt.like is not None:
            return self._place(prompt.like, prompt.like_lane)
        return self._place(self._region, self._lane) if self._region is not None else ""

    def _like_means(self, prompt: Prompt, place: str) -> str:
        """What "like this selection" does, or why it does nothing."""
        if not place:
            return self.tr("Select a region first: drag over the song")
        if prompt.task == "extract":
            return self.tr("Look for what sounds like {0}").format(place)
        if prompt.like_lane if prompt.like is not None else self._lane:
            return self.tr("Make it sound like {0}").format(place)
        return self.tr("Make it sound like {0}; select a lane to take its sound alone").format(place)

    def _options(self, prompt: Prompt) -> list[str]:
        """The fold in a few words."""
        found = []
        if prompt.negative:
            found.append(self.tr("not {0}").format(short(prompt.negative)))
        if prompt.task != "generate" and prompt.like:
            found.append(self.tr("like {0}").format(short(self._example(prompt))))
        if self.takes.isEnabled():
            found.append(self.tr("1 take") if prompt.takes == 1 else self.tr("{0} takes").format(prompt.takes))
        found.append(say(words.QUALITY_NAMES[prompt.quality]).lower())
        if prompt.seed is not None:
            found.append(self.tr("seed {0}").format(prompt.seed))
        return found


class _Offers(QWidget):
    """Chips and the note behind them; the last chips go where the note has no room, and nothing moves when all go."""

    def __init__(self, chips: Sequence[QPushButton], note: QWidget) -> None:
        super().__init__()
        self._chips, self._note_px = chips, 0
        row = _row(8, *chips, note, into=self)
        row.setContentsMargins(16, 0, 16, 0)
        row.setStretch(len(chips), 1)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)

    def fit(self, note_px: int | None = None) -> None:
        """Show as many chips as leave a note its pixels, those of before unless given."""
        self._note_px = self._note_px if note_px is None else note_px
        left = self.width() - 32 - self._note_px
        for chip in self._chips:
            left -= chip.sizeHint().width() + 8
            chip.setVisible(left >= 0)

    def sizeHint(self) -> QSize:
        """As high as a chip, whether one is shown or not."""
        return QSize(super().sizeHint().width(), self._chips[0].sizeHint().height())

    def minimumSizeHint(self) -> QSize:
        """As high as a chip, too."""
        return QSize(super().minimumSizeHint().width(), self._chips[0].sizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        """What fits is another matter in another width."""
        super().resizeEvent(event)
        self.fit()


def _row(gap: int, *widgets: QWidget | None, into: QWidget | None = None) -> QHBoxLayout:
    """Widgets side by side; None stretches."""
    row = QHBoxLayout(into) if into else QHBoxLayout()
    row.setContentsMargins(0, 0, 0, 0)
    row.setSpacing(gap)
    for widget in widgets:
        row.addStretch() if widget is None else row.addWidget(widget)
    return row
