import numpy as np
import pytest
from mgeldm.data import production
from mgeldm.data.captions import ADJECTIVES, phrases
from mgeldm.data.production import (
    Space,
    compress,
    echo,
    equalise,
    master,
    place,
    produce,
    recolour,
    saturate,
    sidechain,
    smooth,
)
from mgeldm.data.triplets import AUDIBLE

RATE_HZ = 44100


def noise(seed, seconds=1.0, sides=0):
    shape = (sides, int(seconds * RATE_HZ)) if sides else int(seconds * RATE_HZ)
    return np.random.default_rng(seed).normal(0, 0.1, shape).astype(np.float32)


def drums(seconds=2.0):
    """A kick of 60 Hz on every half second, stereo."""
    time = np.arange(int(seconds * RATE_HZ)) / RATE_HZ % 0.5
    return np.repeat((np.sin(2 * np.pi * 60 * time) * np.exp(-time / 0.08))[None], 2, 0).astype(np.float32)


def level_db(audio):
    return 20 * np.log10(float(np.sqrt(np.square(audio, dtype=np.float64).mean())) + 1e-12)


@pytest.mark.parametrize("label", ["drums", "bass", "vocals", "electric guitar", "pad synth"])
def test_every_part_becomes_a_stereo_stem_the_same_for_the_same_seed(label):
    for seed in range(12):
        stems = []
        for _ in range(2):
            rng = np.random.default_rng(seed)
            stems.append(produce(noise(1, 0.6), label, Space.draw(rng, 120), rng))
        (audio, tags), (again, _) = stems
        assert audio.shape == (2, len(noise(1, 0.6)))
        assert audio.dtype == np.float32
        assert np.isfinite(audio).all()
        assert np.array_equal(audio, again)
        assert -43 < level_db(audio) < -9
        assert set(tags) <= set(ADJECTIVES)


def test_silence_stays_silent():
    rng = np.random.default_rng(0)
    for label in ("drums", "piano"):
        audio, _ = produce(np.zeros(20_000, np.float32), label, Space.draw(rng, 100), rng)
        assert not audio.any()


def test_the_bus_is_one_gain_that_keeps_peaks_below_full_scale():
    for seed in range(20):
        stems = {"drums": drums() * 3, "vocals": noise(seed, 2.0, 2), "bass": noise(seed + 50, 2.0, 2)}
        rng = np.random.default_rng(seed)
        mastered = master(stems, rng)
        mixture = np.sum(list(mastered.values()), axis=0)
        assert np.abs(mixture).max() <= 1.0
        assert np.isfinite(mixture).all()


def test_without_wear_the_same_gain_is_on_every_stem(monkeypatch):
    monkeypatch.setattr(production, "_worn", lambda stems, rng: stems)
    stems = {"a": noise(1, 1.0, 2), "b": noise(2, 1.0, 2)}
    mastered = master(stems, np.random.default_rng(3))
    gains = [mastered[name] / stems[name] for name in stems]
    assert np.allclose(gains[0], gains[1], rtol=1e-3)
    assert np.allclose(gains[0][0], gains[0][1], rtol=1e-3)


def test_wear_keeps_the_sum():
    stems = {"a": noise(1, 1.0, 2), "b": noise(2, 1.0, 2)}
    worn = production._worn(stems, np.random.default_rng(0))
    whole = production._worn({"sum": stems["a"] + stems["b"]}, np.random.default_rng(0))["sum"]
    assert np.allclose(worn["a"] + worn["b"], whole, atol=1e-5)
    assert not np.allclose(worn["a"], stems["a"], atol=1e-3)


def test_the_noise_of_a_worn_medium_is_a_stem_of_its_own_that_is_heard():
    stems = {"a": noise(1, 1.0, 2), "silent": np.zeros((2, RATE_HZ), np.float32)}
    found = set()
    for seed in range(120):
        mastered = master(stems, np.random.default_rng(seed))
        assert not mastered["silent"].any()
        for label in mastered.keys() - stems.keys():
            found.add(label)
            assert phrases(label)[0] == label
            below_db = level_db(mastered[label].mean(0)) - level_db(np.sum(list(mastered.values()), axis=0))
            assert 20 * np.log10(AUDIBLE) < below_db < -12
    assert found == {"vinyl noise", "tape noise"}
    nothing = {"silent": stems["silent"]}
    assert not any(audio.any() for seed in range(20) for audio in master(nothing, np.random.default_rng(seed)).values())


def test_vinyl_crackles_and_tape_does_not():
    peaks: dict[str, list[float]] = {"vinyl noise": [], "tape noise": []}
    for seed in range(20):
        label, sound = production._noise(noise(1, 2.0, 2), np.random.default_rng(seed))
        peaks[label].append(float(np.abs(sound).max() / np.sqrt(np.mean(sound**2))))
    assert max(peaks["tape noise"]) < 7
    assert np.median(peaks["vinyl noise"]) > 10


def test_stems_duck_under_the_kick_but_vocals_do_not():
    stems = {"drums": drums(), "pad synth": noise(1, 2.0, 2), "vocals": noise(2, 2.0, 2)}
    for seed in range(6):
        ducked = sidechain(stems, np.random.default_rng(seed))
        assert np.array_equal(ducked["vocals"], stems["vocals"])
        assert np.array_equal(ducked["drums"], stems["drums"])
        ratio = np.abs(ducked["pad synth"][0]) / (np.abs(stems["pad synth"][0]) + 1e-9)
        beat = ratio[RATE_HZ : RATE_HZ + RATE_HZ // 2].reshape(10, -1).mean(1)  # tenths of one beat
        assert np.allclose(ratio, 1, atol=1e-3) or beat[1:3].mean() < beat[-1] - 0.05
    kit = {"kick drum": drums(), "hi-hats": noise(3, 2.0, 2), "pad synth": stems["pad synth"]}
    piecewise = sidechain(kit, np.random.default_rng(0))
    assert np.array_equal(piecewise["hi-hats"], kit["hi-hats"])
    assert not np.allclose(piecewise["pad synth"], kit["pad synth"], atol=1e-3)
    without = {"pad synth": stems["pad synth"]}
    assert sidechain(without, np.random.default_rng(0)) is without


def test_a_compressor_narrows_the_range():
    loud, quiet = noise(1) * 3, noise(2) * 0.3
    audio = np.concatenate([loud, quiet])
    for seed in range(10):
        out = compress(audio, np.random.default_rng(seed))
        settled = slice(RATE_HZ // 2, RATE_HZ)
        before = level_db(loud[settled]) - level_db(quiet[settled])
        after = level_db(out[: len(loud)][settled]) - level_db(out[len(loud) :][settled])
        assert after < before + 0.1
    assert compress(quiet * 0.1, np.random.default_rng(0)) == pytest.approx(quiet * 0.1, abs=1e-6)


def test_a_gain_curve_falls_faster_than_it_rises():
    curve = np.concatenate([np.zeros(100), np.full(700, -10.0), np.zeros(700)])
    out = smooth(curve, 0.005, 0.2)
    assert out[120] < -6
    assert out[800 + 20] < -8
    assert out.min() >= -10


def test_saturation_adds_harmonics_and_says_when_it_is_strong():
    sine = (0.1 * np.sin(2 * np.pi * 441 * np.arange(RATE_HZ) / RATE_HZ)).astype(np.float32)
    said = []
    for seed in range(40):
        out, tags = saturate(sine, np.random.default_rng(seed))
        assert np.abs(out).max() <= 2.0
        spectrum = np.abs(np.fft.rfft(out))
        if "distorted" in tags:
            said.append(spectrum[1323] / spectrum[441])
    assert said
    assert min(said) > 0.05


def test_equalisers_move_the_balance_that_they_name():
    tilt = {"bright": [], "dark": [], "muffled": [], "thin": []}
    for seed in range(150):
        out, tags = equalise(noise(seed, 0.3), np.random.default_rng(seed))
        power = np.square(np.abs(np.fft.rfft(out)))
        hz = np.fft.rfftfreq(len(out), 1 / RATE_HZ)
        for tag in tags:
            tilt[tag].append((np.log10(power[hz > 8000].mean() / power[hz < 1000].mean()), power[hz < 150].mean()))
    assert all(tilt.values())
    assert np.mean([t for t, _ in tilt["bright"]]) > 0.3 > -0.3 > np.mean([t for t, _ in tilt["dark"]])
    assert np.mean([t for t, _ in tilt["muffled"]]) < -1.5
    assert np.mean([low for _, low in tilt["thin"]]) < 0.5 * np.mean([low for _, low in tilt["bright"]])


def test_a_bass_keeps_its_lows_and_a_voice_is_in_front():
    for seed in range(60):
        assert not {"muffled", "thin"} & {*equalise(noise(seed, 0.3), np.random.default_rng(seed), cut=False)[1]}
        before, after = (
            np.square(np.abs(np.fft.rfft(sound)))
            for sound in (noise(seed, 0.3), production.in_front(noise(seed, 0.3), np.random.default_rng(seed)))
        )
        hz = np.fft.rfftfreq(len(noise(seed, 0.3)), 1 / RATE_HZ)
        low, high = (after[band].sum() / before[band].sum() for band in (hz < 60, (hz > 2500) & (hz < 4000)))
        assert low < 0.4 and high > 1


def test_echoes_repeat_in_time_and_change_sides():
    stereo = np.zeros((2, RATE_HZ * 2), np.float32)
    stereo[0, :200] = 1.0
    for seed in range(8):
        out = echo(stereo, 120, np.random.default_rng(seed))
        assert np.array_equal(out[0, :200], stereo[0, :200])
        first = int(np.flatnonzero(np.abs(out[1]) > 0.02)[0])
        beat = min((0.5, 0.75, 1.0), key=lambda b: abs(b * 0.5 * RATE_HZ - first))
        assert abs(first - beat * 0.5 * RATE_HZ) < 100


def test_panning_keeps_the_power():
    mono = noise(1)
    for seed in range(20):
        stereo = place(mono, np.random.default_rng(seed), 0.2)
        assert np.square(stereo).sum() == pytest.approx(np.square(mono).sum(), rel=1e-3)


def test_a_recoloured_stem_keeps_its_level_and_is_another():
    stereo, moved = noise(1, 0.5, 2) * 0.4, 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        out = recolour(stereo, "piano", Space.draw(rng, 120), rng)
        assert out.dtype == np.float32
        assert level_db(out) == pytest.approx(level_db(stereo), abs=0.1)
        moved += not np.allclose(out, stereo, atol=1e-2)
    assert moved == 12
    silent = np.zeros((2, 1000), np.float32)
    assert not recolour(silent, "bass", Space.draw(np.random.default_rng(0), 120), np.random.default_rng(0)).any()
