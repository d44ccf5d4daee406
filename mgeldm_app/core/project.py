"""A project: the song, its lanes, tempo and region. Frozen values; commands make new ones, undo puts old ones back.

All places are samples of the song. Audio is named by its content and lies in a `clips.ClipStore`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import Literal

from mgeldm.requests import Quality

SCHEMA = 1
Task = Literal["extract", "impute", "accompany", "inpaint", "generate"]
Kind = Literal["song", "extracted", "added", "rest"]
View = Literal["waveform", "spectrogram"]

SONG_ID, REST_ID = "song", "rest"
GAIN_DB = (-60.0, 12.0)  # the lowest is silence
MOST_TAKES = 9


@dataclass(frozen=True)
class Span:
    """Samples `start` to `stop`, which is not included."""

    start: int
    stop: int

    @property
    def samples(self) -> int:
        """Length."""
        return self.stop - self.start

    def meets(self, other: Span) -> bool:
        """Whether both share a sample."""
        return self.start < other.stop and other.start < self.stop

    def covers(self, other: Span) -> bool:
        """Whether every sample of the other is in this one."""
        return self.start <= other.start and other.stop <= self.stop

    def within(self, other: Span) -> Span:
        """What of it lies in the other; without samples, or with fewer than none, where they do not meet."""
        return Span(max(self.start, other.start), min(self.stop, other.stop))


def joined(spans: Iterable[Span]) -> list[Span]:
    """Spans in order, those that touch or overlap as one."""
    found: list[Span] = []
    for span in sorted(spans, key=lambda span: span.start):
        if found and span.start <= found[-1].stop:
            found[-1] = Span(found[-1].start, max(found[-1].stop, span.stop))
        else:
            found.append(span)
    return found


def without(spans: Iterable[Span], *others: Span) -> list[Span]:
    """What is left of spans outside others."""
    left = list(spans)
    for other in others:
        ends = [(each, min(each.stop, other.start), max(each.start, other.stop)) for each in left]
        pieces = [piece for each, stop, start in ends for piece in (Span(each.start, stop), Span(start, each.stop))]
        left = [piece for piece in pieces if piece.samples > 0]
    return left


@dataclass(frozen=True)
class Audio:
    """A clip of the store: `id` is the SHA-256 of its content."""

    id: str
    rate_hz: int
    channels: int
    samples: int


@dataclass(frozen=True)
class Made:
    """How a take came to be: enough to make it again, or to vary it.

    Attributes:
        task: What was asked for.
        prompt: In which words; empty for an audio example alone.
        seed: The same seed and settings give the same audio.
        quality: As asked for.
        negative: What it should not sound like.
        like: The stretch whose sound was given as an example, if any.
        together: Every prompt of an extraction that made several stems at once, since they share their masks.
        sensitivity: Of an extraction.
        beside: Id of the lane that an accompaniment goes with.
        model: Name of the model.
        model_sha256: Its weights.
        like_lane: Id of the lane that `like` is a stretch of; "" is the song.
        replaced: It is what was taken away where something was made in its place.
        without: Names of the stems whose sound was left out of it, since they have it.
        lost_to: Ids of their lanes: where those change, so does it, see `losses`.
    """

    task: Task
    prompt: str
    seed: int = 0
    quality: Quality = "standard"
    negative: str = ""
    like: Span | None = None
    together: tuple[str, ...] = ()
    sensitivity: float = 0.0
    beside: str = ""
    model: str = ""
    model_sha256: str = ""
    like_lane: str = ""
    replaced: bool = False
    without: tuple[str, ...] = ()
    lost_to: tuple[str, ...] = ()

    @property
    def repeatable(self) -> bool:
        """Whether this says enough to be made again; silence over a regenerated source does not."""
        return bool(self.prompt or self.like) or self.task == "generate"


@dataclass(frozen=True)
class Take:
    """One version of a part."""

    audio: Audio
    made: Made


@dataclass(frozen=True)
class Part:
    """A stretch of a lane that sounds, from sample `start` on: one of its takes."""

    start: int
    takes: tuple[Take, ...]
    chosen: int = 0

    @property
    def take(self) -> Take:
        """The take that sounds."""
        return self.takes[self.chosen]

    @property
    def span(self) -> Span:
        """Where it sounds."""
        return Span(self.start, self.start + self.take.audio.samples)


@dataclass(frozen=True)
class Lane:
    """A row of the window. Where parts overlap, the later one is heard.

    Attributes:
        id: Never reused; "song" and "rest" are the two that every project has.
        kind: The song, a stem extracted from it, a part added to it, or the rest: the song minus all extracted stems.
        name: What the user reads.
        colour: Index into the theme's colours of stems.
        parts: What sounds; empty for the song and the rest, whose audio follows from the others.
        gain_db: Fader.
        pan: -1 (left) to 1 (right).
        sensitivity: Of the extraction, -1 (less bleed) to 1 (fuller).
        view: How it is drawn.
    """

    id: str
    kind: Kind
    name: str
    colour: int = 0
    parts: tuple[Part, ...] = ()
    gain_db: float = 0.0
    pan: float = 0.0
    muted: bool = False
    soloed: bool = False
    sensitivity: float = 0.0
    view: View = "waveform"

    @property
    def gain(self) -> float:
        """The fader's factor."""
        return 0.0 if self.gain_db <= GAIN_DB[0] else 10 ** (self.gain_db / 20)


@dataclass(frozen=True)
class Tempo:
    """The grid: bars begin at `downbeat_s` and every `beats_per_bar` beats around it.

    Attributes:
        bpm: Quarter notes a minute, as DAWs count, whatever a beat is.
        downbeat_s: Where some bar begins, in seconds.
        beats_per_bar: Beats in a bar.
        key: "A minor", or "" where unknown.
        source: Of `bpm`: "none" before it is known, "found" by the computer, "given" by the user (never overwritten).
        beat_unit: Which note a beat is: 4 for quarters, 8 for the eighths of 6/8.
    """

    bpm: float = 120.0
    downbeat_s: float = 0.0
    beats_per_bar: int = 4
    key: str = ""
    source: Literal["none", "found", "given"] = "none"
    beat_unit: int = 4


@dataclass(frozen=True)
class Prompt:
    """What stands in the prompt bar.

    Attributes:
        text: One instrument, or several: stems with commas between, new parts with semicolons.
        task: What to do with it.
        negative: What the result should not sound like.
        like: A stretch whose sound to look for, or to give to a new part.
        takes: Versions to make of a new part, 1 to 9.
        quality: How much time to spend.
        seed: None draws a new one each time.
        like_lane: Id of the lane that `like` is a stretch of; "" is the song.
        length_s: Of music from nothing, where no region says how long.
    """

    text: str = ""
    task: Task = "extract"
    negative: str = ""
    like: Span | None = None
    takes: int = 4
    quality: Quality = "standard"
    seed: int | None = None
    like_lane: str = ""
    length_s: float = 10.0


@dataclass(frozen=True)
class SongFile:
    """The song: its audio in the store, and where it came from.

    Attributes:
        audio: What sounds.
        name: Of the file; of a song that was generated, its prompt.
        source: Path of the file; "" of a song that was generated.
    """

    audio: Audio
    name: str
    source: str = ""

    @property
    def title(self) -> str:
        """The name without a file's ending; a dot in a prompt begins none."""
        return PurePath(self.name).stem if self.source else self.name


def _first_lanes() -> tuple[Lane, ...]:
    return (Lane(SONG_ID, "song", "Song"), Lane(REST_ID, "rest", "Rest"))


@dataclass(frozen=True)
class Project:
    """Everything that is saved, and everything that undo brings back.

    Attributes:
        song: None while the window is empty.
        lanes: The song's first, the rest's last, stems and parts between.
        tempo: The grid.
        region: What is selected.
        looping: Whether the region is played round and round.
        prompt: What stands in the prompt bar.
    """

    song: SongFile | None = None
    lanes: tuple[Lane, ...] = field(default_factory=_first_lanes)
    tempo: Tempo = Tempo()
    region: Span | None = None
    looping: bool = False
    prompt: Prompt = Prompt()

    @property
    def rate_hz(self) -> int:
        """The song's rate; 44100 without a song."""
        return self.song.audio.rate_hz if self.song else 44100

    @property
    def samples(self) -> int:
        """The song's length."""
        return self.song.audio.samples if self.song else 0

    @property
    def region_in_song(self) -> Span | None:
        """What of the region lies in the song, if there is any."""
        song = Span(0, self.samples)
        return self.region.within(song) if self.region is not None and self.region.meets(song) else None

    @property
    def title(self) -> str:
        """The song's; "" without a song."""
        return self.song.title if self.song else ""

    def lane(self, lane_id: str) -> Lane:
        """The lane of that id.

        Raises:
            KeyError: There is none.
        """
        for lane in self.lanes:
            if lane.id == lane_id:
                return lane
        raise KeyError(lane_id)

    def has_lane(self, lane_id: str) -> bool:
        """Whether there is a lane of that id."""
        return any(lane.id == lane_id for lane in self.lanes)

    def with_lane(self, lane: Lane) -> Project:
        """With `lane` in place of the one of its id, or new above the rest."""
        if self.has_lane(lane.id):
            return replace(self, lanes=tuple(lane if old.id == lane.id else old for old in self.lanes))
        return replace(self, lanes=(*self.lanes[:-1], lane, self.lanes[-1]))

    def of_kind(self, kind: Kind) -> tuple[Lane, ...]:
        """The lanes of a kind, from top to bottom."""
        return tuple(lane for lane in self.lanes if lane.kind == kind)

    def stems_behind(self, lane_ids: Collection[str]) -> tuple[Lane, ...]:
        """The extracted lanes of which some lanes are made: those among them, and all for the rest."""
        stems = self.of_kind("extracted")
        return stems if REST_ID in lane_ids else tuple(lane for lane in stems if lane.id in lane_ids)

    def audios(self) -> set[Audio]:
        """Every clip that the project refers to."""
        stems = {take.audio for lane in self.lanes for part in lane.parts for take in part.takes}
        return stems | ({self.song.audio} if self.song else set())

    @property
    def song_alone(self) -> bool:
        """Whether the song is soloed: then it is heard, and nothing else is."""
        return self.lane(SONG_ID).soloed

    def heard_lanes(self, without: str = "") -> tuple[Lane, ...]:
        """Lanes that sound when stems are played (not the song's): solo wins over mute.

        Args:
            without: A lane that is left out, with its solo: a part is made to the others, also while it plays alone.
        """
        return _sounding([lane for lane in self.lanes if lane.kind != "song" and lane.id != without])

    def heard_of(self, lanes: Sequence[Lane]) -> tuple[Lane, ...]:
        """Those of some lanes that are heard together. The song is beside added lanes alone, or where it is soloed.

        Where nothing but the song is asked for, it is what is wanted, muted or not.
        """
        if self.song_alone or all(lane.kind == "song" for lane in lanes):
            return tuple(lane for lane in lanes if lane.kind == "song")
        heard = {lane.id for lane in (self.heard_lanes() if doubled(lanes) else _sounding(self.lanes))}
        return tuple(lane for lane in lanes if lane.id in heard)


def doubled(lanes: Sequence[Lane]) -> bool:
    """Whether the song would be heard twice: beside stems or the rest, which add up to it."""
    kinds = {lane.kind for lane in lanes}
    return "song" in kinds and not kinds.isdisjoint(("extracted", "rest"))


def _sounding(lanes: Sequence[Lane]) -> tuple[Lane, ...]:
    """Of lanes that are played together those that sound: solo wins over mute."""
    soloed = [lane for lane in lanes if lane.soloed]
    return tuple(soloed or [lane for lane in lanes if not lane.muted])
