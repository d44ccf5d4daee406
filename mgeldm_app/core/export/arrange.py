"""What all projects for other programs share: which files lie where on which track, and how bars meet the grid."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mgeldm.audio import unique_names, writing
from mgeldm.errors import OutputError
from mgeldm.naming import aside_of, give_name
from mgeldm.outputs import hold
from mgeldm.progress import Reporter

from ..files import numbered
from ..project import Lane, Project, Span, doubled, joined
from ..timeline import Grid
from .render import Track, View, wanted_span, write_tracks


@dataclass(frozen=True)
class Colours:
    """Colours of lanes, "#RRGGBB", as the window has them.

    Attributes:
        stems: Which of them, `Lane.colour` says.
        song: The song's.
        rest: The rest's.
    """

    stems: Sequence[str]
    song: str
    rest: str

    def of(self, lane: Lane) -> str:
        """The colour of a lane."""
        if lane.kind in ("song", "rest"):
            return self.song if lane.kind == "song" else self.rest
        return self.stems[lane.colour % len(self.stems)]


@dataclass(frozen=True)
class Piece:
    """A file on a track: its name, and the stretch of the song that it holds."""

    name: str
    span: Span


@dataclass(frozen=True)
class Row:
    """A track of the other program.

    Attributes:
        lane: What it is.
        pieces: Its files.
        muted: As it is heard in the window, where solo wins over mute. Of the song and what adds up to it one side is:
            the song, or all else where it is soloed.
        soloed: As in the window, but one that is muted never is.
    """

    lane: Lane
    pieces: tuple[Piece, ...]
    muted: bool
    soloed: bool


@dataclass(frozen=True)
class HandOff:
    """Lanes of a project on their way to another program.

    Attributes:
        project: The project.
        view: Gives a clip's samples.
        lanes: Which of its lanes.
        path: What is made, a file or a folder; where something is there already, a number is added.
        colours: Of lanes.
        reporter: Hears of samples written, and may stop the work.
    """

    project: Project
    view: View
    lanes: Sequence[Lane]
    path: Path
    colours: Colours
    reporter: Reporter

    def rows(self, whole: bool = False) -> tuple[Row, ...]:
        """Tracks for the lanes: with a file for each stretch that sounds, or one of the song's length if `whole`.

        Raises:
            InputError: There is no song.
        """
        song = wanted_span(self.project, region_only=False)
        spans = [[song] if whole else stretches(lane, song) for lane in self.lanes]
        counted = [
            f"{lane.name} {number}" if len(each) > 1 else lane.name
            for lane, each in zip(self.lanes, spans, strict=True)
            for number in range(1, len(each) + 1)
        ]
        names = iter(unique_names(counted, ".wav"))
        return tuple(
            self._row(lane, tuple(Piece(next(names), span) for span in each))
            for lane, each in zip(self.lanes, spans, strict=True)
        )

    def _row(self, lane: Lane, pieces: tuple[Piece, ...]) -> Row:
        is_song = lane.kind == "song"
        if self._song_alone:
            return Row(lane, pieces, muted=not is_song, soloed=is_song)
        if is_song and self.doubled:
            return Row(lane, pieces, muted=True, soloed=False)
        return Row(lane, pieces, lane.muted and not lane.soloed, lane.soloed)

    @property
    def _song_alone(self) -> bool:
        return self.project.song_alone and any(lane.kind == "song" for lane in self.lanes)

    @property
    def doubled(self) -> bool:
        """Whether the song would be heard twice, and is muted for that."""
        return doubled(self.lanes) and not self._song_alone

    def write(self, rows: Sequence[Row], folder: Path, format: str) -> float:
        """Write the files of tracks, before their faders, to a folder; returns the gain that they share."""
        tracks = [Track(folder / piece.name, (row.lane,), piece.span) for row in rows for piece in row.pieces]
        return write_tracks(self.project, self.view, tracks, format, self.reporter)[1]


def stretches(lane: Lane, song: Span) -> list[Span]:
    """The parts of the song in which a lane sounds; parts that touch or overlap make one, with the fades between."""
    if lane.kind in ("song", "rest"):
        return [song]
    return joined(part.span.within(song) for part in lane.parts if part.span.meets(song))


def lead_quarters(project: Project) -> float:
    """Quarter notes by which the song begins later than another program's first bar, for its downbeats to begin bars.

    The song's first downbeat falls on the first bar line after what comes before it, to the nearest sample: were the
    song late by half a sample, other programs would round the places of its stems now up, now down.
    """
    grid = Grid.of(project)
    return 0.0 if grid.first_bar < 0.5 else round(grid.bar_samples - grid.first_bar) / grid.quarter_samples


@contextlib.contextmanager
def free_name(path: Path, suffix: str = "") -> Iterator[Path]:
    """The first path of `numbered` that is free, held by an empty file, or a folder without a suffix, to be replaced.

    What holds it is removed if it was not replaced because of an error.
    """
    with contextlib.ExitStack() as undone:
        yield next(each for each in numbered(path, suffix) if hold(each, undone, folder=not suffix))
        undone.pop_all()


def put_folder(aside: Path, path: Path) -> None:
    """Let a folder take the place of an empty one."""
    if os.name == "nt":  # which renames to new names alone
        path.rmdir()
    give_name(aside, path)


@contextlib.contextmanager
def folder_aside(path: Path) -> Iterator[Path]:
    """A folder beside `path`, removed in the end unless it was renamed.

    Raises:
        OutputError: It cannot be made, or something in it cannot be written.
    """
    aside = aside_of(path)
    try:
        with writing(path, aside):
            os.mkdir(aside)
            yield aside
    except OutputError as error:  # the user knows nothing of the folder aside
        raise OutputError(str(error).replace(str(aside), str(path))) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
