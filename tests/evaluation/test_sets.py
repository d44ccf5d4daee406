from pathlib import Path

import numpy as np
import pytest
from mgeldm.data.bank import Bank, save_bank
from mgeldm.data.kits import PIECES
from mgeldm.data.latents import Triplets, save
from mgeldm.data.manifest import Facts
from mgeldm.errors import InputError
from mgeldm.evaluation.sets import AUDIBLE, Material, level
from mgeldm.training import encode


@pytest.fixture
def banks(tmp_path) -> list[Path]:
    """Two note banks of no notes."""
    paths = [tmp_path / "one.npz", tmp_path / "two.npz"]
    for path in paths:
        save_bank(Bank(path.stem, *(np.zeros(s, np.int16) for s in ((0, 9), 0, 0, (0, 9), 0, 0))), path)
    return paths


@pytest.fixture
def pool(tmp_path):
    """Makes a folder of one shard that says it was rendered with some banks; without facts where they are None."""

    def made(banks) -> Path:
        facts = Facts() if banks is None else encode.Material(tmp_path, banks=banks).facts("1 songs")
        sounds = [np.zeros((1, 2, 2), np.float16)] * 3
        (tmp_path / "pool").mkdir()
        save(tmp_path / "pool" / "synthetic-00007.npz", [Triplets(*sounds, *[np.array(["bass"])] * 4)], facts)
        return tmp_path / "pool"

    return made


@pytest.mark.parametrize(
    ("there", "given", "advice"),
    [
        ((0, 1), (), "give these with --seen-bank, in this order: one, two"),
        ((0, 1), (1, 0), "in this order: one, two"),
        ((1,), (0,), "in this order: two"),
        ((), (0,), "leave --seen-bank out"),
    ],
)
def test_seen_songs_are_never_rendered_with_other_banks(banks, pool, there, given, advice):
    seen = pool([banks[i] for i in there])
    with pytest.raises(InputError, match=rf"synthetic-00007\.npz were rendered with other note banks .*{advice}"):
        Material(songs=1, seen=seen, seen_banks=tuple(banks[i] for i in given)).sets()


@pytest.mark.parametrize("there", [(), (0,), (0, 1)])
def test_seen_songs_are_rendered_with_their_own_banks(banks, pool, there):
    own = [banks[i] for i in there]
    found = Material(songs=1, seen=pool(own), seen_banks=tuple(own)).sets()
    assert [part.name for part in found] == ["synthetic", "synthetic, seen"]


def test_banks_of_shards_from_before_facts_are_not_known(banks, pool):
    found = Material(songs=1, seen=pool(None), seen_banks=tuple(banks)).sets()
    assert [part.name for part in found] == ["synthetic", "synthetic, seen"]


def test_a_pool_that_is_not_there_is_said_with_a_data_set_alone(tmp_path):
    (tmp_path / "song").mkdir()
    with pytest.raises(InputError, match=r"no folder .*pool; give the one of the shards"):
        Material(seen=tmp_path / "pool", data_sets=(("stems", tmp_path),)).sets()


def test_of_drum_kits_the_pieces_are_asked_for_and_all_else_plays_along():
    kits = Material(songs=6).kits
    assert kits.count == 6
    asked = set()
    for excerpt, again in zip(kits.excerpts(), kits.excerpts(), strict=True):
        asked |= {stem.label for stem in excerpt.stems}
        assert np.array_equal(excerpt.mixture.samples, again.mixture.samples)
        drums = np.sum([stem.audio for stem in excerpt.stems], axis=0) if excerpt.stems else 0.0
        assert level(excerpt.mixture.samples - drums) > AUDIBLE
    assert {"kick drum", "snare drum", "hi-hats"} <= asked <= set(PIECES)
    assert Material(data_sets=(("stems", Path()),)).kits is None  # who gives nothing but data sets wants these
