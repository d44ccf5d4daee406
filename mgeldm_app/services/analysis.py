"""Tempo, downbeat and key of a song, found in a process of its own, so that neither window nor model waits.

The grid is the one of constant tempo that collects most onsets, made exact by the sharp ones among them; its bars begin
where low notes and new chords do. The key is that of Krumhansl's profiles (1990) that fits the chroma best. Written
here in numpy: librosa's beat tracker brings 260 MB of compiler and needed 84 s for its first song on a busy computer.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
from mgeldm.audio import map_wav, resample
from mgeldm.progress import Reporter
from mgeldm.refine import one_channel, standing_for_all

from ..core.project import Tempo
from ..core.text import KEYS

_RATE_HZ, _HOP, _FFT = 22050, 220, 2048
_BPM = np.arange(55.0, 210.0, 0.25)
_USUAL_BPM, _OCTAVES = 115.0, 0.8  # tempos that people hear as the beat lie around here
_LOW_HZ = 150.0
_CHROMA_FFT, _CHROMA_HOP = 8192, 1024
_CHROMA_REACH_S = 0.1  # its windows hear a chord that much too early
_EARLY_S = 0.02  # a window sees an onset before its centre reaches it (measured: 0.015 to 0.023 with drums)
_REACH_S, _SIDE_S = 0.03, 0.004  # how far from the grid a sharp onset is looked for; what is compared on its two sides
_RISE, _CLEAR = 0.3, 2.5  # it is one that rises by so much of the loudness around, so many times what others nearby do
_FIT_REACH_S, _FIT_STEP = 0.05, 11  # how far off a straight line of beats is looked for; samples from line to line
_FIT_MOST = 3.0  # that a rise counts
_FIT_CLEAR = 4.0  # how many times the mean line the best one has to be (measured: wrong tempi reach 3.6)
_FIT_ALIKE, _FIT_NEAR = 0.95, 4  # a line that is as good as the best one, and so many steps beside it at most
_INEXACT_S = 0.004  # by which ends of a song may lie beside a whole tempo that it still is in
_AT_START_S = 0.02  # a bar that begins within it of a song's start begins with the song, as bounces do
_TOGETHER = 16  # beats that are heard as one; more, and a tempo that drifts blurs them
_HEARD_S = 240.0  # of a song, from where it begins to sound
_SILENCE = 1e-3
_BEATS_PER_BAR = 4
_BLOCK_SAMPLES = 1 << 18
_PATIENCE_S = 0.1
_MAJOR = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
_MINOR = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)

Array = npt.NDArray[np.floating]


def analyse(path: Path, reporter: Reporter | None = None) -> Tempo:
    """The grid and key of a float wav file; `source` "none" where nothing beats.

    Runs in another process and waits for it: call it on a worker.

    Raises:
        AudioError: The file cannot be read.
        RuntimeError: The process was ended.
        Cancelled: The reporter said so; the process is ended within a tenth of a second.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_send_tempo, args=(path, sender), daemon=True)
    process.start()
    sender.close()
    try:
        while not receiver.poll(_PATIENCE_S):
            if reporter is not None:
                reporter.check()
        found = receiver.recv()
    except EOFError as error:
        process.join()
        raise RuntimeError(f"the process that listened to {path.name} ended with {process.exitcode}") from error
    finally:
        process.kill()
        process.join()
        receiver.close()
    if isinstance(found, Exception):
        raise found
    return cast(Tempo, found)


def _send_tempo(path: Path, sender: Connection) -> None:
    """What the process does."""
    try:
        found: Tempo | Exception = find_tempo(path)
    except Exception as error:
        found = error
    sender.send(found)
    sender.close()


def find_tempo(path: Path) -> Tempo:
    """What `analyse` gives, in this process."""
    frames, rate_hz = map_wav(path)
    first = _first_sound(frames)
    stop = min(len(frames), first + round(_HEARD_S * rate_hz))
    audio = resample(_mono(frames[first:stop]), rate_hz, _RATE_HZ)[0]
    if len(audio) < 4 * _RATE_HZ:
        return Tempo()
    heard = _hear(audio)
    key = _key(heard.chroma.mean(1))
    grid = _grid(heard)
    if grid is None:
        return Tempo(key=key)
    exact = _exact(audio, *grid)
    bpm, first_beat_s = exact or grid
    downbeat_s = first_beat_s + _bar_phase(heard, bpm, first_beat_s) * 60 / bpm
    if exact is None:
        downbeat_s += _lateness_s(audio, bpm, downbeat_s)
    return Tempo(bpm, _first_bar_s(downbeat_s + first / rate_hz, bpm), _BEATS_PER_BAR, key, "found")


def _mono(frames: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """What to listen to [1, samples]: all channels or, where they cancel each other, the loudest."""
    blocks = [frames[start : start + _BLOCK_SAMPLES].T for start in range(0, len(frames), _BLOCK_SAMPLES)]
    return np.ascontiguousarray(one_channel(frames.T, standing_for_all(blocks)))


def _first_bar_s(downbeat_s: float, bpm: float) -> float:
    """The first of a song's bars that begins in it, one of which begins at `downbeat_s`."""
    bar_s = _BEATS_PER_BAR * 60 / bpm
    first_s = (downbeat_s + _AT_START_S) % bar_s - _AT_START_S
    return 0.0 if first_s < _AT_START_S else round(first_s, 4)


@dataclass(frozen=True)
class _Heard:
    """Onset strength [n] of everything, of low notes and of what a snare sounds like, and chroma [12, m]."""

    onsets: Array
    low: Array
    snare: Array
    chroma: Array


def _first_sound(frames: npt.NDArray[np.float32]) -> int:
    """The first sample of note, looked for in blocks."""
    block = 1 << 16
    for start in range(0, len(frames), block):
        loud = np.abs(frames[start : start + block]).max(1) > _SILENCE
        if loud.any():
            return start + int(np.argmax(loud))
    return 0


def _hear(audio: npt.NDArray[np.float32]) -> _Heard:
    """Features, in pieces of a minute."""
    bins_hz = np.fft.rfftfreq(_FFT, 1 / _RATE_HZ)
    rises: list[Array] = []
    last = np.zeros(len(bins_hz))
    for spectrum in _spectra(audio, _FFT, _HOP):
        loud = np.log1p(spectrum)
        rise = np.maximum(np.diff(loud, axis=0, prepend=last[None]), 0)
        last = loud[-1]
        bands = (np.ones(len(bins_hz), bool), bins_hz < _LOW_HZ, (bins_hz > 1000) & (bins_hz < 6000))
        rises.append(np.stack([rise[:, band].mean(1) for band in bands]))
    to_chroma = _chroma_filters(np.fft.rfftfreq(_CHROMA_FFT, 1 / _RATE_HZ))
    chroma = [to_chroma @ np.sqrt(spectrum).T for spectrum in _spectra(audio, _CHROMA_FFT, _CHROMA_HOP)]
    onsets, low, snare = np.concatenate(rises, 1)
    return _Heard(onsets, low, snare, np.concatenate(chroma, 1))


def _spectra(audio: npt.NDArray[np.float32], size: int, hop: int) -> Iterator[Array]:
    """Magnitudes [frames, bins]; frame j is centred on j hops."""
    window = np.hanning(size).astype(np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(audio, size // 2), size)[::hop]
    for start in range(0, len(frames), 4000):
        yield np.abs(np.fft.rfft(frames[start : start + 4000] * window, axis=1))


def _chroma_filters(bins_hz: Array) -> Array:
    """Weights [12, bins] of the pitch classes, where a semitone is wider than a bin; each class weighs the same."""
    pitch = 69 + 12 * np.log2(np.maximum(bins_hz, 1.0) / 440)
    nearness = np.exp(-0.5 * np.square((pitch - np.round(pitch)) / 0.2)) * ((bins_hz > 80) & (bins_hz < 1600))
    filters = np.stack([(np.round(pitch) % 12 == note) * nearness for note in range(12)])
    return filters / filters.sum(1, keepdims=True)


def _grid(heard: _Heard) -> tuple[float, float] | None:
    """Beats a minute and the time in seconds of the first beat; None where nothing beats."""
    onsets = _even(heard.onsets) + 0.3 * _even(heard.low)
    if onsets.max() <= 0:
        return None
    frames_per_s = _RATE_HZ / _HOP
    spectrum = np.fft.rfft(onsets - onsets.mean(), 2 * len(onsets))
    correlation = np.fft.irfft(np.square(np.abs(spectrum)))[: len(onsets)]
    if correlation[0] <= 0:
        return None
    lags = 60 / _BPM * frames_per_s
    beats = [np.interp(lags * number, np.arange(len(correlation)), correlation) for number in (1, 2, 4)]
    usual = np.exp(-0.5 * np.square(np.log2(_BPM / _USUAL_BPM) / _OCTAVES))
    score = np.sum(beats, 0) * usual
    if score.max() < 0.1 * correlation[0]:
        return None
    rough = float(_BPM[int(np.argmax(score))])
    tried = rough + np.linspace(-1.0, 1.0, 401)
    strengths = [_comb(onsets, 60 / bpm * frames_per_s)[0] for bpm in tried]
    bpm = float(tried[int(np.argmax(strengths))])
    if _comb(onsets, 60 / round(bpm) * frames_per_s)[0] >= 0.97 * max(strengths):
        bpm = float(round(bpm))  # most music made on a computer has a whole number of beats a minute
    return round(bpm, 2), _comb(onsets, 60 / bpm * frames_per_s)[1] / frames_per_s + _EARLY_S


def _even(onsets: Array) -> Array:
    """Onset strength against what is around it, so that quiet passages count too; its mean is about one."""
    around = np.convolve(onsets, np.ones(201) / 201, "same")
    return np.maximum(onsets - around, 0) / (around + 0.1 * onsets.mean() + 1e-9)


def _comb(onsets: Array, period: float) -> tuple[float, float]:
    """Mean onset strength on the best grid of a period in frames, and that grid's first frame."""
    count = max(1, int(len(onsets) / period) - 1)
    phases = np.arange(0.0, period, 0.5)
    places = phases[:, None] + np.arange(count)[None] * period  # [phases, beats]
    smooth = np.convolve(onsets, (0.25, 0.5, 0.25), "same")
    strength = np.interp(places.ravel(), np.arange(len(onsets)), smooth).reshape(places.shape).mean(1)
    best = int(np.argmax(strength))
    return float(strength[best]), float(phases[best])


def _bar_phase(heard: _Heard, bpm: float, first_beat_s: float) -> float:
    """How many beats after the first one a bar begins, in halves: the grid may have caught the off-beats.

    A bar begins with a low note and a new chord, and has its snare on the second and fourth beat.
    """
    half_s = 30 / bpm
    count = int((len(heard.onsets) * _HOP / _RATE_HZ - first_beat_s) / half_s) - 2
    times_s = first_beat_s + np.arange(max(count, 16)) * half_s
    low, snare = (_near(_even(x), times_s) for x in (heard.low, heard.snare))
    change = _chord_changes(heard.chroma, times_s, half_s)
    per_bar = 2 * _BEATS_PER_BAR
    scores = []
    for phase in range(per_bar):
        at = [phase, *((phase + beat) % per_bar for beat in (2, 6))]
        first, second, fourth = (slice(x, None, per_bar) for x in at)
        backbeat = (snare[second].mean() + snare[fourth].mean()) / 2
        scores.append(low[first].mean() + backbeat + 2 * change[first].mean())
    return int(np.argmax(scores)) / 2


def _exact(audio: npt.NDArray[np.float32], bpm: float, beat_s: float) -> tuple[float, float] | None:
    """Tempo and first beat of the straight line of beats that sharp onsets lie on, beside a grid; None where few do.

    All lines are tried that at the ends and in the middle of the song lie within reach of the grid, and a whole tempo
    is taken that fits as well as any: most music made on a computer has one.
    """
    reach = round(_FIT_REACH_S * _RATE_HZ / _FIT_STEP)
    beats, offsets, rises = _rises(audio, bpm, beat_s, 2 * reach, _FIT_STEP)
    if len(beats) < 2:
        return None
    rises = np.clip(rises, 0, _FIT_MOST)
    middle, number = len(beats) // 2, np.arange(len(beats))[:, None]
    moved = np.arange(-reach, reach + 1)  # at the end, and the other way at the beginning
    places = np.arange(reach, 3 * reach + 1)  # of the line in the middle
    slanted = [np.round(most * (number - middle) / middle).astype(int) + places for most in moved]
    strengths = np.stack([rises[number, np.clip(line, 0, len(offsets) - 1)].mean(0) for line in slanted])
    if strengths.max() < _FIT_CLEAR * strengths.mean():
        return None
    alike = np.argwhere(strengths >= _FIT_ALIKE * strengths.max())  # a flat top, where onsets are less than sharp
    best = np.unravel_index(np.argmax(strengths), strengths.shape)
    slant, place = (alike[np.abs(alike - best).max(1) <= _FIT_NEAR].mean(0) - reach) * _FIT_STEP / _RATE_HZ
    half_s = middle * 60 / bpm
    found = float(bpm / (1 + slant / half_s))
    whole = float(round(found))
    bpm = whole if abs(found / whole - 1) * half_s <= _INEXACT_S else round(found, 2)
    return bpm, float(beats[middle] / _RATE_HZ + place) % (60 / bpm)


def _lateness_s(audio: npt.NDArray[np.float32], bpm: float, beat_s: float) -> float:
    """How long after the beats of a grid, which has one at `beat_s`, sharp onsets come; 0 where few beats have such.

    An onset is where several beats together grow loud most suddenly. Of all of them the middle one counts, so that
    where the tempo drifts as much of the song is early as late.
    """
    beats, offsets, rises = _rises(audio, bpm, beat_s, round(_REACH_S * _RATE_HZ))
    groups = np.array_split(rises, max(1, round(len(beats) / _TOGETHER)))
    found = [_sharpest(group.mean(0), 2 * round(_SIDE_S * _RATE_HZ)) for group in groups if len(group)]
    sharp = [place for place in found if place is not None]
    return float(np.median(offsets[sharp])) / _RATE_HZ if 2 * len(sharp) > len(found) else 0.0


def _rises(
    audio: npt.NDArray[np.float32], bpm: float, beat_s: float, reach: int, step: int = 1
) -> tuple[npt.NDArray[np.int_], npt.NDArray[np.int_], Array]:
    """Samples of a grid's beats [n], places around each [m], `reach` steps each way, and how much louder it grows.

    Each beat weighs the same. Loudness is that of the slope: it leaves out low notes that sound on.
    """
    side, period = round(_SIDE_S * _RATE_HZ), 60 / bpm * _RATE_HZ
    sums = np.cumsum(np.abs(np.diff(audio, prepend=audio[:1])), dtype=np.float64)
    offsets = np.arange(-reach, reach + 1) * step
    beats = np.round(np.arange(beat_s * _RATE_HZ % period, len(audio), period)).astype(int)
    beats = beats[(beats > side - offsets[0]) & (beats + offsets[-1] + side < len(audio))]
    at = beats[:, None] + offsets - 1  # [n, m]: the last sample before each place
    rises = sums[at + side] - 2 * sums[at] + sums[at - side]
    around = (sums[at[:, -1] + side] - sums[at[:, 0] - side]) * side / (2 * (offsets[-1] + side))
    return beats, offsets, rises / (around[:, None] + 1e-9)


def _sharpest(rises: Array, near: int) -> int | None:
    """Where a rise stands out from all that are not near it; None where none does, as in a slow attack or noise."""
    best = int(np.argmax(rises))
    others = np.delete(rises, slice(max(0, best - near), best + near + 1))
    return best if rises[best] > max(_RISE, _CLEAR * others.max()) else None


def _near(onsets: Array, times_s: Array) -> Array:
    """The strongest onset within 30 ms of each time, over its mean."""
    places = np.round((times_s - _EARLY_S) * _RATE_HZ / _HOP).astype(int)
    around = np.clip(places[:, None] + np.arange(-3, 4), 0, len(onsets) - 1)
    strongest = onsets[around].max(1)
    return strongest / (strongest.mean() + 1e-9)


def _chord_changes(chroma: Array, times_s: Array, span_s: float) -> Array:
    """How much the notes after each time differ from those before it, over its mean."""
    per_s = _RATE_HZ / _CHROMA_HOP
    sums = np.concatenate([np.zeros((12, 1)), np.cumsum(chroma, 1)], 1)

    def notes(start_s: Array, stop_s: Array) -> Array:
        a, b = (np.clip(np.round(x * per_s), 0, chroma.shape[1]).astype(int) for x in (start_s, stop_s))
        mean = (sums[:, b] - sums[:, a]).T
        return mean / (np.linalg.norm(mean, axis=1, keepdims=True) + 1e-9)

    beat_s = 2 * span_s
    before = notes(times_s - 2 * beat_s, times_s - _CHROMA_REACH_S)
    change = (times_s > beat_s) * (1 - (before * notes(times_s + _CHROMA_REACH_S, times_s + 2 * beat_s)).sum(1))
    return change / (change.mean() + 1e-9)


def _key(chroma: Array) -> str:
    """Name of the key whose profile correlates best with the mean chroma [12]; "" where all notes are as loud."""
    if chroma.max() <= chroma.min():
        return ""
    profiles = [np.roll(mode, tonic) for mode in (_MAJOR, _MINOR) for tonic in range(12)]  # in the order of `KEYS`
    return KEYS[int(np.argmax([np.corrcoef(chroma, profile)[0, 1] for profile in profiles]))]
