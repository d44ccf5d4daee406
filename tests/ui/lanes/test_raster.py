import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtGui import QColor

from mgeldm_app.ui.lanes import raster


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.integers(8, 200))
def test_a_column_is_as_tall_as_its_peaks(low, high, rms, rows):
    columns = np.array([[-low], [high], [min(rms, max(low, high))]], np.float32)
    picture = raster.waveform(columns, rows, 1.0)[:, 0].astype(float)
    reach = rows * 0.46
    tall = np.minimum(picture, raster.PEAK).sum() / raster.PEAK
    assert abs(tall - max((low + high) * reach, 1)) <= 2.5
    lit = np.flatnonzero(picture)
    assert abs(lit[0] - (rows / 2 - high * reach)) <= 1.5 and abs(lit[-1] + 1 - (rows / 2 + low * reach)) <= 1.5


def test_the_body_lies_inside_the_peaks():
    columns = np.array([[-0.5, 0], [0.5, 0], [0.2, 0]], np.float32)
    picture = raster.waveform(columns, 100, 1.0)
    assert (picture[:, 0] == raster.RMS).sum() in (18, 19, 20)
    assert (picture[:, 0] == raster.PEAK).sum() > 20
    assert 1 <= (picture[:, 1] > 0).sum() <= 2  # silence is a line


def test_what_is_too_loud_stays_in_its_lane():
    picture = raster.waveform(np.array([[-9.0], [9.0], [3.0]], np.float32), 50, 2.0)
    assert (picture > 0).all()


def test_a_spectrogram_stands_on_its_lowest_band():
    loudness = np.zeros((128, 3), np.uint8)
    loudness[0], loudness[127, 1] = 200, 100
    picture = raster.spectrogram(loudness, 64)
    assert picture.shape == (64, 3)
    assert (picture[-1] >= 100).all() and picture[0, 1] > 0 and not picture[20:50].any()


def test_colours_run_from_the_background_to_the_stem():
    for table in (raster.waveform_colours("#101010", "#ff8000"), raster.spectrogram_colours("#101010", "#ff8000")):
        assert len(table) == 256 and QColor.fromRgba(table[0]) == QColor("#101010")
    assert QColor.fromRgba(raster.waveform_colours("#101010", "#ff8000")[255]) == QColor("#ff8000")
    weak = QColor.fromRgba(raster.waveform_colours("#101010", "#ff8000", 0.4)[255])
    assert QColor("#101010").lightness() < weak.lightness() < QColor("#ff8000").lightness()


def test_a_picture_has_the_colours_of_its_table():
    image = raster.picture_of(np.array([[0, 255], [128, 0]], np.uint8), raster.waveform_colours("#000000", "#ff0000"))
    assert image.pixelColor(1, 0) == QColor("#ff0000") and image.pixelColor(0, 0) == QColor("#000000")
    assert image.pixelColor(0, 1).red() in (127, 128)
