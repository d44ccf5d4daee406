"""A singer: one line of notes sung through, with gliding pitch, changing vowels, consonants and breath.

Source and filter (G. Fant): a buzz whose pitch glides from note to note, and noise, both through formants that move
from vowel to vowel, or through the spectra of speech, a syllable a note. `synth.voice` sings single notes; a line that
is sung through is nearer to what songs hold.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.ndimage
import scipy.signal

from ..audio import Samples
from .songs import RATE_HZ
from .speech import BANDS_HZ, FRAME_S, Speech
from .synth import VOWELS

_CONTROL_HZ = 400  # of pitch, loudness and formants
_FFT, _HOP = 1024, 256
_LEVELS = (1.0, 0.8, 0.6, 0.3)  # of the formants, lowest first: what trained voices put at 2 to 4 kHz carries them
_CENTRES = {False: 55.0, True: 65.0}  # of the lines that men and women sing, MIDI
_WITH_WORDS = 0.75  # of the lines, where there is speech
_SILENT_DB = -120.0
_NASAL = (270, 1100, 2300, 3300)
# Noise of consonants: band in Hz, length and silence before it in seconds, level.
_CONSONANTS = (
    (5000, 11000, 0.09, 0.0, 0.30),  # s
    (2200, 6500, 0.09, 0.0, 0.30),  # sh
    (1200, 9000, 0.05, 0.0, 0.12),  # f, h
    (2500, 8000, 0.02, 0.04, 0.45),  # t
    (1000, 3500, 0.025, 0.04, 0.40),  # k
    (300, 1500, 0.015, 0.05, 0.35),  # p
)


def sung(
    notes: np.ndarray, samples: int, rng: np.random.Generator, speeches: Sequence[Speech] = ()
) -> tuple[Samples, tuple[str, ...]]:
    """A line by one singer, an octave away where it suits the voice, at times doubled, or with more voices around it.

    Args:
        notes: See `sing`.
        samples: Length.
        rng: The singers.
        speeches: Where there are any, most lines have words, said by one of their speakers.

    Returns:
        Float32 [samples], and tags of the voice ("male", "female", "choral").
    """
    spoken = _speaker(speeches, rng) if speeches and rng.random() < _WITH_WORDS else None
    female = bool(rng.random() < 0.5) if spoken is None else bool(spoken[0].female[spoken[1]])

    def line(notes: np.ndarray) -> Samples:
        return sing(notes, samples, rng, female) if spoken is None else sing_words(notes, samples, rng, *spoken)

    octaves = round((_CENTRES[female] - float(np.median(notes[:, 2]))) / 12) if len(notes) else 0
    notes = notes + np.array([0, 0, 12 * octaves, 0])
    lead = line(notes)
    others = int(rng.choice([0, 1, 2, 4], p=[0.55, 0.2, 0.15, 0.1]))
    for _ in range(others):
        moved = notes + np.array([0, 0, rng.choice([0, 0, -12, 12, 7, -5]), 0])
        moved[:, 0] = np.maximum(moved[:, 0] + rng.normal(0, 0.02, len(moved)), 0)
        lead = lead + line(moved) * np.float32(rng.uniform(0.3, 0.9))
    return lead, ("choral" if others == 4 else "female" if female else "male",)


def sing(notes: np.ndarray, samples: int, rng: np.random.Generator, female: bool) -> Samples:
    """Notes [n, 4] as one voice, float32 [samples]; where notes overlap, the later one is sung.

    Args:
        notes: Start and duration in seconds, MIDI pitch, velocity.
        samples: Length.
        rng: The singer and every syllable.
        female: Whose formants.
    """
    line = _line(notes, samples)
    if not len(line):
        return np.zeros(samples, np.float32)
    line = _syllables(line, rng)
    pitch, loudness, formants = _controls(line, _count(samples), rng, female)
    hz, level = _audible(440 * 2 ** ((pitch - 69) / 12), samples), _audible(loudness, samples).astype(np.float32)
    noise = rng.standard_normal(samples).astype(np.float32)
    breath = rng.uniform(0.01, 0.12)
    source = (_buzz(hz, rng) + breath * noise) * level
    voiced = _through_formants(source, formants, rng.uniform(0.07, 0.14))
    return (voiced + _consonants(line, samples, noise, rng)).astype(np.float32)


def _speaker(speeches: Sequence[Speech], rng: np.random.Generator) -> tuple[Speech, int]:
    """A man or a woman, as likely as not, and then which."""
    sex = bool(rng.random() < 0.5)
    all_of_them = [(speech, speaker) for speech in speeches for speaker in range(len(speech.female))]
    fitting = [(speech, speaker) for speech, speaker in all_of_them if bool(speech.female[speaker]) == sex]
    fitting = fitting or all_of_them
    return fitting[int(rng.integers(len(fitting)))]


def sing_words(notes: np.ndarray, samples: int, rng: np.random.Generator, speech: Speech, speaker: int) -> Samples:
    """Notes as `sing`, with the words and in the voice of a speaker.

    Args:
        notes: Start and duration in seconds, MIDI pitch, velocity.
        samples: Length.
        rng: What of it is sung, and how: no two singers are one, even if they have one speaker.
        speech: What was said.
        speaker: Number of the speaker.
    """
    line = _line(notes, samples)
    if not len(line):
        return np.zeros(samples, np.float32)
    line = _syllables(line, rng)
    pitch, _, _ = _controls(line, _count(samples), rng, bool(speech.female[speaker]))
    hz = _audible(440 * 2 ** ((pitch - 69) / 12), samples)
    levels_db, voiced = _said(line, int(samples / RATE_HZ / FRAME_S) + 2, rng, speech, speaker)
    ring_db = rng.uniform(0, 8) * np.exp(-(np.log2(BANDS_HZ / 3000) ** 2) / 0.2)  # what carries a trained voice
    throat = rng.uniform(0.87, 1.15)  # as long as the speaker's or longer or shorter
    levels_db = levels_db @ _read_at(BANDS_HZ / throat) + ring_db
    buzz = _buzz(hz, rng, fall=0.0) * np.sqrt(4 * hz / RATE_HZ).astype(np.float32)  # as much power a hertz as noise
    return _spoken(buzz, levels_db, voiced, rng)


def _said(
    line: np.ndarray, count: int, rng: np.random.Generator, speech: Speech, speaker: int
) -> tuple[np.ndarray, np.ndarray]:
    """Power in dB [frames, bands] of the syllables sung to a line, and which frames have a pitch [frames], 0 or 1."""
    own = speech.syllables[speech.speakers == speaker]
    levels_db, voiced = np.full((count, len(BANDS_HZ)), _SILENT_DB, np.float32), np.zeros(count, np.float32)
    at, before_s = int(rng.integers(len(own))), 0.0
    for (start_s, length_s, _, velocity), next_s in zip(line, [*line[1:, 0], np.inf], strict=True):
        length_s = min(length_s, next_s - start_s)
        if start_s > before_s + 0.5:
            at = int(rng.integers(len(own)))  # another phrase
        first, loudest, stop = own[at % len(own)].tolist()
        unvoiced = np.flatnonzero(~speech.voiced[first:loudest])
        begins = first + (int(unvoiced[-1]) + 1 if len(unvoiced) else 0)
        frames = _stretched(begins, loudest, stop, max(2, round(length_s / FRAME_S)), rng)
        frames = np.concatenate((np.arange(first, begins), frames))  # what has no pitch sounds before the beat
        place = round(start_s / FRAME_S) - (begins - first)
        frames, place = frames[max(0, -place) :], max(0, place)
        frames = frames[: max(0, count - place)]
        said_db = speech.levels_db(frames)
        # Louder notes are louder as in `_controls`, and syllables more alike than they were said.
        gain_db = 24 * np.log10(velocity + 1e-3) - 0.7 * float(speech.levels_db(np.array([loudest])).max())
        levels_db[place : place + len(frames)] = _above(said_db, int(speech.bands[speaker]), rng) + gain_db
        voiced[place : place + len(frames)] = speech.voiced[frames]
        at, before_s = at + 1, start_s + length_s
    return levels_db, voiced


def _stretched(begins: int, loudest: int, stop: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """Frames [count] of a syllable from its first frame with a pitch on: a long note stays on the vowel."""
    held = count - (stop - begins)
    if held <= 0:
        return np.linspace(begins, stop - 1, count).round().astype(int)
    wander = 1.5 * np.sin(np.arange(held) * rng.uniform(0.02, 0.08)) + loudest
    frames = np.concatenate((np.arange(begins, loudest), wander.round(), np.arange(loudest, stop)))
    return frames.clip(begins, stop - 1).astype(int)


def _above(levels_db: np.ndarray, known: int, rng: np.random.Generator) -> np.ndarray:
    """Levels [frames, bands] that go on falling above the bands that are known."""
    octaves = np.log2(BANDS_HZ[known:] / BANDS_HZ[known - 1])
    edge = levels_db[:, known - 3 : known].mean(1, keepdims=True)
    return np.concatenate((levels_db[:, :known], edge - rng.uniform(4, 12) * octaves), 1)


def _read_at(hz: np.ndarray) -> np.ndarray:
    """What turns levels of bands into those at some frequencies [n]: [bands, n]."""
    return np.stack([np.interp(hz, BANDS_HZ, band) for band in np.eye(len(BANDS_HZ))])


def _spoken(buzz: Samples, levels_db: np.ndarray, voiced: np.ndarray, rng: np.random.Generator) -> Samples:
    """A buzz [samples] and noise through spectra in dB [frames, bands], as `voiced` [frames] mixes them."""
    noise = rng.standard_normal(len(buzz)).astype(np.float32)
    bins, times_s, spectra = scipy.signal.stft(
        np.stack((buzz, noise)), RATE_HZ, nperseg=_FFT, noverlap=_FFT - _HOP
    )
    place = np.minimum(times_s / FRAME_S, len(levels_db) - 1.001)
    low, share = place.astype(int), place % 1
    shaped = levels_db[low] * (1 - share)[:, None] + levels_db[low + 1] * share[:, None]  # [times, bands]
    envelope = 10 ** ((shaped @ _read_at(bins)).T / 20)  # [bins, times]
    pitched = np.interp(times_s, FRAME_S * np.arange(len(voiced)), scipy.ndimage.uniform_filter1d(voiced, 3))
    harmonic = pitched / (1 + (bins[:, None] / rng.uniform(3500, 9000)) ** 4)
    breath = np.sqrt(1 - harmonic**2) * (1 - pitched * (1 - rng.uniform(0.3, 1.0)))
    _, sound = scipy.signal.istft(
        (spectra[0] * harmonic + spectra[1] * breath) * envelope, RATE_HZ, nperseg=_FFT, noverlap=_FFT - _HOP
    )
    return np.pad(sound, (0, max(0, len(buzz) - len(sound))))[: len(buzz)].astype(np.float32)


def _line(notes: np.ndarray, samples: int) -> np.ndarray:
    """Notes that begin within so many samples, in their order."""
    line = notes[np.argsort(notes[:, 0], kind="stable")]
    return line[line[:, 0] < samples / RATE_HZ]


def _count(samples: int) -> int:
    """How many control frames there are to so many samples."""
    return -(-samples * _CONTROL_HZ // RATE_HZ) + 1


def _audible(track: np.ndarray, samples: int) -> np.ndarray:
    """A control track [control frames] at the rate of sound [samples]."""
    return np.interp(np.arange(samples) / RATE_HZ, np.arange(len(track)) / _CONTROL_HZ, track)


def _syllables(line: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Long notes sung as several syllables, as words would have them."""
    share = rng.uniform(0, 0.8)
    rows = []
    for start_s, length_s, pitch, velocity in line:
        count = int(min(length_s / 0.18, rng.integers(1, 5))) if length_s > 0.36 and rng.random() < share else 1
        each_s = length_s / count
        rows += [(start_s + i * each_s, each_s * 0.92, pitch, velocity * (1 - 0.1 * i)) for i in range(count)]
    return np.array(sorted(rows))


def _controls(line: np.ndarray, count: int, rng, female: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pitch (MIDI) and loudness [control frames], and formants in Hz [control frames, 4]."""
    names, size = list(VOWELS), rng.uniform(0.93, 1.07)
    attack_s, glide_s = rng.uniform(0.02, 0.08), rng.uniform(0.01, 0.06)
    pitch, loudness = np.full(count, line[0, 2]), np.zeros(count)
    formants = np.empty((count, 4))
    time_s = np.arange(count) / _CONTROL_HZ
    ends_s = np.append(line[1:, 0], np.inf)
    for (start_s, length_s, note, velocity), next_s in zip(line, ends_s, strict=True):
        first = min(round(start_s * _CONTROL_HZ), count - 1)
        last = max(first, round(min(start_s + length_s, next_s) * _CONTROL_HZ))
        since = time_s[first:] - start_s
        pitch[first:] = note
        release = np.clip((min(start_s + length_s, next_s) - time_s[first:]) / 0.05, 0, 1)
        envelope = np.minimum(since / attack_s, 1) * release * (0.8 + 0.2 * np.exp(-since / 0.3))
        loudness[first:last] = (velocity**1.2 * envelope)[: len(loudness[first:last])]
        a, b = (np.array(VOWELS[str(rng.choice(names))][int(female)]) * size for _ in range(2))
        moved = np.clip((since - rng.uniform(0.05, 0.3)) / rng.uniform(0.08, 0.5), 0, 1)[:, None]
        formants[first:] = a + moved * (b - a) * (rng.random() < 0.4)
        if rng.random() < 0.2:  # m, n
            formants[first : first + int(rng.uniform(0.05, 0.12) * _CONTROL_HZ)] = _NASAL
    formants[: round(line[0, 0] * _CONTROL_HZ)] = formants[min(round(line[0, 0] * _CONTROL_HZ), count - 1)]
    depth, rate_hz = rng.uniform(0.05, 0.5), rng.uniform(4.5, 6.5)
    wobble = depth * np.sin(2 * np.pi * rate_hz * time_s + rng.uniform(0, 6)) * _since_onset(line, time_s)
    drift = np.cumsum(rng.normal(0, 0.01, count)) * 0.2
    pitch = _eased(pitch, glide_s) + wobble + drift - drift.mean()
    return pitch, loudness, np.stack([_eased(track, 0.025) for track in formants.T], 1)


def _since_onset(line: np.ndarray, time_s: np.ndarray) -> np.ndarray:
    """How far vibrato has come in: none at a note's start, all after half a second."""
    last = line[np.maximum(np.searchsorted(line[:, 0], time_s, "right") - 1, 0), 0]
    return np.clip((time_s - last - 0.15) / 0.35, 0, 1)


def _eased(track: np.ndarray, seconds: float) -> np.ndarray:
    """A control track [control frames] that follows its steps within about `seconds`."""
    keep = np.exp(-1 / (_CONTROL_HZ * seconds))
    return scipy.signal.lfilter([1 - keep], [1, -keep], track - track[0]) + track[0]


def _buzz(hz: np.ndarray, rng: np.random.Generator, fall: float | None = None) -> Samples:
    """The glottis: harmonics falling with their number, at a pitch [samples] that shakes a little.

    Where `fall` is given, the amplitude of the n-th is n to the minus `fall`; else the falling is drawn and the loudest
    sample is 1.
    """
    shaken = hz * (1 + scipy.signal.lfilter([0.02], [1, -0.98], rng.normal(0, 0.02, len(hz))))
    phase = np.cumsum(shaken / RATE_HZ) % 1
    count = max(1, int(RATE_HZ / 2 / hz.max()))
    n = np.arange(1, min(count, 200) + 1)
    spectrum = np.zeros(1025, complex)
    spectrum[n] = 1j / n ** (rng.uniform(0.9, 1.5) if fall is None else fall)
    table = np.fft.irfft(spectrum, 2048)
    table /= np.abs(table).max() if fall is None else 2 / len(table)  # that of a harmonic whose amplitude is 1
    place = phase * 2048
    index = place.astype(np.int64)
    low, high = table[index & 2047], table[(index + 1) & 2047]
    return (low + (place - index) * (high - low)).astype(np.float32)


def _through_formants(source: Samples, formants: np.ndarray, width: float) -> Samples:
    """A source [samples] through formants in Hz [control frames, 4], each a bump of `width` (log frequency)."""
    bins, times, spectrum = scipy.signal.stft(source, RATE_HZ, nperseg=_FFT, noverlap=_FFT - _HOP)
    rows = np.minimum((times * _CONTROL_HZ).astype(int), len(formants) - 1)
    log_hz = np.log(np.maximum(bins, 20.0))[:, None, None]
    bumps = np.exp(-((log_hz - np.log(formants[rows])[None]) ** 2) / (2 * width**2))  # [bins, frames, 4]
    air = 0.12 * np.exp(-((log_hz[..., 0] - np.log(9000)) ** 2) / 0.3)
    envelope = bumps @ np.array(_LEVELS) + 0.02 + air
    _, voiced = scipy.signal.istft(spectrum * envelope, RATE_HZ, nperseg=_FFT, noverlap=_FFT - _HOP)
    return np.pad(voiced, (0, max(0, len(source) - len(voiced))))[: len(source)]


def _consonants(line: np.ndarray, samples: int, noise: Samples, rng: np.random.Generator) -> Samples:
    """Hisses and bursts before some of the notes, float32 [samples]."""
    out = np.zeros(samples, np.float32)
    share, loud = rng.uniform(0.2, 0.9), rng.uniform(0.15, 0.9)
    filtered: dict[int, Samples] = {}
    for start_s, _, _, velocity in line:
        if rng.random() > share:
            continue
        kind = int(rng.integers(len(_CONSONANTS)))
        low_hz, high_hz, length_s, gap_s, level = _CONSONANTS[kind]
        if kind not in filtered:
            band = scipy.signal.butter(2, (low_hz, high_hz), "band", fs=RATE_HZ, output="sos")
            filtered[kind] = scipy.signal.sosfilt(band, noise).astype(np.float32)
        length = int(length_s * rng.uniform(0.7, 1.4) * RATE_HZ)
        first = max(0, int((start_s - gap_s / 2) * RATE_HZ) - length)
        burst = filtered[kind][first : first + length] * np.hanning(length)[: max(0, samples - first)]
        out[first : first + len(burst)] += burst * np.float32(level * loud * velocity)
    return out
