"""Readers of data sets: Slakh2100, MUSDB18 (both forms), MoisesDB, and any folder of `song/stem.wav`.

Each yields `Song`s lazily: files are probed as their song comes up and read only when a stem is asked for samples. A
song that cannot be used is skipped, and `on_skip` is told which and why. Licences are what the data sets state: MUSDB18
and MoisesDB are for research, so weights that ship never saw them.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import AudioError, InputError
from .captions import phrases
from .songs import FileStem, Recording, Song, shared

Skip = Callable[[str], None]
Reader = Callable[..., Iterator[Song]]


def tell(text: str) -> None:
    """Says what is left out on a line of its own, beside a command's results."""
    print(text, file=sys.stderr, flush=True)


SPLITS = ("train", "validation", "test")
OWN_SPLITS = ("train", "test", "all")
"""Of a data set that has no splits; see `in_split`."""
SUFFIXES = (
    ".wav", ".flac", ".opus", ".ogg", ".oga", ".mp3", ".aif", ".aiff", ".aifc", ".au", ".caf", ".w64", ".rf64",
    ".m4a", ".aac", ".wma",
)  # fmt: skip
"""Files of a plain folder that are stems."""
_OTHER_SOUNDS = (".mp4", ".mov", ".mkv", ".mka", ".webm", ".ape", ".wv", ".ac3", ".amr", ".dsf")
_STREAMS = (".m4a",)  # entered where they are read; as a file each read would decode them whole
NOT_STEMS = ("mix", "mixture", "mixdown", "bounce", "premaster", "master", "instrumental")
"""A file with one of these words in its name is no stem, but a sum of stems."""

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
_DEEPEST = 3  # folders between MoisesDB's and a song: a version's, a provider's
TEST_SHARE = 0.1
"""Share of the songs that a data set without splits of its own keeps for tests, by their names alone. Of MoisesDB's 240
the paper keeps 24; which, it does not say."""


def slakh(
    folder: Path, split: str = "train", subset: str | None = None, on_skip: Skip = tell
) -> Iterator[Song]:
    """Slakh2100, in the official splits that its folders make (original, split2 or redux).

    Args:
        folder: Holds `train`, `validation` and `test`, each with `TrackNNNNN/metadata.yaml` and `stems/SNN.flac`.
        split: One of `SPLITS`.
        subset: "A" keeps the classes of `SLAKH_A`, "B" the others; the mixture is the sum of what is kept.
        on_skip: Told of each song that cannot be used.

    Raises:
        InputError: The folder is not Slakh2100, an unknown split or subset is asked for, or PyYAML is not installed.
    """
    try:
        import yaml  # noqa: F401 - without it no song could be read
    except ImportError as error:
        raise InputError("Slakh2100's metadata is in YAML; install mgeldm-desktop[train] to read it.") from error
    if subset not in (None, "A", "B"):
        raise InputError(f"Slakh2100 has no subset {subset!r}; choose A, B or none.")
    _check_split("Slakh2100", split)
    place = _split_folder(folder, split, "Slakh2100")
    for track in _folders(place):
        stems = _attempt(track.name, on_skip, _slakh_stems, track, subset)
        if stems:
            yield Song(stems, name=track.name, source="Slakh2100", licence="CC-BY-4.0", split=split)


def _slakh_stems(track: Path, subset: str | None) -> list[FileStem]:
    stems = []
    with _understood("metadata.yaml"):
        for name, facts in _yaml(track / "metadata.yaml")["stems"].items():
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


def _yaml(path: Path) -> Any:
    import yaml

    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(error) from error


@contextmanager
def _understood(name: str) -> Iterator[None]:
    """Turns whatever a file of metadata can raise that is not as it should be into an `InputError` with its name.

    What a parser says, or the system, tells where the fault is; what Python says of a wrong type does not.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise InputError(f"its {name} is missing") from error
    except OSError as error:
        raise InputError(f"its {name} cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise InputError(f"its {name} is not understood ({' '.join(str(error).split())})") from error
    except (AttributeError, LookupError, TypeError) as error:
        raise InputError(f"its {name} is not understood") from error


def musdb(folder: Path, split: str = "train", on_skip: Skip = tell) -> Iterator[Song]:
    """MUSDB18: songs as `.stem.mp4` files, or as folders of wav files (MUSDB18-HQ), in the official splits.

    Args:
        folder: Holds `train` and `test`.
        split: One of `SPLITS`; "train" leaves the songs of `MUSDB_VALIDATION` out.
        on_skip: Told of each song that cannot be used.

    Raises:
        InputError: The folder is not MUSDB18, or an unknown split is asked for.
    """
    _check_split("MUSDB18", split)
    place = _split_folder(folder, "test" if split == "test" else "train", "MUSDB18")
    for path in sorted(place.iterdir()):
        if path.name.startswith(".") or not (path.is_dir() or path.name.endswith(".stem.mp4")):
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


def moises(folder: Path, split: str = "train", on_skip: Skip = tell) -> Iterator[Song]:
    """MoisesDB: its second level of stems summed into the first, whose names are the labels.

    Args:
        folder: Holds a folder a song (perhaps under a provider's folder) with `data.json` and `STEM/ID.wav`.
        split: "test" for a tenth of the songs (see `in_split`), "train" for the others, "all" for both.
        on_skip: Told of each song that cannot be used.

    Raises:
        InputError: The folder holds no MoisesDB, or an unknown split is asked for.
    """
    _check_split("MoisesDB", split, OWN_SPLITS)
    places = _moises_songs(Path(folder))
    if not places:
        raise InputError(f"There is no data.json under {folder}; give the folder of MoisesDB's songs.")
    for place in places:
        if in_split(place.name, split):
            stems = _attempt(place.name, on_skip, _moises_stems, place)
            if stems:
                known = "" if split == "all" else split
                yield Song(stems, name=place.name, source="MoisesDB", licence="research only", split=known)


def _moises_songs(folder: Path) -> list[Path]:
    """Folders that hold a `data.json`, by their names; "**" would pass over links to folders."""
    found = [path.parent for depth in range(_DEEPEST + 1) for path in folder.glob("*/" * depth + "data.json")]
    once = {place.resolve(): place for place in found}
    return sorted(once.values(), key=lambda place: place.name)


def _moises_stems(place: Path) -> list[FileStem]:
    """Stems of one song; two entries of one name are one stem, as in the data set's own tools.

    The sum of several second-level stems is called only what all of them are: a drum kit is no snare drum.
    """
    found: dict[str, tuple[list[Recording], list[list[str]]]] = {}
    with _understood("data.json"):
        for entry in json.loads((place / "data.json").read_text(encoding="utf-8"))["stems"]:
            kind = str(entry["stemName"])
            name = kind.replace("_", " ")
            recordings, said = found.setdefault(_MOISES_LABELS.get(name, name), ([], []))
            for track in entry["tracks"]:
                recordings.append(Recording(place / kind / f"{track['id']}.{track['extension']}"))
                said.append(_said(str(track["trackType"])))
    return [
        FileStem(label, list(dict.fromkeys([*phrases(label), *shared(said)])), tuple(recordings))
        for label, (recordings, said) in found.items()
        if recordings
    ]


def _said(track_type: str) -> list[str]:
    """A second-level name as a phrase, without its bracketed examples: "grand piano", "brass"."""
    plain = track_type.split("(")[0].strip().lower()
    return [plain] if plain and not plain.startswith("other") else []


def in_split(name: str, split: str) -> bool:
    """Whether a song of that name is of a split ("train", "test" or "all") of a data set that has none of its own.

    It depends on nothing but the name, so a song stays where it is whatever others are there; nor on how a system
    writes letters with accents, which macOS takes apart.
    """
    composed = unicodedata.normalize("NFC", name)
    is_test = int(hashlib.sha256(composed.encode()).hexdigest(), 16) % 1000 < TEST_SHARE * 1000
    return split == "all" or is_test == (split == "test")


def _check_split(title: str, split: str, splits: Sequence[str] = SPLITS) -> None:
    if split not in splits:
        raise InputError(f"{title} has no split {split!r}; choose one of {', '.join(splits)}.")


def stem_folders(folder: Path, split: str = "all", on_skip: Skip = tell) -> Iterator[Song]:
    """Any folder of `song/stem.wav`: a file's name, underscores as spaces, is its label; mixtures are left out.

    Args:
        folder: Holds a folder a song.
        split: "test" for a tenth of the songs (see `in_split`), "train" for the others, "all" for both.
        on_skip: Told of each song that cannot be used, and of sounds that are left out.

    Raises:
        InputError: There is no folder, it is that of one song, or an unknown split is asked for.
    """
    _check_split("A folder of songs", split, OWN_SPLITS)
    if not Path(folder).is_dir():
        raise InputError(f"There is no folder {folder}; give one that holds a folder a song.")
    if not _folders(folder) and files_of(folder, lambda text: None):
        above = Path(folder).absolute().parent
        raise InputError(f"{folder} holds files and not folders of songs; give the folder that it is in, {above}.")
    source = Path(folder).absolute().name
    known = "" if split == "all" else split
    for place in _folders(folder):
        if in_split(place.name, split):
            stems = _attempt(place.name, on_skip, files_of, place, on_skip)
            if stems:
                yield Song(stems, name=place.name, source=source, licence=song_licence(place), split=known)


def files_of(place: Path, on_skip: Skip = tell) -> list[FileStem]:
    """One stem a sound file of a folder; `on_skip` is told of those that are left out, plain mixtures apart.

    A file with the name of its folder is taken for the song itself.
    """
    stems, song = [], _label(Path(place).name)
    for path in sorted(Path(place).iterdir()):
        suffix, label = path.suffix.lower(), _label(path.stem)
        if path.name.startswith(".") or suffix not in SUFFIXES + _OTHER_SOUNDS:
            continue
        if suffix in _OTHER_SOUNDS:
            on_skip(f"{path.name} of {path.parent.name} is left out: convert it to wav or flac.")
        elif label != song and not set(re.findall(r"[a-z]+", label)) & {*NOT_STEMS}:
            recording = Recording(path, 0 if suffix in _STREAMS else None)
            stems.append(FileStem(label, phrases(label), (recording,)))
        elif label not in NOT_STEMS:
            on_skip(f"{path.name} of {path.parent.name} is left out as a mixture: rename it if it is a stem.")
    return stems


def _label(name: str) -> str:
    """A file's name as a label; shards join labels by "|"."""
    return re.sub(r"[_|]", " ", name).lower()


def song_licence(place: Path) -> str:
    """The licences that an `index.json` beside a song's folder states for it, joined by "; "; empty without one.

    The index is a list of entries with `song` and `licence`.
    """
    try:
        entries = json.loads((Path(place).parent / "index.json").read_text(encoding="utf-8"))
        return "; ".join(dict.fromkeys(str(e["licence"]) for e in entries if e["song"] == Path(place).name))
    except (OSError, ValueError, LookupError, TypeError):
        return ""


def _attempt(name: str, on_skip: Skip, make: Callable[..., list[FileStem]], *arguments: Any) -> list[FileStem]:
    """The stems that `make(*arguments)` finds, if all their files can be opened; else none, and `on_skip` hears why."""
    try:
        stems = make(*arguments)
        for stem in stems:
            _ = stem.samples
    except (AudioError, InputError, OSError, ValueError) as error:  # ValueError: a name that no file can have
        on_skip(f"{name} is skipped: {error}")
        return []
    if not stems:
        on_skip(f"{name} is skipped: none of its stems is wanted or there.")
    return stems


def _split_folder(folder: Path, split: str, title: str) -> Path:
    place = Path(folder) / split
    if not place.is_dir():
        raise InputError(f"There is no {title} split {split!r} in {folder}; give the folder that holds train and test.")
    return place


def _folders(place: Path) -> list[Path]:
    return sorted(path for path in Path(place).iterdir() if path.is_dir() and not path.name.startswith("."))


READERS: dict[str, Reader] = {"slakh": slakh, "musdb": musdb, "moises": moises, "stems": stem_folders}
UNSPLIT = ("moises", "stems")
"""Readers of data sets that have no splits; see `in_split`."""


def open_set(name: str, folder: Path, **options: Any) -> Iterator[Song]:
    """Songs of a data set by its reader's name; `options` as that reader takes them.

    Raises:
        InputError: An unknown name, or as the reader.
    """
    if name not in READERS:
        raise InputError(f"There is no reader {name!r}; choose one of {', '.join(READERS)}.")
    return READERS[name](Path(folder), **options)
