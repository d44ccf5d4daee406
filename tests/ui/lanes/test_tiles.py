import numpy as np

from mgeldm_app.core.project import Span
from mgeldm_app.ui.lanes.tiles import MOST_ASKED, TileKey, Tiles


def key(index, lane="a", hop=512):
    return TileKey(lane, "spectrum", hop, index)


def test_what_is_missing_is_asked_for_the_newest_first():
    tiles = Tiles()
    assert tiles.get(key(1)) is None and tiles.get(key(2)) is None
    assert tiles.take(5) == [key(2), key(1)]
    assert tiles.get(key(1)) is None
    assert tiles.take(5) == []  # being made already
    tiles.put(key(1), np.ones(4))
    assert tiles.get(key(1)).tolist() == [1, 1, 1, 1]
    assert tiles.take(5) == []


def test_looking_does_not_ask():
    tiles = Tiles()
    assert tiles.peek(key(1)) is None
    assert tiles.take(5) == []


def test_an_outdated_tile_is_shown_until_the_new_one_is_there():
    tiles = Tiles()
    for index in (0, 9):
        tiles.get(key(index))
        tiles.take(1)
        tiles.put(key(index), np.zeros(1))
    tiles.outdate("a", Span(100, 200))
    tiles.outdate("b", Span(0, 1 << 40))
    assert tiles.get(key(0)) is not None and tiles.get(key(9)) is not None
    assert tiles.take(5) == [key(0)]
    tiles.put(key(0), np.ones(1))
    tiles.get(key(0))
    assert tiles.take(5) == []


def test_what_changes_while_it_is_made_is_made_again():
    tiles = Tiles()
    tiles.get(key(0))
    tiles.take(1)
    tiles.outdate("a", Span(0, 10))
    tiles.put(key(0), np.zeros(1))
    assert tiles.get(key(0)) is not None
    assert tiles.take(1) == [key(0)]


def test_an_outdated_tile_that_is_not_made_after_all_stays_outdated():
    tiles = Tiles()
    tiles.put(key(0), np.zeros(1))
    tiles.outdate("a", Span(0, 10))
    tiles.get(key(0))
    assert tiles.take(1) == [key(0)]
    tiles.dropped(key(0))
    assert tiles.take(1) == []  # nobody looks
    assert tiles.get(key(0)) is not None
    assert tiles.take(1) == [key(0)]


def test_the_longest_unused_make_room():
    tiles = Tiles(most_bytes=3000)
    for index in range(3):
        tiles.put(key(index), np.zeros(1000, np.uint8))
    tiles.get(key(0))
    tiles.put(key(3), np.zeros(1000, np.uint8))
    assert tiles.peek(key(1)) is None
    assert all(tiles.peek(key(index)) is not None for index in (0, 2, 3))
    tiles.put(key(3), np.zeros(5000, np.uint8))
    assert tiles.peek(key(3)) is not None and tiles.peek(key(0)) is None


def test_old_wishes_are_forgotten():
    tiles = Tiles()
    for index in range(MOST_ASKED + 10):
        tiles.get(key(index))
    assert len(tiles.take(10_000)) == MOST_ASKED
