import math

import pytest
from PySide6.QtCore import Qt

from mgeldm_app.ui.meter import Bar, Meter, level_db
from mgeldm_app.ui.theme import DARK, LIGHT


def lit(meter, colour):
    """Share of the upper bar's middle line that has a colour."""
    image = meter.grab().toImage()
    y = (image.height() - 18) // 2 + 3
    return sum(image.pixelColor(x, y).name() == colour.lower() for x in range(image.width())) / image.width()


def test_decibels():
    assert [level_db(x) for x in (0.0, 1.0)] == [-math.inf, 0.0]
    assert level_db(0.5) == pytest.approx(-6.02, abs=0.01)


def test_the_level_falls_at_once_the_peak_after_a_while():
    bar = Bar()
    bar.hear(-6.0)
    assert bar.pass_time(1.0)
    assert bar.level_db == -36.0 and bar.peak_db == -6.0
    bar.pass_time(1.0)
    assert bar.peak_db == -36.0
    bar.hear(-20.0)
    assert bar.level_db == bar.peak_db == -20.0


def test_silence_ends_the_painting(qtbot):
    meter = Meter()
    qtbot.addWidget(meter)
    meter.set_levels(0.0, 0.0)
    assert not meter.moving
    meter.set_levels(0.5, 0.25)
    assert meter.moving
    for bar in meter._bars:
        bar.pass_time(2.0)
        bar.pass_time(9.0)
    meter._tick()
    assert not meter.moving


def test_louder_fills_more(qtbot):
    meter = Meter()
    qtbot.addWidget(meter)
    meter.set_theme(DARK)
    meter.resize(200, 18)
    shares = []
    for level in (0.0, 0.01, 0.1, 0.4):
        meter.set_levels(level, level)
        shares.append(lit(meter, DARK.good))
    assert shares[0] == 0 and shares == sorted(shares) and shares[-1] > 0.7


def test_the_hot_end_has_another_colour_in_both_themes(qtbot):
    meter = Meter()
    qtbot.addWidget(meter)
    meter.resize(200, 18)
    meter.set_levels(1.0, 1.0)
    for theme in (DARK, LIGHT):
        meter.set_theme(theme)
        assert lit(meter, theme.warn) > 0.05


def test_over_full_scale_stays_lit_until_clicked(qtbot):
    meter = Meter()
    qtbot.addWidget(meter)
    meter.resize(200, 18)
    meter.set_levels(1.0, 1.0)
    assert not meter.clipped
    meter.set_levels(0.2, 1.01)
    meter.set_levels(0.1, 0.1)
    assert meter.clipped and "over 0 dB" in meter.toolTip()
    with qtbot.waitSignal(meter.cleared, timeout=1000):
        qtbot.mouseClick(meter, Qt.MouseButton.LeftButton)
    assert not meter.clipped and "over 0 dB" not in meter.toolTip()
