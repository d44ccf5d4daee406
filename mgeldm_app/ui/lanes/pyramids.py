"""The pyramids of all clips that are shown or were a moment ago, and the work that fills them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from PySide6.QtCore import QObject, Signal

from ...core import peaks
from ...core.peaks import Peaks, Read
from ...core.project import Span

MOST_KEPT = 96


class Work(NamedTuple):
    """A function for a worker, and what to do with its result or its failure."""

    function: Callable[[], Any]
    done: Callable[[Any], None]
    failed: Callable[[BaseException], None]


class Pyramids(QObject):
    """Pyramids by what names their audio: `sounds.clip_name`, a file's path, or the rest's lane.

    Attributes:
        broken: Why a clip cannot be shown, by what names it.
    """

    measured = Signal(object, object)  # name, Span of its samples

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._kept: OrderedDict[Hashable, tuple[Peaks, Read]] = OrderedDict()
        self._surveys = self._pieces = 0  # being made
        self.broken: dict[Hashable, str] = {}

    def get(self, name: Hashable) -> Peaks | None:
        """A pyramid if it is there."""
        return self._kept[name][0] if name in self._kept else None

    def put(self, name: Hashable, pyramid: Peaks, read: Read) -> Peaks:
        """Keep one, and read its samples like this from now on."""
        self._kept[name] = pyramid, read
        self._kept.move_to_end(name)
        return pyramid

    def touch(self, names: set[Hashable], spare: int = MOST_KEPT) -> None:
        """These are shown: of the others, only the latest stay, since undo may want them, until `spare` are left."""
        others = [name for name in self._kept if name not in names]
        for name in others[: max(0, len(self._kept) - spare)]:
            del self._kept[name]
        self.broken = {name: why for name, why in self.broken.items() if name in names}

    def survey(self) -> Work | None:
        """A rough look at a clip that nobody has looked at."""
        for name, (pyramid, read) in self._kept.items():
            if not pyramid.surveyed:
                pyramid.surveyed = True
                self._surveys += 1
                look = partial(peaks.survey, read, pyramid.samples)
                return Work(look, partial(self._surveyed, name, pyramid), partial(self._unseen, name, pyramid))
        return None

    def piece(self, near: dict[Hashable, Span]) -> Work | None:
        """A piece that is still to be measured, of the clips that are shown: `near` says which of their samples are."""
        for name, place in near.items():
            pyramid, read = self._kept[name]
            span = pyramid.take(place)
            if span is not None:
                self._pieces += 1
                look = partial(peaks.measure, read, span)
                return Work(look, partial(self._put, name, pyramid), partial(self._failed, name, pyramid))
        return None

    @property
    def complete(self) -> bool | None:
        """Whether everything is measured; None while not even a rough look was taken at everything."""
        if self._surveys or not all(pyramid.surveyed for pyramid, _ in self._kept.values()):
            return None
        return not self._pieces and not any(pyramid.wanted for pyramid, _ in self._kept.values())

    def _surveyed(self, name: Hashable, pyramid: Peaks, values: np.ndarray) -> None:
        self._surveys -= 1
        pyramid.put_survey(values)
        self.measured.emit(name, Span(0, pyramid.samples))

    def _put(self, name: Hashable, pyramid: Peaks, piece: peaks.Piece) -> None:
        self._pieces -= 1
        self.measured.emit(name, pyramid.put(piece))

    def _unseen(self, name: Hashable, pyramid: Peaks, error: BaseException) -> None:
        self._surveys, self._pieces = self._surveys - 1, self._pieces + 1
        self._failed(name, pyramid, error)

    def _failed(self, name: Hashable, pyramid: Peaks, error: BaseException) -> None:
        self._pieces -= 1
        pyramid.give_up()
        self.broken[name] = str(error)
        self.measured.emit(name, Span(0, pyramid.samples))
