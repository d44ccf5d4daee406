import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import torch
from mgeldm.data import corpus
from mgeldm.data.captions import CAPTIONS
from mgeldm.data.latents import Encoder, Triplets, WaveformEncoder, load, read_shard, save
from mgeldm.data.songs import Stem
from mgeldm.data.triplets import Shares
from mgeldm.errors import InputError
from mgeldm.nn.oobleck import OobleckAutoencoder

from tests.fakes.models import TINY


@pytest.fixture(scope="module")
def triplets():
    return Encoder(absent=1.0).encode(corpus.render_song(3, [], 7.0).stems, CAPTIONS, np.random.default_rng(0))


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
        corpus.render_song(3, [], 7.0).stems, CAPTIONS, np.random.default_rng(0)
    )
    assert np.array_equal(again.sources, triplets.sources)
    save(tmp_path / "a.npz", [triplets])
    save(tmp_path / "b.npz", [triplets, again])
    loaded = load(tmp_path)
    assert len(loaded) == 3 * len(triplets)
    assert np.array_equal(loaded.mixtures[: len(triplets)], triplets.mixtures)
    assert list(loaded.captions[-len(triplets) :]) == list(triplets.captions)


def test_windows_begin_anywhere_in_a_song():
    """A song whose stem is silent for a second, in windows of less than six: some have all of it, some none."""
    song = np.random.default_rng(0).normal(0, 0.1, (1, 8 * 44100)).astype(np.float32)
    song[:, :44100] = 0
    found = [Encoder().encode([Stem("drums", ["drums"], song)], {}, np.random.default_rng(i)) for i in range(12)]
    silent = [float((triplets.sources[0].max(0) < 0.05).mean()) for triplets in found]
    assert min(silent) < 0.02 and 0.08 < max(silent) < 0.2
    assert {len(triplets) for triplets in found} == {1}


def test_a_pool_is_loaded_into_no_more_memory_than_it_takes(tmp_path, triplets):
    for number in range(12):
        save(tmp_path / f"{number:02d}.npz", [triplets])
    tracemalloc.start()
    pool = load(tmp_path)
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1.2 * kept
    assert pool.sources.dtype == np.float16
    assert np.array_equal(pool.rests[-len(triplets) :], triplets.rests)
    blank = np.zeros((len(triplets), 8, 12), np.float16)
    save(tmp_path / "other.npz", [replace(triplets, mixtures=blank, rests=blank, sources=blank)])
    with pytest.raises(InputError, match=r"other\.npz .* another form"):
        load(tmp_path)


def test_stems_of_one_label_are_called_what_all_of_them_are():
    stems = corpus.render_song(3, [], 7.0).stems
    stems = [replace(stem, label="keys", captions=["keys", f"keys {i}"]) for i, stem in enumerate(stems)]
    found = Encoder(absent=0.0).encode(stems, {}, np.random.default_rng(0))
    assert set(found.captions) == {"keys"}


def test_an_empty_folder_is_said(tmp_path):
    with pytest.raises(InputError, match="no shards"):
        load(tmp_path)


def test_sources_that_sum_stems_are_what_the_mixture_loses():
    encoder = Encoder(absent=0.0, unions=1.0)
    found = encoder.encode(corpus.render_song(3, [], 13.0).stems, CAPTIONS, np.random.default_rng(0))
    summed = [i for i in range(len(found)) if "|" in found.parts[i]]
    assert summed
    for i in summed:
        assert not set(found.parts[i].split("|")) & set(found.others[i].split("|"))
        tracks = (found.mixtures[i], found.rests[i], found.sources[i])
        m, r, s = (encoder.spectral.expand(torch.from_numpy(x).float()) for x in tracks)
        assert bool((m <= (r + s) * 1.02 + 1e-3).all())


def test_shards_from_before_parts_are_read(tmp_path, triplets):
    old = {name: value for name, value in vars(triplets).items() if name != "parts"}
    np.savez(tmp_path / "old.npz", **old)
    save(tmp_path / "new.npz", [triplets])
    assert list(read_shard(tmp_path / "old.npz").parts) == list(triplets.labels)
    both = load(tmp_path)
    assert list(both.parts[: len(triplets)]) == list(triplets.parts)
    assert len(both.parts) == 2 * len(triplets)


def test_songs_that_were_mixed_across_songs_are_known_for_it(tmp_path, triplets):
    strange = replace(triplets, strange=np.arange(len(triplets)) % 2 == 0)
    save(tmp_path / "a.npz", [strange])
    assert np.array_equal(load(tmp_path).strange, strange.strange)
    with np.load(tmp_path / "a.npz") as shard:
        before = {name: shard[name] for name in shard if name != "strange"}
    for name, known in (("remixed-wide-0001.npz", True), ("wide-0001.npz", False)):
        np.savez(tmp_path / name, **before)
        assert (read_shard(tmp_path / name).strange == known).all()


def test_rare_kinds_are_drawn_more_often_and_all_unions_are_one_kind():
    blank = np.zeros((8, 2, 2), np.float16)
    text = np.array(["x"] * 8)
    labels = np.array(["drums"] * 4 + ["bass and drums", "bass and piano", "all but flute", "flute"])
    parts = np.array(["drums"] * 4 + ["bass|drums", "bass|piano", "drums|bass", "flute"])
    chances = Triplets(blank, blank, blank, labels, text, text, parts).chances()
    assert chances.sum() == pytest.approx(1)
    assert chances / chances[-1] == pytest.approx([4 ** (-1 / 3)] * 4 + [3 ** (-1 / 3)] * 3 + [1])


def test_what_is_rare_is_no_more_often_absent_than_what_is_common():
    """Most songs lack a flute, so most prompts for what is not there ask for one."""
    heard, lacking = {"drums": 96, "flute": 20, "effects": 9}, {"drums": 4, "flute": 30, "effects": 9, "harp": 5}
    labels = np.array([label for kinds in (heard, lacking) for label, items in kinds.items() for _ in range(items)])
    parts = np.where(np.arange(len(labels)) < sum(heard.values()), labels, "")
    blank = np.zeros((len(labels), 2, 2), np.float16)
    chances = Triplets(blank, blank, blank, labels, labels, labels, parts).chances()
    assert chances.sum() == pytest.approx(1)
    silent = {label: float(chances[parts == ""] @ (labels[parts == ""] == label)) for label in heard}
    silent = {label: lacking / chances[labels == label].sum() for label, lacking in silent.items()}
    assert silent == pytest.approx({"drums": 0.04, "flute": 0.06, "effects": 0})  # of effects no one can say
    assert not chances[labels == "harp"].any()  # never heard: there is nothing to tell it by
    rarely = np.where(labels == "flute", 0.3, 1.0)
    weighed = Triplets(blank, blank, blank, labels, labels, labels, parts).chances(rarely)
    flutes, other = weighed[labels == "flute"] / chances[labels == "flute"], weighed[0] / chances[0]
    assert flutes == pytest.approx(0.3 * other)  # those that are silent too


def test_songs_in_files_encode_as_songs_in_memory(tmp_path):
    import soundfile

    song = corpus.render_song(5, [], 7.0)
    for stem in song.stems:
        soundfile.write(tmp_path / f"{stem.label.replace(' ', '_')}.wav", stem.audio.T, song.rate_hz, "FLOAT")
    song.stems = sorted(song.stems, key=lambda stem: stem.label)
    of_files = corpus.read_real_song(tmp_path)
    a, b = (Encoder().encode(s, CAPTIONS, np.random.default_rng(2), windows=2) for s in (song, of_files))
    assert len(a) == len(b) > 0
    assert np.array_equal(a.sources, b.sources)


class Loudness:
    """Embeds a sound as how loud it is: a conditioner that a test can follow."""

    audio_input = "audio"

    def embed_audio(self, audio):
        return audio.square().mean(1, keepdim=True).sqrt() * torch.ones(1, 4)


def test_the_published_form_encodes_latents_and_embeddings(tmp_path):
    torch.manual_seed(0)
    encoder = WaveformEncoder(TINY, OobleckAutoencoder(TINY.autoencoder), Loudness(), Shares(absent=0.5))
    song = corpus.render_song(3, [], 4.0)
    found, embeddings = encoder.encode(song, CAPTIONS, np.random.default_rng(0), windows=12)
    assert found.sources.shape == (len(found), 8, TINY.window_frames)
    assert embeddings.shape == (len(found), 3, 4)
    silent = found.parts == ""
    assert 0 < silent.sum() < len(found)
    assert not embeddings[silent, 2].any()
    assert (embeddings[~silent, 2] > 0).all()
    save(tmp_path / "a.npz", [found])
    assert np.array_equal(load(tmp_path).mixtures, found.mixtures)


def test_a_source_joins_only_songs_that_lack_its_kind():
    blank = np.zeros((4, 2, 2), np.float16)
    pool = Triplets(
        blank, blank, blank,
        labels=np.array(["acoustic guitar", "guitar", "rhythm section", "flute"]),
        captions=np.array(["a", "b", "c", "d"]),
        others=np.array(["bass", "", "piano", "vocals|drums"]),
        parts=np.array(["acoustic guitar", "guitar", "drums|bass", ""]),
    )  # fmt: skip
    assert [[pool.can_join(row, other) for other in range(4)] for row in range(4)] == [
        [False, False, True, True],
        [False, False, True, True],
        [False, True, False, False],
        [True, True, True, True],  # nothing of a flute was heard in the last
    ]
