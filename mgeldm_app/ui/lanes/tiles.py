"""Pieces of spectrograms and of close waveforms, made by workers and kept until room is needed."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ...core.project import Span
from ...core.spectrum import TILE_COLUMNS

MOST_BYTES = 48 << 20
MOST_ASKED = 256
_MARGIN_SAMPLES = 8192  # a Fourier window reaches beyond its tile


@dataclass(frozen=True)
class TileKey:
    """Which piece: 256 columns of `hop` samples each, the `index`-th of a lane."""

    lane_id: str
    kind: Literal["peaks", "spectrum"]
    hop: int
    index: int

    @property
    def span(self) -> Span:
        """The samples that it shows."""
        length = self.hop * TILE_COLUMNS
        return Span(self.index * length, (self.index + 1) * length)


class Tiles:
    """A cache that forgets what was used longest ago, and knows what is asked for and not there.

    A tile whose samples changed is still given out, and asked for again.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._kept: OrderedDict[TileKey, np.ndarray] = OrderedDict()
        self._stale: set[TileKey] = set()
        self._asked: OrderedDict[TileKey, None] = OrderedDict()
        self._making: set[TileKey] = set()

    def get(self, key: TileKey) -> np.ndarray | None:
        """A tile, perhaps an outdated one; asks for it if it is not there or outdated."""
        if key not in self._kept or key in self._stale:
            self.ask(key)
        return self.peek(key)

    def peek(self, key: TileKey) -> np.ndarray | None:
        """A tile if it is there."""
        if key in self._kept:
            self._kept.move_to_end(key)
        return self._kept.get(key)

    def ask(self, key: TileKey) -> None:
        """Have it made; what was asked for last is made first, and what long ago perhaps never."""
        if key in self._making:
            return
        self._asked[key] = None
        self._asked.move_to_end(key)
        while len(self._asked) > MOST_ASKED:
            self._asked.popitem(last=False)

    def take(self, most: int) -> list[TileKey]:
        """What to make next; each must be `put` or `dropped` afterwards."""
        keys = [self._asked.popitem()[0] for _ in range(min(most, len(self._asked)))]
        self._making.update(keys)
        self._stale.difference_update(keys)
        return keys

    def put(self, key: TileKey, values: np.ndarray) -> None:
        """Keep a tile. If its samples changed meanwhile, it stays outdated."""
        self._making.discard(key)
        self._bytes += values.nbytes - (self._kept[key].nbytes if key in self._kept else 0)
        self._kept[key] = values
        self._kept.move_to_end(key)
        while self._bytes > self._most_bytes and len(self._kept) > 1:
            old, gone = self._kept.popitem(last=False)
            self._bytes -= gone.nbytes
            self._stale.discard(old)

    def dropped(self, key: TileKey) -> None:
        """It was not made; one that is kept is as outdated as before."""
        self._making.discard(key)
        if key in self._kept:
            self._stale.add(key)

    def outdate(self, lane_id: str, span: Span) -> None:
        """The samples of a lane changed there."""
        wide = Span(span.start - _MARGIN_SAMPLES, span.stop + _MARGIN_SAMPLES)
        hit = {key for key in (*self._kept, *self._making) if key.lane_id == lane_id and key.span.meets(wide)}
        self._stale |= hit
