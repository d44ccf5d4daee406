import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch
from mgeldm.config import TINY
from mgeldm.data import corpus
from mgeldm.data.bank import midi_file
from mgeldm.data.embeddings import embed, read_embeddings
from mgeldm.data.latents import Encoder, WaveformEncoder, load, read_shard
from mgeldm.data.manifest import Facts
from mgeldm.data.triplets import Shares
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
    assert material.facts("1 passes", material.folders).split == "test"


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


class Loudness:
    """Embeds a sound as how loud it is and any text as ones."""

    audio_input = "audio"

    def embed_audio(self, audio):
        return audio.square().mean(1, keepdim=True).sqrt() * torch.ones(1, 4)

    def embed_text(self, texts):
        return torch.ones(len(texts), 4)


@pytest.fixture
def encodes(monkeypatch):
    """Makes the path of a checkpoint of the published form the seed of its autoencoder."""

    def encoder(model, clap, shares):
        torch.manual_seed(int(str(model)))
        return WaveformEncoder(TINY, OobleckAutoencoder(TINY.autoencoder), Loudness(), shares)

    monkeypatch.setattr(encode, "_published_encoder", encoder)


def test_the_published_form_stores_latents_with_their_embeddings(tmp_path, stems, encodes):
    entries = run(tmp_path, "--data", "stems", "--from", stems, "--windows", 3, "--published", "1")
    assert len(entries) == 3
    assert len({entry["autoencoder"] for entry in entries.values()}) == 1
    embed(tmp_path, Loudness(), "published")
    audio, texts = read_embeddings(tmp_path, "published")
    pool = load(tmp_path)
    assert audio.shape == (len(pool), 3, 4)
    assert pool.sources.shape[1:] == (8, TINY.window_frames)
    assert {phrase for row in pool.captions for phrase in row.split("|")} == set(texts)


def test_latents_of_another_autoencoder_are_not_taken_for_its_own(tmp_path, stems, encodes, capsys):
    command = ["--data", "stems", "--from", stems, "--windows", 3, "--published"]
    run(tmp_path, *command, "1")
    kept = {path: path.read_bytes() for path in tmp_path.glob("*.npz")}
    run(tmp_path, *command, "1")  # again: nothing is to be made
    with pytest.raises(InputError, match="None of the 3 shards"):
        run(tmp_path, *command, "2")
    told = capsys.readouterr().err
    assert "autoencoder: " in told and "fill another folder" in told
    assert told.count("made otherwise") == 1  # once for all songs
    assert {path: path.read_bytes() for path in tmp_path.glob("*.npz")} == kept


def test_a_run_stopped_between_a_shard_and_its_embeddings_is_finished(tmp_path, stems, encodes):
    command = ["--data", "stems", "--from", stems, "--windows", 3, "--published", "1"]
    run(tmp_path, *command)
    (tmp_path / "embeddings" / "published" / f"{stems.name}-one.npz".lower()).unlink()
    run(tmp_path, *command)
    embed(tmp_path, Loudness(), "published")
    audio, _ = read_embeddings(tmp_path, "published")
    assert len(audio) == len(load(tmp_path))


def test_a_workers_gpu_holds_the_autoencoder_alone(monkeypatch):
    networks = {name: torch.nn.Linear(1, 1) for name in ("autoencoder", "denoiser")}

    def load(path, device="auto", clap=None):
        assert device == "cpu"
        return SimpleNamespace(config=TINY, conditioner=Loudness(), model=SimpleNamespace(**networks))

    monkeypatch.setattr(encode.Pipeline, "load", load)
    monkeypatch.setattr(encode, "choose_device", lambda: torch.device("meta"))
    encode._published_encoder.__wrapped__(Path("model"), None, Shares())
    assert networks["autoencoder"].weight.is_meta
    assert not networks["denoiser"].weight.is_meta


@pytest.mark.parametrize("changed", [("--windows", 2), ("--absent", 0.5), ("--unions", 0.5)])
def test_other_options_are_not_passed_over(tmp_path, stems, capsys, changed):
    command = ["--data", "stems", "--from", stems, "--windows", 1]
    run(tmp_path, *command)
    with pytest.raises(InputError):
        run(tmp_path, *command, *changed)
    assert "options: 1 windows, 0.06 absent, 0 unions there" in capsys.readouterr().err


def test_songs_of_one_name_in_folders_of_one_name_are_told_apart(tmp_path, stems, capsys):
    for place, seconds in (("a", 7), ("b", 8)):
        song = tmp_path / place / "own" / "song"
        song.mkdir(parents=True)
        soundfile.write(song / "bass.wav", np.random.default_rng(0).normal(0, 0.1, (RATE_HZ * seconds, 2)), RATE_HZ)
    run(tmp_path / "out", "--data", "stems", "--from", tmp_path / "a" / "own", "--windows", 1)
    with pytest.raises(InputError):
        run(tmp_path / "out", "--data", "stems", "--from", tmp_path / "b" / "own", "--windows", 1)
    assert "contents: bass of 308700 samples there, bass of 352800" in capsys.readouterr().err


def test_shards_from_before_options_are_kept(tmp_path, stems):
    command = ["--data", "stems", "--from", stems, "--windows", 1]
    run(tmp_path, *command)
    for path in tmp_path.glob("*.npz"):
        with np.load(path) as shard:
            columns = dict(shard)
        facts = json.loads(str(columns.pop("facts")))
        old = {key: facts[key] for key in ("source", "licence", "split", "songs")}
        np.savez(path, **columns, facts=np.array(json.dumps(old)))
    kept = {path: path.read_bytes() for path in tmp_path.glob("*.npz")}
    run(tmp_path, "--data", "stems", "--from", stems, "--windows", 2)
    assert {path: path.read_bytes() for path in tmp_path.glob("*.npz")} == kept


def test_a_split_that_is_asked_for_is_never_ignored(tmp_path, stems):
    def songs(*arguments):
        args = ["--out", str(tmp_path), *map(str, arguments)]
        return {job.args[1].name for job in encode._jobs(encode._parser().parse_args(args))}

    data = ("--data", "stems", "--from", stems)
    train, test = songs(*data, "--split", "train"), songs(*data, "--split", "test")
    assert not train & test
    assert train | test == songs(*data) == {"one", "two", corpus.HELD_OUT_SONG}
    own = tmp_path / "own"
    (own / "song").mkdir(parents=True)
    for arguments, said in [
        (("--real", own, "--split", "test"), f"no song {corpus.HELD_OUT_SONG}"),
        (("--real", stems, "--split", "validation"), "no split 'validation'"),
        (("--split", "all"), "no split 'all'"),
        ((*data, "--split", "validation"), "no split 'validation'"),
        (("--real", tmp_path / "nowhere"), "no folder of stems"),
    ]:
        with pytest.raises(InputError, match=said):
            songs(*arguments)


def test_what_is_missing_is_said_before_anything_is_made(tmp_path, stems):
    missing = tmp_path / "nothing.npz"
    for arguments in (("--bank", missing), ("--wide", "--scores", missing)):
        with pytest.raises(InputError, match=r"no .*nothing\.npz"):
            run(tmp_path, *arguments)
    with pytest.raises(InputError, match="--data"):
        run(tmp_path, "--published", missing)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="nothing to encode"):
        run(tmp_path, "--data", "stems", "--from", tmp_path / "empty", "--embed", "embedded")


def test_a_job_without_its_file_ends_no_other(tmp_path, stems, monkeypatch, capsys):
    def encode_real(material, number, passes, folder):
        if folder.name == "one":
            raise FileNotFoundError(2, "No such file", str(folder / "drums.wav"))
        encode.write_shard(material.out, f"real-{folder.name}", Facts(), lambda: [made])

    made = Encoder().encode(corpus.render_song(3, [], 7.0), corpus.CAPTIONS, np.random.default_rng(0))
    monkeypatch.setattr(encode, "encode_real", encode_real)
    entries = run(tmp_path, "--real", stems, "--shards", 1)
    assert set(entries) == {"real-two.npz"}
    told = capsys.readouterr()
    assert "drums.wav" in told.err
    assert "1 of those asked for could not be made" in told.out


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
