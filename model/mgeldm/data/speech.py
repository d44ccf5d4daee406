"""Words for the singer: what speech synthesisers say, as spectra over time, cut into syllables.

A synthesiser's voice is a recorded one: its vowels, consonants and the ways between them are what formants made up of
four bumps lack. Only its spectra are kept (WORLD's envelopes; Morise, Yokomori & Ozawa 2016), so `singer.py` can sing
them at any pitch and length. `python -m mgeldm.data.bank` makes the bank "voices" of the synthesisers that are there.
"""

from __future__ import annotations

import itertools
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache, partial
from pathlib import Path

import numpy as np
import scipy.ndimage
import scipy.signal

from ..bundled import WORD_TABLE

FRAME_S = 0.01
BANDS_HZ = 700 * (10 ** (np.linspace(98, 3564, 48) / 2595) - 1)
"""Centres of the bands: 48 from 64 Hz to 16 kHz, even on the mel scale."""
FLOOR_DB, STEP_DB = -110.0, 0.5
PHRASES, WORDS_A_PHRASE = 90, 7  # of each speaker
_LEAST_S = 0.09  # of a syllable
_DIP_DB = 3.0  # between two of them
_REACH = 0.93  # of half the rate: above it recordings are filtered
_KANA = (
    "あいうえおかきくけこさしすせそたちつてとなにぬねのはひふへほ"
    "まみむめもやゆよらりるれろわがぎぐげごばびぶべぼだでど"
)
_AROUND_S = 0.25  # of a syllable before and after its loudest frame, at most: there may be a pause


@dataclass(frozen=True)
class Speaker:
    """A voice of a speech synthesiser.

    Attributes:
        says: Writes a WAV file of a text.
        female: Whose voice it is.
        licence: Of the voice.
        kana: It speaks Japanese.
    """

    says: Callable[[str, Path], None]
    female: bool
    licence: str
    kana: bool = False


@dataclass(frozen=True)
class Speech:
    """Syllables of several speakers.

    Attributes:
        levels: Power in every band, uint8 [frames, bands], steps of `STEP_DB` above `FLOOR_DB`.
        voiced: Which frames have a pitch, bool [frames].
        syllables: First frame, loudest frame and the one after the last, int32 [n, 3]; those of a phrase follow each
            other.
        speakers: Who says each syllable, int16 [n].
        female: Of each speaker, bool [speakers].
        bands: How many bands each speaker's recordings reach, int16 [speakers].
    """

    levels: np.ndarray
    voiced: np.ndarray
    syllables: np.ndarray
    speakers: np.ndarray
    female: np.ndarray
    bands: np.ndarray

    def levels_db(self, frames: np.ndarray) -> np.ndarray:
        """Power in dB of those frames [n, bands]."""
        return self.levels[frames].astype(np.float32) * np.float32(STEP_DB) + np.float32(FLOOR_DB)

    def arrays(self) -> dict[str, np.ndarray]:
        """All of it by name, for a file."""
        return {f"speech_{field.name}": getattr(self, field.name) for field in fields(self)}

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray]) -> Speech | None:
        """What `arrays` gave; None where there is none."""
        names = [field.name for field in fields(cls)]
        return cls(*(arrays[f"speech_{name}"] for name in names)) if "speech_levels" in arrays else None


def _run(command: list[str], text: str | None = None) -> str:
    return subprocess.run(command, input=text, text=True, check=True, capture_output=True, timeout=120).stdout


@cache
def _flite_voices() -> list[str]:
    return _run(["flite", "-lv"]).split()


def _flite(voice: str, text: str, path: Path) -> None:
    if voice not in _flite_voices():  # it would speak with another's
        raise FileNotFoundError(voice)
    _run(["flite", "-voice", voice, "-t", text, "-o", str(path)])


def _festival(voice: str, text: str, path: Path) -> None:
    _run(["text2wave", "-eval", f"(voice_{voice})", "-o", str(path)], text)


def _pico(language: str, text: str, path: Path) -> None:
    import soundfile
    import ttspico

    said = ttspico.TtsEngine(language).speak(text)
    soundfile.write(path, np.frombuffer(said, np.int16), 16000)


def _open_jtalk(text: str, path: Path) -> None:
    import pyopenjtalk

    voice = Path(pyopenjtalk.__file__).with_name("htsvoice") / "mei_normal.htsvoice"
    words = "/var/lib/mecab/dic/open-jtalk/naist-jdic"
    _run(["open_jtalk", "-m", str(voice), "-x", words, "-ow", str(path)], text)


_FESTIVAL = "MIT-Festival"  # SPDX, of Edinburgh's and CMU's alike
SPEAKERS = {
    "flite awb": Speaker(partial(_flite, "awb"), False, _FESTIVAL),
    "flite rms": Speaker(partial(_flite, "rms"), False, _FESTIVAL),
    "festival ked": Speaker(partial(_festival, "ked_diphone"), False, _FESTIVAL),
    "festival slt": Speaker(partial(_festival, "cmu_us_slt_arctic_hts"), True, _FESTIVAL),
    "pico en-GB": Speaker(partial(_pico, "en-GB"), True, "Apache-2.0"),
    "pico en-US": Speaker(partial(_pico, "en-US"), True, "Apache-2.0"),
    "pico de-DE": Speaker(partial(_pico, "de-DE"), True, "Apache-2.0"),
    "pico es-ES": Speaker(partial(_pico, "es-ES"), True, "Apache-2.0"),
    "pico fr-FR": Speaker(partial(_pico, "fr-FR"), True, "Apache-2.0"),
    "mei": Speaker(_open_jtalk, True, "CC-BY-3.0", kana=True),
}
HELD_OUT_SPEAKERS = {
    "festival kal": Speaker(partial(_festival, "kal_diphone"), False, _FESTIVAL),
    "pico it-IT": Speaker(partial(_pico, "it-IT"), True, "Apache-2.0"),
}


def record(speakers: Mapping[str, Speaker], phrases: int) -> tuple[Speech | None, list[str]]:
    """What those speakers say, and the names of those who cannot, for a program or a voice is missing.

    Args:
        speakers: By name.
        phrases: How many each of them says; which follows from the speaker's name.
    """
    from ..conditioning.embedded import WordTable  # here, for who renders needs no torch

    words = [word for word in WordTable.load(WORD_TABLE).tokenize.pieces if word.isascii() and word.isalpha()]
    words = [word for word in words if 3 <= len(word) <= 9]
    said, silent = [], []
    for name, speaker in speakers.items():
        rng = np.random.default_rng(list(name.encode()))
        texts = [_text(words, rng, speaker.kana) for _ in range(phrases)]
        try:
            said.append(_recorded(speaker, texts))
        except (OSError, ImportError, RuntimeError, subprocess.SubprocessError):
            silent.append(name)
    return _joined(said) if said else None, silent


def _text(words: Sequence[str], rng: np.random.Generator, kana: bool) -> str:
    if kana:
        return "、".join("".join(rng.choice(list(_KANA), 5)) for _ in range(3)) + "。"
    return " ".join(rng.choice(words, WORDS_A_PHRASE)) + "."


def _recorded(speaker: Speaker, texts: Sequence[str]) -> Speech:
    """What one speaker says of those texts."""
    import soundfile

    levels, voiced, syllables, at, rate_hz = [], [], [], 0, 0
    with tempfile.TemporaryDirectory() as folder:
        for number, text in enumerate(texts):
            path = Path(folder, f"{number}.wav")  # for some programs fail without a word
            speaker.says(text, path)
            audio, rate_hz = soundfile.read(path, dtype="float64", always_2d=True)
            each = envelopes(audio[:, 0], rate_hz)
            cut = cut_syllables(*each)
            levels.append(each[0])
            voiced.append(each[1])
            syllables.append(cut + at)
            at += len(each[0])
    reach = int(np.searchsorted(BANDS_HZ, _REACH * rate_hz / 2))
    cut = np.concatenate(syllables).astype(np.int32)
    if not len(cut):
        raise RuntimeError("the speaker said nothing")
    each_db = np.clip((np.concatenate(levels) - FLOOR_DB) / STEP_DB, 0, 255).round().astype(np.uint8)
    nobody, female = np.zeros(len(cut), np.int16), np.array([speaker.female])
    return Speech(each_db, np.concatenate(voiced), cut, nobody, female, np.array([reach], np.int16))


def _joined(said: Sequence[Speech]) -> Speech:
    firsts = np.cumsum([0, *(len(each.levels) for each in said[:-1])])
    return Speech(
        np.concatenate([each.levels for each in said]),
        np.concatenate([each.voiced for each in said]),
        np.concatenate([each.syllables + first for each, first in zip(said, firsts, strict=True)]).astype(np.int32),
        np.repeat(np.arange(len(said), dtype=np.int16), [len(each.syllables) for each in said]),
        np.concatenate([each.female for each in said]),
        np.concatenate([each.bands for each in said]),
    )


def envelopes(audio: np.ndarray, rate_hz: int) -> tuple[np.ndarray, np.ndarray]:
    """Power in dB in every band [frames, bands], the loudest at 0 dB, and which frames have a pitch, bool [frames].

    Args:
        audio: Speech float64 [samples].
        rate_hz: Its rate.
    """
    import pyworld

    f0, times_s = pyworld.dio(audio, rate_hz, frame_period=1000 * FRAME_S)
    f0 = pyworld.stonemask(audio, f0, times_s, rate_hz)
    power = pyworld.cheaptrick(audio, f0, times_s, rate_hz)  # [frames, bins]
    bins_hz = np.linspace(0, rate_hz / 2, power.shape[1])
    power_db = 10 * np.log10(power + 1e-16)
    bands = np.stack([np.interp(BANDS_HZ, bins_hz, frame) for frame in power_db])
    return bands - bands.max(), f0 > 0


def cut_syllables(levels_db: np.ndarray, voiced: np.ndarray) -> np.ndarray:
    """First frame, loudest frame and the one after the last of each syllable [n, 3]: vowels and what leads to them.

    Args:
        levels_db: Power in every band [frames, bands].
        voiced: Which frames have a pitch [frames].
    """
    vowel = (BANDS_HZ > 250) & (BANDS_HZ < 3500)
    loudness = 10 * np.log10((10 ** (levels_db[:, vowel] / 10)).sum(1) * voiced + 1e-9)
    loudness = scipy.ndimage.gaussian_filter1d(loudness, 2.0)
    peaks, _ = scipy.signal.find_peaks(loudness, height=loudness.max() - 25, prominence=_DIP_DB,
                                       distance=round(_LEAST_S / FRAME_S))  # fmt: skip
    if not len(peaks):
        return np.zeros((0, 3), int)
    around = round(_AROUND_S / FRAME_S)
    dips = [a + loudness[a:b].argmin() for a, b in itertools.pairwise(peaks)]
    firsts = np.maximum([0, *dips], peaks - around)
    return np.stack((firsts, peaks, np.minimum([*dips, len(voiced)], peaks + around)), 1)
