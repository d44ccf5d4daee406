"""What a producer does to the parts of a song: equaliser, compression, saturation, echo, reverb, and the bus.

Everything that works on the whole mixture is one gain, one filter or one warp of time that all stems share, so they
still sum to the mixture; what noise a worn medium adds is a stem of its own. Effects return tags, which captions are
made of ("distorted", "echoing").
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.signal

from ..audio import Samples
from ..words import KIT
from .captions import kinds
from .songs import RATE_HZ

_CONTROL = 64  # samples to one value of a gain curve
_LEVEL = 0.1
_STEADY = ("drums", "bass", "vocals", "kick drum", "snare drum", "claps")  # in the middle, and compressed
_LEVELS_DB = {"drums": -17.0, "bass": -19.0, "vocals": -18.0, "effects": -29.0}  # the middle; others -23 dB


@dataclass
class Space:
    """The room of a song: an impulse response [2, taps] that every stem sends to, and the tempo of its echoes."""

    impulse: Samples
    decay_s: float
    tempo_bpm: float

    @classmethod
    def draw(cls, rng: np.random.Generator, tempo_bpm: float) -> Space:
        """A room, plate or hall: decaying noise that darkens as it decays."""
        decay_s = float(np.exp(rng.uniform(np.log(0.15), np.log(2.5))))  # to -60 dB
        time = np.arange(int(decay_s * RATE_HZ)) / RATE_HZ
        noise = rng.standard_normal((2, len(time)))
        bright = noise * 10 ** (-3 * time / decay_s)
        cutoff_hz = rng.uniform(1500, 9000)
        dark = scipy.signal.sosfilt(_pass(cutoff_hz, "low"), bright)
        mixed = dark + bright * 10 ** (-3 * time / (0.3 * decay_s)) * rng.uniform(0, 1)
        delay = int(rng.uniform(0, 0.04) * RATE_HZ)
        impulse = np.pad(mixed, ((0, 0), (delay, 0))) / np.sqrt(np.square(mixed).sum(1, keepdims=True))
        return cls(impulse.astype(np.float32), decay_s, tempo_bpm)


def produce(
    dry: Samples, label: str, space: Space, rng: np.random.Generator, level_db: float | None = None
) -> tuple[Samples, list[str]]:
    """A dry part [samples] as a stem of a song: float32 [2, samples], and the tags of what was done to it.

    Its level is random, around what is usual for the label, unless `level_db` says what it is.
    """
    tags: list[str] = []
    if not dry.any():
        return np.zeros((2, len(dry)), np.float32), tags
    audio = dry * np.float32(_LEVEL / max(float(np.sqrt(np.mean(dry**2))), 1e-5))
    steady = label in _STEADY
    if rng.random() < 0.4:
        audio, tag = saturate(audio, rng, fierce=label in ("electric guitar", "lead synth"))
        tags += tag
    if label == "vocals" and rng.random() < 0.7:
        audio = in_front(audio, rng)
    if rng.random() < 0.8:
        audio, tag = equalise(audio, rng, cut=_may_be_cut(label))
        tags += tag
    if rng.random() < (0.7 if steady else 0.4):
        audio = compress(audio, rng)
    stereo = place(audio, rng, 0.1 if steady else 0.45)
    if label not in ("drums", "bass", *KIT):
        if rng.random() < 0.25:
            stereo, tag = chorus(stereo, rng), ["wide"]
            tags += tag
        if rng.random() < 0.2:
            stereo, tag = echo(stereo, space.tempo_bpm, rng), ["echoing"]
            tags += tag
    wet = rng.uniform(0, 0.12) if label in ("bass", "kick drum") else rng.uniform(0, 0.8) ** 1.5
    if wet > 0.02:
        stereo = stereo + np.float32(wet) * scipy.signal.oaconvolve(stereo, space.impulse, axes=1)[:, : len(dry)]
        tags += ["reverberant"] if wet > 0.35 and space.decay_s > 0.6 else []
    if level_db is None:
        level_db = draw_level_db(label, rng)
    level = max(float(np.sqrt(np.mean(stereo**2))), 1e-6)
    return (stereo * np.float32(10 ** (level_db / 20) / level)).astype(np.float32), tags


def _may_be_cut(label: str) -> bool:
    """Whether a mix may leave but a band of it: not of what carries its lows."""
    return not {"bass", "kick drum"} & kinds(label)


def draw_level_db(label: str, rng: np.random.Generator) -> float:
    """How loud a stem of that label is: dB of its RMS under full scale, before the bus."""
    return float(np.clip(rng.normal(_LEVELS_DB.get(label, -23), 4), -42, -10))


def recolour(stereo: Samples, label: str, space: Space, rng: np.random.Generator) -> Samples:
    """A recorded stem [2, samples] of that label as another producer might have left it, at the level it had."""
    level = float(np.sqrt(np.mean(stereo**2)))
    if level < 1e-5:
        return stereo
    audio, _ = equalise(stereo * np.float32(_LEVEL / level), rng, cut=_may_be_cut(label))
    if rng.random() < 0.3:
        audio = compress(audio, rng)
    if rng.random() < 0.2:
        audio, _ = saturate(audio, rng)
    if rng.random() < 0.35:
        wet = np.float32(rng.uniform(0.05, 0.5))
        audio = audio + wet * scipy.signal.oaconvolve(audio, space.impulse, axes=1)[:, : audio.shape[1]]
    return (audio * np.float32(level / max(float(np.sqrt(np.mean(audio**2))), 1e-6))).astype(np.float32)


def saturate(audio: Samples, rng: np.random.Generator, fierce: bool = False) -> tuple[Samples, list[str]]:
    """Soft, hard or lopsided clipping, or fewer bits and samples, at a random drive."""
    kind = rng.choice(4, p=[0.55, 0.2, 0.2, 0.05])
    drive = float(np.exp(rng.uniform(np.log(0.5), np.log(40 if fierce else 8))))
    x = audio * np.float32(drive / _LEVEL * 0.3)
    if kind == 0:
        out = np.tanh(x)
    elif kind == 1:
        out = np.clip(x, -1, 1)
    elif kind == 2:
        bias = rng.uniform(0.1, 0.6)
        out = scipy.signal.sosfilt(_pass(20, "high"), np.tanh(x + bias) - np.tanh(bias))  # lopsided: not at rest at 0
    else:
        hold, steps = int(rng.integers(2, 8)), 2.0 ** rng.integers(4, 9)
        out = np.round(np.clip(x, -1, 1) * steps) / steps
        out = np.repeat(out[..., ::hold], hold, axis=-1)[..., : audio.shape[-1]]
        return out.astype(np.float32), ["lo-fi"]
    return out.astype(np.float32), ["distorted"] if drive > (6 if fierce else 4) else []


def amplify(dry: Samples, rng: np.random.Generator) -> Samples:
    """A guitar amplifier on a whole part [samples]: lows cut, chords driven as one, a loudspeaker's narrow band."""
    if not dry.any():
        return dry
    level = max(float(np.sqrt(np.mean(dry**2))), 1e-6)
    tight = scipy.signal.sosfilt(_pass(rng.uniform(80, 400), "high"), dry / level)
    drive, bias = float(np.exp(rng.uniform(np.log(1.5), np.log(60)))), rng.uniform(0, 0.3)
    driven = np.tanh(drive * tight + bias) - np.tanh(bias)
    cabinet = np.concatenate(
        [
            _pass(rng.uniform(60, 120), "high"),
            _bell(rng.uniform(1500, 3500), rng.uniform(0, 8), 0.8),
            _bell(rng.uniform(300, 800), rng.uniform(-8, 3), 0.8),
            _pass(rng.uniform(3500, 6500), "low"),
            _pass(rng.uniform(5000, 8000), "low"),
        ]
    )
    return scipy.signal.sosfilt(cabinet, driven).astype(np.float32)


def in_front(audio: Samples, rng: np.random.Generator) -> Samples:
    """A voice [..., samples] as most mixes have it: without what lies below it, and with presence."""
    sections = [_pass(rng.uniform(80, 150), "high"), _bell(rng.uniform(2000, 4500), rng.uniform(1, 6), 0.7)]
    sections.append(_shelf(rng.uniform(5000, 8000), rng.uniform(0, 8)))
    return scipy.signal.sosfilt(np.concatenate(sections), audio).astype(np.float32)


def equalise(audio: Samples, rng: np.random.Generator, cut: bool = True) -> tuple[Samples, list[str]]:
    """One to three bells and shelves; with `cut` sometimes but a band is left, as in an old radio or behind a door."""
    sections, tags = [], []
    for _ in range(rng.integers(1, 4)):
        hz, gain_db = float(np.exp(rng.uniform(np.log(80), np.log(9000)))), float(rng.normal(0, 4.5))
        sections.append(_bell(hz, gain_db, rng.uniform(0.4, 2.5)))
    tilt_db = float(rng.normal(0, 3))
    sections.append(_shelf(rng.uniform(2000, 6000), tilt_db))
    if abs(tilt_db) > 4:
        tags.append("bright" if tilt_db > 0 else "dark")
    kind = rng.random() if cut else 1.0
    if kind < 0.08:
        sections.append(_pass(rng.uniform(500, 3000), "low"))
        tags = ["muffled"]
    elif kind < 0.16:
        sections.append(_pass(rng.uniform(200, 800), "high"))
        tags.append("thin")
    return scipy.signal.sosfilt(np.concatenate(sections), audio).astype(np.float32), tags


def _bell(hz: float, gain_db: float, q: float) -> np.ndarray:
    """A peaking biquad [1, 6] (R. Bristow-Johnson, Audio EQ Cookbook)."""
    a, w = 10 ** (gain_db / 40), 2 * np.pi * hz / RATE_HZ
    alpha, cos = np.sin(w) / (2 * q), np.cos(w)
    section = np.array([1 + alpha * a, -2 * cos, 1 - alpha * a, 1 + alpha / a, -2 * cos, 1 - alpha / a])
    return (section / section[3])[None]


def _shelf(hz: float, gain_db: float) -> np.ndarray:
    """A high-shelf biquad [1, 6] of slope 1 (the same source)."""
    a, w = 10 ** (gain_db / 40), 2 * np.pi * hz / RATE_HZ
    cos, root = np.cos(w), 2 * np.sqrt(a) * np.sin(w) / np.sqrt(2)
    above, below = a + 1, a - 1
    section = np.array(
        [
            a * (above + below * cos + root), -2 * a * (below + above * cos), a * (above + below * cos - root),
            above - below * cos + root, 2 * (below - above * cos), above - below * cos - root,
        ]
    )  # fmt: skip
    return (section / section[3])[None]


def _pass(hz: float, kind: str) -> np.ndarray:
    return scipy.signal.butter(2, hz, kind, fs=RATE_HZ, output="sos")


def compress(audio: Samples, rng: np.random.Generator) -> Samples:
    """A compressor of random threshold, ratio and times on a part [..., samples]."""
    threshold_db, ratio = 20 * np.log10(_LEVEL) + rng.uniform(-6, 9), rng.uniform(1.5, 8)
    level_db = 20 * np.log10(_envelope(audio) + 1e-6)
    cut_db = np.maximum(level_db - threshold_db, 0) * (1 / ratio - 1)
    gain = 10 ** (smooth(cut_db, rng.uniform(0.001, 0.03), rng.uniform(0.05, 0.4)) / 20)
    return (audio * _at_rate(gain, audio.shape[-1])).astype(np.float32)


def _envelope(audio: Samples) -> np.ndarray:
    """Peak level [control frames] of audio [..., samples]."""
    peak = np.abs(audio) if audio.ndim == 1 else np.abs(audio).max(0)
    padded = np.pad(peak, (0, -len(peak) % _CONTROL))
    return padded.reshape(-1, _CONTROL).max(1)  # [control frames, samples of one]


def smooth(gain_db: np.ndarray, attack_s: float, release_s: float) -> np.ndarray:
    """A gain curve in dB [control frames] that falls within about `attack_s` and rises within `release_s`."""
    fall, rise = (1 - np.exp(-_CONTROL / RATE_HZ / seconds) for seconds in (attack_s, release_s))
    out, now = [], 0.0
    for wanted in gain_db.tolist():
        now += (fall if wanted < now else rise) * (wanted - now)
        out.append(now)
    return np.array(out)


def _at_rate(curve: np.ndarray, samples: int) -> np.ndarray:
    """A control curve [control frames] at full rate, [samples]."""
    return np.interp(np.arange(samples), (np.arange(len(curve)) + 0.5) * _CONTROL, curve).astype(np.float32)


def place(mono: Samples, rng: np.random.Generator, spread: float) -> Samples:
    """Panning [samples] to [2, samples] by level; at times the same part doubled a little later on the other side."""
    angle = (float(np.clip(rng.normal(0, spread), -1, 1)) + 1) * np.pi / 4
    stereo = np.stack([mono * np.float32(np.cos(angle)), mono * np.float32(np.sin(angle))])
    if spread > 0.3 and rng.random() < 0.15:
        late = int(rng.uniform(0.008, 0.03) * RATE_HZ)
        doubled = np.pad(mono, (late, 0))[: len(mono)]
        stereo = np.stack([mono, doubled]) * np.float32(0.7)
    return stereo


def chorus(stereo: Samples, rng: np.random.Generator) -> Samples:
    """Each side doubled by a copy whose delay swings."""
    time = np.arange(stereo.shape[1]) / RATE_HZ
    rate_hz, depth_s, base_s = rng.uniform(0.2, 2.5), rng.uniform(0.0005, 0.003), rng.uniform(0.004, 0.02)
    out = stereo.copy()
    for side in range(2):
        delay_s = base_s + depth_s * np.sin(2 * np.pi * rate_hz * time + side * np.pi / 2)
        out[side] += np.float32(0.8) * _warp(stereo[side], np.maximum(time - delay_s, 0))
    return out


def echo(stereo: Samples, tempo_bpm: float, rng: np.random.Generator) -> Samples:
    """Echoes in time with the song, each duller, changing sides."""
    step = int(60 / tempo_bpm * rng.choice([0.5, 0.75, 1.0]) * RATE_HZ)
    feedback, cutoff_hz = rng.uniform(0.2, 0.6), rng.uniform(1500, 7000)
    out, repeat = stereo.copy(), stereo
    for number in range(1, 6):
        repeat = scipy.signal.sosfilt(_pass(cutoff_hz, "low"), repeat[::-1], axis=1) * feedback
        start = number * step
        if start >= out.shape[1] or feedback**number < 0.02:
            break
        out[:, start:] += repeat[:, : out.shape[1] - start]
    return out.astype(np.float32)


def _warp(mono: Samples, time_s: np.ndarray) -> Samples:
    """Samples of a sound [samples] at other instants, linearly interpolated."""
    position = time_s * RATE_HZ
    index = np.minimum(position.astype(np.int64), len(mono) - 2)
    fraction = (position - index).astype(np.float32)
    return mono[index] + fraction * (mono[index + 1] - mono[index])


def sidechain(stems: dict[str, Samples], rng: np.random.Generator) -> dict[str, Samples]:
    """Some stems duck under the kick drum, as in dance music; drums and vocals never do."""
    kick = stems.get("kick drum", stems.get("drums"))
    if kick is None:
        return stems
    trigger = scipy.signal.sosfilt(_pass(120, "low"), kick.mean(0))
    level = _envelope(trigger.astype(np.float32))
    depth_db = rng.uniform(4, 18)
    cut_db = -depth_db * np.minimum(level / max(float(np.quantile(level, 0.98)), 1e-6), 1)
    gain = 10 ** (smooth(cut_db, 0.005, rng.uniform(0.08, 0.35)) / 20)
    ducked = {label for label in stems if label not in ("drums", "vocals", "percussion", *KIT) and rng.random() < 0.8}
    curve = _at_rate(gain, len(trigger))
    return {label: audio * curve if label in ducked else audio for label, audio in stems.items()}


def master(stems: dict[str, Samples], rng: np.random.Generator) -> dict[str, Samples]:
    """The bus: glue compression, a limiter, sometimes a worn medium; one for all stems, so that they still sum.

    A worn medium's noise may come as one stem more ("vinyl noise", "tape noise"): what was silent stays so.
    """
    if rng.random() < 0.25:
        stems = _worn(stems, rng)
        if rng.random() < 0.2:
            label, noise = _noise(np.sum(list(stems.values()), axis=0), rng)
            stems = stems | {label: noise}
    mixture = np.sum(list(stems.values()), axis=0)
    peak = max(float(np.abs(mixture).max()), 1e-6)
    loudness = rng.uniform(0, 10) if rng.random() < 0.45 else 0.0  # how far the limiter is driven, in dB
    ceiling = rng.uniform(0.5, 0.98)
    level_db = 20 * np.log10(_envelope(mixture) / peak + 1e-6) + loudness
    glue_db = np.maximum(level_db + rng.uniform(4, 12), 0) * (1 / rng.uniform(1.2, 3) - 1)
    gain_db = smooth(glue_db, 0.02, rng.uniform(0.1, 0.5))
    limited_db = np.minimum(gain_db + loudness, -20 * np.log10(_held_peak(mixture) / peak + 1e-6))
    curve = _at_rate(10 ** (limited_db / 20) * ceiling / peak, mixture.shape[1])
    return {label: (audio * curve).astype(np.float32) for label, audio in stems.items()}


def _held_peak(audio: Samples) -> np.ndarray:
    """The peak around each control frame, so that an interpolated gain is low enough before a peak and after it."""
    peaks = np.pad(_envelope(audio), 2, mode="edge")
    return np.max([peaks[i : len(peaks) - 4 + i] for i in range(5)], axis=0)


def _worn(stems: dict[str, Samples], rng: np.random.Generator) -> dict[str, Samples]:
    """Tape or vinyl: a narrower band and unsteady speed."""
    samples = next(iter(stems.values())).shape[1]
    time = np.arange(samples) / RATE_HZ
    wow_s, flutter_s = rng.uniform(0, 0.004), rng.uniform(0, 0.0002)
    slow, fast = rng.uniform(0.3, 1.5), rng.uniform(5, 12)
    drift = wow_s * np.sin(2 * np.pi * slow * time) + flutter_s * np.sin(2 * np.pi * fast * time)
    read_s = np.clip(time + drift, 0, (samples - 2) / RATE_HZ)
    band = np.concatenate([_pass(rng.uniform(20, 200), "high"), _pass(rng.uniform(4000, 15000), "low")])
    worn = {}
    for label, audio in stems.items():
        warped = np.stack([_warp(side, read_s) for side in audio])
        worn[label] = scipy.signal.sosfilt(band, warped, axis=1).astype(np.float32)
    return worn


def _noise(mixture: Samples, rng: np.random.Generator) -> tuple[str, Samples]:
    """The label and sound [2, samples] of a hiss, of vinyl with sparse crackle, at a level below the mixture's.

    It is to be heard as a source (`triplets.AUDIBLE`): what only its prompts for silence knew would be taught as none.
    """
    is_vinyl, (sides, samples) = bool(rng.random() < 0.5), mixture.shape
    noise = scipy.signal.sosfilt(_pass(rng.uniform(300, 3000), "high"), rng.standard_normal((sides, samples)))
    if is_vinyl:
        count = int(rng.poisson(rng.uniform(1, 15) * samples / RATE_HZ))
        clicks = np.zeros((sides, samples))
        loud = rng.uniform(10, 100) * rng.exponential(1, count) * rng.choice([-1, 1], count)
        clicks[rng.integers(sides, size=count), rng.integers(samples, size=count)] = loud
        noise += scipy.signal.sosfilt(_pass(rng.uniform(2000, 9000), "low"), clicks)
    level = float(np.sqrt(np.mean(mixture**2)))
    gain = 10 ** (rng.uniform(-26, -14) / 20) * level / np.sqrt(np.mean(noise**2))
    return "vinyl noise" if is_vinyl else "tape noise", (noise * gain).astype(np.float32)
