import re
from types import SimpleNamespace

import pytest
from mgeldm.bundled import ICONS
from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QFont, QIcon, QImage, QPainter
from PySide6.QtWidgets import QApplication, QLabel, QPushButton, QWidget

from mgeldm_app.core.project import Lane
from mgeldm_app.ui import theme as themes
from mgeldm_app.ui.icons import icon, paint_icon
from mgeldm_app.ui.theme import DARK, LIGHT, THEMES, colour_of, contrast, ink_on, mix, stylesheet

both = pytest.mark.parametrize("theme", THEMES.values(), ids=lambda theme: theme.name)


def surfaces(theme):
    return theme.background, theme.panel, theme.lane, theme.raised


def test_contrast_is_wcag():
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21)
    assert contrast("#777777", "#FFFFFF") == pytest.approx(4.48, abs=0.01)


@both
def test_text_can_be_read_on_every_surface(theme):
    for surface in surfaces(theme):
        for text in (theme.text, theme.second, theme.good, theme.warn, theme.bad):
            assert contrast(text, surface) >= 4.5, (text, surface)
    for ground in (theme.accent, mix(theme.accent, theme.text, 0.14), mix(theme.accent, theme.background, 0.1)):
        assert contrast(theme.on_accent, ground) >= 4.5, ground
    assert contrast(theme.text, mix(theme.panel, theme.accent, 0.20)) >= 4.5


def rule(theme, selector):
    """What the stylesheet says of a selector, by property; of several rules the last word."""
    said = {}
    for selectors, body in re.findall(r"([^{}]+)\{([^{}]*)\}", stylesheet(theme)):
        if selector in [each.strip() for each in selectors.split(",")]:
            said |= {name.strip(): value.strip() for name, value in re.findall(r"([\w-]+):([^;]+);", body)}
    return said


def edge_of(theme, selector):
    said = rule(theme, selector)
    return (said.get("border-color") or said["border"]).split()[-1]


@both
def test_what_is_chosen_or_filled_in_is_seen_by_everybody(theme):
    """WCAG 2.2, 1.4.11: 3 against what lies around it, on either side of its edge."""
    for selector, around in (
        ("QMenu::item:selected", [theme.panel]),
        ("QMenuBar::item:selected", [theme.panel]),
        ("QListView::item:selected", [theme.panel, theme.background]),
        ("QLineEdit", [theme.panel, theme.background]),
        ("QAbstractSpinBox", [theme.panel, theme.background]),
        ("QComboBox", [theme.panel, theme.background]),
        ('QLineEdit[role="prompt"]', [theme.panel, theme.background]),
        ("QCheckBox::indicator", [theme.panel, theme.background]),
        ("QListView::indicator", [theme.panel, theme.background]),
    ):
        for ground in around:
            assert contrast(edge_of(theme, selector), ground) >= 3, (selector, ground)


@both
def test_text_can_be_read_while_it_is_pressed(theme):
    for role in ("flat", "segment", "badge"):
        said = rule(theme, f'QPushButton[role="{role}"]:pressed')
        pressed = rule(theme, "QPushButton:pressed")["background"]
        assert contrast(said["color"], said.get("background", pressed)) >= 4.5, role


@both
def test_stems_can_be_seen_and_told_apart(theme):
    colours = (*theme.stems, theme.song, theme.rest)
    assert len(set(colours)) == len(colours) and len(theme.stems) >= 8
    assert all(contrast(colour, theme.lane) >= 3 for colour in colours)
    assert all(contrast(ink_on(colour), colour) >= 4.5 for colour in theme.stems)


def test_the_design_s_colours_come_first():
    assert DARK.stems[:4] == ("#FFB454", "#F2726B", "#B48EF5", "#4FC6E0")


def test_a_lane_has_the_colour_of_its_kind():
    assert colour_of(DARK, Lane("song", "song", "Song")).name() == DARK.song.lower()
    assert colour_of(DARK, Lane("rest", "rest", "Rest")).name() == DARK.rest.lower()
    assert colour_of(LIGHT, Lane("a", "added", "Keys", colour=2)).name() == LIGHT.stems[2].lower()
    assert colour_of(LIGHT, Lane("a", "added", "Keys", colour=2 + len(LIGHT.stems))).name() == LIGHT.stems[2].lower()


@both
def test_the_stylesheet_names_no_file_that_is_missing(theme, qtbot, recwarn):
    sheet = stylesheet(theme)
    assert "$" not in sheet
    files = [part.split('"')[0] for part in sheet.split('url("')[1:]]
    assert files and all(ICONS.joinpath(name.rsplit("/", 1)[1]).is_file() for name in files)


def test_a_change_of_theme_reaches_living_widgets(qtbot):
    app = QApplication.instance()
    button = QPushButton("A")
    qtbot.addWidget(button)
    seen = []
    for theme in (DARK, LIGHT):
        themes.apply(app, theme)
        button.show()
        seen.append(button.grab().toImage().pixelColor(button.width() // 2, 4).name())
    assert seen == [DARK.raised.lower(), LIGHT.raised.lower()]


@pytest.mark.parametrize(("scheme", "theme"), [("Light", LIGHT), ("Dark", DARK), ("Unknown", DARK)])
def test_the_system_s_choice_is_followed(qtbot, monkeypatch, scheme, theme):
    hints = SimpleNamespace(colorScheme=lambda: Qt.ColorScheme[scheme])
    monkeypatch.setattr(themes.QGuiApplication, "styleHints", lambda: hints)
    assert themes.system_theme() is theme


def test_one_type_face_for_all_whenever_they_were_made(qtbot):
    app = QApplication.instance()
    early = QWidget()
    qtbot.addWidget(early)
    small, large = QLabel("A", early), QLabel("A", early)
    themes.set_role(large, "title")
    app.setFont(QFont("DejaVu Serif"))
    themes.apply(app, DARK)
    early.show()
    fonts = [widget.font() for widget in (small, large)]
    assert {font.families()[0] for font in fonts} == {themes.base_font().families()[0]}
    assert [font.pixelSize() for font in fonts] == [12, 15]


@pytest.mark.parametrize("name", sorted(path.stem for path in ICONS.glob("*.svg")))
@pytest.mark.parametrize("pixels", [16, 48])
def test_icons_are_painted_in_one_colour_inside_their_box(name, pixels, qtbot):
    image = QImage(pixels + 8, pixels + 8, QImage.Format.Format_ARGB32)
    image.fill(0)
    painter = QPainter(image)
    paint_icon(painter, name, QRectF(4, 4, pixels, pixels), "#FF0000")
    painter.end()
    seen = [(x, y) for x in range(pixels + 8) for y in range(pixels + 8) if image.pixelColor(x, y).alpha() > 40]
    assert seen and all(4 <= x < pixels + 4 and 4 <= y < pixels + 4 for x, y in seen)
    if "-" not in name:
        assert all(image.pixelColor(x, y).blue() == 0 for x, y in seen)


def test_an_icon_knows_disabled_and_checked(qtbot):
    made = icon("dot", "#FF0000", dead="#00FF00", on="#0000FF")
    size = QSize(16, 16)

    def middle(mode, state):
        return made.pixmap(size, 1.0, mode, state).toImage().pixelColor(8, 8).name()

    assert middle(QIcon.Mode.Normal, QIcon.State.Off) == "#ff0000"
    assert middle(QIcon.Mode.Disabled, QIcon.State.Off) == "#00ff00"
    assert middle(QIcon.Mode.Normal, QIcon.State.On) == "#0000ff"
