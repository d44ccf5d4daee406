from dataclasses import replace

import numpy as np
import pytest
import soundfile
from mgeldm.data import bank as banks
from mgeldm.data import captions, events, synth, wide
from mgeldm.data.bank import (
    KITS_OF,
    MIXED,
    NOTE_S,
    ORCHESTRA,
    PROGRAMS,
    RATE_HZ,
    SOUNDFONTS,
    Bank,
    Font,
    bank_licence,
    build_bank,
    load_bank,
    main,
    save_bank,
    spoken_bank,
)
from mgeldm.data.captions import describe
from mgeldm.data.kits import PIECES, build_kits, key_of, piece_of
from mgeldm.data.manifest import FREE_LICENCES
from mgeldm.data.midi import Part, Score
from mgeldm.data.speech import Speech
from mgeldm.data.synth import bank_sampler, modal, wavetable
from mgeldm.data.wide import render_wide_song
from mgeldm.errors import InputError
from mgeldm.words import KIT


@pytest.fixture(scope="module")
def bank() -> Bank:
    """Four programs and one kit, made of sines and noise."""
    time, rng = np.arange(44100) / 44100, np.random.default_rng(0)
    pitches = np.tile(np.arange(30, 90, 12, dtype=np.int16), 4)
    programs = np.repeat(np.array([0, 12, 33, 81], np.int16), 5)
    notes = np.stack([np.sin(2 * np.pi * 440 * 2 ** ((p - 69) / 12) * time) * 20000 for p in pitches]).astype(np.int16)
    hits = (rng.normal(0, 5000, (5, 20000)) * np.exp(-np.arange(20000) / 4000)).astype(np.int16)
    keys = np.array([36, 38, 42, 46, 38], np.int16)
    return Bank("fake", notes, programs, pitches, hits, np.zeros(5, np.int16), keys, licence="CC0")


def score(name="a"):
    """A song of 20 s with drums, bass, piano and bells."""
    beats = np.arange(0, 20, 0.5)

    def part(program, pitch):
        return Part(program, np.stack([beats, np.full(40, 0.4), np.full(40, pitch), np.full(40, 0.8)], 1))

    return Score(name, (part(None, 36.0), part(33, 40.0), part(0, 60.0), part(12, 72.0)))


@pytest.mark.parametrize("seed", range(8))
def test_wide_songs_repeat_sum_and_stay_in_scale(seed, bank):
    banks, scores = ([bank], [score()]) if seed % 2 else ([], [])
    song, again = (render_wide_song(seed, banks, 4.0, scores=scores) for _ in range(2))
    assert len(song.stems) >= 2
    assert len({stem.label for stem in song.stems}) == len(song.stems)
    for stem, other in zip(song.stems, again.stems, strict=True):
        assert stem.audio.shape == (2, 4 * 44100)
        assert stem.audio.dtype == np.float32
        assert np.isfinite(stem.audio).all()
        assert np.array_equal(stem.audio, other.audio)
        assert stem.captions == other.captions
        assert stem.captions[0] == stem.label
    assert 0.05 < np.abs(song.mixture).max() <= 1.0


def test_parts_of_one_label_are_called_only_what_all_of_them_are(bank, monkeypatch):
    notes = np.array([[t, 0.4, 60.0, 0.8] for t in np.arange(0, 4, 0.5)])
    parts = [wide._Part("electric guitar", notes, style, program) for style, program in (("riff", 27), ("power", 30))]
    monkeypatch.setattr(wide, "_planned_parts", lambda *_: parts)
    said = []
    monkeypatch.setattr(wide, "describe", lambda *arguments: said.append(describe(*arguments)) or said[-1])
    (stem,) = render_wide_song(0, [bank], 4.0).stems
    first, second = map(set, said)
    assert first - second and second - first
    assert set(stem.captions) == first & second


def test_scores_are_played_in_their_own_split(bank):
    names = [f"song {i}" for i in range(60)]
    held = [name for name in names if score(name).held_out]
    assert 2 < len(held) < 16
    for split in ("train", "test"):
        own = [score(name) for name in names if score(name).held_out == (split == "test")]
        others = [score(name) for name in names if score(name).held_out != (split == "test")]
        songs = [render_wide_song(seed, [bank], 2.5, split, own) for seed in range(4)]
        own_labels = {"drums", "kick drum", "bass", "piano", "mallets"}
        assert any({stem.label for stem in song.stems} <= own_labels for song in songs)
        alone, beside = (render_wide_song(3, [bank], 1.0, split, them) for them in ([], others))
        assert np.array_equal(alone.mixture, beside.mixture)


def test_timpani_of_a_score_are_no_drums(monkeypatch):
    """Their pitches were struck as keys of a kit."""
    plain = score()
    timpani = [Part(program, plain.parts[1].notes) for program in (47, 112, 116, 119)]
    both = replace(plain, parts=(*plain.parts, *timpani))
    for seed in range(8):
        parts = wide._score_parts([both], 8.0, np.random.default_rng(seed))
        assert {part.label for part in parts} <= {"drums", "bass", "piano", "mallets"}


def test_parts_come_and_go_and_no_section_is_empty():
    parts = [wide._Part(label, score().parts[0].notes) for label in ("drums", "bass", "piano", "flute")]
    rests = []
    for seed in range(30):
        arranged = wide._arranged(parts, 2.0, 20.0, np.random.default_rng(seed))
        plays = np.array([np.histogram(part.notes[:, 0], np.arange(0, 21, 2))[0] > 0 for part in arranged])
        assert plays.any(0).all()
        assert plays.any(1).all()
        rests.append(1 - plays.mean())
        for part, on in zip(arranged, plays, strict=True):
            if part.label != "drums":
                ends = part.notes[:, 0] + part.notes[:, 1]
                assert all(on[min(int((end - 0.051) // 2), 9)] for end in ends)
    assert 0.1 < np.mean(rests) < 0.5


def test_a_kit_comes_piece_by_piece_at_about_natural_levels(monkeypatch):
    """Each key of the kit is a tone of its own; the pieces' tones are in their stems and in no other."""
    time_s = np.arange(4410) / 44100
    hz = {36: 100.0, 38: 400.0, 42: 3200.0, 49: 6400.0, 56: 1600.0}
    kit = {key: (0.5 * np.sin(2 * np.pi * f * time_s)).astype(np.float32) for key, f in hz.items()}
    kit[42] *= 0.1
    takes = {key: [sound] for key, sound in kit.items()}
    monkeypatch.setattr(wide, "_kit", lambda banks, rng: (takes, ("acoustic",)))
    notes = np.array([[t, 0.1, key, 1.0] for t in np.arange(0, 4, 0.5) for key in hz])
    parts = [wide._Part("drums", notes, "rock"), wide._Part("bass", notes - [0, 0, 0, 0.5])]
    monkeypatch.setattr(wide, "_planned_parts", lambda *_: parts)
    hats = []
    for seed in range(12):
        song = render_wide_song(seed, [], 4.0, by_piece=1.0)
        assert {stem.label for stem in song.stems} <= {*PIECES, "percussion", "bass", "vinyl noise", "tape noise"}
        sounds = list(wide._pieces(parts[0], [], 4 * 44100, np.random.default_rng(seed)))
        assert [sound.label for sound in sounds] == ["kick drum", "snare drum", "hi-hats", "cymbals", "percussion"]
        for sound, key in zip(sounds, (36, 38, 42, 49, 56), strict=True):
            spectrum = np.abs(np.fft.rfft(sound.dry))
            assert abs(spectrum.argmax() / 4.0 - hz[key]) < 2
        hats.append(sounds[2].level_db - sounds[1].level_db)
        assert all(stem.captions[0] == stem.label for stem in song.stems)
        whole = render_wide_song(seed, [], 4.0, by_piece=0.0)
        assert not {stem.label for stem in whole.stems} & set(PIECES)
    assert np.mean(hats) == pytest.approx(-20, abs=3)
    assert tuple(PIECES) == KIT
    assert {key for keys in PIECES.values() for key in keys} >= set(range(35, 54)) - {54}


def test_every_hit_is_one_of_the_recordings_of_its_drum():
    takes = [np.full(10, level, np.float32) for level in (0.1, 0.2, 0.3)]
    notes = np.array([[t, 0.1, 38.0, 1.0] for t in np.arange(0, 30, 1.0)])
    struck = wide._strike(notes, {38: takes}, 30 * 44100, np.random.default_rng(0))
    levels = struck.reshape(30, -1).max(1)
    assert min(np.sum(np.abs(levels - 0.1 * i) < 0.03) for i in (1, 2, 3)) > 3


def test_recordings_of_one_drum_are_told_from_other_drums():
    time_s, rng = np.arange(44100) / 44100, np.random.default_rng(0)

    def hit(hz, length_s):
        tap = rng.normal(0, 0.02, len(time_s)) * np.exp(-time_s / 0.01)
        return (0.8 * np.sin(2 * np.pi * hz * time_s) * np.exp(-time_s / length_s) + tap).astype(np.float32)

    low, high = [hit(55 + i, 0.2) for i in range(3)], [hit(220, 0.05)]
    found = {len(wide._takes(low + high, np.random.default_rng(seed))) for seed in range(20)}
    assert found == {1, 3}


def test_a_kit_of_several_kinds_is_called_neither(monkeypatch):
    monkeypatch.setattr(wide, "_one_kit", lambda sets, rng: next(kits))
    bank = Bank("kits", *(np.zeros(s, np.int16) for s in ((0, 9), 0, 0, (1, 9), 1, 1)))
    mixed = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        kits = iter([({36: [np.ones(4, np.float32)]}, ("acoustic",))] + [({}, ("electronic",))] * 20)
        mixed.append(wide._kit([bank], rng)[1])
    assert set(mixed) <= {("acoustic",), MIXED} and MIXED in mixed


def test_a_kit_of_timpani_is_drawn_from_no_soundfont_but_one_shots_are_just_numbered(bank):
    """The orchestra kit has them where others have hi-hats and cymbals; a 49th folder of one-shots is a kit."""
    both = replace(bank, kits=np.array([0, 0, ORCHESTRA, ORCHESTRA, ORCHESTRA], np.int16))
    kits = [wide._kit([both], np.random.default_rng(seed))[0] for seed in range(20)]
    drawn = [kit for kit in kits if set(kit) <= set(both.keys.tolist())]
    assert drawn and all(set(kit) == {36, 38} for kit in drawn)
    shots = replace(bank, notes=np.zeros((0, 1), np.int16), kits=np.full(5, ORCHESTRA, np.int16))
    assert any(len(wide._kit([shots], np.random.default_rng(seed))[0][38]) == 2 for seed in range(10))


def test_a_drum_that_a_kit_lacks_is_struck_as_another_of_its_piece():
    """Ride bells and splashes of synthesised kits were tambourines."""
    kit = synth.drum_kit(np.random.default_rng(0))
    for wanted in range(35, 83):
        assert piece_of(wide._nearest({key: [] for key in kit}, wanted)) == piece_of(wanted)
    assert wide._nearest({40: [], 38: [], 36: []}, 46) == 40  # a kit without hi-hats
    loud = {key: [np.full(10, float(key == 51), np.float32)] for key in (51, 54)}
    assert wide._strike(np.array([[0.0, 0.1, 53.0, 1.0]]), loud, 100, np.random.default_rng(0)).any()


def test_a_lead_is_called_a_saw_exactly_when_its_wave_is_one(monkeypatch):
    waves, tables = [], synth._tables
    monkeypatch.setattr(synth, "_tables", lambda hz, gains, wave: waves.append(wave) or tables(hz, gains, wave))
    monkeypatch.setattr(synth, "NOTE_S", 0.2)
    part = wide._Part("lead synth", np.array([[0.0, 0.2, 72.0, 0.8]]), "riff")
    monkeypatch.setattr(wide, "_planned_parts", lambda *_: [part])
    told = []
    for seed in range(40):
        waves.clear()
        lead = next(stem for stem in render_wide_song(seed, [], 0.5).stems if stem.label == "lead synth")
        overtones = np.abs(waves[0]) * np.arange(1, len(waves[0]) + 1) if waves else np.array([0.0, 1.0])
        told.append(bool(np.ptp(overtones) < 1e-9))  # of a saw the n-th is an n-th as loud as the first
        assert any("saw" in phrase.split() for phrase in lead.captions) == told[-1]
        words = {word for phrase in lead.captions for word in phrase.split()}
        assert len(words & {"saw", "fm", "wavetable", "struck"}) <= 1
    assert 3 < sum(told) < 37


def test_soft_notes_are_those_that_were_played_softly(bank):
    soft = replace(bank, soft=(bank.notes // 2).astype(np.int16))
    notes = np.array([[0.0, 0.2, 54.0, 0.5], [0.5, 0.2, 54.0, 1.0]])
    first, second = (
        wide._perform(notes, bank_sampler(one, 0), 44100, np.random.default_rng(0)) for one in (soft, bank)
    )
    assert np.array_equal(first[22050:], second[22050:])
    loud = np.abs(first[22050:]).max()
    assert np.abs(first[:22050]).max() == pytest.approx(0.5**1.5 * 0.5 * loud, rel=0.02)
    assert not np.array_equal(first[:22050], second[:22050])


def test_levels_and_filters_wander_without_clicks():
    tone = np.sin(2 * np.pi * 3000 * np.arange(44100) / 44100).astype(np.float32)
    moved = 0
    for seed in range(30):
        out = wide.automate(tone, np.random.default_rng(seed))
        moved += not np.array_equal(out, tone)
        assert np.abs(np.diff(out)).max() < 3 * np.abs(np.diff(tone)).max() * max(1.0, float(np.abs(out).max()))
    assert 5 < moved < 25


def test_tests_speak_in_held_out_phrases(bank):
    trained = {phrase for label in captions.CAPTIONS for phrase in captions.CAPTIONS[label]}
    for seed in range(4):
        for stem in render_wide_song(seed, [bank], 2.0, "test").stems:
            if stem.label in captions.HELD_OUT_CAPTIONS:
                assert not set(stem.captions) & trained
    with pytest.raises(ValueError, match="split"):
        render_wide_song(0, [], 1.0, "validation")


def test_every_style_that_trains_has_words_and_no_held_out_one():
    tables = (events.GROOVES, events.BASS_STYLES, events.CHORD_STYLES, events.LEAD_STYLES)
    trained = {item.name for table in tables for item in table if not item.held_out}
    held = {item.name for table in tables for item in table if item.held_out}
    assert trained == set(captions.PLAYED)
    assert not held & set(captions.PLAYED)


def test_descriptions_fit_the_sound():
    said = describe("bass", "walking", ["distorted", "dark"], 36)
    assert said[0] == "bass"
    assert {"slap bass", "walking bass", "distorted bass", "warm bass", "distorted walking bass"} <= set(said)
    machine = describe("drums", "techno", ["electronic"])
    assert {"techno beat", "programmed drums", "drum machine"} <= set(machine)
    assert not any("acoustic" in phrase for phrase in machine)
    assert not any("machine" in phrase or "electronic" in phrase for phrase in describe("drums", None, ["acoustic"]))
    assert "clean guitar" not in describe("electric guitar", None, ["distorted"], 27)
    assert describe("hurdy gurdy", None, []) == ["hurdy gurdy", "the hurdy gurdy"]


def test_no_description_is_a_held_out_phrase():
    held_out = {phrase for group in captions.HELD_OUT_CAPTIONS.values() for phrase in group}
    for label in captions.CAPTIONS:
        for style in captions.PLAYED:
            for tag in captions.ADJECTIVES:
                assert not held_out & set(describe(label, style, [tag]))


@pytest.mark.parametrize("kind", ["bass", "lead", "pad"])
def test_wavetables_and_struck_things_sound_at_their_pitch(kind):
    for seed in range(6):
        sampler = wavetable(np.random.default_rng(seed), [45.0, 57.0], kind)
        spectrum = np.abs(np.fft.rfft(sampler.audio[0][22050:66150]))
        harmonic = spectrum[108:20000:110].sum() + spectrum[110:20000:110].sum() + spectrum[112:20000:110].sum()
        between = spectrum[160:20000:110].sum() + spectrum[165:20000:110].sum() + spectrum[170:20000:110].sum()
        assert harmonic > 1.5 * between
        assert np.isfinite(sampler.audio).all()
    struck = modal(np.random.default_rng(1), [60.0, 72.0])
    early, late = (np.abs(struck.audio[:, at : at + 4000]).max() for at in (0, 80_000))
    assert late < 0.5 * early


def test_names_say_what_is_struck():
    wanted = {
        "bd_808": 36, "drum_heavy_kick": 36, "bass drum 1": 36, "sn_dolf": 38, "Snare Rock": 38, "Closed HH": 42,
        "drum_cymbal_open": 46, "hi-hat pedal": 44, "Tom Hi": 48, "low tom": 43, "crash": 49, "Ride Jazz": 51,
        "Hand Clap": 39, "Stick": 37, "ride bell": 53, "Cowbell": 56, "elec_snare": 38, "drum_tom_mid_hard": 47,
    }  # fmt: skip
    assert {name: (key_of(name) or (None,))[0] for name in wanted} == wanted
    assert key_of("ambi_drone") is None
    assert key_of("loop_amen") is None
    assert key_of("bass_woodsy_c") is None and key_of("loop_tabla") is None
    assert {key_of(name)[0] for name in ("elec_wood", "Wood Block", "woodblock hi")} == {75}
    assert key_of("BassDrum")[0] == 36


def one_shot(path, hz, rate_hz=44100, lead_s=0.2):
    time = np.arange(rate_hz) / rate_hz
    hit = 0.2 * np.sin(2 * np.pi * hz * time) * np.exp(-time / 0.1)
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.concatenate([np.zeros(round(lead_s * rate_hz)), hit]), rate_hz)


def test_kits_are_folders_of_one_shots(tmp_path):
    for name in ("bd_a", "bd_b", "sn_a", "ambi_x"):
        one_shot(tmp_path / "plain" / f"{name}.wav", 200)
    one_shot(tmp_path / "hydrogen" / "01.wav", 100, 48000)
    (tmp_path / "hydrogen" / "drumkit.xml").write_text(
        "<drumkit_info><name>kit</name><instrumentList>"
        "<instrument><name>c3 - bass drum 1</name><filename>01.wav</filename></instrument>"
        "<instrument><name>Snare</name><layer><filename>gone.wav</filename></layer></instrument>"
        "</instrumentList></drumkit_info>"
    )
    bank = build_kits([tmp_path / "plain", tmp_path / "hydrogen"], licence="CC0")
    assert {key: len(hits) for key, hits in bank.variants(0).items()} == {36: 2, 38: 1}
    assert {key: len(hits) for key, hits in bank.variants(1).items()} == {36: 1}
    kick = bank.kit(1)[36]
    assert 0.9 < np.abs(kick).max() <= 1.0
    assert np.flatnonzero(np.abs(kick) > 0.1)[0] < 100  # the silence before the hit is gone
    song = render_wide_song(1, [bank], 3.0)
    assert np.isfinite(song.mixture).all()
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match="no drum hits"):
        build_kits([tmp_path / "none"])


def test_banks_are_built_of_what_is_installed(tmp_path, capsys):
    one_shot(tmp_path / "share/sonic-pi/samples/bd_a.flac", 60)
    one_shot(tmp_path / "share/hydrogen/data/drumkits/HardElectro1/snare.wav", 200)
    main(["--share", str(tmp_path / "share"), "--out", str(tmp_path / "out"), "--packed"])
    said = capsys.readouterr()
    assert "FluidR3_GM.sf2 is not there; install its package" in said.err
    assert "The bank held-out-voices is without festival kal, pico it-IT" in said.err
    assert [path.name for path in sorted((tmp_path / "out").iterdir())] == ["held-out-kits.npz", "kits.npz"]
    assert load_bank(tmp_path / "out/kits.npz").licence == "CC0"
    assert load_bank(tmp_path / "out/held-out-kits.npz").licence == "GPL-2"


def test_a_bank_holds_what_is_named_of_a_soundfont(tmp_path, monkeypatch):
    """The player hums the program it is told at the pitch it is told; of the drums it has but one."""
    heard = []

    def played(soundfont, midi):
        after = midi[midi.index(b"MTrk") + 8 :]
        program = next(after[i + 1] for i in range(len(after)) if after[i] & 0xF0 == 0xC0)
        drums = b"\xc9" in after
        heard.append((program, drums, b"\xb0\x00\x08" in after))
        audio = np.zeros((2, 60 * RATE_HZ), np.float32)
        if not drums:
            audio[:, RATE_HZ // 10 :] = 0.5
        elif program == 1:
            audio[:, RATE_HZ // 10 : RATE_HZ] = 0.5
        return audio

    monkeypatch.setattr(banks, "render_midi", played)
    font = Font("sf2/a.sf2", "MIT", programs=(25, 40), kits=(1, 2), variation=8)
    made = build_bank("a.sf2", "a", font, keys=(36, 38))
    assert sorted(heard) == [(1, True, False), (2, True, False), (25, False, True), (40, False, True)]
    assert made.notes.shape == (len(made.pitches), round(NOTE_S * RATE_HZ))
    assert set(made.by_program) == {25, 40}
    assert list(made.program(25)[0]) == list(range(40, 81, 6))
    assert list(zip(made.kits, made.keys, strict=True)) == [(1, 36)]  # what is silent is left out
    assert made.licence == "MIT"
    assert build_bank("a.sf2", "b", Font("sf2/a.sf2", "MIT", (25,), ())).hits.shape[0] == 0


def test_a_bank_may_hold_its_notes_played_softly(tmp_path, monkeypatch):
    """The player hums as loudly as it is told to; a layer is as loud as the other all the same."""

    def played(soundfont, midi):
        velocity = midi[midi.index(b"\x90") + 2]
        hum = np.zeros((2, 60 * RATE_HZ), np.float32)
        hum[:, RATE_HZ // 10 :] = velocity / 200
        hum[:, RATE_HZ // 2 :] = 0.1
        return hum

    monkeypatch.setattr(banks, "render_midi", played)
    font = Font("sf2/a.sf2", "MIT", (25, 40), ())
    assert build_bank("a.sf2", "a", font).soft is None
    made = build_bank("a.sf2", "a", font, soft=True)
    assert made.soft is not None and made.soft.shape == made.notes.shape
    for program in (25, 40):
        softly, (pitches, loud) = made.program_soft(program), made.program(program)
        assert softly.shape == loud.shape == (len(pitches), round(NOTE_S * RATE_HZ))
        assert softly.max() == pytest.approx(loud.max())
        assert softly[0, -1] == pytest.approx(2 * loud[0, -1], rel=1e-3)
    for packed in (False, True):
        save_bank(made, tmp_path / "a.npz", packed)
        assert load_bank(tmp_path / "a.npz").soft.shape == made.soft.shape


def test_instruments_of_the_world_are_played_under_the_label_that_scores_give_them():
    for program in range(104, 112):
        label = Part(program, np.zeros((0, 4))).label
        assert program in wide.PROGRAMS[label]
        assert describe(label, None, [], program)[0] == label
        assert captions.program_captions(program)
    assert max(PROGRAMS) // 8 < len(banks.FAMILY_RANGES)


def test_training_soundfonts_are_free_and_the_held_out_one_is_apart():
    trained = {name: font for name, font in SOUNDFONTS.items() if name != "timgm"}
    assert all(part.startswith(FREE_LICENCES) for font in trained.values() for part in font.licence.split("; "))
    assert SOUNDFONTS["timgm"].file not in {font.file for font in trained.values()}
    assert all(set(font.programs) <= set(PROGRAMS) for font in SOUNDFONTS.values())


def test_training_kits_and_held_out_ones_share_nothing():
    trained, held = KITS_OF["kits"], KITS_OF["held-out-kits"]
    assert not set(trained) & set(held)
    assert all(licence.startswith(FREE_LICENCES) for licence in trained.values())


def test_a_packed_bank_is_the_same_to_the_ear(tmp_path, bank):
    save_bank(bank, tmp_path / "plain.npz")
    save_bank(bank, tmp_path / "packed.npz", packed=True)
    plain, packed = (load_bank(tmp_path / name) for name in ("plain.npz", "packed.npz"))
    assert np.array_equal(plain.notes, bank.notes)
    assert packed.notes.shape == bank.notes.shape
    error = packed.notes.astype(np.float64) - bank.notes
    assert np.sqrt(np.square(error).mean()) < 0.05 * np.sqrt(np.square(bank.notes.astype(np.float64)).mean())
    assert (tmp_path / "packed.npz").stat().st_size < 0.25 * (tmp_path / "plain.npz").stat().st_size
    assert bank_licence(tmp_path / "packed.npz") == packed.licence == "CC0"
    assert set(packed.kit(0)) == {36, 38, 42, 46}
    np.savez(tmp_path / "fluidr3.npz", notes=bank.notes)  # a bank from before licences
    assert bank_licence(tmp_path / "fluidr3.npz") == "MIT"


def test_where_there_are_words_most_arrangements_are_sung(monkeypatch):
    asked = []

    def sung(notes, samples, rng, speeches):
        asked.append(speeches)
        return np.ones(samples, np.float32), ()

    monkeypatch.setattr(wide, "sung", sung)
    said = spoken_bank("voices", Speech(*(np.zeros(0) for _ in range(6))), "MIT")
    counts = []
    for banks_ in ([], [said]):
        asked.clear()
        songs = [render_wide_song(seed, banks_, 4.0) for seed in range(24)]
        counts.append(sum("vocals" in {stem.label for stem in song.stems} for song in songs))
        assert asked and all(len(speeches) == len(banks_) for speeches in asked)
    assert counts[0] < 12 < counts[1] < 24
