import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from mgeldm.config import TINY
from mgeldm.data import corpus
from mgeldm.data.bank import midi_file
from mgeldm.data.embeddings import embed, read_embeddings
from mgeldm.data.latents import WaveformEncoder, load, read_shard
from mgeldm.data.manifest import Facts
from mgeldm.errors import InputError
from mgeldm.nn.oobleck import OobleckAutoencoder
from mgeldm.training import encode

RATE_HZ = 44100


@pytest.fixture(scope="module")
def stems(tmp_path_factory) -> Path:
    """Two songs of real stems and the held-out one, with an index that states their licence."""
    folder = tmp_path_factory.mktemp("stems")
    rng, entries = np.random.default_rng(0), []
    for song in ("one", "two", corpus.HELD_OUT_SONG):
        (folder / song).mkdir()
        for label in ("drums", "lead_synth"):
            soundfile.write(folder / song / f"{label}.wav", rng.normal(0, 0.1, (RATE_HZ * 8, 2)), RATE_HZ)
            entries.append({"song": song, "group": label, "licence": "CC0-1.0"})
    (folder / "index.json").write_text(json.dumps(entries))
    return folder


@pytest.fixture(autouse=True)
def here(monkeypatch):
    """Jobs run in this process, one after the other, as a pool of one would."""

    class Pool:
        def __init__(self, workers):
            self.workers = workers

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def apply_async(self, job):
            class Result:
                get = staticmethod(job)

            return Result()

    monkeypatch.setattr(encode.multiprocessing, "get_context", lambda kind: type("Context", (), {"Pool": Pool}))


def run(out, *arguments):
    encode.main(["--out", str(out), *map(str, arguments)])
    return json.loads((out / "manifest.json").read_text())


def test_rendered_songs_become_shards_with_their_facts(tmp_path, capsys):
    entries = run(tmp_path, "--shards", 1, "--songs", 1, "--unions", 0.2)
    (entry,) = entries.values()
    assert entry["licence"] == "MIT"
    assert entry["split"] == "train"
    assert "0 unfit to ship" in capsys.readouterr().out
    assert entry["items"] == len(load(tmp_path)) > 0


def test_wide_songs_are_shards_of_their_own(tmp_path):
    scores = tmp_path / "freedoom1.mid"
    notes = [(i / 4, bytes([0x90, 40 + i % 12, 90])) for i in range(80)]
    scores.write_bytes(midi_file([*notes, *((t + 0.2, bytes([0x80, m[1], 0])) for t, m in notes)]))
    entries = run(tmp_path / "out", "--wide", "--scores", scores, "--shards", 1, "--songs", 1, "--first", 7)
    assert set(entries) == {"wide-00007.npz"}
    assert entries["wide-00007.npz"]["licence"] == "MIT; BSD-3-Clause"
    assert entries["wide-00007.npz"]["source"] == "rendered: synthesisers, freedoom1"


def test_a_stopped_run_goes_on_and_damage_is_mended(tmp_path, stems, capsys):
    entries = run(tmp_path, "--real", stems, "--shards", 1, "--songs", 1)
    assert set(entries) == {"real-one-000.npz", "real-two-000.npz"}
    assert {entry["licence"] for entry in entries.values()} == {"CC0-1.0"}
    kept = (tmp_path / "real-two-000.npz").stat().st_mtime_ns
    (tmp_path / "real-one-000.npz").write_bytes(b"cut off")
    again = run(tmp_path, "--real", stems, "--shards", 1, "--songs", 1)
    assert "real-one-000.npz is not what the manifest says" in capsys.readouterr().err
    assert (tmp_path / "real-two-000.npz").stat().st_mtime_ns == kept
    assert again["real-one-000.npz"]["items"] == entries["real-one-000.npz"]["items"]


def test_a_share_of_the_stems_is_recoloured(stems):
    song = corpus.read_real_song(stems / "one").read(0.0, 0.5)
    before = [stem.audio for stem in song.stems]
    assert encode._recoloured(song, 0.0, np.random.default_rng(0)).stems is song.stems
    changed = []
    for seed in range(8):
        song.stems = [replace(stem, audio=audio) for stem, audio in zip(song.stems, before, strict=True)]
        stems_now = encode._recoloured(song, 0.5, np.random.default_rng(seed)).stems
        changed += [not np.array_equal(audio, stem.audio) for audio, stem in zip(before, stems_now, strict=True)]
    assert 0.2 < np.mean(changed) < 0.8


def test_the_held_out_song_is_for_tests_alone(tmp_path, stems):
    entries = run(tmp_path, "--real", stems, "--shards", 1, "--songs", 1, "--split", "test")
    assert [(e["split"], e["songs"]) for e in entries.values()] == [("test", [corpus.HELD_OUT_SONG])]
    mixes = ["--out", str(tmp_path), "--real", str(stems), "--matched", "--split", "test", "--shards", "1"]
    (job,) = encode._jobs(encode._parser().parse_args(mixes))
    material = job.args[0]
    assert material.facts(material.folders).split == "test"


def test_remixed_songs_state_every_licence(tmp_path, stems, monkeypatch):
    monkeypatch.setattr(encode, "REMIXES", 4)
    monkeypatch.setattr(encode, "SONG_S", 7.0)
    encode.encode_remixed(encode.Material(tmp_path, folders=[stems / "one", stems / "two"]), 0, passes=1)
    facts = Facts.read(tmp_path / "remixed-0000.npz")
    assert facts.licence == "CC0-1.0; MIT"
    assert facts.songs == ("one", "two")
    assert len(read_shard(tmp_path / "remixed-0000.npz")) >= 8


def test_matched_songs_are_one_song_of_several(tmp_path, stems, monkeypatch):
    pytest.importorskip("python_stretch")
    monkeypatch.setattr(encode, "SONG_S", 6.5)
    entries = run(tmp_path, "--real", stems, "--matched", "--shards", 1, "--songs", 1)
    (entry,) = entries.values()
    assert entry["licence"] == "CC0-1.0; MIT"
    assert entry["items"] >= 2


def test_the_published_form_stores_latents_with_their_embeddings(tmp_path, stems, monkeypatch):
    class Loudness:
        audio_input = "audio"

        def embed_audio(self, audio):
            return audio.square().mean(1, keepdim=True).sqrt() * torch.ones(1, 4)

        def embed_text(self, texts):
            return torch.ones(len(texts), 4)

    def encoder(model, clap, shares):
        return WaveformEncoder(TINY, OobleckAutoencoder(TINY.autoencoder), Loudness(), shares)

    monkeypatch.setattr(encode, "_published_encoder", encoder)
    entries = run(tmp_path, "--data", "stems", "--from", stems, "--windows", 3, "--published", "model.ckpt")
    assert len(entries) == 3
    embed(tmp_path, Loudness(), "published")
    audio, texts = read_embeddings(tmp_path, "published")
    pool = load(tmp_path)
    assert audio.shape == (len(pool), 3, 4)
    assert pool.sources.shape[1:] == (8, TINY.window_frames)
    assert {phrase for row in pool.captions for phrase in row.split("|")} == set(texts)


def test_a_data_set_is_a_shard_a_song(tmp_path, stems, capsys):
    shutil.copytree(stems, tmp_path / "set")
    (tmp_path / "set" / "broken").mkdir()
    (tmp_path / "set" / "broken" / "bass.wav").write_bytes(b"no sound")
    with pytest.warns(UserWarning, match="broken is skipped"):
        entries = run(tmp_path, "--data", "stems", "--from", tmp_path / "set", "--windows", 2)
    assert {name: entry["source"] for name, entry in entries.items()} == {
        f"set-{song}.npz": "set" for song in ("one", "two", corpus.HELD_OUT_SONG)
    }
    assert all(entry["items"] for entry in entries.values())
    with pytest.raises(InputError, match="--from"):
        run(tmp_path, "--data", "slakh")


def test_a_song_that_breaks_off_is_said_and_the_others_go_on(tmp_path, stems, capsys):
    shutil.copytree(stems, tmp_path / "set")
    soundfile.write(tmp_path / "set/one/drums.wav", np.full((RATE_HZ * 8, 2), np.nan), RATE_HZ, "FLOAT")
    entries = run(tmp_path, "--real", tmp_path / "set", "--shards", 1, "--songs", 1)
    assert set(entries) == {"real-two-000.npz"}
    assert "drums.wav holds values that are not numbers" in capsys.readouterr().err


def test_a_models_embeddings_lie_beside_the_shards(tmp_path):
    run(tmp_path, "--shards", 1, "--songs", 1, "--embed", "embedded")
    (place,) = (tmp_path / "embeddings").iterdir()
    audio, texts = read_embeddings(tmp_path, place.name)
    assert audio.shape == (len(load(tmp_path)), 3, 512)
    assert np.allclose(np.linalg.norm(audio.astype(np.float32), axis=2), 1, atol=1e-2)
    assert all(abs(np.linalg.norm(vector.astype(np.float32)) - 1) < 1e-2 for vector in texts.values())
