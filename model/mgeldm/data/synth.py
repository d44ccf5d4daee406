"""Random synthesiser patches in numpy: sounds that no soundfont has, as samplers and drum kits."""

from dataclasses import dataclass

import numpy as np

RATE_HZ = 44100
NOTE_S = 2.2
_TABLE = 1024  # samples of a period


@dataclass
class Sampler:
    """An instrument: `audio` float32 [p, samples] holds a long note at each of `pitches` [p] (MIDI, ascending).

    `tags` say what it is, by `captions.ADJECTIVES`; `soft`, where it is known, holds the same notes played softly.
    """

    pitches: np.ndarray
    audio: np.ndarray
    release_s: float = 0.06
    tags: tuple[str, ...] = ()
    soft: np.ndarray | None = None

    def note(self, pitch: float, duration_s: float, soft: bool = False) -> np.ndarray:
        """A note, float32 [samples]: the nearest stored pitch resampled linearly, faded out after `duration_s`.

        With `soft` it is one that was played softly, where there is one.
        """
        row = int(np.abs(self.pitches - pitch).argmin())
        layer = self.soft if soft and self.soft is not None else self.audio
        source, ratio = layer[row], 2.0 ** ((pitch - self.pitches[row]) / 12)
        count = int(min((duration_s + self.release_s) * RATE_HZ, (len(source) - 2) / ratio))
        if abs(ratio - 1) < 1e-4:
            audio = source[:count].copy()
        else:
            position = np.arange(count, dtype=np.float32) * np.float32(ratio)
            index = position.astype(np.int32)
            low = source[index]
            audio = low + (position - index) * (source[index + 1] - low)
        fade = min(int(self.release_s * RATE_HZ), len(audio))
        audio[len(audio) - fade :] *= np.linspace(1, 0, fade, dtype=np.float32) ** 2
        return audio


def bank_sampler(bank, program: int, release_s: float = 0.06) -> Sampler:
    """One program of a bank as a sampler."""
    pitches, audio = bank.program(program)
    return Sampler(pitches, audio, release_s, soft=bank.program_soft(program))


def frequency_hz(pitch: float) -> float:
    """Frequency of a MIDI pitch, in Hz."""
    return 440.0 * 2.0 ** ((pitch - 69) / 12)


def _time() -> np.ndarray:
    return np.arange(int(NOTE_S * RATE_HZ), dtype=np.float32) / np.float32(RATE_HZ)


def _envelope(time_s: np.ndarray, attack_s: float, decay_s: float, sustain: float) -> np.ndarray:
    """Attack, then exponential decay to `sustain`; [samples]."""
    tail = sustain + (1 - sustain) * np.exp(-np.maximum(time_s - attack_s, 0) / decay_s)
    return (np.minimum(time_s / max(attack_s, 1e-3), 1) * tail).astype(np.float32)


def _tables(hz: float, gains: np.ndarray, harmonics: np.ndarray) -> np.ndarray:
    """Periodic tables float32 [k, _TABLE] of spectra `gains` [k, harmonics] at a fundamental of `hz`, band-limited."""
    keep = min(len(harmonics), int(RATE_HZ / 2 / hz), _TABLE // 2 - 1)
    spectra = np.zeros((len(gains), _TABLE // 2 + 1), complex)
    spectra[:, 1 : keep + 1] = gains[:, :keep] * harmonics[:keep]
    return (np.fft.irfft(spectra, axis=1) * _TABLE / 2).astype(np.float32)


def _scan(tables: np.ndarray, phase: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Read `tables` [k, size] at `phase` (cycles) [samples] and at fractional row `place` [samples]."""
    size = tables.shape[1]
    column = (phase * size).astype(np.int64) & (size - 1)
    row = np.minimum(place.astype(np.int32), len(tables) - 2)
    fraction = place - row
    flat = tables.ravel()
    index = row * size + column
    low = flat[index]
    return (low + fraction * (flat[index + size] - low)).astype(np.float32)


def subtractive(rng: np.random.Generator, pitches, kind: str) -> Sampler:
    """Detuned saws or pulses through a resonant low-pass with its own envelope. `kind`: bass, lead or pad."""
    n = np.arange(1, 400)
    duty = rng.uniform(0.1, 0.5)
    shapes = [1 / n, np.where(n % 2 == 1, 1 / n, 0), np.sin(np.pi * n * duty) / n, np.where(n % 2 == 1, 1 / n**2, 0)]
    wave = int(rng.choice(4, p=[0.45, 0.2, 0.25, 0.1]))
    harmonics = shapes[wave] * 1j
    order, resonance = rng.integers(1, 3) * 2, rng.uniform(0, 4)
    base, top = rng.uniform(1.2, 6), rng.uniform(6, 60)
    attack, decay = {"bass": (0.005, 0.35), "lead": (0.015, 0.7), "pad": (0.4, 3.0)}[kind]
    attack, decay, sustain = attack * rng.uniform(0.5, 2), decay * rng.uniform(0.4, 2), rng.uniform(0.2, 0.95)
    voices = {"bass": rng.integers(1, 3), "lead": rng.integers(1, 4), "pad": rng.integers(2, 5)}[kind]
    detunes = rng.uniform(-0.12, 0.12, voices)
    vibrato = rng.uniform(0, 0.004) if kind == "lead" else 0.0
    time = _time()
    envelope = _envelope(time, attack, decay, sustain)
    filter_env = _envelope(time, attack * 0.7, decay * rng.uniform(0.3, 1.2), rng.uniform(0, 0.7))
    wobble = vibrato * np.sin(2 * np.pi * 5.5 * time) * np.minimum(time * 3, 1)
    audio = []
    for pitch in pitches:
        hz = frequency_hz(pitch)
        cutoffs = np.geomspace(base, top, 6)[:, None]
        x = n[None, :] / cutoffs
        gains = 1 / np.sqrt(1 + x ** (2 * order)) + resonance * 0.3 * np.exp(-(np.log(x) ** 2) / 0.05)
        tables = _tables(hz, gains, harmonics)
        out = np.zeros(len(time), np.float32)
        for d in detunes:
            step = frequency_hz(pitch + d) / RATE_HZ
            phase = np.arange(len(time)) * step + rng.uniform()
            if vibrato:
                phase = phase + np.cumsum(wobble) * step
            out += _scan(tables, phase, filter_env * 5)
        audio.append(out * envelope)
    tags = ("saw", "electronic") if wave == 0 else ("electronic",)
    return _sampler(pitches, audio, {"bass": 0.04, "lead": 0.08, "pad": 0.5}[kind], tags)


def fm(rng: np.random.Generator, pitches, kind: str) -> Sampler:
    """Two-operator frequency modulation with a decaying index."""
    ratio = float(rng.choice([0.5, 1, 1, 2, 2, 3, 3.5, 5, 7]))
    index, floor = rng.uniform(0.5, 6), rng.uniform(0, 0.6)
    if kind == "bass":
        ratio, index = min(ratio, 3), index * 0.6
    time = _time()
    attack = {"bass": 0.004, "lead": 0.01, "pad": 0.35}[kind] * rng.uniform(0.5, 2)
    envelope = _envelope(time, attack, rng.uniform(0.3, 2), 0.7 if kind == "pad" else rng.uniform(0, 0.7))
    strength = (index * _envelope(time, 0.002, rng.uniform(0.08, 0.8), floor)).astype(np.float32)
    audio = []
    for pitch in pitches:
        phase = (2 * np.pi * (frequency_hz(pitch) / RATE_HZ * np.arange(len(time)) % 1)).astype(np.float32)
        scaled = strength * min(1.0, 3000 / (frequency_hz(pitch) * ratio))
        modulator = np.sin(
            (2 * np.pi * (ratio * frequency_hz(pitch) / RATE_HZ * np.arange(len(time)) % 1)).astype("f4")
        )
        audio.append(np.sin(phase + scaled * modulator) * envelope)
    return _sampler(pitches, audio, 0.4 if kind == "pad" else 0.08, ("fm", "electronic"))


def plucked(rng: np.random.Generator, pitches) -> Sampler:
    """Karplus-Strong strings, computed period by period in the frequency domain."""
    colour, damping = rng.uniform(0.1, 0.9), rng.uniform(0.3, 1.0)
    pick, loss_s = rng.uniform(0.08, 0.5), rng.uniform(0.5, 3)
    audio, exact = [], []
    for pitch in pitches:
        size = round(RATE_HZ / frequency_hz(pitch))
        periods = int(NOTE_S * RATE_HZ / size)
        n = np.arange(size // 2 + 1)
        start = np.exp(2j * np.pi * rng.uniform(size=len(n))) * np.sin(np.pi * n * pick) / np.maximum(n, 1) ** colour
        start[0] = 0
        loop = np.cos(np.pi * n / size).clip(1e-6) ** damping * np.exp(-size / RATE_HZ / loss_s)
        spectra = (start * loop ** np.arange(periods)[:, None]).astype(np.complex64)
        out = np.fft.irfft(spectra, n=size, axis=1).ravel().astype(np.float32)
        audio.append(np.pad(out, (0, len(_time()) - len(out))))
        exact.append(69 + 12 * np.log2(RATE_HZ / size / 440))
    return _sampler(exact, audio, 0.08, ("plucked",))


def sub_bass(rng: np.random.Generator, pitches, drops=(0.0, 2.5), falls_s=(0.01, 0.05)) -> Sampler:
    """An 808-like bass: a decaying sine with a falling pitch at its start, driven.

    The pitch begins `drops` (a range) times higher than it is and falls within `falls_s`.
    """
    time = _time()
    drop, fall_s, drive = rng.uniform(*drops), rng.uniform(*falls_s), rng.uniform(0.5, 4)
    envelope = _envelope(time, 0.003, rng.uniform(0.5, 2), rng.uniform(0, 0.3))
    audio = []
    for pitch in pitches:
        hz = frequency_hz(pitch) * (1 + drop * np.exp(-time / fall_s))
        phase = np.cumsum(hz.astype(np.float64)) / RATE_HZ
        audio.append(np.tanh(drive * np.sin((2 * np.pi * (phase % 1)).astype(np.float32)) * envelope))
    return _sampler(pitches, audio, 0.05, ("808", "electronic"))


# Formant centres of sung vowels, in Hz (after Peterson and Barney, rounded), for a low and a high voice.
VOWELS = {
    "ah": ((730, 1090, 2440, 3400), (850, 1220, 2810, 3900)),
    "oo": ((300, 870, 2240, 3300), (370, 950, 2670, 3800)),
    "ee": ((270, 2290, 3010, 3500), (310, 2790, 3310, 4100)),
    "eh": ((530, 1840, 2480, 3500), (610, 2330, 2990, 4000)),
    "oh": ((570, 840, 2410, 3400), (590, 920, 2710, 3800)),
}


def voice(rng: np.random.Generator, pitches, female: bool) -> Sampler:
    """A formant singer gliding between two vowels, with vibrato, breath and a soft or hissing onset."""
    n, time = np.arange(1, 300), _time()
    names = rng.choice(list(VOWELS), 2, replace=False)
    shift = rng.uniform(0.93, 1.07)
    width = rng.uniform(0.08, 0.16)
    tilt = rng.uniform(0.9, 1.5)
    glide = np.clip((time - rng.uniform(0.05, 0.4)) / rng.uniform(0.1, 1.0), 0, 1).astype(np.float32)
    depth, rate = rng.uniform(0.002, 0.012), rng.uniform(4.5, 6.5)
    scoop = rng.uniform(0, 0.06)
    bend = depth * np.sin(2 * np.pi * rate * time) * np.clip((time - 0.2) * 3, 0, 1) - scoop * np.exp(-time / 0.05)
    envelope = _envelope(time, rng.uniform(0.02, 0.09), 2.0, 0.75)
    noise = rng.standard_normal(len(time)).astype(np.float32)
    breath = np.append(0, np.diff(noise)).astype(np.float32) * (
        rng.uniform(0, 0.02) + rng.uniform(0, 0.25) * np.exp(-time / 0.03)
    )
    voices = [0.0] if rng.uniform() < 0.7 else list(rng.uniform(-0.1, 0.1, 3))
    audio = []
    for pitch in pitches:
        hz = frequency_hz(pitch)
        gains = []
        for name in names:
            centres = np.array(VOWELS[name][int(female)])[:, None] * shift
            peaks = np.exp(-(np.log(n * hz / centres) ** 2) / (2 * width**2)) * np.array([1, 0.6, 0.3, 0.2])[:, None]
            gains.append(peaks.sum(0) + 0.03)
        tables = _tables(hz, np.array(gains), 1j / n**tilt * np.exp(2j * np.pi * rng.uniform(size=len(n)) * 0.2))
        out = np.zeros(len(time), np.float32)
        for v in voices:
            out += _scan(tables, np.cumsum(frequency_hz(pitch + v) / RATE_HZ * (1 + bend), dtype=np.float64), glide)
        out /= max(float(np.abs(out).max()), 1e-6)
        audio.append((out + breath.astype(np.float32)) * envelope)
    return _sampler(pitches, audio, 0.12, ("female" if female else "male",))


def noise_effect(rng: np.random.Generator) -> Sampler:
    """A riser, fall or sweep: noise and a gliding tone; the pitch of a note scales its speed."""
    time = _time()
    x = time / NOTE_S
    x = x if rng.uniform() < 0.6 else 1 - x
    hz = 80 * 2 ** (x * rng.uniform(1, 6))
    tone = np.sin((2 * np.pi * (np.cumsum(hz.astype(np.float64)) / RATE_HZ % 1)).astype(np.float32))
    noise = rng.standard_normal(len(time)).astype(np.float32)
    bright = np.append(0, np.diff(noise)).astype(np.float32)
    mixed = rng.uniform(0, 1) * tone + rng.uniform(0.1, 0.5) * ((1 - x) * noise + x * bright)
    gate = 1.0 if rng.uniform() < 0.6 else 0.5 + 0.5 * np.sign(np.sin(2 * np.pi * rng.integers(4, 12) * time))
    return _sampler([60.0], [mixed * (0.1 + x) * gate], 0.2, ("electronic",))


KIT_TAGS: tuple[str, ...] = ("electronic",)
"""What every `drum_kit` is, by `captions.ADJECTIVES`."""


def drum_kit(rng: np.random.Generator) -> dict[int, np.ndarray]:
    """An electronic or modal kit: GM drum key -> float32 [samples]."""
    count = int(0.9 * RATE_HZ)
    time = np.arange(count, dtype=np.float32) / RATE_HZ
    noise = rng.standard_normal(count).astype(np.float32)
    bright = np.append(0, np.diff(noise)).astype(np.float32)
    brighter = np.append(0, np.diff(bright)).astype(np.float32) * 0.5

    def decay(seconds: float) -> np.ndarray:
        return np.exp(-time / seconds, dtype=np.float32)

    def swept(hz: float, drop: float, fall_s: float) -> np.ndarray:
        phase = np.cumsum((hz * (1 + drop * np.exp(-time / fall_s))).astype(np.float64)) / RATE_HZ
        return np.sin((2 * np.pi * (phase % 1)).astype(np.float32))

    def metal(low: float) -> np.ndarray:
        ratios = np.array([1, 1.34, 1.48, 1.8, 2.14, 2.67]) * low * rng.uniform(0.9, 1.1)
        squares = [np.sign(np.sin(np.float32(2 * np.pi * r) * time)) for r in ratios]
        return np.stack(squares).mean(0, dtype=np.float32)

    kick = np.tanh(
        rng.uniform(1, 4)
        * swept(rng.uniform(40, 65), rng.uniform(1, 6), rng.uniform(0.01, 0.06))
        * decay(rng.uniform(0.08, 0.4))
    ) + rng.uniform(0, 0.3) * bright * decay(0.004)
    tone = swept(rng.uniform(150, 240), 0.6, 0.02) * decay(rng.uniform(0.04, 0.15))
    snare = rng.uniform(0.3, 1) * tone + rng.uniform(0.3, 0.8) * (noise * 0.5 + bright * 0.5) * decay(
        rng.uniform(0.05, 0.2)
    )
    bursts = sum(np.where(time >= t, np.exp(-np.maximum(time - t, 0) / 0.008), 0) for t in (0, 0.011, 0.023))
    clap = (bright * (0.4 * bursts + 0.5 * np.exp(-time / rng.uniform(0.05, 0.15)))).astype(np.float32)
    cymbal = rng.uniform(0, 1) * metal(rng.uniform(2500, 5000)) + 0.7 * brighter
    kit = {36: kick, 35: kick, 38: snare, 40: snare, 39: clap}
    kit[37] = swept(rng.uniform(400, 1700), 0.1, 0.01) * decay(0.02) + 0.2 * bright * decay(0.008)
    kit[42] = cymbal * decay(rng.uniform(0.015, 0.05))
    kit[44] = kit[42] * 0.7
    kit[46] = cymbal * decay(rng.uniform(0.12, 0.35))
    kit[51] = (0.6 * metal(3200) + 0.25 * brighter) * decay(rng.uniform(0.2, 0.5))
    kit[49] = brighter * decay(rng.uniform(0.3, 0.6)) + 0.2 * cymbal * decay(0.3)
    tom_hz, length = rng.uniform(70, 110), rng.uniform(0.1, 0.3)
    for key, ratio in ((41, 1.0), (43, 1.2), (45, 1.5), (47, 1.8), (48, 2.1), (50, 2.5)):
        kit[key] = swept(tom_hz * ratio, 0.5, 0.04) * decay(length)
    for key, hz in ((60, 330), (61, 250), (62, 400), (63, 280), (64, 200), (76, 1000), (77, 750)):
        kit[key] = swept(hz * rng.uniform(0.8, 1.2), 0.1, 0.02) * decay(rng.uniform(0.03, 0.15))
    kit[56] = (metal(540) * decay(rng.uniform(0.05, 0.15))).astype(np.float32)
    kit[54] = brighter * decay(0.05)
    kit[70] = brighter * np.minimum(time / 0.02, 1) * decay(0.03)
    kit[82] = kit[69] = kit[70]
    return {k: (v / max(float(np.abs(v).max()), 1e-6)).astype(np.float32) for k, v in kit.items()}


def _sampler(pitches, audio: list[np.ndarray], release_s: float, tags: tuple[str, ...]) -> Sampler:
    stacked = np.stack(audio).astype(np.float32)
    stacked *= 0.9 / max(float(np.abs(stacked).max()), 1e-6)
    return Sampler(np.asarray(pitches, np.float64), stacked, release_s, tags)


def wavetable(rng: np.random.Generator, pitches, kind: str) -> Sampler:
    """A walk through four random spectra with formant-like peaks, its place swept by an envelope or a slow wave."""
    n, time = np.arange(1, 200), _time()
    tilt = rng.uniform(0.7, 1.8)
    gains = []
    for _ in range(4):
        peaks = np.exp(-((np.log(n) - rng.uniform(0, np.log(40))) ** 2) / rng.uniform(0.05, 0.6))
        gains.append((rng.uniform(0, 1, len(n)) ** rng.uniform(1, 6) + 2 * peaks) / n**tilt)
    phases = np.exp(2j * np.pi * rng.uniform(size=len(n)) * rng.choice([0, 1]))
    attack = {"bass": 0.005, "lead": 0.015, "pad": 0.35}[kind] * rng.uniform(0.5, 2)
    envelope = _envelope(time, attack, rng.uniform(0.3, 3), rng.uniform(0.3, 1))
    if rng.uniform() < 0.5:
        place = 3 * _envelope(time, attack, rng.uniform(0.1, 1.5), rng.uniform(0, 0.5))
    else:
        place = 1.5 + 1.5 * np.sin(2 * np.pi * rng.uniform(0.2, 6) * time + rng.uniform(0, 6))
    detunes = rng.uniform(-0.1, 0.1, {"bass": 1, "lead": 2, "pad": 3}[kind])
    audio = []
    for pitch in pitches:
        tables = _tables(frequency_hz(pitch), np.array(gains), 1j * phases)
        out = np.zeros(len(time), np.float32)
        for detune in detunes:
            out += _scan(tables, np.arange(len(time)) * frequency_hz(pitch + detune) / RATE_HZ + rng.uniform(), place)
        audio.append(out * envelope)
    return _sampler(pitches, audio, {"bass": 0.04, "lead": 0.08, "pad": 0.5}[kind], ("wavetable", "electronic"))


MODES_OF = {
    "bar": (1.0, 2.76, 5.40, 8.93, 13.34),  # a free bar: glockenspiel, xylophone
    "marimba": (1.0, 3.93, 9.24, 16.3),  # its second mode is tuned to two octaves
    "bell": (0.5, 1.0, 1.2, 1.5, 2.0, 2.74, 3.76, 5.4),
    "tongue": (1.0, 6.27, 17.55),  # clamped at one end: kalimba, music box
    "bowl": (1.0, 2.71, 5.04, 7.86),
}
"""Ratios of the partials of struck things (Fletcher and Rossing, The Physics of Musical Instruments)."""


def modal(rng: np.random.Generator, pitches) -> Sampler:
    """Something struck: decaying partials of a bar, bell or bowl, with the click of the mallet."""
    ratios = np.array(MODES_OF[str(rng.choice(list(MODES_OF)))])
    ratios = ratios * rng.normal(1, 0.004, len(ratios))
    strengths = rng.uniform(0.2, 1, len(ratios)) / (1 + np.arange(len(ratios))) ** rng.uniform(0, 1.5)
    ring_s, damping, click = np.exp(rng.uniform(np.log(0.15), np.log(2.5))), rng.uniform(0.2, 1.2), rng.uniform(0, 0.3)
    time = _time()
    noise = np.random.default_rng(int(rng.integers(2**31))).standard_normal(len(time)).astype(np.float32)
    tap = click * noise * np.exp(-time / 0.004, dtype=np.float32)
    audio = []
    for pitch in pitches:
        out = tap.copy()
        for ratio, strength in zip(ratios, strengths, strict=True):
            hz = frequency_hz(pitch) * ratio
            if hz < RATE_HZ / 2:
                phase = (2 * np.pi * (hz / RATE_HZ * np.arange(len(time)) % 1)).astype(np.float32)
                length_s = ring_s * (220 / frequency_hz(pitch)) ** 0.3 / ratio**damping
                out += np.float32(strength) * np.sin(phase) * np.exp(-time / np.float32(length_s))
        audio.append(out)
    return _sampler(pitches, audio, 0.3, ("struck",))
