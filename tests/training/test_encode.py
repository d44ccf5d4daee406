import json
import shutil
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch
from mgeldm.data import corpus, manifest
from mgeldm.data.bank import Bank, load_bank, midi_file, save_bank
from mgeldm.data.captions import CAPTIONS, alike
from mgeldm.data.embeddings import embed, read_embeddings
from mgeldm.data.latents import Encoder, Triplets, WaveformEncoder, load, read_shard
from mgeldm.data.manifest import Facts
from mgeldm.data.songs import Stem
from mgeldm.data.triplets import Shares
from mgeldm.errors import InputError, OutputError
from mgeldm.nn.oobleck import OobleckAutoencoder
from mgeldm.training import encode, sounds

from tests.fakes.models import TINY

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
        def submit(self, call, job):
            return SimpleNamespace(result=lambda: call(job))

    @contextmanager
    def processes(count):
        yield Pool()

    monkeypatch.setattr(encode, "processes", processes)


def run(out, *arguments):
    encode.main(["--out", str(out), *map(str, arguments)])
    return manifest.read(out)


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


def test_a_bank_is_read_once_for_all_shards_of_a_process(tmp_path, monkeypatch):
    bank = Bank("small", *(np.zeros(s, np.int16) for s in ((0, 9), 0, 0, (0, 9), 0, 0)))
    save_bank(bank, tmp_path / "small.npz")
    read = []
    monkeypatch.setattr(sounds, "load_bank", lambda path: read.append(path) or load_bank(path))
    run(tmp_path / "out", "--bank", tmp_path / "small.npz", "--shards", 3, "--songs", 1)
    assert read == [tmp_path / "small.npz"]


def test_a_stopped_run_goes_on_and_damage_is_mended(tmp_path, stems, capsys):
    entries = run(tmp_path, "--real", stems, "--shards", 1, "--songs", 1)
    assert set(entries) == {"real-one-000.npz", "real-two-000.npz"}
    assert {entry["licence"] for entry in entries.values()} == {"CC0-1.0"}
    kept = (tmp_path / "real-two-000.npz").stat().st_mtime_ns
    (tmp_path / "real-one-000.npz").write_bytes(b"cut off")
    again = run(tmp_path, "--real", stems, "--shards", 1, "--songs", 1)
    assert "real-one-000.npz cannot be read whole" in capsys.readouterr().err
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
    material = job.shard.args[0]
    assert material.facts("1 passes", material.folders).split == "test"


def test_remixed_songs_state_every_licence(tmp_path, stems, monkeypatch):
    monkeypatch.setattr(encode, "REMIXES", 4)
    monkeypatch.setattr(encode, "SONG_S", 7.0)
    encode.remixed_shard(encode.Material(tmp_path, folders=[stems / "one", stems / "two"]), 0, passes=1).write()
    facts = Facts.read(tmp_path / "remixed-0000.npz")
    assert facts.licence == "CC0-1.0; MIT"
    assert facts.songs == ("one", "two")
    assert len(read_shard(tmp_path / "remixed-0000.npz")) >= 8


def test_what_is_mixed_across_songs_contains_nothing_of_each_other():
    """Else "drums" would be taught to leave out another song's kick."""
    labels = ["drums", "drums", "kick drum", "snare drum", "percussion", "bass", "vocals", "other", "piano", "gitarre"]
    stems, mixed = [Stem(label, [label], np.zeros((2, 1), np.float32)) for label in labels], []
    for seed in range(30):
        chosen = [stem.label for stem in encode._unlike(stems, 3, np.random.default_rng(seed))]
        assert len(chosen) == 3 and "gitarre" not in chosen  # which may be anything
        assert not any(alike(a, b) for i, a in enumerate(chosen) for b in chosen[i + 1 :])
        mixed += chosen
    assert set(mixed) == {*labels} - {"gitarre"}


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


def test_latents_of_another_autoencoder_are_not_taken_for_its_own(tmp_path, stems, encodes):
    command = ["--data", "stems", "--from", stems, "--windows", 3, "--published"]
    run(tmp_path, *command, "1")
    kept = {path: path.read_bytes() for path in tmp_path.glob("*.npz")}
    run(tmp_path, *command, "1")  # again: nothing is to be made
    with pytest.raises(InputError, match=r"3 of the 3 .* made otherwise .autoencoder: .* fill another folder"):
        run(tmp_path, *command, "2")
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
def test_other_options_are_not_passed_over(tmp_path, stems, changed):
    command = ["--data", "stems", "--from", stems, "--windows", 1]
    run(tmp_path, *command)
    with pytest.raises(InputError, match=r"options: 1 windows, 0.06 absent, 0 unions there"):
        run(tmp_path, *command, *changed)


def test_a_pool_made_in_part_goes_on_with_its_options_alone(tmp_path, stems):
    command = ["--data", "stems", "--from", stems, "--windows"]
    run(tmp_path, *command, 1)
    *gone, last = sorted(tmp_path.glob("*.npz"))
    for path in gone:
        path.unlink()
    with pytest.raises(InputError, match="1 of the 3 shards asked for are there and were made otherwise"):
        run(tmp_path, *command, 2)
    assert list(tmp_path.glob("*.npz")) == [last]
    assert len(run(tmp_path, *command, 1)) == 3
    assert len(run(tmp_path, "--real", stems, "--absent", 0.5, "--shards", 1, "--songs", 1)) == 5  # other shards


def test_songs_of_one_name_in_folders_of_one_name_are_told_apart(tmp_path, stems):
    for place, seconds in (("a", 7), ("b", 8)):
        song = tmp_path / place / "own" / "song"
        song.mkdir(parents=True)
        soundfile.write(song / "bass.wav", np.random.default_rng(0).normal(0, 0.1, (RATE_HZ * seconds, 2)), RATE_HZ)
    run(tmp_path / "out", "--data", "stems", "--from", tmp_path / "a" / "own", "--windows", 1)
    with pytest.raises(InputError, match="contents: bass of 308700 samples there, bass of 352800"):
        run(tmp_path / "out", "--data", "stems", "--from", tmp_path / "b" / "own", "--windows", 1)


def test_songs_whose_names_are_alike_have_shards_of_their_own(tmp_path, stems):
    for name in ("My Song", "my song", "my-song"):
        shutil.copytree(stems / "one", tmp_path / "own" / name)
    command = ["--data", "stems", "--from", tmp_path / "own", "--windows", 1]
    entries = run(tmp_path / "out", *command)
    assert sorted(entry["songs"] for entry in entries.values()) == [["My Song"], ["my song"], ["my-song"]]
    assert entries["own-my-song.npz"]["songs"] == ["My Song"]
    shutil.rmtree(tmp_path / "own" / "My Song")
    assert run(tmp_path / "out", *command) == entries  # each is found again, whatever others are there


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
        return {job.name for job in encode._jobs(encode._parser().parse_args(args))}

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
    with pytest.raises(InputError, match=r"drums\.wav is .* no note bank"):
        run(tmp_path, "--bank", stems / "one" / "drums.wav")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="nothing to encode: no song could be used or is of that split; ask"):
        run(tmp_path, "--data", "stems", "--from", tmp_path / "empty", "--embed", "embedded")
    with pytest.raises(InputError, match="nothing to encode: --shards is 0"):
        run(tmp_path, "--shards", 0)
    with pytest.raises(InputError, match="one holds files and not folders of songs"):
        run(tmp_path, "--data", "stems", "--from", stems / "one")


def test_a_job_without_its_file_ends_no_other(tmp_path, stems, monkeypatch, capsys):
    def real_shard(material, number, passes, folder):
        if folder.name == "one":
            raise FileNotFoundError(2, "No such file", str(folder / "drums.wav"))
        return encode.Shard(material.out / f"real-{folder.name}.npz", Facts(), lambda: [made])

    made = Encoder().encode(corpus.render_song(3, [], 7.0), CAPTIONS, np.random.default_rng(0))
    monkeypatch.setattr(encode, "real_shard", real_shard)
    entries = run(tmp_path, "--real", stems, "--shards", 1)
    assert set(entries) == {"real-two.npz"}
    told = capsys.readouterr()
    assert "drums.wav" in told.err
    assert "1 of those asked for could not be made" in told.out


def test_a_data_set_is_a_shard_a_song(tmp_path, stems, capsys):
    shutil.copytree(stems, tmp_path / "set")
    (tmp_path / "set" / "broken").mkdir()
    (tmp_path / "set" / "broken" / "bass.wav").write_bytes(b"no sound")
    entries = run(tmp_path, "--data", "stems", "--from", tmp_path / "set", "--windows", 2)
    assert capsys.readouterr().err.startswith("broken is skipped: ")
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


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--subset", "A", "--data", "musdb", "--from", "x"), "--subset does nothing without --data slakh"),
        (("--real", "x", "--data", "musdb", "--from", "x", "--wide"), "without --real"),
        (("--data", "musdb", "--from", "x", "--recolour", 0.5), "without --recolour"),
        (("--data", "musdb", "--from", "x", "--songs", 3), "without --songs"),
        (("--windows", 8), "--windows does nothing without .* --data"),
        (("--published", "x"), "--published does nothing without .* --data"),
        (("--from", "x"), "--from does nothing without .* --data"),
        (("--matched",), "--matched does nothing without --real"),
        (("--real", "x", "--wide"), "--wide does nothing without --bank or --matched"),
        (("--scores", "x"), "--scores does nothing without --wide"),
    ],
)
def test_an_option_that_would_do_nothing_is_said(tmp_path, arguments, said):
    with pytest.raises(InputError, match=said):
        run(tmp_path, *arguments)


@pytest.mark.parametrize(
    ("option", "value"),
    [("--workers", 0), ("--windows", 0), ("--windows", -3), ("--songs", 0), ("--shards", "x"), ("--absent", 7)],
)
def test_a_number_out_of_its_range_is_said(tmp_path, capsys, option, value):
    with pytest.raises(SystemExit) as ended:
        run(tmp_path / "out", option, value)
    assert ended.value.code == 2
    assert f"argument {option}: '{value}'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_file_in_place_of_the_folder_is_said(tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(OutputError, match=r"out cannot be made .* choose another with --out"):
        run(tmp_path / "out", "--shards", 1)


def test_a_full_disk_ends_the_run_and_leaves_no_part(tmp_path, stems, full_disk):
    with full_disk(100_000), pytest.raises(OutputError, match=r"No room for real-one-000\.npz"):
        run(tmp_path, "--real", stems, "--shards", 1, "--songs", 1)
    assert not list(tmp_path.iterdir())


def test_what_is_left_out_of_real_songs_is_said_once(tmp_path, stems, capsys):
    shutil.copytree(stems, tmp_path / "set")
    shutil.copy(stems / "one" / "drums.wav", tmp_path / "set" / "one" / "full mix.wav")
    run(tmp_path / "out", "--real", tmp_path / "set", "--shards", 1, "--songs", 1)
    assert capsys.readouterr().err == "full mix.wav of one is left out as a mixture: rename it if it is a stem.\n"


def rendered(out, monkeypatch, *arguments):
    """Encodes quick shards in place of rendered songs; `arguments` may ask for several."""

    def shard(material, number, songs):
        return encode.Shard(out / f"synthetic-{number:05d}.npz", Facts(), lambda: [made(number)])

    monkeypatch.setattr(encode, "synthetic_shard", shard)
    return run(out, *arguments)


def made(number):
    """Triplets of one item."""
    sounds = [np.full((1, 2, 2), number, np.float16)] * 3
    return Triplets(*sounds, *[np.array(["bass"])] * 4)


def test_every_song_that_cannot_be_encoded_is_named(tmp_path, stems, capsys):
    for number in range(14):
        shutil.copytree(stems / "one", tmp_path / "set" / f"song {number:02d}")
        if number:
            broken = tmp_path / "set" / f"song {number:02d}" / "drums.wav"
            soundfile.write(broken, np.full((RATE_HZ, 2), np.nan), RATE_HZ, "FLOAT")
    command = ["--data", "stems", "--from", tmp_path / "set", "--windows", 1]
    assert len(run(tmp_path / "out", *command)) == 1
    *told, more = capsys.readouterr().err.splitlines()
    assert [line.partition(" is skipped: drums.wav ")[0] for line in told] == [f"song {n:02d}" for n in range(1, 11)]
    assert more == "3 more are skipped."


@pytest.mark.parametrize("manifest_there", ["{broken", "[]", None])
def test_a_damaged_pool_is_mended_whatever_its_manifest_says(tmp_path, monkeypatch, capsys, manifest_there):
    entries = rendered(tmp_path, monkeypatch, "--shards", 3)
    whole = (tmp_path / "synthetic-00001.npz").read_bytes()
    (tmp_path / "synthetic-00000.npz").write_bytes(b"")
    (tmp_path / "synthetic-00001.npz").write_bytes(whole[:-30])
    if manifest_there is None:
        (tmp_path / "manifest.json").unlink()
    else:
        (tmp_path / "manifest.json").write_text(manifest_there)
    again = rendered(tmp_path, monkeypatch, "--shards", 3)
    assert {name: entry["sha256"] for name, entry in again.items()} == {n: e["sha256"] for n, e in entries.items()}
    told = [line.partition(" cannot be read whole and is deleted")[0] for line in capsys.readouterr().err.splitlines()]
    assert told == ["synthetic-00000.npz", "synthetic-00001.npz"]


def test_a_damaged_shard_of_a_data_set_is_made_anew(tmp_path, stems):
    command = ["--data", "stems", "--from", stems, "--windows", 1]
    entries = run(tmp_path, *command)
    (tmp_path / "manifest.json").unlink()
    next(tmp_path.glob("*-one.npz")).write_bytes(b"")
    assert {name: e["items"] for name, e in run(tmp_path, *command).items()}.keys() == entries.keys()


def test_a_file_that_is_no_shard_is_refused_and_stays(tmp_path, monkeypatch):
    np.savez(tmp_path / "notes.npz", notes=np.zeros(3))
    with pytest.raises(InputError, match=r"notes\.npz is no shard"):
        rendered(tmp_path, monkeypatch, "--shards", 1)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.npz"]


def test_damage_that_cannot_be_deleted_is_said(tmp_path, monkeypatch):
    (tmp_path / "synthetic-00000.npz").write_bytes(b"")

    def unlink(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "unlink", unlink)
    with pytest.raises(OutputError, match=r"synthetic-00000\.npz cannot be read or deleted \(Permission denied\)"):
        run(tmp_path, "--shards", 1)


def test_a_file_in_place_of_the_folder_of_embeddings_is_said(tmp_path, stems, encodes):
    (tmp_path / "embeddings").write_text("mine")
    with pytest.raises(OutputError, match=r"published cannot be made .* choose another with --out"):
        run(tmp_path, "--data", "stems", "--from", stems, "--windows", 1, "--published", "1")


def test_a_run_that_ends_early_leaves_its_shards_in_the_manifest(tmp_path, monkeypatch):
    def shard(material, number, songs):
        if number == 2:
            raise KeyboardInterrupt
        return encode.Shard(tmp_path / f"synthetic-{number:05d}.npz", Facts(), lambda: [made(number)])

    monkeypatch.setattr(encode, "_differences", lambda job: [])
    monkeypatch.setattr(encode, "synthetic_shard", shard)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, "--shards", 4)
    assert set(manifest.read(tmp_path)) == {"synthetic-00000.npz", "synthetic-00001.npz"}
