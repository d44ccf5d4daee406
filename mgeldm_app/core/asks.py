"""From a prompt to work for the engine: which requests, what the model hears, and which lanes the results go to."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from mgeldm.audio import FADE_S
from mgeldm.errors import InputError
from mgeldm.language import later, say
from mgeldm.requests import (
    LONGEST_GENERATED_S,
    SHORTEST_S,
    Accompany,
    Extract,
    Generate,
    Impute,
    Inpaint,
    Region,
    Request,
    Sampling,
)
from mgeldm.words import parse_prompt, plain

from .clips import ClipStore
from .jobs import Layer
from .project import REST_ID, SONG_ID, Audio, Lane, Made, Project, Prompt, Span
from .text import called, colour_for, names_no_source, names_what_is_left, prompts_of
from .timeline import Grid

_REPLACED = " (replaced)"
_VERBS = {
    "extract": later("Extracting {what}"),
    "impute": later("Adding {what}"),
    "accompany": later("Accompanying with {what}"),
    "inpaint": later("Regenerating {what}"),
    "generate": later("Generating {what}"),
}
_LOST = later("The lane that this part listened to is gone, or silent there now; undo that, or ask for a new part.")


@dataclass(frozen=True)
class Target:
    """Where an output of a request goes.

    Attributes:
        lane: One that exists, or a new one; without its parts, which may be others once the output is there.
        made: How the take was made.
        muted: A new lane is silent: what is on it is what was taken away.
        again: It takes the place of the part from which it was asked for anew.
    """

    lane: Lane
    made: Made
    muted: bool = False
    again: bool = False


@dataclass(frozen=True)
class Ask:
    """One request with everything around it.

    Attributes:
        title: "Extracting the bass".
        request: For the library.
        heard: What the model hears.
        span: Where in the song the outputs lie, their fades included.
        targets: One an output; None for an output that nobody needs.
        example: What the request's examples are regions of, if it is not what the model hears.
    """

    title: str
    request: Request
    heard: tuple[Layer, ...]
    span: Span
    targets: tuple[Target | None, ...]
    example: tuple[Layer, ...] = ()


@dataclass(frozen=True)
class Unfinished:
    """A job under way, or one that waits to be tried again, as it is kept beside the project's state.

    Attributes:
        title: See `Ask`.
        step: What undo will call its result.
        span: See `Ask`.
        targets: See `Ask`.
        files: Names of the files of the store that its outputs fill.
        filled: Their first samples that are final.
        replaces: For each output the audio whose place it takes; empty for a job that adds.
        refines: It only changes the sensitivity.
        undoable: Its result is a step that can be undone, also where it takes the place of something.
    """

    title: str
    step: str
    span: Span
    targets: tuple[Target | None, ...]
    files: tuple[str, ...] = ()
    filled: int = 0
    replaces: tuple[tuple[Audio, ...], ...] = ()
    refines: bool = False
    undoable: bool = False


def region_of(project: Project, span: Span) -> Region:
    """A span in the library's seconds."""
    return Region(span.start / project.rate_hz, span.stop / project.rate_hz)


def span_of(project: Project, prompt: Prompt, playhead: int = 0) -> Span:
    """Where the prompt works: the region, else the whole song, or, for music from nothing, a few seconds.

    Beside a song those begin with the bar in which the playhead is; where it has come to the end, at the start.
    """
    if project.region is not None:
        return project.region
    if prompt.task == "generate":
        few = round(prompt.length_s * project.rate_hz)
        start = _bar_of(project, playhead) if playhead < project.samples else 0
        return Span(start, min(start + few, project.samples) if project.song else few)
    return Span(0, project.samples)


def takes_of(project: Project, prompt: Prompt) -> int:
    """How many versions are made of each new part: of stems and of what becomes the song itself, one."""
    return 1 if prompt.task == "extract" or project.song is None else prompt.takes


def check(project: Project, prompt: Prompt, selected: tuple[str, ...] = ()) -> None:
    """Raise `InputError` with a sentence if the prompt cannot be worked on as it stands."""
    prompts = prompts_of(prompt)
    if project.song is None and prompt.task != "generate":
        raise InputError("There is no song; open one, or choose Generate.")
    if not prompts and not prompt.like and prompt.task != "generate":
        raise InputError('Say which instrument, for example "the bass".')
    if prompt.task in ("extract", "inpaint") and (name := next(filter(names_no_source, prompts), "")):
        if names_what_is_left(name):
            raise InputError('"{name}" is no instrument; what no stem holds is in the Rest lane.', name=name)
        raise InputError('"{name}" names no instrument; say which, or "everything but the drums".', name=name)
    if prompt.like and prompt.like_lane and prompt.task != "generate":
        _check_example(project, prompt.like, prompt.like_lane)
    if prompt.task == "inpaint" and project.region is None:
        raise InputError("Select the region to regenerate: drag over the song.")
    if prompt.task == "accompany" and not _accompanied(project, selected):
        if not selected:
            raise InputError("Select the lane to accompany, in its header.")
        if len(selected) > 1:
            raise InputError("One lane can be accompanied; select that alone.")
        raise InputError("The rest cannot be accompanied; select the song or another lane.")
    for request in _requests(project, prompt, span_of(project, prompt), prompt.seed or 0):
        request.validate(*([] if isinstance(request, Generate) else [project.samples / project.rate_hz]))


def asks(
    project: Project,
    prompt: Prompt,
    store: ClipStore,
    selected: tuple[str, ...],
    seeds: list[int],
    new_id: NewId,
    coming: Sequence[Lane] = (),
    playhead: int = 0,
) -> list[Ask]:
    """The work that a prompt stands for; new parts are asked for once a seed.

    Args:
        project: The project.
        prompt: What is wanted; `check` has passed.
        store: Holds the project's clips.
        selected: Selected lanes: the one to accompany.
        seeds: One a take.
        new_id: Gives ids of new lanes.
        coming: Lanes that something is being made for and that the project does not have yet.
        playhead: See `span_of`.
    """
    span, lanes_there = _part_span(project, prompt, playhead), (*project.lanes, *coming)
    if prompt.task == "extract":
        return [_extraction(project, prompt, store, seeds[0], new_id, lanes_there)]
    found = []
    beside = _accompanied(project, selected) if prompt.task == "accompany" else ""
    texts = prompts_of(prompt) or ("",)
    names = [text or (_like(project, prompt) if prompt.task != "generate" else "music") for text in texts]
    lanes: list[Lane] = []
    for name in names:
        lanes.append(_new_lane((*lanes_there, *lanes), name, "added", new_id))
    for lane, name, text in zip(lanes, names, texts, strict=True):
        single = replace(prompt, text=text)
        replaced = stem_called(lanes_there, name, replaced=True)
        replaced = replaced or _new_lane((*lanes_there, *lanes), replaced_name(name), "extracted", new_id)
        for number, seed in enumerate(seeds):
            request = _requests(project, single, span, seed)[0]
            made = replace(_made(single, text, seed), beside=beside)
            targets: tuple[Target | None, ...] = (Target(lane, made),)
            if prompt.task == "inpaint":
                gone = replace(single, task="extract", like=None if text else single.like, negative="")
                taken = replace(_made(gone, text, seed), replaced=True)
                old = Target(replace(replaced, parts=()), taken, muted=True)
                targets = (*targets, old)
            title = say(_VERBS[prompt.task], what=name)
            title = say("{job}, take {number}", job=title, number=number + 1) if len(seeds) > 1 else title
            heard = _heard(project, prompt, store, selected)
            found.append(Ask(title, request, heard, span, targets, _example(project, prompt, store)))
    return found


def stems_called(lanes: Iterable[Lane], name: str, replaced: bool = False) -> list[Lane]:
    """The extracted lanes of a source, that of the very name first; with `replaced` those of where it was regenerated.

    A lane that was renamed still holds what its parts were asked for by, and "vox" are the vocals. There are several in
    projects from before a source went to the one that there is.
    """
    wanted = _source(name)
    stems = [lane for lane in lanes if lane.kind == "extracted" and is_replaced(lane) == replaced]
    found = [lane for lane in stems if wanted in {_source(each) for each in _names(lane)}]
    return sorted(found, key=lambda lane: called(name).casefold() != lane.name.removesuffix(_REPLACED).casefold())


def stem_called(lanes: Iterable[Lane], name: str, replaced: bool = False) -> Lane | None:
    """The extracted lane of a source: one that is on two of them would be taken from the rest twice."""
    return next(iter(stems_called(lanes, name, replaced)), None)


def is_replaced(lane: Lane) -> bool:
    """Whether a lane holds a source where it was regenerated; by its name where it is still to come, or from before."""
    return lane.name.endswith(_REPLACED) or any(part.take.made.replaced for part in lane.parts)


def replaced_name(name: str) -> str:
    """What the lane is called that holds a source where it was regenerated."""
    return name + _REPLACED


def name_of(target: Target) -> str:
    """What a source was asked for by; its lane may be called otherwise by now."""
    return target.made.prompt or target.lane.name.removesuffix(_REPLACED)


class NewId:
    """Counts lane ids; a project never sees one twice."""

    def __init__(self, project: Project) -> None:
        self._last = 0
        self.pass_over(project)

    def __call__(self) -> str:
        self._last += 1
        return f"L{self._last}"

    def pass_over(self, project: Project) -> None:
        """Leave out the ids of more lanes; what was given stays given, as the past of the history has lanes too."""
        made = [take.made for lane in project.lanes for part in lane.parts for take in part.takes]
        told_of = {lane_id for each in made for lane_id in (each.beside, each.like_lane, *each.lost_to)}  # may be gone
        ids = {*(lane.id for lane in project.lanes), *told_of}
        taken = [int(lane_id[1:]) for lane_id in ids if lane_id[:1] == "L" and lane_id[1:].isdigit()]
        self._last = max([self._last, *taken])


def again(project: Project, lane: Lane, part: int, store: ClipStore, **changes: object) -> Ask:
    """The request that made a part, once more, with changes to how it was made (`seed`, `sensitivity`, `quality`).

    Raises:
        InputError: It is silence over a source that was regenerated, or a lane that it listened to is gone or silent.
    """
    old = lane.parts[part]
    if not old.take.made.repeatable:
        raise InputError("This part is silent, since its source was regenerated here; undo that to have it back.")
    if not repeatable(project, old.take.made):
        raise InputError(_LOST)
    made = replace(old.take.made, **changes)  # type: ignore[arg-type]
    target = Target(replace(lane, parts=()), made, again=True)
    title = say(_VERBS[made.task], what=lane.name)
    request, heard, example = _request_of(project, made, old.span, store, without=lane.id)
    targets: tuple[Target | None, ...] = (target, None) if made.task == "inpaint" else (target,)
    if isinstance(request, Extract):
        wanted = request.prompts.index(made.prompt) if made.prompt in request.prompts else len(request.prompts)
        outputs = len(request.prompts) + len(request.examples)
        targets = tuple(target if number == wanted else None for number in range(outputs))
    return Ask(title, request, heard, old.span, targets, example)


def repeatable(project: Project, made: Made) -> bool:
    """Whether a part can be made again: what it says is enough, and the lanes that it listened to are there."""
    if not made.repeatable or (made.beside and not project.has_lane(made.beside)):
        return False
    return not (made.like and made.like_lane) or _plays(project, made.like_lane, made.like)


def taken_up(project: Project, job: Unfinished, store: ClipStore) -> Ask:
    """What an unfinished job was asked, for the project as it is now."""
    target = next(target for target in job.targets if target)
    request, heard, example = _request_of(project, target.made, job.span, store, without=target.lane.id)
    return Ask(job.title, request, heard, job.span, job.targets, example)


# -------------------------------------------------------------------------------------------------------------- pieces


def _request_of(
    project: Project, made: Made, span: Span, store: ClipStore, without: str
) -> tuple[Request, tuple[Layer, ...], tuple[Layer, ...]]:
    """The request that `made` tells of, what the model hears of the lanes, but for one, and the example's."""
    prompt = Prompt(made.prompt, made.task, made.negative, made.like, 1, made.quality, made.seed, made.like_lane)
    example = _example(project, prompt, store)
    if made.task != "extract":
        heard = _heard(project, prompt, store, (made.beside,), without)
        return _requests(project, prompt, span, made.seed)[0], heard, example
    texts = made.together or ((made.prompt,) if made.prompt else ())
    sampling = Sampling(made.quality, negative=made.negative, seed=made.seed)
    examples = (region_of(project, made.like),) if made.like else ()
    request = Extract(texts, region_of(project, span), sampling, made.sensitivity, examples=examples)
    return request, _song_layer(project, store), example


def _extraction(
    project: Project, prompt: Prompt, store: ClipStore, seed: int, new_id: NewId, lanes_there: Sequence[Lane]
) -> Ask:
    span, texts = _part_span(project, prompt), prompts_of(prompt)
    request = _requests(project, prompt, span, seed)[0]
    names = [*texts, *([_like(project, prompt)] if prompt.like else [])]
    targets: list[Target | None] = []
    for number, name in enumerate(names):
        made = _made(prompt, name if number < len(texts) else "", seed)
        free = [lane for lane in lanes_there if lane.id not in {target.lane.id for target in targets if target}]
        lane = _regenerated(free, name, span_of(project, prompt)) or stem_called(free, name)
        lane = lane or _new_lane((*lanes_there, *(x.lane for x in targets if x)), name, "extracted", new_id)
        targets.append(Target(replace(lane, parts=()), replace(made, together=texts)))
    if len(targets) == 1 and targets[0] and isinstance(request, Extract):  # several stems are refined once they land
        sensitivity = targets[0].lane.sensitivity
        request = replace(request, sensitivity=sensitivity)
        targets = [replace(targets[0], made=replace(targets[0].made, sensitivity=sensitivity))]
    title = say(_VERBS["extract"], what=", ".join(names))
    return Ask(title, request, _song_layer(project, store), span, tuple(targets), _example(project, prompt, store))


def _bar_of(project: Project, sample: int) -> int:
    """Where the bar begins that a sample is in, or the sample itself without a tempo; room is left for a short part."""
    last = project.samples - math.ceil(SHORTEST_S * project.rate_hz) - 1
    sample = max(0, min(sample, last))
    return sample if project.tempo.source == "none" else Grid.of(project).bar_around(sample).start


def _part_span(project: Project, prompt: Prompt, playhead: int = 0) -> Span:
    """Where the parts lie that a prompt asks for: with their fades around the region, as far as there is song.

    So the first beat of a region sounds as it does in the song, and parts of regions side by side add up to one.
    """
    span, fade = span_of(project, prompt, playhead), round(FADE_S * project.rate_hz)
    longest = round(LONGEST_GENERATED_S * project.rate_hz)
    if project.region is None or (prompt.task != "extract" and span.samples + 2 * fade > longest):
        return span
    return Span(max(0, span.start - fade), min(span.stop + fade, max(project.samples, span.stop)))


def _source(prompt: str) -> tuple[str, bool]:
    """What a prompt names, however it says so, and whether the rest of it is meant."""
    words, rest = parse_prompt(prompt)
    return called(plain(words)).casefold(), rest


def _names(lane: Lane) -> list[str]:
    prompts = [part.take.made.prompt for part in lane.parts]
    return [lane.name.removesuffix(_REPLACED), *(prompt for prompt in prompts if prompt)]


def _regenerated(lanes: Iterable[Lane], name: str, span: Span) -> Lane | None:
    """Where all of a source in a span lies since it was regenerated there, if it was."""
    replaced = stems_called(lanes, name, replaced=True)
    return next((lane for lane in replaced if any(part.span.covers(span) for part in lane.parts)), None)


def _requests(project: Project, prompt: Prompt, span: Span, seed: int) -> list[Request]:
    """One request for all prompts of an extraction, else one a prompt."""
    texts, region = prompts_of(prompt), region_of(project, span)
    sampling = Sampling(prompt.quality, negative=prompt.negative, seed=seed)
    like = region_of(project, prompt.like) if prompt.like else None
    if prompt.task == "extract":
        return [Extract(texts, region, sampling, examples=(like,) if like else ())]
    texts = texts or ("",)
    if prompt.task == "impute":
        return [Impute((text,) if text else (), region, sampling, like) for text in texts]
    if prompt.task == "accompany":
        return [Accompany(text, region, sampling, like) for text in texts]
    if prompt.task == "inpaint":
        return [Inpaint(text, region, sampling, like) for text in texts]
    return [Generate(span.samples / project.rate_hz, text, sampling) for text in texts]


def _made(prompt: Prompt, text: str, seed: int) -> Made:
    like_lane = prompt.like_lane if prompt.like else ""
    return Made(prompt.task, text, seed, prompt.quality, prompt.negative, prompt.like, like_lane=like_lane)


def _new_lane(lanes: Iterable[Lane], name: str, kind: Literal["extracted", "added"], new_id: NewId) -> Lane:
    """A lane beside those that there are, in a colour of its own if it is of no family."""
    taken = [lane.colour for lane in lanes if lane.kind in ("extracted", "added")]
    return Lane(new_id(), kind, called(name), colour_for(name, taken))


def _song_layer(project: Project, store: ClipStore) -> tuple[Layer, ...]:
    assert project.song is not None
    return (Layer(store.path(project.song.audio)),)


def _heard(
    project: Project, prompt: Prompt, store: ClipStore, selected: tuple[str, ...], without: str = ""
) -> tuple[Layer, ...]:
    """What the model hears: for a new part, what the user hears of the lanes; for a regenerated one, the song.

    The rest is the song minus all stems, so stems at gains g_i over a rest at gain r are r · song + Σ (g_i - r) · stem.
    """
    if prompt.task == "generate" or project.song is None:
        return ()
    song = _song_layer(project, store)[0]
    if prompt.task == "inpaint":
        return (song,)
    if prompt.task == "accompany":
        lane = project.lane(_accompanied(project, selected) or SONG_ID)
        if lane.kind == "song":
            return (song,)
        return (replace(song, gain=0.0), *_layers(lane, store, 1.0))
    heard = {lane.id: lane.gain for lane in project.heard_lanes(without)}
    rest = heard.get(REST_ID, 0.0)
    layers = [replace(song, gain=rest)]
    for lane in project.lanes:
        gain = heard.get(lane.id, 0.0) - (rest if lane.kind == "extracted" else 0.0)
        if lane.kind in ("extracted", "added") and lane.id != without and gain:
            layers += _layers(lane, store, gain)
    return tuple(layers)


def _check_example(project: Project, like: Span, lane_id: str) -> None:
    if not project.has_lane(lane_id):
        raise InputError("The lane of the selection to sound like is gone; switch that off, or select another.")
    if not _plays(project, lane_id, like):
        name = project.lane(lane_id).name
        raise InputError("{lane} has nothing in the selection to sound like; select where it plays.", lane=name)


def _plays(project: Project, lane_id: str, span: Span) -> bool:
    """Whether a lane is there and has more than the silence over a regenerated source, or the fade of a neighbour."""
    parts = project.lane(lane_id).parts if project.has_lane(lane_id) else ()
    spans = [part.span for part in parts if part.take.made.repeatable]
    fade = round(FADE_S * project.rate_hz)
    return any(min(each.stop, span.stop) - max(each.start, span.start) > fade for each in spans)


def _example(project: Project, prompt: Prompt, store: ClipStore) -> tuple[Layer, ...]:
    """What `like` is a stretch of: a lane alone, also under the silence over a regenerated source, or the song."""
    if not prompt.like or project.song is None or prompt.task == "generate":
        return ()
    song = _song_layer(project, store)[0]
    if not project.has_lane(prompt.like_lane):
        return (song,)
    lane = project.lane(prompt.like_lane)
    sounding = tuple(part for part in lane.parts if part.take.made.repeatable)
    return (replace(song, gain=0.0), *_layers(replace(lane, parts=sounding), store, 1.0))


def _like(project: Project, prompt: Prompt) -> str:
    """The name of what is like a selection: "like bass at 3.5 s"."""
    assert prompt.like is not None
    begin_s = prompt.like.start / project.rate_hz
    if not project.has_lane(prompt.like_lane):
        return f"like {begin_s:.1f} s"
    return f"like {project.lane(prompt.like_lane).name} at {begin_s:.1f} s"


def _layers(lane: Lane, store: ClipStore, gain: float) -> list[Layer]:
    return [Layer(store.path(part.take.audio), part.start, gain, lane.id) for part in lane.parts]


def _accompanied(project: Project, selected: tuple[str, ...]) -> str:
    """The one selected lane that may be accompanied; "" if none is."""
    lanes = [lane_id for lane_id in selected if project.has_lane(lane_id) and project.lane(lane_id).kind != "rest"]
    return lanes[0] if len(lanes) == 1 else ""
