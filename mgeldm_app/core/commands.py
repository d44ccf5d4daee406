"""Everything a user can do to a project, each a `Command`: a title and a function from project to project."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from dataclasses import replace
from typing import Any

from mgeldm.language import later, say
from mgeldm.requests import LONGEST_GENERATED_S, SHORTEST_S

from .history import Command
from .project import (
    GAIN_DB,
    MOST_TAKES,
    REST_ID,
    SONG_ID,
    Audio,
    Lane,
    Part,
    Project,
    Prompt,
    SongFile,
    Span,
    Take,
    Tempo,
)
from .timeline import BEAT_UNITS, BPM, Grid

_LIMITS: dict[str, tuple[float, float]] = {"gain_db": GAIN_DB, "pan": (-1.0, 1.0), "sensitivity": (-1.0, 1.0)}
_UNKNOWN = Tempo()
_TITLES = {
    "name": later("rename {lane}"),
    "gain_db": later("gain of {lane}"),
    "pan": later("pan of {lane}"),
    "muted": later("mute {lane}"),
    "soloed": later("solo {lane}"),
    "sensitivity": later("sensitivity of {lane}"),
    "view": later("view of {lane}"),
    "colour": later("colour of {lane}"),
}


def open_song(song: SongFile) -> Command:
    """Begin with a song; lanes of an earlier one go."""
    return Command(
        say("open {song}", song=song.name), lambda project: replace(Project(), song=song, prompt=project.prompt)
    )


def set_lane(lane: Lane, field: str, value: Any) -> Command:
    """Change one field of a lane; numbers are kept in range, an empty name changes nothing.

    Raises:
        ValueError: Lanes have no such field that a user may change.
    """
    if field not in _TITLES:
        raise ValueError(f"a lane's {field} cannot be set")
    if field in _LIMITS:
        low, high = _LIMITS[field]
        value = min(max(float(value), low), high)

    def apply(project: Project) -> Project:
        if not project.has_lane(lane.id) or (field == "name" and not value.strip()):
            return project
        return project.with_lane(replace(project.lane(lane.id), **{field: value}))

    return Command(say(_TITLES[field], lane=lane.name), apply, f"{lane.id} {field}")


def set_lanes(lanes: Sequence[Lane], field: str, value: Any) -> Command:
    """Change one field of several lanes, as one step."""
    names = lanes[0].name if len(lanes) == 1 else say("{number} lanes", number=len(lanes))
    return together(say(_TITLES[field], lane=names), [set_lane(lane, field, value) for lane in lanes])


def add_part(lane: Lane, part: Part, title: str) -> Command:
    """Put a part on a lane, which is made if it is not there; parts that it hides whole go."""

    def apply(project: Project) -> Project:
        there = project.lane(lane.id) if project.has_lane(lane.id) else lane
        over = part.span
        seen = [old for old in there.parts if old.start < over.start or old.span.stop > over.stop]
        return project.with_lane(replace(there, parts=(*seen, part)))

    return Command(title, apply)


def together(title: str, commands: list[Command]) -> Command:
    """Several commands as one step."""

    def apply(project: Project) -> Project:
        for command in commands:
            project = command.apply(project)
        return project

    return Command(title, apply)


def remove_lanes(lane_ids: tuple[str, ...]) -> Command:
    """Remove stems and parts; song and rest stay."""
    gone = set(lane_ids) - {SONG_ID, REST_ID}
    title = say("remove a lane") if len(gone) == 1 else say("remove {number} lanes", number=len(gone))
    return Command(title, lambda p: replace(p, lanes=tuple(lane for lane in p.lanes if lane.id not in gone)))


def move_lane(lane_id: str, steps: int) -> Command:
    """Move a stem or part up (negative) or down between song and rest."""

    def apply(project: Project) -> Project:
        middle = [lane for lane in project.lanes if lane.id not in (SONG_ID, REST_ID)]
        place = next((i for i, lane in enumerate(middle) if lane.id == lane_id), None)
        if place is None:
            return project
        lane = middle.pop(place)
        middle.insert(min(max(place + steps, 0), len(middle)), lane)
        return replace(project, lanes=(project.lanes[0], *middle, project.lanes[-1]))

    return Command(say("move a lane"), apply)


def choose_take(lane_id: str, part: int, take: int) -> Command:
    """Let another take of a part sound."""
    change = _on_part(lane_id, part, lambda p: _chosen(p, take))
    return Command(say("take {number}", number=take + 1), change, f"{lane_id} {part} take")


def keep_takes(lane_id: str, part: int, kept: tuple[int, ...]) -> Command:
    """Keep some takes of a part and drop the others; the one that sounds stays chosen if it is kept."""

    def apply(old: Part) -> Part:
        takes = tuple(take for i, take in enumerate(old.takes) if i in kept)
        if not takes:
            return old
        chosen = takes.index(old.take) if old.take in takes else 0
        return replace(old, takes=takes, chosen=chosen)

    return Command(say("keep takes"), _on_part(lane_id, part, apply))


def set_region(region: Span | None, looped: bool = False) -> Command:
    """Select a stretch of the song; with `looped`, one where there was none is played round and round from then on."""

    def apply(project: Project) -> Project:
        inside = None
        if region is not None and project.song is not None:
            inside = Span(max(0, min(region.start, region.stop)), min(max(region.start, region.stop), project.samples))
        if inside is None or inside.samples <= 0:
            return replace(project, region=None, looping=False)
        return replace(project, region=inside, looping=project.looping or (looped and project.region is None))

    return Command(say("region"), apply, "region", beside=True)


def set_looping(on: bool) -> Command:
    """Play the region round and round, or not."""
    return Command(say("loop"), lambda p: replace(p, looping=on and p.region is not None), beside=True)


def set_tempo(tempo: Tempo, before: Tempo = _UNKNOWN) -> Command:
    """Correct tempo, downbeat, metre or key: whatever differs from `before`, each as a step of its own.

    Who says how fast it is, or where bars begin in a tempo that is known, has given the tempo. A downbeat, metre or key
    that comes before the tempo is known says nothing of it: it may still be found. Where nobody has said where bars
    begin, another tempo leaves the first one where it is.
    """
    given = _differing(tempo, before)
    if "bpm" in given:
        given["bpm"] = min(max(tempo.bpm, BPM[0]), BPM[1])
    if "beats_per_bar" in given:
        given["beats_per_bar"] = min(max(tempo.beats_per_bar, 1), 32)
    if "beat_unit" in given:
        given["beat_unit"] = min(BEAT_UNITS, key=lambda unit: abs(unit - tempo.beat_unit))

    def apply(project: Project) -> Project:
        old = project.tempo
        if "bpm" in given and old.source == "found":
            old = replace(old, downbeat_s=Grid.of(project).first_bar / project.rate_hz)
        is_given = tempo.source == "given" or "bpm" in given or ("downbeat_s" in given and old.source != "none")
        return replace(project, tempo=replace(old, **given, source="given" if is_given else old.source))

    return Command(say("tempo"), apply)


def set_prompt(prompt: Prompt) -> Command:
    """Type into the prompt bar."""
    length_s = min(max(prompt.length_s, SHORTEST_S), LONGEST_GENERATED_S)
    fitting = replace(prompt, takes=min(max(prompt.takes, 1), MOST_TAKES), length_s=length_s)
    return Command(say("prompt"), lambda p: replace(p, prompt=fitting), "prompt", beside=True)


def new_take(title: str, lane_id: str, start: int, take: Take, instead: bool = False) -> Command:
    """A part made once more: another take of it, or the same one again, which sounds from now on.

    With `instead` it is the only one, as stems have it.
    """

    def change(part: Part) -> Part:
        if part.start != start or part.take.audio.samples != take.audio.samples:
            return part
        if instead:
            return replace(part, takes=(take,), chosen=0)
        known = [number for number, old in enumerate(part.takes) if old.audio == take.audio]
        takes = part.takes if known else (*part.takes, take)[:MOST_TAKES]
        return replace(part, takes=takes, chosen=known[0] if known else len(takes) - 1)

    return Command(title, lambda project: _on_parts(project, lane_id, change))


# ------------------------------------------------------------------------------ results, also put into past snapshots


def found_tempo(tempo: Tempo) -> Callable[[Project], Project]:
    """What analysis found, unless the user has said better, also of downbeat, metre or key alone."""

    def apply(project: Project) -> Project:
        old = project.tempo
        return project if old.source != "none" else replace(project, tempo=replace(tempo, **_differing(old, _UNKNOWN)))

    return apply


def add_take(lane_id: str, start: int, take: Take) -> Callable[[Project], Project]:
    """Another take of the part that begins at `start` on a lane; where there is no such part nothing happens."""

    def change(part: Part) -> Part:
        same = part.start == start and part.take.audio.samples == take.audio.samples
        return replace(part, takes=(*part.takes, take)[:MOST_TAKES]) if same else part

    return lambda project: _on_parts(project, lane_id, change)


def replace_take(
    lane_id: str, old: Set[Audio], new: Take, sensitivity: float | None = None
) -> Callable[[Project], Project]:
    """A better version of a take in the place of the one that holds any of `old`, or of that and itself, made anew.

    With `sensitivity`, only where the lane has just that, so that undoing its change brings back its sound.
    """

    def change(part: Part) -> Part:
        takes = tuple(new if take.audio in old else take for take in part.takes)
        if takes == part.takes:
            return part
        sounds = takes[part.chosen].audio
        once = {take.audio: take for take in reversed(takes)}
        order = list(dict.fromkeys(take.audio for take in takes))
        return replace(part, takes=tuple(once[audio] for audio in order), chosen=order.index(sounds))

    def apply(project: Project) -> Project:
        fits = sensitivity is None or (project.has_lane(lane_id) and project.lane(lane_id).sensitivity == sensitivity)
        return _on_parts(project, lane_id, change) if fits else project

    return apply


# -------------------------------------------------------------------------------------------------------------- pieces


def _differing(tempo: Tempo, before: Tempo) -> dict[str, Any]:
    fields = ("bpm", "downbeat_s", "beats_per_bar", "beat_unit", "key")
    return {field: value for field in fields if (value := getattr(tempo, field)) != getattr(before, field)}


def _chosen(part: Part, take: int) -> Part:
    return replace(part, chosen=take) if 0 <= take < len(part.takes) else part


def _on_part(lane_id: str, index: int, change: Callable[[Part], Part]) -> Callable[[Project], Project]:
    def apply(project: Project) -> Project:
        if not project.has_lane(lane_id):
            return project
        lane = project.lane(lane_id)
        parts = tuple(change(part) if i == index else part for i, part in enumerate(lane.parts))
        return project.with_lane(replace(lane, parts=parts))

    return apply


def _on_parts(project: Project, lane_id: str, change: Callable[[Part], Part]) -> Project:
    if not project.has_lane(lane_id):
        return project
    lane = project.lane(lane_id)
    parts = tuple(change(part) for part in lane.parts)
    return project if parts == lane.parts else project.with_lane(replace(lane, parts=parts))
