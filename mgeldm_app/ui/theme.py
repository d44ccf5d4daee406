"""Colours, type and one stylesheet, made from the tokens of a theme: dark and light play the same roles.

Widgets say what they are by a role (`set_role(label, "second")`), never by a colour; those that paint themselves take a
`Theme` through `set_theme`. Roles of frames and windows: `window`, `panel`, `card`, `popup`, `switch`,
`message`, `row`, `line`;
of labels: `title`, `heading`, `time`, `strong`, `key`, `second`, `small`, `tiny`, `good`, `warn`, `bad`; of buttons:
`primary`, `flat`, `chip`, `tool`, `play`, `segment`, `badge`, `notice`, `choice`, `danger`; of fields: `prompt`,
`cell`, `search`; of lists: `box`, `popup`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from string import Template
from typing import Final

from mgeldm.bundled import ICONS
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QFont, QFontDatabase, QGuiApplication, QPalette
from PySide6.QtWidgets import QApplication, QWidget

from ..core.project import Lane

TEXT_PX: Final = 12


@dataclass(frozen=True)
class Theme:
    """Colours by role, as "#RRGGBB".

    Attributes:
        name: "dark" or "light".
        background: Behind everything.
        panel: Bars, headers, dialogs.
        lane: Behind waveforms.
        line: Separators.
        raised: Buttons and fields on a panel.
        text: What is read first; `second` what is read next; both may stand on any of the five surfaces above.
        third: Ticks, and what cannot be used; too faint for anything that must be read.
        frame: Around what is filled in or ticked: the faintest that everybody sees on background and panel.
        accent: The one colour that is no stem: what is chosen, what acts.
        on_accent: Text on it.
        good: Fine, also as text; so are `warn` and `bad`.
        stems: One a family of instruments (`core.text.colour_for`).
        song: The song's lane.
        rest: The rest's lane.
    """

    name: str
    background: str
    panel: str
    lane: str
    line: str
    raised: str
    text: str
    second: str
    third: str
    frame: str
    accent: str
    on_accent: str
    good: str
    warn: str
    bad: str
    stems: tuple[str, ...]
    song: str
    rest: str


DARK = Theme(
    name="dark",
    background="#121418",
    panel="#1A1D23",
    lane="#16191E",
    line="#262A32",
    raised="#20242B",
    text="#E6E8EB",
    second="#98A1AF",
    third="#5E6673",
    frame="#656C77",
    accent="#8B7CFF",
    on_accent="#12101F",
    good="#7FD99A",
    warn="#F2C14E",
    bad="#FF8A80",
    # guitar, drums, keys, bass, voices, strings, brass, winds, synthesiser, others
    stems=(
        "#FFB454", "#F2726B", "#B48EF5", "#4FC6E0", "#F78FC0", "#9BD66E", "#E3D26A", "#5FD3BC", "#74A8FF", "#D0A98A",
    ),
    song="#A9B4C2",
    rest="#6F7A88",
)
LIGHT = Theme(
    name="light",
    background="#F1F2F5",
    panel="#FFFFFF",
    lane="#F9FAFB",
    line="#D9DDE3",
    raised="#E9EBEF",
    text="#1B1E24",
    second="#545C69",
    third="#949CA8",
    frame="#848B95",
    accent="#5A4AD8",
    on_accent="#FFFFFF",
    good="#1C7040",
    warn="#7E5200",
    bad="#B3261E",
    stems=(
        "#B86B00", "#CC3B34", "#7C4FD0", "#0B7D99", "#B93A80", "#41801F", "#877000", "#0B7F6B", "#2F66C9", "#8A5B3A",
    ),
    song="#5C6B7D",
    rest="#7A8594",
)
THEMES: Final = {"dark": DARK, "light": LIGHT}


def mix(first: str, second: str, share: float) -> str:
    """A colour between two: `share` 0 gives the first, 1 the second."""
    a, b = QColor(first), QColor(second)
    pairs = ((a.red(), b.red()), (a.green(), b.green()), (a.blue(), b.blue()))
    return QColor(*(round(x + (y - x) * share) for x, y in pairs)).name()


def luminance(colour: str) -> float:
    """Relative luminance, 0 to 1 (WCAG 2.2)."""
    rgb = QColor(colour)
    parts = (rgb.redF(), rgb.greenF(), rgb.blueF())
    linear = [x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: str, second: str) -> float:
    """Contrast ratio of two colours, 1 to 21 (WCAG 2.2)."""
    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


def ink_on(colour: str) -> str:
    """Black or white: whichever is read more easily on a colour (always at 4.5 or more)."""
    return max(("#000000", "#FFFFFF"), key=lambda ink: contrast(ink, colour))


def colour_of(theme: Theme, lane: Lane) -> QColor:
    """The colour a lane is drawn in."""
    if lane.kind in ("song", "rest"):
        return QColor(theme.song if lane.kind == "song" else theme.rest)
    return QColor(theme.stems[lane.colour % len(theme.stems)])


def set_role(widget: QWidget, role: str) -> None:
    """What the stylesheet should see in a widget; changes show at once."""
    if widget.property("role") != role:
        widget.setProperty("role", role)
        widget.style().unpolish(widget)
        widget.style().polish(widget)


def system_theme() -> Theme:
    """What the system is set to; dark where it does not say."""
    return LIGHT if QGuiApplication.styleHints().colorScheme() == Qt.ColorScheme.Light else DARK


def base_font() -> QFont:
    """Inter where it is installed, else the system's own face, at the size that most text has."""
    families = [name for name in ("Inter",) if QFontDatabase.hasFamily(name)]
    system = QFontDatabase.systemFont(QFontDatabase.SystemFont.GeneralFont).families()
    font = QFont([*families, *system, "DejaVu Sans"])
    font.setPixelSize(TEXT_PX)
    font.setFeature(QFont.Tag("tnum"), 1)  # digits of one width: running times stand still
    return font


def apply(app: QApplication, theme: Theme) -> None:
    """Dress the whole program; may be called again at any time."""
    if not app.styleSheet():  # a second time would only build the same style anew
        app.setStyle("Fusion")
    app.setFont(base_font())
    app.setPalette(palette(theme))
    app.setStyleSheet(stylesheet(theme))


def palette(theme: Theme) -> QPalette:
    """For what the stylesheet leaves to Qt."""
    role, colours = QPalette.ColorRole, QPalette()
    for roles, colour in (
        ((role.Window, role.AlternateBase), theme.panel),
        ((role.Base,), theme.background),
        ((role.Button, role.ToolTipBase, role.Midlight), theme.raised),
        ((role.Mid, role.Dark, role.Light), theme.line),
        ((role.WindowText, role.Text, role.ButtonText, role.ToolTipText, role.BrightText), theme.text),
        ((role.Highlight, role.Link, role.Accent), theme.accent),
        ((role.HighlightedText,), theme.on_accent),
        ((role.PlaceholderText,), theme.second),
    ):
        for each in roles:
            colours.setColor(each, QColor(colour))
    for each in (role.WindowText, role.Text, role.ButtonText):
        colours.setColor(QPalette.ColorGroup.Disabled, each, QColor(theme.third))
    return colours


def stylesheet(theme: Theme) -> str:
    """The one stylesheet, for the whole program."""
    tokens = {key: value for key, value in asdict(theme).items() if isinstance(value, str)}
    mixed = {
        "hover": mix(theme.raised, theme.text, 0.08),
        "pressed": mix(theme.raised, theme.text, 0.14),
        "edge": mix(theme.raised, theme.text, 0.16),
        "accent_hover": mix(theme.accent, theme.text, 0.14),
        "accent_pressed": mix(theme.accent, theme.background, 0.1),
        "accent_soft": mix(theme.panel, theme.accent, 0.20),
        "dead": mix(theme.raised, theme.panel, 0.4),
    }
    families = ", ".join(f'"{name}"' for name in base_font().families())
    return Template(_SHEET).substitute(tokens, **mixed, icons=ICONS.as_posix(), families=families)


_SHEET = """
QWidget { font-family: $families; font-size: 12px; }
QMainWindow, QWidget[role="window"] { background: $background; }
QDialog, QMenu, QFrame[role="panel"] { background: $panel; }
QFrame[role="card"] { background: $panel; border: 1px solid $line; border-radius: 12px; }
QFrame[role="popup"] { background: $panel; border: 1px solid $edge; }
QFrame[role="line"] { background: $line; border: none; max-height: 1px; min-height: 1px; }
QToolTip { background: $raised; color: $text; border: 1px solid $edge; padding: 4px 6px; }

QLabel { background: transparent; color: $text; }
QLabel[role="title"] { font-size: 15px; font-weight: 600; }
QLabel[role="time"] { font-size: 15px; font-weight: 600; }
QLabel[role="heading"] { font-size: 13px; font-weight: 600; }
QLabel[role="strong"] { font-weight: 600; }
QLabel[role="key"] { background: $raised; border-radius: 5px; padding: 2px 8px; font-size: 11px; }
QLabel[role="second"] { color: $second; }
QLabel[role="small"] { color: $second; font-size: 11px; }
QLabel[role="tiny"] { color: $second; font-size: 10px; }
QLabel[role="good"] { color: $good; font-weight: 600; }
QLabel[role="warn"] { color: $warn; font-weight: 600; }
QLabel[role="bad"] { color: $bad; }
QLabel:disabled { color: $third; }

QPushButton, QToolButton {
  background: $raised; color: $text; border: 1px solid transparent; border-radius: 6px; padding: 4px 12px;
  min-height: 18px; font-weight: 500;
}
QToolButton { padding: 4px 8px; }
QPushButton:hover, QToolButton:hover { background: $hover; }
QPushButton:pressed, QToolButton:pressed { background: $pressed; }
QPushButton:checked, QToolButton:checked { background: $accent; color: $on_accent; }
QPushButton:checked:hover, QToolButton:checked:hover { background: $accent_hover; }
QPushButton:focus, QToolButton:focus { border-color: $accent; }
QPushButton:checked:focus, QToolButton:checked:focus { border-color: $text; }
QPushButton:disabled, QToolButton:disabled { background: $dead; color: $third; }
QPushButton::menu-indicator, QToolButton::menu-indicator { image: none; width: 0; }

QPushButton[role="primary"] {
  background: $accent; color: $on_accent; font-size: 13px; font-weight: 600; border-radius: 8px; padding: 8px 18px;
}
QPushButton[role="primary"]:hover { background: $accent_hover; }
QPushButton[role="primary"]:pressed { background: $accent_pressed; }
QPushButton[role="primary"]:focus { border: 2px solid $text; padding: 7px 17px; }
QPushButton[role="primary"]:disabled { background: $raised; color: $third; }
QPushButton[role="flat"], QToolButton[role="flat"] { background: transparent; color: $second; }
QToolButton[role="flat"] { padding: 0; }
QPushButton[role="flat"]:hover, QToolButton[role="flat"]:hover { background: $raised; color: $text; }
QPushButton[role="flat"]:pressed, QToolButton[role="flat"]:pressed { background: $pressed; color: $text; }
QPushButton[role="flat"]:checked, QToolButton[role="flat"]:checked { background: $accent_soft; color: $text; }
QPushButton[role="flat"]:disabled, QToolButton[role="flat"]:disabled { background: transparent; color: $third; }
QPushButton[role="flat"]:focus, QToolButton[role="flat"]:focus { border-color: $accent; }
QPushButton[role="danger"] { background: $raised; color: $bad; }
QPushButton[role="danger"]:hover { background: $hover; }
QPushButton[role="danger"]:disabled { background: $dead; color: $third; }
QPushButton[role="chip"] {
  background: $panel; color: $second; border: 1px solid $line; border-radius: 13px; padding: 3px 12px; font-weight: 400;
}
QPushButton[role="chip"]:hover { background: $raised; color: $text; border-color: $edge; }
QPushButton[role="chip"]:checked { background: $accent_soft; color: $text; border-color: $accent; }
QPushButton[role="chip"]:focus { border-color: $accent; color: $text; }
QPushButton[role="chip"]:disabled { color: $third; background: transparent; border-color: $line; }
QPushButton[role="segment"] { color: $second; padding: 3px 10px; font-weight: 600; }
QPushButton[role="segment"]:hover, QPushButton[role="segment"]:pressed { color: $text; }
QPushButton[role="segment"]:checked { color: $on_accent; }
QPushButton[role="segment"]:disabled { color: $third; }
QPushButton[role="tool"], QToolButton[role="tool"] { padding: 0; border-radius: 8px; }
QToolButton[role="play"] { background: $accent; border-radius: 8px; padding: 0; }
QToolButton[role="play"]:hover { background: $accent_hover; }
QToolButton[role="play"]:pressed { background: $accent_pressed; }
QToolButton[role="play"]:focus { border-color: $text; }
QToolButton[role="play"]:disabled { background: $dead; }
QFrame[role="switch"] { background: $raised; border-radius: 6px; }
QFrame[role="message"] { background: $raised; border: 1px solid $edge; border-radius: 10px; }
QFrame[role="message"] > QPushButton[role=""] { background: $edge; }
QFrame[role="message"] > QPushButton[role=""]:hover { background: $pressed; }
QFrame[role="row"] { background: $panel; border: 1px solid $line; border-radius: 8px; }
QPushButton[role="notice"] {
  background: transparent; color: $warn; font-size: 10px; padding: 0; border-radius: 3px; min-height: 11px;
  text-align: left;
}
QPushButton[role="notice"]:hover { color: $text; }
QPushButton[role="notice"]:focus { border-color: $accent; }
QPushButton[role="badge"] { border-radius: 14px; color: $second; padding: 4px 14px 4px 28px; }
QPushButton[role="badge"]:hover, QPushButton[role="badge"]:pressed { color: $text; }
QPushButton[role="choice"] { text-align: left; padding: 8px 12px; }

QLineEdit, QPlainTextEdit, QTextEdit, QAbstractSpinBox, QComboBox {
  background: $background; color: $text; border: 1px solid $frame; border-radius: 6px; padding: 3px 8px;
  min-height: 20px; selection-background-color: $accent; selection-color: $on_accent;
}
QLineEdit:hover, QAbstractSpinBox:hover, QComboBox:hover { border-color: $second; }
QLineEdit:focus, QPlainTextEdit:focus, QTextEdit:focus, QAbstractSpinBox:focus, QComboBox:focus {
  border-color: $accent;
}
QLineEdit:disabled, QAbstractSpinBox:disabled, QComboBox:disabled {
  color: $third; background: $panel; border-color: $line;
}
QLineEdit[role="prompt"] { border: 1px solid $frame; border-radius: 8px; padding: 7px 16px; font-size: 15px; }
QLineEdit[role="prompt"]:focus { border: 1px solid $accent; }
QLineEdit[role="cell"] { background: $raised; border: 1px solid transparent; font-weight: 600; padding: 2px 6px; }
QLineEdit[role="cell"]:hover { background: $hover; }
QLineEdit[role="cell"]:focus { border-color: $accent; background: $background; }
QLineEdit[role="cell"]:disabled { color: $third; background: $dead; }
QLineEdit[role="search"] { border: none; background: transparent; font-size: 15px; padding: 8px 17px; }

QComboBox { padding-right: 24px; }
QComboBox::drop-down { border: none; width: 24px; subcontrol-position: center right; }
QComboBox::down-arrow { image: url("$icons/down-$name.svg"); width: 12px; height: 12px; }
QComboBox QAbstractItemView {
  background: $panel; border: 1px solid $edge; padding: 4px; outline: none;
  selection-background-color: $accent_soft; selection-color: $text;
}
QAbstractSpinBox { padding-right: 20px; }
QAbstractSpinBox::up-button, QAbstractSpinBox::down-button { border: none; background: transparent; width: 18px; }
QAbstractSpinBox::up-button { subcontrol-position: top right; }
QAbstractSpinBox::down-button { subcontrol-position: bottom right; }
QAbstractSpinBox::up-button:hover, QAbstractSpinBox::down-button:hover { background: $raised; }
QAbstractSpinBox::up-arrow { image: url("$icons/up-$name.svg"); width: 10px; height: 10px; }
QAbstractSpinBox::down-arrow { image: url("$icons/down-$name.svg"); width: 10px; height: 10px; }

QCheckBox, QRadioButton { color: $text; spacing: 8px; background: transparent; padding: 2px; border-radius: 4px; }
QCheckBox:disabled, QRadioButton:disabled { color: $third; }
QCheckBox::indicator, QRadioButton::indicator, QListView::indicator {
  width: 14px; height: 14px; border: 1px solid $frame; background: $background; border-radius: 4px;
}
QRadioButton::indicator { border-radius: 8px; }
QCheckBox::indicator:hover, QRadioButton::indicator:hover { border-color: $second; }
QCheckBox::indicator:checked, QListView::indicator:checked {
  background: $accent; border-color: $accent; image: url("$icons/check-$name.svg");
}
QRadioButton::indicator:checked { background: $accent; border-color: $accent; image: url("$icons/dot-$name.svg"); }
QCheckBox::indicator:disabled, QRadioButton::indicator:disabled { border-color: $line; background: $panel; }
QCheckBox::indicator:focus, QRadioButton::indicator:focus { border: 2px solid $text; width: 12px; height: 12px; }

QProgressBar { background: $edge; border: none; border-radius: 3px; min-height: 6px; max-height: 6px; }
QProgressBar::chunk { background: $accent; border-radius: 3px; }

QMenu { border: 1px solid $edge; padding: 6px; }
QMenu::item { padding: 5px 23px 5px 11px; border: 1px solid transparent; border-radius: 5px; color: $text; }
QMenu::item:selected { background: $accent_soft; border-color: $accent; }
QMenu::item:disabled { color: $third; }
QMenu::separator { height: 1px; background: $line; margin: 5px 8px; }
QMenuBar { background: $panel; color: $second; padding: 2px 8px; }
QMenuBar::item { padding: 4px 9px; border: 1px solid transparent; border-radius: 5px; background: transparent; }
QMenuBar::item:selected { background: $accent_soft; border-color: $accent; color: $text; }

QListView, QTreeView, QTableView, QScrollArea { background: transparent; border: none; outline: none; }
QListView::item, QTreeView::item { padding: 4px 7px; border: 1px solid transparent; border-radius: 6px; color: $text; }
QListView::item:hover, QTreeView::item:hover { background: $raised; }
QListView::item:selected, QTreeView::item:selected {
  background: $accent_soft; border-color: $accent; color: $text;
}
QListView::item:disabled { color: $third; }
QListView[role="box"] { background: $background; border: 1px solid $line; border-radius: 8px; padding: 4px; }
QListView[role="popup"] { background: $panel; border: 1px solid $edge; padding: 0 4px; }
QListView[role="box"]:focus { border-color: $accent; }
QScrollArea > QWidget > QWidget { background: transparent; }

QScrollBar { background: transparent; border: none; margin: 0; }
QScrollBar:vertical { width: 10px; }
QScrollBar:horizontal { height: 10px; }
QScrollBar::handle { background: $edge; border-radius: 3px; margin: 2px; }
QScrollBar::handle:vertical { min-height: 28px; }
QScrollBar::handle:horizontal { min-width: 28px; }
QScrollBar::handle:hover { background: $third; }
QScrollBar::add-line, QScrollBar::sub-line { width: 0; height: 0; }
QScrollBar::add-page, QScrollBar::sub-page { background: transparent; }

QSlider::groove:horizontal { height: 4px; border-radius: 2px; background: $edge; }
QSlider::sub-page:horizontal { height: 4px; border-radius: 2px; background: $accent; }
QSlider::handle:horizontal { width: 12px; height: 12px; margin: -4px 0; border-radius: 6px; background: $text; }
QSlider::handle:horizontal:focus { border: 2px solid $accent; width: 10px; height: 10px; }
QSlider::handle:horizontal:disabled { background: $third; }
QTabBar::tab { background: transparent; color: $second; padding: 6px 12px; border-radius: 6px; margin-right: 2px; }
QTabBar::tab:selected { background: $raised; color: $text; }
QTabBar::tab:focus { border: 1px solid $accent; }
QTabWidget::pane { border: none; }
QSplitter::handle { background: $line; }
"""
