import numpy as np
import pytest
import torch
from mgeldm.data import corpus
from mgeldm.data.latents import Encoder, load, save
from mgeldm.errors import InputError


@pytest.fixture(scope="module")
def triplets():
    return Encoder(absent=1.0).encode(corpus.render_song(3, [], 7.0).stems, corpus.CAPTIONS, np.random.default_rng(0))


def test_every_audible_source_has_its_rest(triplets):
    encoder = Encoder()
    for mixture, rest, source, label in zip(
        triplets.mixtures, triplets.rests, triplets.sources, triplets.labels, strict=True
    ):
        m, r, s = (encoder.spectral.expand(torch.from_numpy(x).float()) for x in (mixture, rest, source))
        assert bool((m <= (r + s) * 1.02 + 1e-3).all()), label  # RMS magnitudes obey the triangle inequality


def test_an_absent_source_is_silent_and_its_rest_the_mixture(triplets):
    silent = [i for i in range(len(triplets)) if float(triplets.sources[i].max()) < 0.05]
    assert silent
    for i in silent:
        assert np.array_equal(triplets.rests[i], triplets.mixtures[i])
        assert triplets.labels[i] not in triplets.others[i].split("|")


def test_encoding_repeats_and_shards_round_trip(tmp_path, triplets):
    again = Encoder(absent=1.0).encode(
        corpus.render_song(3, [], 7.0).stems, corpus.CAPTIONS, np.random.default_rng(0)
    )
    assert np.array_equal(again.sources, triplets.sources)
    save(tmp_path / "a.npz", [triplets])
    save(tmp_path / "b.npz", [triplets, again])
    loaded = load(tmp_path)
    assert len(loaded) == 3 * len(triplets)
    assert np.array_equal(loaded.mixtures[: len(triplets)], triplets.mixtures)
    assert list(loaded.captions[-len(triplets) :]) == list(triplets.captions)


def test_an_empty_folder_is_said(tmp_path):
    with pytest.raises(InputError, match="no shards"):
        load(tmp_path)
