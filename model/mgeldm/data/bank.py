"""Banks of single notes, drum hits and words, most of them rendered once from a soundfont by the fluidsynth program.

`python -m mgeldm.data.bank` builds those whose soundfonts, kits, recorded notes and speakers are installed. Packed
(`save_bank`) a bank takes a tenth of the room, to travel to a machine that trains.
"""

import argparse
import io
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np

from ..errors import InputError
from .files import make_folder, run, whole
from .manifest import FAULTS
from .midi import midi_track
from .speech import HELD_OUT_SPEAKERS, PHRASES, SPEAKERS, Speech, record

RATE_HZ = 44100
NOTE_S = 2.2
"""Length of a stored note, in seconds: the key stays down all the time."""
HIT_S = 1.2
"""Length of a stored drum hit, in seconds."""
PITCH_STEP = 6
PROGRAMS = tuple(range(112))  # percussive sounds and effects are no programs that a label has
KITS = (0, 8, 16, 24, 25, 32, 40, 48)
_MACHINES = (24, 25)  # of the kits
ORCHESTRA = 48
"""Of a soundfont's kits the one that is no drum kit: its hi-hats and cymbals are timpani."""
MIXED: tuple[str, ...] = ("mixed",)
"""Tags of a kit that is neither acoustic nor electronic as a whole, or of which nobody said: it is called neither."""
DRUM_KEYS = tuple(range(35, 83))

# Sensible pitch range (MIDI numbers) of each General MIDI family of eight programs.
FAMILY_RANGES = (
    (30, 90), (48, 90), (36, 84), (40, 80), (26, 56), (36, 88), (40, 82), (42, 80),
    (44, 84), (58, 92), (40, 88), (38, 82), (40, 84), (46, 82),
)


@dataclass(frozen=True)
class Font:
    """What of a soundfont a bank holds.

    Attributes:
        file: Below /usr/share/sounds.
        licence: Of its samples.
        programs: General MIDI programs.
        kits: Programs of the drum channel.
        variation: The MIDI bank of the programs: 8 is where soundfonts keep other instruments of the same kinds.
    """

    file: str
    licence: str
    programs: tuple[int, ...] = PROGRAMS
    kits: tuple[int, ...] = KITS
    variation: int = 0


SOUNDFONTS = {
    "fluidr3": Font("sf2/FluidR3_GM.sf2", "MIT"),
    "fluidr3-more": Font(
        "sf2/FluidR3_GM.sf2", "MIT", (6, 17, 19, 21, 25, 26, 28, 38, 39, 48, 50, 61, 62, 63),
        (*range(1, 8), *range(9, 16), 17, 18, 19, 33, 34, 35, 36, 41, 42), 8,
    ),
    "musescore": Font(
        "sf3/MuseScore_General_Full.sf3", "MIT; CC0; public domain",
        (0, 1, 3, 5, 38, 39, 44, 45, *range(48, 52), 62, 63, 80, 81, *range(86, 89), 90, *range(92, 101), 103), (),
    ),
    "timgm": Font("sf2/TimGM6mb.sf2", "GPL-2"),
}  # fmt: skip
"""Banks that `main` builds. timgm is held out: models are tested with it.

Of MuseScore's soundfont, a fork of FluidR3, only those programs are taken whose samples are others. The public-domain
sf_GMbank (Debian: csound-soundfont) stays out of training, since three quarters of its notes are those of timgm, sample
by sample.
"""
KITS_OF = {
    "kits": {
        "sonic-pi/samples": "CC0",
        "hydrogen/data/drumkits/Audiophob": "CC0",
        "hydrogen/data/drumkits/rumpf_kit_z01_h2": "CC-BY-3.0",
    },
    "held-out-kits": {
        "hydrogen/data/drumkits/ColomboAcousticDrumkit": "GPL-2",
        "hydrogen/data/drumkits/ForzeeStereo": "GPL-2",
        "hydrogen/data/drumkits/HardElectro1": "GPL-2",
    },
}
"""Banks of one-shots that `main` builds: folders below /usr/share, licence."""
RECORDED = {
    "piano-mp3": 0, "xylophone-mp3": 13, "organ-mp3": 19, "harmonium-mp3": 20, "guitar-nylon-mp3": 24,
    "guitar-acoustic-mp3": 25, "guitar-electric-mp3": 27, "bass-electric/wav": 33, "violin-mp3": 40, "cello-mp3": 42,
    "contrabass-mp3": 43, "harp-mp3": 46, "trumpet-mp3": 56, "trombone-mp3": 57, "tuba-mp3": 58, "french-horn-mp3": 60,
    "saxophone-mp3": 65, "bassoon-mp3": 70, "clarinet-mp3": 71, "flute-mp3": 73,
}  # fmt: skip
"""The bank "recorded" that `main` builds: folders of npm's packages tonejs-instrument-..., General MIDI programs. Their
notes are CC-BY-3.0, of the project tonejs-instruments."""
SPOKEN = {"voices": SPEAKERS, "held-out-voices": HELD_OUT_SPEAKERS}
"""Banks of words that `main` builds: their speakers."""
BANKS = (*SOUNDFONTS, *KITS_OF, "recorded", *SPOKEN)
_NOTES_A_BLOCK = 16
_GAIN = 0.4  # of fluidsynth
_LOUD, _SOFTLY = 100, 50  # velocities of the two layers
_Job = tuple[int, int, list[int], float, int, int]
"""What fluidsynth plays at once: channel, program, keys, seconds of each, variation, velocity."""


@dataclass
class Bank:
    """Notes of a soundfont: `notes` int16 [n, samples] at `rate_hz`, `hits` int16 [m, samples], full scale 32768.

    `soft` are the same notes played softly, as loud as the others, int16 [n, samples], and `speech` is words to sing;
    each is None where there are none.
    """

    name: str
    notes: np.ndarray
    programs: np.ndarray
    """GM program of each note, [n]."""
    pitches: np.ndarray
    """MIDI pitch of each note, [n]."""
    hits: np.ndarray
    kits: np.ndarray
    """GM kit (program on channel 10) of each hit, [m]."""
    keys: np.ndarray
    """GM drum key of each hit, [m]."""
    rate_hz: int = RATE_HZ
    licence: str = ""
    soft: np.ndarray | None = None
    speech: Speech | None = None
    by_program: dict[int, np.ndarray] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.by_program = {int(p): np.flatnonzero(self.programs == p) for p in np.unique(self.programs)}

    def program(self, program: int) -> tuple[np.ndarray, np.ndarray]:
        """Pitches [p] and audio float32 [p, samples] of one program."""
        rows = self.by_program[program]
        return self.pitches[rows].astype(np.float64), self.notes[rows].astype(np.float32) / 32768

    def program_soft(self, program: int) -> np.ndarray | None:
        """Audio float32 [p, samples] of one program played softly, if the bank has it."""
        return None if self.soft is None else self.soft[self.by_program[program]].astype(np.float32) / 32768

    @property
    def plays(self) -> bool:
        """Whether it has notes or drums, and not only words."""
        return self.speech is None or bool(len(self.notes) or len(self.hits))

    @property
    def drum_kits(self) -> np.ndarray:
        """Numbers of the kits that have drums, [k]; one-shots (a bank without notes) are just numbered."""
        kits = np.unique(self.kits)
        return kits[kits != ORCHESTRA] if len(self.notes) else kits

    def kit_tags(self, kit: int) -> tuple[str, ...]:
        """What a kit is, by `captions.ADJECTIVES`; one-shots (a bank without notes) have numbers that say nothing."""
        if not len(self.notes):
            return MIXED
        return ("electronic",) if kit in _MACHINES else ("acoustic",)

    def kit(self, kit: int) -> dict[int, np.ndarray]:
        """Drum key -> audio float32 [samples] of one kit."""
        rows = np.flatnonzero(self.kits == kit)
        return {int(self.keys[r]): self.hits[r].astype(np.float32) / 32768 for r in rows}

    def variants(self, kit: int) -> dict[int, list[np.ndarray]]:
        """Drum key -> its hits to choose from, each float32 [samples]."""
        found: dict[int, list[np.ndarray]] = {}
        for row in np.flatnonzero(self.kits == kit):
            found.setdefault(int(self.keys[row]), []).append(self.hits[row].astype(np.float32) / 32768)
        return found


_ARRAYS = ("notes", "programs", "pitches", "hits", "kits", "keys")


def load_bank(path: str | Path) -> Bank:
    """A bank that `save_bank` stored at `path`.

    Raises:
        InputError: The file is missing or damaged, or no note bank.
    """
    with _opened(path) as data:
        arrays = (_unpacked(data[k]) if k in ("notes", "hits") else data[k] for k in _ARRAYS)
        notes, programs, pitches, hits, kits, keys = arrays
        licence = str(data["licence"]) if "licence" in data else ""
        soft = _unpacked(data["soft"]) if "soft" in data else None
        speech = Speech.of(data)
        return Bank(
            Path(path).stem, notes, programs, pitches, hits, kits, keys, licence=licence, soft=soft, speech=speech
        )


@contextmanager
def _opened(path: str | Path) -> Iterator[Mapping[str, np.ndarray]]:
    """The arrays of a bank's file, read as they are asked for."""
    try:
        with np.load(path) as data:
            if "notes" not in data:
                raise LookupError("notes")
            yield data
    except FAULTS as error:
        raise InputError(
            f"{path} is missing, damaged or no note bank; `python -m mgeldm.data.bank` makes note banks."
        ) from error


def save_bank(bank: Bank, path: str | Path, packed: bool = False) -> None:
    """Store a bank; `packed` keeps its sounds as Vorbis, in about a tenth of the room, and all else deflated.

    Raises:
        OutputError: The disk is full, or the folder cannot be written to.
    """
    arrays = {key: getattr(bank, key) for key in _ARRAYS} | ({} if bank.soft is None else {"soft": bank.soft})
    if packed:
        arrays |= {key: _packed(arrays[key]) for key in ("notes", "hits", "soft") if len(arrays.get(key, ()))}
    arrays |= {} if bank.speech is None else bank.speech.arrays()
    make_folder(Path(path).parent)
    with whole(Path(path)) as file:
        (np.savez_compressed if packed else np.savez)(file, **arrays, licence=np.array(bank.licence))  # type: ignore[arg-type]


def _packed(sounds: np.ndarray) -> np.ndarray:
    """Sounds int16 [n, samples] as an Ogg Vorbis file's bytes, uint8; their length is kept as its title."""
    import soundfile  # here, for training reads no sound and goes where there is none of it

    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", RATE_HZ, 1, "VORBIS", format="OGG", compression_level=0.6) as out:
        out.title = str(sounds.shape[1])
        for start in range(0, len(sounds), _NOTES_A_BLOCK):  # libsndfile fails on very long single writes
            out.write(sounds[start : start + _NOTES_A_BLOCK].reshape(-1))
    return np.frombuffer(file.getvalue(), np.uint8)


def _unpacked(sounds: np.ndarray) -> np.ndarray:
    if sounds.dtype != np.uint8:
        return sounds
    import soundfile

    with soundfile.SoundFile(io.BytesIO(sounds.tobytes())) as file:
        return file.read(dtype="int16").reshape(-1, int(file.title))  # [n, samples]


def spoken_bank(name: str, speech: Speech, licence: str) -> Bank:
    """A bank of words alone."""
    notes, hits = (np.empty((0, round(seconds * RATE_HZ)), np.int16) for seconds in (NOTE_S, HIT_S))
    none = np.empty(0, np.int16)
    return Bank(name, notes, none, none, hits, none, none, licence=licence, speech=speech)


def speeches(banks: Sequence[Bank]) -> list[Speech]:
    """The words of those banks that have any."""
    return [bank.speech for bank in banks if bank.speech is not None]


def bank_licence(path: str | Path) -> str:
    """Under which licence a bank's sounds are; empty where nobody said.

    Raises:
        InputError: As `load_bank`.
    """
    with _opened(path) as data:
        if "licence" in data:
            return str(data["licence"])
    font = SOUNDFONTS.get(Path(path).stem)
    return font.licence if font else ""


def build_bank(
    soundfont: str | Path, name: str, font: Font, keys: tuple[int, ...] = DRUM_KEYS, soft: bool = False
) -> Bank:
    """A bank of what `font` names of `soundfont`, rendered; with `soft` every note is there played softly too."""
    ranges = {p: range(FAMILY_RANGES[p // 8][0], FAMILY_RANGES[p // 8][1] + 1, PITCH_STEP) for p in font.programs}
    note_jobs = [(0, p, list(pitches), NOTE_S, font.variation, _LOUD) for p, pitches in ranges.items()]
    soft_jobs = [(*job[:5], _SOFTLY) for job in note_jobs if soft]
    hit_jobs = [(9, k, list(keys), HIT_S, 0, _LOUD) for k in font.kits]
    with ThreadPoolExecutor(2) as pool:
        parts = iter(list(pool.map(lambda job: _render_job(Path(soundfont), job), note_jobs + soft_jobs + hit_jobs)))
    notes, programs, pitches = _joined(note_jobs, parts, NOTE_S)
    softly, _, _ = _joined(soft_jobs, parts, NOTE_S)
    hits, kits, struck = _joined(hit_jobs, parts, HIT_S)
    sounding = np.abs(hits).max(1) > 100
    hits, kits, struck = hits[sounding], kits[sounding], struck[sounding]
    layer = softly if soft else None
    return Bank(name, notes, programs, pitches, hits, kits, struck, licence=font.licence, soft=layer)


def _joined(
    jobs: list[_Job], sounds: Iterator[np.ndarray], slot_s: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The next sounds, which are those of jobs, int16 [n, samples]; the program and the key of each [n]."""
    counts = [len(job[2]) for job in jobs]
    sound = np.concatenate([np.empty((0, round(slot_s * RATE_HZ)), np.int16), *islice(sounds, len(jobs))])
    keys = np.array([key for job in jobs for key in job[2]], np.int16)
    return sound, np.repeat(np.array([job[1] for job in jobs], np.int16), counts), keys


def render_midi(soundfont: Path, midi: bytes) -> np.ndarray:
    """Audio float32 [2, samples] at 44.1 kHz of a MIDI file's bytes, by fluidsynth, without reverb and chorus.

    Raises:
        InputError: fluidsynth is not installed, or cannot play it.
    """
    import soundfile

    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "in.mid"), Path(folder, "out.wav")
        source.write_bytes(midi)
        command = ["fluidsynth", "-ni", "-R", "0", "-C", "0", "-g", str(_GAIN), "-r", str(RATE_HZ), "-O", "float",
                   "-T", "wav", "-F", str(target), str(soundfont), str(source)]
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=300)
            audio, _ = soundfile.read(target, dtype="float32", always_2d=True)
        except FileNotFoundError as error:
            told = "The program fluidsynth is not installed; install it (Debian: apt install fluidsynth)."
            raise InputError(told) from error
        except (subprocess.SubprocessError, soundfile.SoundFileError) as error:
            raise InputError(f"fluidsynth cannot play a song with {soundfont}; install that soundfont anew.") from error
    return audio.T


def midi_file(events: list[tuple[float, bytes]]) -> bytes:
    """A one-track MIDI file of (time in seconds, message) events; one tick is a millisecond."""
    tempo = (0, b"\xff\x51\x03" + (1_000_000).to_bytes(3, "big"))
    messages = [(round(time_s * 1000), message) for time_s, message in sorted(events, key=lambda e: e[0])]
    return b"MThd" + struct.pack(">IHHH", 6, 0, 1, 1000) + midi_track([tempo, *messages])


def _render_job(soundfont: Path, job: _Job) -> np.ndarray:
    """int16 [keys, slot samples]: every key of a program, peak of the whole program at 0.9."""
    channel, program, pitches, slot_s, variation, velocity = job
    period_s = slot_s + 0.8
    chosen = [bytes([0xB0 | channel, 0, variation])] * (variation > 0) + [bytes([0xC0 | channel, program])]
    events: list[tuple[float, bytes]] = [(0.0, message) for message in chosen]
    for i, pitch in enumerate(pitches):
        start_s = 0.1 + i * period_s
        events.append((start_s, bytes([0x90 | channel, pitch, velocity])))
        events.append((start_s + slot_s, bytes([0x80 | channel, pitch, 0])))
        events.append((start_s + slot_s + 0.5, bytes([0xB0 | channel, 120, 0])))
    mono = render_midi(soundfont, midi_file(events)).mean(0)
    slot, need = round(slot_s * RATE_HZ), round((0.1 + len(pitches) * period_s) * RATE_HZ)
    mono = np.pad(mono, (0, max(0, need - len(mono))))
    starts = [round((0.1 + i * period_s) * RATE_HZ) for i in range(len(pitches))]
    audio = np.stack([mono[s: s + slot] for s in starts])
    audio *= 0.9 / max(float(np.abs(audio).max()), 1e-4)
    return np.round(audio * 32767).astype(np.int16)


def main(arguments: list[str] | None = None) -> None:
    """Build the banks whose soundfonts, kits, notes or speakers are installed."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--out", type=Path, default=Path("cache/bank"))
    parser.add_argument("--packed", action="store_true", help="keep sounds as Vorbis and a third of the words")
    parser.add_argument("--soft", action="store_true", help="soundfonts' notes played softly too, in twice the room")
    parser.add_argument("--only", action="append", choices=BANKS, help="build this bank alone; may be repeated")
    parser.add_argument("--share", type=Path, default=Path("/usr/share"), help="where packages put their sounds")
    parser.add_argument("--packages", type=Path, default=Path("node_modules"), help="where npm put its packages")
    args = parser.parse_args(arguments)
    for name in args.only or BANKS:
        path = args.out / f"{name}.npz"
        if (bank := _built(name, path, args)) is not None:
            save_bank(bank, path, args.packed)
    for path in sorted(args.out.glob("*.npz")):
        bank = load_bank(path)
        size = f"{path.stat().st_size / 2**20:.1f} MiB"
        syllables = 0 if bank.speech is None else len(bank.speech.syllables)
        print(path, size, bank.notes.shape, bank.hits.shape, syllables, bank.licence, flush=True)


def _built(name: str, path: Path, args: argparse.Namespace) -> Bank | None:
    """A bank to be stored at `path`; None where what it is made of is not installed.

    What takes long, a bank of a soundfont or of words, is not made again either.
    """
    from .kits import build_kits
    from .notes import build_notes

    share, packages = args.share, args.packages
    if name in SOUNDFONTS:
        font = SOUNDFONTS[name]
        if not (file := share / "sounds" / font.file).exists():
            print(f"{file} is not there; install its package to have the bank {name}.", file=sys.stderr)
            return None
        if path.exists():
            _tell_lacks(path, font, args.soft)
            return None
        return build_bank(file, name, font, soft=args.soft)
    if name in KITS_OF:
        kits = {share / folder: licence for folder, licence in KITS_OF[name].items() if (share / folder).is_dir()}
        return build_kits(list(kits), name, licence="; ".join(dict.fromkeys(kits.values()))) if kits else None
    if name in SPOKEN:
        return None if path.exists() else _of_speakers(name, PHRASES // 3 if args.packed else PHRASES)
    notes = {packages / f"tonejs-instrument-{folder}": program for folder, program in RECORDED.items()}
    played = {folder: program for folder, program in notes.items() if folder.is_dir()}
    return build_notes(played, licence="CC-BY-3.0") if played else None


def _of_speakers(name: str, phrases: int) -> Bank | None:
    speech, silent = record(SPOKEN[name], phrases)
    if silent:
        print(f"The bank {name} is without {', '.join(silent)}, for which see model/README.", file=sys.stderr)
    licences = dict.fromkeys(each.licence for speaker, each in SPOKEN[name].items() if speaker not in silent)
    return None if speech is None else spoken_bank(name, speech, "; ".join(licences))


def _tell_lacks(path: Path, font: Font, soft: bool) -> None:
    """Say what a bank that is kept has not, and would have if it were built today."""
    with _opened(path) as data:
        programs, has_soft = sorted({*font.programs} - {*data["programs"].tolist()}), "soft" in data
    lacks = [f"programs {programs[0]} to {programs[-1]}"] if programs else []
    lacks += ["soft notes"] if soft and not has_soft else []
    if lacks:
        print(f"{path} is kept, which lacks {' and '.join(lacks)}; move it away to build it anew.", file=sys.stderr)


if __name__ == "__main__":
    run(main)
