"""Readers of data sets: Slakh2100, MUSDB18 (both forms), MoisesDB, and any folder of `song/stem.wav`.

Each yields `Song`s lazily: files are probed as their song comes up and read only when a stem is asked for samples. A
song that cannot be used is skipped, and `on_skip` is told which and why. Licences are what the data sets state: MUSDB18
and MoisesDB are for research, so weights that ship never saw them.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from ..errors import AudioError, InputError
from .captions import phrases
from .songs import FileStem, Recording, Song

Skip = Callable[[str], None]
Reader = Callable[..., Iterator[Song]]

SPLITS = ("train", "validation", "test")
SUFFIXES = (".wav", ".flac", ".opus", ".ogg", ".mp3", ".aiff")
NOT_STEMS = ("mixture", "mix", "master", "linear mixture")

# MUSDB18's official validation songs, a part of its training folder (sigsep/sigsep-mus-db, configs/mus.yaml).
MUSDB_VALIDATION = (
    "Actions - One Minute Smile",
    "Clara Berry And Wooldog - Waltz For My Victims",
    "Johnny Lokke - Promises & Lies",
    "Patrick Talbot - A Reason To Leave",
    "Triviul - Angelsaint",
    "Alexander Ross - Goodbye Bolero",
    "Fergessen - Nos Palpitants",
    "Leaf - Summerghost",
    "Skelpolu - Human Mistakes",
    "Young Griffo - Pennies",
    "ANiMAL - Rockshow",
    "James May - On The Line",
    "Meaxic - Take A Step",
    "Traffic Experiment - Sirens",
)
MUSDB_STREAMS = {"drums": 1, "bass": 2, "other": 3, "vocals": 4}
"""Sound streams of a `.stem.mp4`; 0 is the mixture."""

SLAKH_A = ("bass", "drums", "guitar", "piano")
"""Classes of the paper's Slakh A; B is the rest."""
_SLAKH_LABELS = {
    "strings (continued)": "strings",
    "synth lead": "lead synth",
    "synth pad": "pad synth",
    "pipe": "flute",
    "chromatic percussion": "mallets",
    "percussive": "percussion",
    "ethnic": "plucked strings",
    "sound effects": "effects",
}
_MOISES_LABELS = {"bowed strings": "strings", "other plucked": "plucked strings", "other keys": "keys"}
MOISES_TEST_SONGS = 24
"""How many songs the paper keeps for its test; which, it does not say."""


def slakh(
    folder: Path, split: str = "train", subset: str | None = None, on_skip: Skip = warnings.warn
) -> Iterator[Song]:
    """Slakh2100, in the official splits that its folders make (original, split2 or redux).

    Args:
        folder: Holds `train`, `validation` and `test`, each with `TrackNNNNN/metadata.yaml` and `stems/SNN.flac`.
        split: One of `SPLITS`.
        subset: "A" keeps the classes of `SLAKH_A`, "B" the others; the mixture is the sum of what is kept.
        on_skip: Told of each song that cannot be used.

    Raises:
        InputError: The folder is not Slakh2100, or an unknown split or subset is asked for.
    """
    if subset not in (None, "A", "B"):
        raise InputError(f"Slakh2100 has no subset {subset!r}; choose A, B or none.")
    place = _split_folder(folder, split, "Slakh2100")
    for track in _folders(place):
        stems = _attempt(track.name, on_skip, _slakh_stems, track, subset)
        if stems:
            yield Song(stems, name=track.name, source="Slakh2100", licence="CC-BY-4.0", split=split)


def _slakh_stems(track: Path, subset: str | None) -> list[FileStem]:
    import yaml

    try:
        metadata = yaml.safe_load((track / "metadata.yaml").read_text(encoding="utf-8"))
        entries = metadata["stems"].items()
    except (yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"its metadata.yaml is not understood ({error})") from error
    stems = []
    for name, facts in entries:
        if not facts.get("audio_rendered", True):
            continue  # a few parts were never rendered
        kind = str(facts["inst_class"]).lower()
        label = _SLAKH_LABELS.get(kind, kind)
        if subset is not None and (label in SLAKH_A) != (subset == "A"):
            continue
        program = None if facts.get("is_drum") else facts.get("program_num")
        said = [str(facts.get("midi_program_name", "")).lower()] if program is not None else []
        captions = list(dict.fromkeys([*phrases(label, program), *filter(None, said)]))
        stems.append(FileStem(label, captions, (Recording(track / "stems" / f"{name}.flac"),)))
    return stems


def musdb(folder: Path, split: str = "train", on_skip: Skip = warnings.warn) -> Iterator[Song]:
    """MUSDB18: songs as `.stem.mp4` files, or as folders of wav files (MUSDB18-HQ), in the official splits.

    Args:
        folder: Holds `train` and `test`.
        split: One of `SPLITS`; "train" leaves the songs of `MUSDB_VALIDATION` out.
        on_skip: Told of each song that cannot be used.

    Raises:
        InputError: The folder is not MUSDB18, or an unknown split is asked for.
    """
    if split not in SPLITS:
        raise InputError(f"MUSDB18 has no split {split!r}; choose one of {', '.join(SPLITS)}.")
    place = _split_folder(folder, "test" if split == "test" else "train", "MUSDB18")
    for path in sorted(place.iterdir()):
        if not (path.is_dir() or path.name.endswith(".stem.mp4")):
            continue
        name = path.name.removesuffix(".stem.mp4")
        if split != "test" and (name in MUSDB_VALIDATION) != (split == "validation"):
            continue
        stems = _attempt(name, on_skip, _musdb_stems, path)
        if stems:
            yield Song(stems, name=name, source="MUSDB18", licence="CC-BY-NC-SA and others, by song", split=split)


def _musdb_stems(path: Path) -> list[FileStem]:
    if path.is_dir():
        return [FileStem(name, phrases(name), (Recording(path / f"{name}.wav"),)) for name in MUSDB_STREAMS]
    return [FileStem(name, phrases(name), (Recording(path, number),)) for name, number in MUSDB_STREAMS.items()]


def moises(folder: Path, split: str | None = None, on_skip: Skip = warnings.warn) -> Iterator[Song]:
    """MoisesDB: its second level of stems summed into the first, whose names are the labels.

    Args:
        folder: Holds a folder a song (perhaps under a provider's folder) with `data.json` and `STEM/ID.wav`.
        split: "test" for the first `MOISES_TEST_SONGS` songs by id, "train" for the others, None for all.
        on_skip: Told of each song that cannot be used.

    Raises:
        InputError: The folder holds no MoisesDB, or an unknown split is asked for.
    """
    if split not in (None, "train", "test"):
        raise InputError(f"MoisesDB has no split {split!r}; choose train, test or none.")
    places = sorted((path.parent for path in Path(folder).glob("**/data.json")), key=lambda path: path.name)
    if not places:
        raise InputError(f"There is no data.json under {folder}; give the folder of MoisesDB's songs.")
    for number, place in enumerate(places):
        if split is not None and (number < MOISES_TEST_SONGS) != (split == "test"):
            continue
        stems = _attempt(place.name, on_skip, _moises_stems, place)
        if stems:
            yield Song(stems, name=place.name, source="MoisesDB", licence="research only", split=split or "")


def _moises_stems(place: Path) -> list[FileStem]:
    """Stems of one song; two entries of one name are one stem, as in the data set's own tools."""
    found: dict[str, FileStem] = {}
    try:
        entries = json.loads((place / "data.json").read_text(encoding="utf-8"))["stems"]
        for entry in entries:
            kind = str(entry["stemName"])
            name = kind.replace("_", " ")
            label = _MOISES_LABELS.get(name, name)
            stem = found.setdefault(label, FileStem(label, phrases(label), ()))
            for track in entry["tracks"]:
                stem.recordings += (Recording(place / kind / f"{track['id']}.{track['extension']}"),)
                stem.captions = list(dict.fromkeys([*stem.captions, *_said(str(track["trackType"]))]))
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise InputError(f"its data.json is not understood ({error})") from error
    return [stem for stem in found.values() if stem.recordings]


def _said(track_type: str) -> list[str]:
    """A second-level name as a phrase, without its bracketed examples: "grand piano", "brass"."""
    plain = track_type.split("(")[0].strip().lower()
    return [plain] if plain and not plain.startswith("other") else []


def stem_folders(folder: Path, on_skip: Skip = warnings.warn) -> Iterator[Song]:
    """Any folder of `song/stem.wav`: a file's name, underscores as spaces, is its label; mixtures are left out.

    Raises:
        InputError: There is no folder of sound files.
    """
    if not Path(folder).is_dir():
        raise InputError(f"There is no folder {folder}; give one that holds a folder a song.")
    for place in _folders(folder):
        stems = _attempt(place.name, on_skip, files_of, place)
        if stems:
            yield Song(stems, name=place.name, source=Path(folder).name, licence=song_licence(place))


def files_of(place: Path) -> list[FileStem]:
    """One stem a sound file of a folder."""
    files = sorted(path for path in Path(place).iterdir() if path.suffix.lower() in SUFFIXES)
    named = [(path.stem.replace("_", " ").lower(), path) for path in files]
    return [FileStem(label, phrases(label), (Recording(path),)) for label, path in named if label not in NOT_STEMS]


def song_licence(place: Path) -> str:
    """The licences that an `index.json` beside a song's folder states for it, joined by "; "; empty without one.

    The index is a list of entries with `song` and `licence`.
    """
    try:
        entries = json.loads((Path(place).parent / "index.json").read_text(encoding="utf-8"))
        return "; ".join(dict.fromkeys(str(e["licence"]) for e in entries if e["song"] == Path(place).name))
    except (OSError, json.JSONDecodeError, KeyError, TypeError):
        return ""


def _attempt(name: str, on_skip: Skip, make: Callable[..., list[FileStem]], *arguments: Any) -> list[FileStem]:
    """The stems that `make(*arguments)` finds, if all their files can be opened; else none, and `on_skip` hears why."""
    try:
        stems = make(*arguments)
        for stem in stems:
            _ = stem.samples
    except (AudioError, InputError, OSError, KeyError) as error:
        on_skip(f"{name} is skipped: {error}")
        return []
    if not stems:
        on_skip(f"{name} is skipped: none of its stems is wanted or there.")
    return stems


def _split_folder(folder: Path, split: str, title: str) -> Path:
    place = Path(folder) / split
    if split not in SPLITS or not place.is_dir():
        raise InputError(f"There is no {title} split {split!r} in {folder}; give the folder that holds train and test.")
    return place


def _folders(place: Path) -> Iterable[Path]:
    return sorted(path for path in Path(place).iterdir() if path.is_dir() and not path.name.startswith("."))


READERS: dict[str, Reader] = {"slakh": slakh, "musdb": musdb, "moises": moises, "stems": stem_folders}


def open_set(name: str, folder: Path, **options: Any) -> Iterator[Song]:
    """Songs of a data set by its reader's name; `options` as that reader takes them.

    Raises:
        InputError: An unknown name, or as the reader.
    """
    if name not in READERS:
        raise InputError(f"There is no reader {name!r}; choose one of {', '.join(READERS)}.")
    return READERS[name](Path(folder), **options)
