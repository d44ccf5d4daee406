"""Waveforms and spectrograms as pictures of one byte a pixel, and the colours that those bytes stand for.

numpy fills them some ten times faster than a painter draws polygons; a colour table makes a theme of them.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from PySide6.QtGui import QColor, QImage

from ...core.peaks import Columns

Bytes = npt.NDArray[np.uint8]
"""A picture [rows, columns]; 0 is the lane's background."""

PEAK, RMS = 128, 255  # bytes of a waveform: up to PEAK its outer part, above its body
_HEIGHT = 0.46  # of a lane, above and below its middle, that the loudest sample takes


def waveform(columns: Columns, rows: int, scale: float) -> Bytes:
    """A waveform from lowest, highest and RMS values [3, columns]; `scale` makes the loudest sample 1."""
    middle, reach = rows / 2, rows * _HEIGHT * scale
    low, high, rms = np.nan_to_num(columns)
    body = np.clip(rms * reach, 0.5, middle)
    top, bottom = np.clip(middle - high * reach, 0, middle - 0.5), np.clip(middle - low * reach, middle + 0.5, rows)
    outer, inner = (top, bottom), (np.maximum(middle - body, top), np.minimum(middle + body, bottom))
    picture = _filled(rows, *outer) * np.uint8(PEAK)
    picture += _filled(rows, *inner) * np.uint8(RMS - PEAK)
    _soften(picture, *outer, 0, PEAK)
    _soften(picture, *inner, PEAK, RMS)
    return picture


def _filled(rows: int, top: npt.NDArray, bottom: npt.NDArray) -> Bytes:
    """1 at the pixels [rows, columns] that lie wholly between `top` and `bottom` of their column."""
    row = np.arange(rows, dtype=np.int16)[:, None]
    return ((row >= np.ceil(top).astype(np.int16)) & (row < np.floor(bottom).astype(np.int16))).view(np.uint8)


def _soften(picture: Bytes, top: npt.NDArray, bottom: npt.NDArray, under: int, value: int) -> None:
    """Where `top` and `bottom` cut a pixel, give it its share between `under` and `value`."""
    columns = np.arange(picture.shape[1])
    for row, share in ((np.ceil(top).astype(int) - 1, np.ceil(top) - top), (bottom.astype(int), bottom % 1)):
        at = np.clip(row, 0, len(picture) - 1), columns
        picture[at] = np.maximum(picture[at], np.where(share > 0, under + share * (value - under), 0).astype(np.uint8))


def spectrogram(loudness: Bytes, rows: int) -> Bytes:
    """A spectrogram [bands, columns], lowest band first, stretched to `rows`, lowest at the bottom."""
    bands = len(loudness)
    place = np.clip((np.arange(rows)[::-1] + 0.5) * bands / rows - 0.5, 0, bands - 1)
    below = place.astype(int)
    share = (place - below).astype(np.float32)[:, None]
    upper = loudness[np.minimum(below + 1, bands - 1)]
    return (loudness[below] * (1 - share) + upper * share).astype(np.uint8)


def _mixed(stops: list[tuple[int, QColor]]) -> list[int]:
    """256 colours that run through those at the stops."""
    places = [stop for stop, _ in stops]
    parts = zip(*((colour.red(), colour.green(), colour.blue()) for _, colour in stops), strict=True)
    red, green, blue = (np.interp(np.arange(256), places, part).round().astype(int) for part in parts)
    return [int(value) for value in 0xFF000000 | red << 16 | green << 8 | blue]


def between(first: QColor, second: QColor, share: float) -> QColor:
    """A colour between two: `share` 0 gives the first, 1 the second."""
    pairs = ((first.red(), second.red()), (first.green(), second.green()), (first.blue(), second.blue()))
    return QColor(*(round(a + (b - a) * share) for a, b in pairs))


@lru_cache(maxsize=128)
def waveform_colours(background_name: str, stem_name: str, strength: float = 1.0) -> list[int]:
    """The colour table of waveforms; a lane that is not heard has less strength."""
    background, stem = QColor(background_name), QColor(stem_name)
    outer, inner = between(background, stem, 0.5 * strength), between(background, stem, strength)
    return _mixed([(0, background), (PEAK, outer), (RMS, inner)])


@lru_cache(maxsize=128)
def spectrogram_colours(background_name: str, stem_name: str, strength: float = 1.0) -> list[int]:
    """The colour table of spectrograms: from the background through the stem's colour to a lighter one."""
    background, stem = QColor(background_name), QColor(stem_name)
    light = QColor("white") if background.lightness() < 128 else QColor("black")
    stops = [(0, 0.0), (70, 0.07), (150, 0.38), (225, 1.0)]
    table = [(at, between(background, stem, share * strength)) for at, share in stops]
    return _mixed([*table, (255, between(background, between(stem, light, 0.35), strength))])


def picture_of(values: Bytes, colours: list[int]) -> QImage:
    """An opaque picture in the format that windows are painted in."""
    values = np.ascontiguousarray(values)
    rows, columns = values.shape
    image = QImage(values.data, columns, rows, columns, QImage.Format.Format_Indexed8)
    image.setColorTable(colours)
    return image.convertToFormat(QImage.Format.Format_RGB32)
