import json
import sys
import unicodedata
import uuid

import numpy as np
import pytest
import soundfile
from mgeldm.data import captions
from mgeldm.data.readers import MUSDB_STREAMS, MUSDB_VALIDATION, in_split, moises, musdb, open_set, slakh, stem_folders
from mgeldm.errors import InputError

RATE_HZ = 44100
METADATA = """UUID: 1a81ae092884234f3264e2f45927f00a
audio_dir: stems
normalized: true
overall_gain: 0.18
stems:
  S00: {audio_rendered: true, inst_class: Guitar, is_drum: false, midi_program_name: Distortion Guitar, program_num: 30}
  S01: {audio_rendered: true, inst_class: Drums, is_drum: true, midi_program_name: Acoustic Grand Piano, program_num: 0}
  S02: {audio_rendered: false, inst_class: Piano, is_drum: false, midi_program_name: Clav, program_num: 7}
  S03: {audio_rendered: true, inst_class: Strings (continued), is_drum: false, midi_program_name: Voice Oohs, program_num: 53}
"""  # noqa: E501


def sound(path, level, seconds=0.5, channels=1):
    path.parent.mkdir(parents=True, exist_ok=True)
    format = "AIFF" if path.suffix.lower().startswith(".aif") else None
    soundfile.write(path, np.full((round(seconds * RATE_HZ), channels), level, np.float32), RATE_HZ, format=format)


def skipped():
    said = []
    return said, said.append


@pytest.fixture
def slakh_folder(tmp_path):
    for number, split in ((1, "train"), (2, "train"), (1900, "test")):
        place = tmp_path / split / f"Track{number:05d}"
        for name, level in (("S00", 0.1), ("S01", 0.2), ("S03", 0.3)):
            sound(place / "stems" / f"{name}.flac", level)
        (place / "metadata.yaml").write_text(METADATA)
    return tmp_path


def test_slakh_follows_its_folders_and_metadata(slakh_folder):
    songs = list(slakh(slakh_folder, "train"))
    assert [song.name for song in songs] == ["Track00001", "Track00002"]
    assert [stem.label for stem in songs[0].stems] == ["guitar", "drums", "strings"]
    guitar, drums, strings = songs[0].stems
    assert {"guitar", "distortion guitar"} <= set(guitar.captions)
    assert "voice oohs" in strings.captions
    assert "acoustic grand piano" not in drums.captions  # its program means a kit
    assert np.allclose(drums.read(100, 200), 0.2, atol=1e-4)
    assert np.allclose(songs[0].mixture, 0.6, atol=1e-3)
    assert [song.name for song in slakh(slakh_folder, "test")] == ["Track01900"]


def test_slakh_subsets_are_the_papers(slakh_folder):
    assert {stem.label for song in slakh(slakh_folder, subset="A") for stem in song.stems} == {"guitar", "drums"}
    assert {stem.label for song in slakh(slakh_folder, subset="B") for stem in song.stems} == {"strings"}
    with pytest.raises(InputError, match="no subset 'C'"):
        next(slakh(slakh_folder, subset="C"))
    for split in ("dev", "all"):
        with pytest.raises(InputError, match=f"Slakh2100 has no split '{split}'; choose one of train, valid"):
            next(slakh(slakh_folder, split))
    with pytest.raises(InputError, match=r"no Slakh2100 split 'validation' in .*; give the folder"):
        next(slakh(slakh_folder, "validation"))


def test_a_broken_song_is_skipped_and_named(slakh_folder, capsys):
    (slakh_folder / "train/Track00001/stems/S01.flac").write_bytes(b"not flac")
    (slakh_folder / "test/Track01900/metadata.yaml").write_text("stems: [")
    said, on_skip = skipped()
    assert [song.name for song in slakh(slakh_folder, "train", on_skip=on_skip)] == ["Track00002"]
    assert not list(slakh(slakh_folder, "test", on_skip=on_skip))
    assert said[0].startswith("Track00001 is skipped: S01.flac ")
    assert "Track01900 is skipped: its metadata.yaml is not understood" in said[1]
    list(slakh(slakh_folder, "train"))
    assert capsys.readouterr().err == f"{said[0]}\n"  # a line of its own, without the source's


@pytest.mark.parametrize(
    "content",
    [b"stems:\n  S00:\n", b"stems: [S00]\n", "stems:\n  S00: {inst_class: \u00e9}\n".encode("latin1"), b"- S00\n"],
)
def test_odd_metadata_of_slakh_ends_its_song_alone(slakh_folder, content):
    (slakh_folder / "train/Track00001/metadata.yaml").write_bytes(content)
    said, on_skip = skipped()
    assert [song.name for song in slakh(slakh_folder, on_skip=on_skip)] == ["Track00002"]
    assert said[0].startswith("Track00001 is skipped: its metadata.yaml is not understood")


def test_broken_metadata_is_said_in_words_for_people(slakh_folder):
    (slakh_folder / "train/Track00001/metadata.yaml").unlink()
    (slakh_folder / "train/Track00002/metadata.yaml").write_text("")
    (slakh_folder / "test/Track01900/metadata.yaml").unlink()
    (slakh_folder / "test/Track01900/metadata.yaml").mkdir()
    said, on_skip = skipped()
    for split in ("train", "test"):
        assert not list(slakh(slakh_folder, split, on_skip=on_skip))
    assert said[:2] == [
        "Track00001 is skipped: its metadata.yaml is missing",
        "Track00002 is skipped: its metadata.yaml is not understood",
    ]
    assert said[2].startswith("Track01900 is skipped: its metadata.yaml cannot be read (")


def test_slakh_without_yaml_says_what_to_install(slakh_folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(InputError, match=r"mgeldm-desktop\[train\]"):
        next(slakh(slakh_folder))


def test_musdb_in_both_forms(tmp_path, write_streams):
    time = np.arange(RATE_HZ) / RATE_HZ
    tone = np.repeat(np.sin(2 * np.pi * 441 * time)[None], 2, 0).astype(np.float32)
    for split, name in (("train", "A - One"), ("train", MUSDB_VALIDATION[0]), ("test", "B - Two")):
        (tmp_path / "mp4" / split).mkdir(parents=True, exist_ok=True)
        levels = (0.8, 0.1, 0.2, 0.3, 0.4)
        write_streams(tmp_path / "mp4" / split / f"{name}.stem.mp4", [tone * level for level in levels])
        for level, stem in enumerate(("mixture", *MUSDB_STREAMS)):
            sound(tmp_path / "hq" / split / name / f"{stem}.wav", 0.1 * level, 1.0, 2)
    for form in ("mp4", "hq"):
        (song,) = musdb(tmp_path / form, "train")
        assert (song.name, song.source, song.split) == ("A - One", "MUSDB18", "train")
        assert [stem.label for stem in song.stems] == ["drums", "bass", "other", "vocals"]
        assert [s.name for s in musdb(tmp_path / form, "validation")] == [MUSDB_VALIDATION[0]]
        assert [s.name for s in musdb(tmp_path / form, "test")] == ["B - Two"]
        levels = [float(stem.read(11025, 33075).max()) for stem in song.stems]
        assert np.allclose(levels, [0.1, 0.2, 0.3, 0.4], atol=0.03)


def test_musdb_misses_nothing_silently(tmp_path):
    (tmp_path / "train" / "C - Three").mkdir(parents=True)
    said, on_skip = skipped()
    assert not list(musdb(tmp_path, on_skip=on_skip))
    assert said[0].startswith("C - Three is skipped: drums.wav")
    with pytest.raises(InputError, match="no MUSDB18 split 'test'"):
        next(musdb(tmp_path, "test"))
    with pytest.raises(InputError, match="no split 'dev'"):
        next(musdb(tmp_path, "dev"))


def test_musdb_passes_over_what_macos_adds(tmp_path):
    for stem in MUSDB_STREAMS:
        sound(tmp_path / "train" / "A - One" / f"{stem}.wav", 0.1)
    (tmp_path / "train" / "._A - One.stem.mp4").write_bytes(b"no film")
    (tmp_path / "train" / ".Spotlight").mkdir()
    said, on_skip = skipped()
    assert [song.name for song in musdb(tmp_path, on_skip=on_skip)] == ["A - One"]
    assert not said


def write_moises(place, stems):
    entries = []
    for name, kinds in stems:
        tracks = []
        for kind, level in kinds:
            tracks.append({"id": str(uuid.uuid4()), "trackType": kind, "extension": "wav", "has_bleed": False})
            sound(place / name / f"{tracks[-1]['id']}.wav", level, channels=2)
        entries.append({"id": str(uuid.uuid4()), "stemName": name, "tracks": tracks})
    facts = {"song": "Title", "artist": "Somebody", "genre": "rock", "stems": entries}
    (place / "data.json").write_text(json.dumps(facts))


def test_moises_sums_its_second_level_into_the_first(tmp_path):
    write_moises(
        tmp_path / "provider" / "0001",
        [
            ("drums", [("kick drum", 0.1), ("snare drum", 0.2)]),
            ("guitar", [("acoustic guitar", 0.05)]),
            ("guitar", [("distorted electric guitar", 0.1)]),
            ("other_keys", [("organ, electric organ", 0.25)]),
            ("vocals", [("lead female singer", 0.01), ("lead female singer", 0.02)]),
        ],
    )
    (song,) = moises(tmp_path, "all")
    assert [stem.label for stem in song.stems] == ["drums", "guitar", "keys", "vocals"]
    drums, guitar, keys, vocals = song.stems
    assert np.allclose(drums.read(0, 1000), 0.3, atol=1e-3)
    assert np.allclose(guitar.read(0, 1000), 0.15, atol=1e-3)
    assert "guitar" in guitar.captions
    assert not {"acoustic guitar", "distorted electric guitar"} & set(guitar.captions)  # neither names the sum
    assert drums.captions == captions.phrases("drums")
    assert "organ, electric organ" in keys.captions
    assert "lead female singer" in vocals.captions  # of all parts


def test_a_moises_song_stays_in_its_split_whatever_others_are_there(tmp_path):
    for number in range(40):
        write_moises(tmp_path / f"{number:04d}", [("bass", [("bass guitar", 0.1)])])
    splits = {split: {song.name for song in moises(tmp_path, split)} for split in ("train", "test", "all")}
    assert splits["train"] | splits["test"] == splits["all"]
    assert not splits["train"] & splits["test"]
    assert {song.name for song in open_set("moises", tmp_path)} == splits["train"]
    gone = sorted(splits["test"])[0]
    (tmp_path / gone / "data.json").unlink()
    assert {song.name for song in moises(tmp_path, "test")} == splits["test"] - {gone}
    assert 15 < sum(in_split(f"song {number}", "test") for number in range(240)) < 33
    with pytest.raises(InputError, match="no split 'validation'"):
        next(moises(tmp_path, "validation"))


def test_moises_songs_may_be_links(tmp_path):
    for number in range(3):
        write_moises(tmp_path / "all" / "provider" / f"{number:04d}", [("bass", [("bass guitar", 0.1)])])
    (tmp_path / "some").mkdir()
    for name in ("0000", "0002"):
        (tmp_path / "some" / name).symlink_to(tmp_path / "all" / "provider" / name)
    assert [song.name for song in moises(tmp_path / "some", "all")] == ["0000", "0002"]
    assert [song.name for song in moises(tmp_path, "all")] == ["0000", "0001", "0002"]  # each once


def test_a_name_is_in_one_split_in_whatever_form_its_accents_are():
    names = [f"Größe é {number}" for number in range(60)]
    forms = [[unicodedata.normalize(form, name) for name in names] for form in ("NFC", "NFD")]
    assert forms[0] != forms[1]
    splits = [[in_split(name, "test") for name in form] for form in forms]
    assert splits[0] == splits[1] and any(splits[0])


@pytest.mark.parametrize(
    "content",
    [b"\xff\xfe{", b'{"stems": null}', b'{"stems": ["bass"]}', b"[]", b'{"stems": [{"stemName": "a", "tracks": 3}]}'],
)
def test_odd_metadata_of_moises_ends_its_song_alone(tmp_path, content):
    for name in ("one", "two"):
        write_moises(tmp_path / name, [("bass", [("bass guitar", 0.1)])])
    (tmp_path / "one" / "data.json").write_bytes(content)
    said, on_skip = skipped()
    assert [song.name for song in moises(tmp_path, "all", on_skip)] == ["two"]
    assert said[0].startswith("one is skipped: its data.json is not understood")


def test_moises_without_its_facts(tmp_path):
    with pytest.raises(InputError, match=r"no data\.json"):
        next(moises(tmp_path))
    write_moises(tmp_path / "1", [("bass", [("bass guitar", 0.1)])])
    (tmp_path / "1" / "data.json").write_text('{"song": "x"}')
    said, on_skip = skipped()
    assert not list(moises(tmp_path, "all", on_skip))
    assert "1 is skipped: its data.json is not understood" in said[0]


def test_any_folder_of_stems(tmp_path):
    sound(tmp_path / "my song" / "Slap_Bass.wav", 0.1)
    sound(tmp_path / "my song" / "mixture.wav", 0.9)
    (tmp_path / "empty").mkdir()
    said, on_skip = skipped()
    (song,) = open_set("stems", tmp_path, on_skip=on_skip)
    assert song.name == "my song"
    (stem,) = song.stems
    assert (stem.label, stem.captions) == ("slap bass", captions.phrases("slap bass"))
    assert stem.captions[:3] == ["slap bass", "the slap bass", "bass"]
    assert said == ["empty is skipped: none of its stems is wanted or there."]
    with pytest.raises(InputError, match="no folder"):
        next(stem_folders(tmp_path / "nowhere"))
    with pytest.raises(InputError, match="no reader 'foo'"):
        open_set("foo", tmp_path)


def test_stems_of_every_format_and_none_that_is_left_out_in_silence(tmp_path, write_streams):
    place = tmp_path / "song"
    sound(place / "bass.aif", 0.1, channels=2)
    sound(place / "Lead_Synth.AIFC", 0.1)
    tone = np.repeat(np.sin(np.arange(RATE_HZ) * 0.06)[None] / 2, 2, 0).astype(np.float32)
    write_streams(place / "drums.m4a", [tone])
    for name in ("._bass.wav", ".hidden.wav", "vocals.webm", "notes.txt"):
        (place / name).write_bytes(b"no sound")
    for name in ("mix_down", "Instrumental", "full mix", "song_mixture", "drums (master)"):
        sound(place / f"{name}.wav", 0.1)
    sound(place / "mixing desk hum.wav", 0.1)
    said, on_skip = skipped()
    (song,) = stem_folders(tmp_path, on_skip=on_skip)
    assert [stem.label for stem in song.stems] == ["lead synth", "bass", "drums", "mixing desk hum"]
    assert np.allclose(song.stems[2].read(20_000, 30_000), tone[:, 20_000:30_000], atol=0.05)
    left_out = [text.partition(" of song is left out")[0] for text in said]
    assert sorted(left_out) == ["drums (master).wav", "full mix.wav", "mix_down.wav", "song_mixture.wav", "vocals.webm"]


def test_a_file_named_after_its_song_is_its_mixture(tmp_path):
    for name in ("drums", "song a", "Song_A 2"):
        sound(tmp_path / "Song_A" / f"{name}.wav", 0.1)
    for name in ("bounce", "full strings", "my premaster", "trance 2mix", "bouncers"):
        sound(tmp_path / "song b" / f"{name}.wav", 0.1)
    said, on_skip = skipped()
    first, second = stem_folders(tmp_path, on_skip=on_skip)
    assert [stem.label for stem in first.stems] == ["song a 2", "drums"]
    assert [stem.label for stem in second.stems] == ["bouncers", "full strings"]
    assert said == [
        f"{name}.wav of {song} is left out as a mixture: rename it if it is a stem."
        for name, song in (("song a", "Song_A"), ("my premaster", "song b"), ("trance 2mix", "song b"))
    ]


def test_a_label_has_no_sign_by_which_labels_are_joined(tmp_path):
    sound(tmp_path / "song" / "bass|low.wav", 0.1)
    (song,) = stem_folders(tmp_path)
    assert [stem.label for stem in song.stems] == ["bass low"]


def test_the_folder_of_one_song_is_told_from_one_of_songs(tmp_path):
    sound(tmp_path / "song" / "bass.wav", 0.1)
    with pytest.raises(InputError, match=r"song holds files and not folders of songs; give the folder that it is in"):
        next(stem_folders(tmp_path / "song"))
    sound(tmp_path / "loose.wav", 0.1)
    assert [song.name for song in stem_folders(tmp_path)] == ["song"]


def test_a_plain_folder_keeps_a_tenth_of_its_songs_for_tests(tmp_path):
    for number in range(60):
        sound(tmp_path / f"song {number}" / "bass.wav", 0.1, seconds=0.1)
    found = {split: [s.name for s in stem_folders(tmp_path, split)] for split in ("train", "test", "all")}
    assert found["test"] and set(found["train"]) | set(found["test"]) == set(found["all"])
    assert not set(found["train"]) & set(found["test"])
    assert [song.name for song in open_set("stems", tmp_path)] == found["all"]
    assert {song.split for song in stem_folders(tmp_path, "test")} == {"test"}
    with pytest.raises(InputError, match="no split 'validation'"):
        next(stem_folders(tmp_path, "validation"))


def test_only_what_a_song_lacks_for_certain_counts_as_absent():
    missing = captions.absent(["guitar", "drums", "keys"], captions.CAPTIONS)
    assert {"vocals", "bass", "brass", "flute"} <= set(missing)
    assert not {"electric guitar", "percussion", "piano", "organ", "other", "drums"} & set(missing)
    assert captions.absent(["other", "vocals"], captions.CAPTIONS) == ["drums", "bass"]
