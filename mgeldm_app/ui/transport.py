"""The top bar: the song, its tempo, playing, what is heard and how loud, and the machine that works."""

from __future__ import annotations

import math
from typing import Literal

from PySide6.QtCore import QLocale, QObject, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QDoubleValidator, QFocusEvent, QKeyEvent, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import (
    QButtonGroup,
    QCompleter,
    QFrame,
    QHBoxLayout,
    QMenu,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from ..core.project import Tempo
from ..core.text import KEYS, level_text, parse_key
from ..core.timeline import BPM
from . import a11y
from .meter import Meter
from .parts import ElidedButton, ElidedLabel, IconButton, TextLine, button, keyed, label
from .theme import DARK, Theme, set_role

NULL_DB = -120.0  # below, song and stems are the same to the ear and to any file
METRES = ((2, 4), (3, 4), (4, 4), (5, 4), (6, 4), (7, 4), (3, 8), (5, 8), (6, 8), (7, 8), (9, 8), (12, 8))
_HEIGHT, _NARROWEST, _NAME_PX, _SEGMENT_PX, _METER_PX = 52, 720, 128, 66, 190
Mood = Literal["good", "warn", "bad", "off"]


class Badge(ElidedButton):
    """A pill with a dot that says how something is."""

    def __init__(self) -> None:
        super().__init__("badge", QSizePolicy.Policy.Maximum)
        self._mood: Mood = "off"
        self._theme = DARK

    def show_state(self, text: str, hint: str, mood: Mood) -> None:
        """Say it."""
        self._mood = mood
        self.setText(text.replace("&", "&&"))
        self.setToolTip(hint)
        self.setAccessibleName(text)
        self.setAccessibleDescription(hint)
        self.update()

    def set_theme(self, theme: Theme) -> None:
        """Take other colours."""
        self._theme = theme
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """The button, then the dot."""
        super().paintEvent(event)
        colours = {"good": self._theme.good, "warn": self._theme.warn, "bad": self._theme.bad, "off": self._theme.third}
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(colours[self._mood]))
        painter.drawEllipse(QRectF(13, self.height() / 2 - 4, 8, 8))


class _Tempi(QDoubleValidator):
    """Tempi with a decimal point, or a comma, which becomes one."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(*BPM, 2, parent)
        self.setNotation(QDoubleValidator.Notation.StandardNotation)
        self.setLocale(QLocale.c())

    def validate(self, text: str, position: int) -> object:
        """How far the text is one."""
        return super().validate(text.replace(",", "."), position)


class _Cell(TextLine):
    """A small field in the bar: Enter or leaving it says what was typed, Escape takes it back.

    What its validator does not take is taken back, and `refused`.
    """

    entered = Signal(str)
    refused = Signal(str)

    def __init__(self, name: str, width: int) -> None:
        super().__init__()
        self._shown = ""
        self.setFixedSize(width, 26)
        self.setAlignment(Qt.AlignmentFlag.AlignCenter)
        a11y.describe(self, name)
        set_role(self, "cell")
        self.editingFinished.connect(self._done)

    def show_text(self, text: str) -> None:
        """What it says when nobody types in it."""
        self._shown = text
        if not (self.hasFocus() and self.isModified()):
            self.setText(text)

    def take_back(self) -> None:
        """Forget what was typed."""
        self.setText(self._shown)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Escape takes back; Enter leaves."""
        if event.key() == Qt.Key.Key_Escape:
            self.take_back()
            self.clearFocus()
            return
        super().keyPressEvent(event)
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.clearFocus()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """What cannot be used goes."""
        super().focusOutEvent(event)
        if not self.hasAcceptableInput():
            typed = self.text() if self.isModified() else ""
            self.take_back()
            if typed:
                self.refused.emit(typed)

    def _done(self) -> None:
        if self.text() != self._shown:
            self.entered.emit(self.text())


class Transport(QFrame):
    """Shows what it is told and says what was pressed; decides nothing.

    Signals:
        start_clicked, play_clicked: To the start; play or pause.
        loop_toggled, click_toggled: Now on or off.
        listen_chosen: "song" or "stems".
        tempo_entered: Beats a minute, within `timeline.BPM`.
        refused: Why something typed was not taken.
        tap_clicked: One beat was tapped.
        key_entered: One of `text.KEYS`, or "" for none.
        metre_chosen: Beats in a bar, and which note a beat is.
        device_clicked, output_clicked: The badge; the notice about the sound card.
    """

    start_clicked = Signal()
    play_clicked = Signal()
    loop_toggled = Signal(bool)
    click_toggled = Signal(bool)
    listen_chosen = Signal(str)
    tempo_entered = Signal(float)
    refused = Signal(str)
    tap_clicked = Signal()
    key_entered = Signal(str)
    metre_chosen = Signal(int, int)
    device_clicked = Signal()
    output_clicked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        set_role(self, "panel")
        self.setFixedHeight(_HEIGHT)
        self._playing = False
        self._build_song()
        self._build_buttons()
        self._build_heard()
        self._lay_out()
        self.set_song("", "")
        self.set_tempo(Tempo())
        self.set_position("00:00.000", "")
        self.set_null(None)
        self.set_device(self.tr("Starting"), "", "off")
        self.set_output_notice("")
        self.set_theme(DARK)

    # ---------------------------------------------------------------------------------------------------------- shown

    def set_song(self, name: str, facts: str) -> None:
        """Its name and what is known of it; without one the bar is out of use."""
        self.name.setText(name or self.tr("No song"))
        self.facts.setText(facts)
        self.facts.setVisible(bool(facts))
        for widget in self._of_a_song:
            widget.setEnabled(bool(name))

    def set_tempo(self, tempo: Tempo) -> None:
        """The grid; an unknown tempo and key show as dashes."""
        known = tempo.source != "none"
        self.tempo.show_text(f"{tempo.bpm:.1f}" if known else "–")
        said = {"found": self.tr("found by listening"), "given": self.tr("given by you"), "none": self.tr("unknown")}
        self.tempo.setToolTip(self.tr("Quarter notes a minute, {0}: type or tap to correct").format(said[tempo.source]))
        self.key.show_text(tempo.key or "–")
        metre = f"{tempo.beats_per_bar}/{tempo.beat_unit}"
        self.metre.setText(metre)
        self.metre.setAccessibleName(self.tr("Metre: {0}").format(metre))

    def set_playing(self, playing: bool) -> None:
        """Whether it plays now."""
        self._playing = playing
        self.play.set_icon("pause" if playing else "play")
        self.play.set_label(keyed(self.tr("Pause") if playing else self.tr("Play"), "play"))

    def set_looping(self, looping: bool) -> None:
        """Whether the region is looped."""
        self.loop.setChecked(looping)

    def set_click(self, on: bool) -> None:
        """Whether the click sounds."""
        self.click.setChecked(on)

    def set_listening(self, what: Literal["song", "stems"]) -> None:
        """What is heard."""
        (self.song if what == "song" else self.stems).setChecked(True)

    def set_position(self, time: str, place: str) -> None:
        """"01:12.480" and "bar 33 . 2"."""
        self.time.setText(time)
        self.place.setText(place)
        self.place.setVisible(bool(place))

    def set_null(self, level_db: float | None, lacks_audio: bool = False) -> None:
        """The song minus stems and rest; None while nothing can be compared.

        Silence in place of lost audio adds up as well, since the rest makes up for it: that is no null.
        """
        if level_db is None:
            text, role, means = "–", "second", self.tr("nothing is playing")
        elif lacks_audio:
            text, role, means = self.tr("lost"), "warn", self.tr("silence plays in place of audio that is lost")
        elif level_db < NULL_DB:
            text, role, means = level_text(-math.inf), "good", self.tr("stems and rest add up to the song")
        else:
            text, role, means = level_text(level_db), "warn", self.tr("stems and rest differ from the song")
        if text != self.null.text():
            self.null.setText(text)
            set_role(self.null, role)
            self.null.setAccessibleName(self.tr("Null: {0}").format(text))
            hint = self.tr(
                "Null: the song minus stems and rest, before faders; {0}\n"
                "The rest is the song minus the stems: this shows what rounding leaves, not how clean a stem is."
            )
            self.null.setToolTip(hint.format(means))

    def set_levels(self, left: float, right: float) -> None:
        """Linear peaks of both channels since the last call."""
        self.meter.set_levels(left, right)

    def set_device(self, text: str, hint: str, mood: Mood = "good") -> None:
        """Who computes and how fast ("CPU · 7.4× live"); the model and more in the hint."""
        self.device.show_state(text, hint, mood)
        self._give_way()

    def set_output_notice(self, text: str, hint: str = "") -> None:
        """What is wrong with the sound card ("No sound card: silent clock"); "" hides it."""
        self.notice.setText(text)
        self.notice.setToolTip(hint or text)
        self.notice.setAccessibleName(text)
        self.notice.setVisible(bool(text))
        self._give_way()

    def set_theme(self, theme: Theme) -> None:
        """Take other colours."""
        for widget in (self.start, self.play, self.loop, self.click, self.meter, self.device):
            widget.set_theme(theme)

    def minimumSizeHint(self) -> QSize:
        """Narrower than all of it: what is needed least gives way."""
        return QSize(_NARROWEST, _HEIGHT)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Hide what does not fit, and show it again."""
        super().resizeEvent(event)
        self._give_way()

    def _give_way(self) -> None:
        """Show as many of the parts that can be spared as there is room for; each can be reached in a menu, too.

        The badge and a notice are shortened last, and if that is not enough, as it may be with both, "null" goes.
        """
        self.meter_box.setMinimumWidth(0)
        short = self.device.spared_px + self.notice.spared_px
        for widget in (*self._spared, self.null_box):
            widget.show()
        for widget in self._spared:
            if super().minimumSizeHint().width() + short <= self.width():
                break
            if widget is not self.meter_box or not self.notice.text():
                widget.hide()
        needed = super().minimumSizeHint().width()
        self.null_box.setVisible(needed <= self.width())
        if needed + short <= self.width() and not self.notice.isHidden():  # else the song's name would take of its room
            self.meter_box.setMinimumWidth(min(_METER_PX, self.notice.sizeHint().width()))

    # ---------------------------------------------------------------------------------------------------------- built

    def _build_song(self) -> None:
        self.name = ElidedLabel("title", Qt.TextElideMode.ElideMiddle)
        self.facts = ElidedLabel("small")
        self.tempo = _Cell(self.tr("Tempo in beats a minute"), 56)
        self.tempo.setValidator(_Tempi(self))
        self.tempo.entered.connect(lambda text: self.tempo_entered.emit(float(text)))
        self.tempo.refused.connect(self._refuse_tempo)
        hint = self.tr("Tap the beat three times or more, from the first of a bar on")
        self.tap = button(self.tr("Tap"), hint=keyed(hint, "tap"))
        self.tap.setFixedSize(40, 26)
        set_role(self.tap, "tool")
        self.tap.setAccessibleName(self.tr("Tap the tempo"))
        self.tap.pressed.connect(self.tap_clicked)
        self.key = _Cell(self.tr("Key"), 76)
        completer = QCompleter(list(KEYS), self.key)
        completer.setCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        if popup := completer.popup():
            set_role(popup, "popup")
        self.key.setCompleter(completer)
        self.key.entered.connect(self._key_typed)
        self.metre = button("4/4", hint=self.tr("Beats in a bar"))
        self.metre.setFixedSize(44, 26)
        set_role(self.metre, "tool")
        menu = QMenu(self.metre)
        for beats, unit in METRES:
            menu.addAction(f"{beats}/{unit}", lambda beats=beats, unit=unit: self.metre_chosen.emit(beats, unit))
        self.metre.setMenu(menu)

    def _build_buttons(self) -> None:
        self.start = IconButton("start", keyed(self.tr("To the start"), "to_start"), "tool", (36, 30))
        self.play = IconButton("play", keyed(self.tr("Play"), "play"), "play", (40, 30), 18)
        self.loop = IconButton("loop", keyed(self.tr("Loop the region"), "loop"), "tool", (36, 30))
        self.click = IconButton("click", keyed(self.tr("Click on every beat"), "click"), "tool", (36, 30))
        for toggle, signal in ((self.loop, self.loop_toggled), (self.click, self.click_toggled)):
            toggle.setCheckable(True)
            toggle.clicked.connect(signal)
        self.start.clicked.connect(self.start_clicked)
        self.play.clicked.connect(self.play_clicked)
        self.time = label("", "time")
        self.place = label("", "small")
        self.time.setMinimumWidth(self.time.fontMetrics().horizontalAdvance("00:00.000") + 36)

    def _build_heard(self) -> None:
        hint = keyed(self.tr("Hear the original; hold A to compare"), "listen")
        self.song = button(self.tr("Song"), "segment", True, hint)
        self.stems = button(self.tr("Stems"), "segment", True, self.tr("Hear stems, added parts and the rest"))
        self.stems.setChecked(True)
        self._group = QButtonGroup(self)
        for made, what in ((self.song, "song"), (self.stems, "stems")):
            made.setFixedSize(_SEGMENT_PX, 26)
            made.clicked.connect(lambda _=False, what=what: self.listen_chosen.emit(what))
            self._group.addButton(made)
        self.null = label("", "second")
        self.meter = Meter()
        self.notice = ElidedButton("notice")
        self.notice.clicked.connect(self.output_clicked)
        self.null_box = _stacked(label(self.tr("null"), "tiny"), self.null, width=72)
        self.meter_box = _stacked(self.meter, self.notice, gap=2)
        self.meter_box.setMaximumWidth(_METER_PX)
        self.device = Badge()
        self.device.clicked.connect(self.device_clicked)

    def _lay_out(self) -> None:
        self._of_a_song = (
            self.tempo, self.tap, self.key, self.metre, self.start, self.play, self.loop, self.click, self.song,
            self.stems,
        )  # fmt: skip
        named = _stacked(self.name, self.facts)
        named.setMinimumWidth(_NAME_PX)
        self._spared = (self.tap, self.click, self.meter_box, named, self.metre, self.key)  # the first go first
        switch = QFrame()
        set_role(switch, "switch")
        switch.setFixedSize(2 * _SEGMENT_PX, 26)
        pair = QHBoxLayout(switch)
        pair.setContentsMargins(0, 0, 0, 0)
        pair.setSpacing(0)
        pair.addWidget(self.song)
        pair.addWidget(self.stems)
        row = QHBoxLayout(self)
        row.setSizeConstraint(QHBoxLayout.SizeConstraint.SetNoConstraint)  # the bar gives way by itself
        row.setContentsMargins(20, 0, 16, 0)
        row.setSpacing(4)
        row.addWidget(named, 3)
        row.addSpacing(12)
        for cell in (self.tempo, self.tap, self.key, self.metre):
            row.addWidget(cell)
        row.addSpacing(16)
        for control in (self.start, self.play, self.loop, self.click):
            row.addWidget(control)
        row.addSpacing(16)
        row.addWidget(_stacked(self.time, self.place))
        row.addWidget(switch)
        row.addSpacing(16)
        row.addWidget(self.null_box)
        row.addWidget(self.meter_box, 2)
        row.addSpacing(12)
        row.addWidget(self.device)

    def _refuse_tempo(self, typed: str) -> None:
        text = self.tr("A tempo of {0} cannot be kept: type one from {1:g} to {2:g} beats a minute.")
        self.refused.emit(text.format(typed, *BPM))

    def _key_typed(self, text: str) -> None:
        key = parse_key(text.replace("–", ""))
        if key is None:
            self.key.take_back()
        else:
            self.key_entered.emit(key)


def _stacked(*widgets: QWidget, gap: int = 1, width: int = 0) -> QWidget:
    """Widgets over each other, in the middle of the bar's height."""
    made = QWidget()
    column = QVBoxLayout(made)
    column.setContentsMargins(0, 0, 0, 0)
    column.setSpacing(gap)
    column.addStretch()
    for widget in widgets:
        column.addWidget(widget)
    column.addStretch()
    if width:
        made.setFixedWidth(width)
    return made
