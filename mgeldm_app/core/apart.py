"""No sound is in two stems: what a new one shares with those that there are is taken out of one of them.

The rest is the song minus all stems, so it would lack twice what two of them hold, and play it upside down. Words do
not tell that a kick drum is in the drums, or that two descriptions are of one bass; so their sounds are compared.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from mgeldm.audio import FADE_S
from mgeldm.errors import AudioError

from . import commands
from .asks import Ask, Target, name_of, stems_called
from .clips import ClipStore, Frames
from .losses import BLOCK_SAMPLES, Heard, Losses, blocks, heard, parts_of, placed
from .project import Audio, Lane, Made, Part, Project, Span, Take, joined, without
from .sound import Clip, faded, lane_clips, read_clips

# With the embedded model one source in other words has 0.92 of its power and more in common, a kick drum 1.00 with the
# drums; bass and drums, which meet in their bands, up to 0.77.
SHARED = 0.85
FAINT = 1e-3  # of the other's power: what hardly sounds is like anything
_MOST_BLOCKS = 2000

Change = Callable[[Project], Project]


@dataclass(frozen=True)
class Less:
    """What comes over an older stem because an output has its sound.

    Attributes:
        output: Number of the output.
        lane: The older stem, as it was.
        part: The same without that sound, or silence.
    """

    output: int
    lane: Lane
    part: Part


@dataclass
class Results:
    """What a job has made.

    Attributes:
        audios: By output its audio, None where nobody needs it.
        made_for: By output the project that it was made for: what the ones before it leave.
        losses: What stems lost to an output before follows that.
        less: What older stems lose.
        without: Numbers of outputs that come without an older stem, and that stem.
        is_undone: Whether a stem that was undone shares a sound with an output.
    """

    audios: list[Audio | None]
    made_for: list[Project]
    losses: Losses
    less: list[Less] = field(default_factory=list)
    without: list[tuple[int, Lane]] = field(default_factory=list)
    is_undone: bool = False

    def left_out(self, number: int) -> tuple[str, ...]:
        """Names of the stems that an output comes without, each once."""
        return tuple(dict.fromkeys(lane.name for output, lane in self.without if output == number))

    def lost_to(self, number: int) -> tuple[str, ...]:
        """Ids of those stems."""
        return tuple(dict.fromkeys(lane.id for output, lane in self.without if output == number))


def taken_apart(
    project: Project,
    ask: Ask,
    store: ClipStore,
    audios: Sequence[Audio | None],
    put: Callable[[int, Take], Change],
    undone: Sequence[Lane] = (),
    removed: Sequence[Lane] = (),
    is_better: bool = False,
) -> Results:
    """Outputs and older stems with no sound in two of them. Slow, so it is run on a worker.

    What is in an older stem is taken out of that, which follows it from then on. What has an older stem in it, or is
    that in other words, comes without. Stems that are in a source that is regenerated fall silent, but for later ones.

    Args:
        project: Where it lands.
        ask: What the outputs were asked for by.
        store: Holds all clips.
        audios: By output.
        put: What puts the output of a number on its lane, as it will be put there.
        undone: Stems that redoing would bring back.
        removed: Stems that undoing would bring back, as they were last.
        is_better: The outputs take the place of others.

    Raises:
        OutputError: The store cannot be written.
    """
    results, now = Results(list(audios), [project] * len(audios), Losses(store)), project

    def lose(output: int, lane: Lane, parts: Iterable[Part]) -> None:
        nonlocal now
        for part in parts:  # and the next output finds it so
            results.less.append(Less(output, project.lane(lane.id), part))
            now = commands.add_part(lane, part, "").apply(now)

    for number, (target, audio) in enumerate(zip(ask.targets, audios, strict=True)):
        if target is None or audio is None or project.song is None or target.lane.kind != "extracted":
            continue
        results.made_for[number] = now
        new = _New(now, store, target, ask.span.start, audio, removed)
        results.is_undone = results.is_undone or any(new.shares(lane) for lane in undone)
        hushed, around = list[Lane](), list[Lane]()
        for lane in _others(now, ask, target):
            with contextlib.suppress(AudioError):  # its file is gone: it is silent
                is_in_old, has_old = new.compare(lane)
                if has_old and target.muted and not is_better:
                    hushed.append(lane)
                elif has_old:
                    new.leave_out(lane)
                    results.without.append((number, lane))
                elif is_in_old:
                    around.append(lane)
        results.audios[number] = written = new.written()
        landed = put(number, Take(written, target.made))(now)
        now = results.losses.follow(now, landed, target.lane.id)
        for lane in hushed:
            lose(number, lane, new.silences(lane))
        for lane in around:
            lose(number, lane, new.remains(now.lane(lane.id), landed))
    return results


def _others(project: Project, ask: Ask, target: Target) -> list[Lane]:
    """Stems of which nobody knows yet whether they share a sound; those of its own source are seen to by name."""
    stems = project.of_kind("extracted")
    known = {each.lane.id for each in ask.targets if each} | {lane.id for lane in _namesakes(stems, target)}
    if target.muted and not target.made.prompt:
        known.add(target.made.like_lane)
    return [lane for lane in stems if lane.id not in known]


def _namesakes(stems: Sequence[Lane], target: Target) -> list[Lane]:
    """Stems of its source, and of what that was before it was regenerated."""
    return [lane for replaced in (False, True) for lane in stems_called(stems, name_of(target), replaced)]


class _New:
    """An output that becomes a stem.

    Args:
        project: Where it lands.
        store: Holds all clips.
        target: Its lane.
        start: Sample of the song at which it begins.
        audio: Its sound.
        removed: Stems that are there no more.
    """

    def __init__(
        self, project: Project, store: ClipStore, target: Target, start: int, audio: Audio, removed: Sequence[Lane]
    ) -> None:
        self.project, self.store, self.audio, self.target = project, store, audio, target
        self.span, self.held = Span(start, start + audio.samples), list[Heard]()
        own = parts_of(project, target.lane.id)
        self._fade = round(FADE_S * project.rate_hz)
        self._own = list(map(self._unfaded, _sounding(own)))
        namesakes = _namesakes([*project.of_kind("extracted"), *removed], target)
        self._namesakes = [lane for lane in namesakes if lane.id != target.lane.id]
        self._edges = self._faded(self.span)

    def compare(self, lane: Lane) -> tuple[bool, bool]:
        """Whether it is in what a lane plays, and whether that is in it.

        The first only where its source has no sound yet: what was there has been taken out of the others. Nor is what
        lost to its own lane looked at, since it follows.
        """
        clips, spans = self._clips(lane), self._meeting(lane)
        unheard = self._more_than_fades(without(spans, *self._own, *self._lost(lane)))
        own, old, shared = self._powers(clips, spans)
        has_old = _is_in(old, own, shared)
        if unheard != spans:
            own, old, shared = self._powers(clips, unheard)
        return _is_in(own, old, shared), has_old

    def shares(self, lane: Lane) -> bool:
        """Whether one has the other's sound; what a file that is gone held is like nothing."""
        try:
            return any(self.compare(lane))
        except AudioError:
            return False

    def leave_out(self, lane: Lane) -> None:
        """Come without what a lane plays."""
        self.held.append(heard(self.project, self.store.view, placed(self.project, lane.id, self.span)))

    def silences(self, lane: Lane) -> Iterator[Part]:
        """A lane's silence where it sounds."""
        for span in self._meeting(lane):
            yield silence(self.store, self.audio, span, self.target.made)

    def remains(self, lane: Lane, landed: Project) -> Iterator[Part]:
        """Parts of a lane, in their order, without this sound; those that follow it have nothing of it.

        Where its own lane is silent in a project in which it has landed, its source was regenerated, so that it was
        taken out already.
        """
        clips, own = self._clips(lane), self.target.lane
        parts = parts_of(landed, own.id)
        silent = without([part.span for part in parts if not part.take.made.repeatable], *_sounding(parts))
        gone = [*map(self._unfaded, silent), *self._lost(lane)]
        for part in lane.parts:
            made = part.take.made
            spans = [] if own.id in made.lost_to else without(_common([part.span], self.span), *self._own, *gone)
            for span in self._more_than_fades(spans):
                if made.repeatable:
                    names = tuple(dict.fromkeys((*made.without, own.name)))
                    less = replace(made, without=names, lost_to=(*made.lost_to, own.id))
                    yield Part(span.start, (Take(self._rest_of(clips, span), less),))
                else:
                    yield silence(self.store, self.audio, span, made)

    def _lost(self, lane: Lane) -> list[Span]:
        """Where a lane lost its source to another stem of that."""
        pairs = [(part, each) for part in lane.parts for each in self._namesakes if each.id in part.take.made.lost_to]
        lost = (_common(map(self._unfaded, _sounding(each.parts)), part.span) for part, each in pairs)
        return [span for spans in lost for span in spans]

    def written(self) -> Audio:
        """Its audio, without the older stems in it."""
        if not self.held:
            return self.audio
        return self._write(self._read(first, last) for first, last in blocks(self.span))

    def _rest_of(self, clips: Sequence[Clip], span: Span) -> Audio:
        edges = self._faded(span)

        def less() -> Iterator[Frames]:
            for first, last in blocks(span):
                own, gains = (read_clips(each, first, last, 1) for each in (self._edges, edges))
                old, new = read_clips(clips, first, last, self.audio.channels), self._read(first, last)
                yield gains * old - gains / own * new  # at its own edges it is faded already

        return self._write(less())

    def _read(self, first: int, last: int) -> Frames:
        """Samples [last - first, channels] of it without the older stems in it."""
        sound = np.array(self.store.view(self.audio)[first - self.span.start : last - self.span.start])
        for each in self.held:
            sound -= each.inside(self._edges, first, last, self.audio.channels)
        return sound

    def _powers(self, clips: Sequence[Clip], spans: Sequence[Span]) -> tuple[float, float, float]:
        """Its power, that of a lane, and what they share; of a long song a part of the blocks tells."""
        step = max(BLOCK_SAMPLES, sum(span.samples for span in spans) // _MOST_BLOCKS)
        own, other, shared = 0.0, 0.0, 0.0
        for span in spans:
            for first in range(span.start, span.stop, step):
                last = min(first + BLOCK_SAMPLES, span.stop)
                new = np.asarray(self.store.view(self.audio)[first - self.span.start : last - self.span.start])
                old = read_clips(clips, first, last, self.audio.channels)
                own, other = own + float(np.vdot(new, new)), other + float(np.vdot(old, old))
                shared += float(np.vdot(new, old))
        return own, other, shared

    def _meeting(self, lane: Lane) -> list[Span]:
        """Where both sound, but for what lost to its own lane."""
        return self._more_than_fades(_common(_sounding(lane.parts, self.target.lane.id), self.span))

    def _more_than_fades(self, spans: Sequence[Span]) -> list[Span]:
        """Without those in which parts side by side only fade into each other."""
        return [span for span in spans if span.samples > 2 * self._fade]

    def _unfaded(self, span: Span) -> Span:
        """Where a part of a span is whole: what has its sound may change hands in its fades."""
        start = span.start + self._fade if span.start > 0 else 0
        return Span(start, span.stop - self._fade if span.stop < self.project.samples else span.stop)

    def _clips(self, lane: Lane) -> tuple[Clip, ...]:
        return lane_clips(lane, self.store.view, self.project.rate_hz, self.project.samples)

    def _faded(self, span: Span) -> tuple[Clip, ...]:
        return faded([span], self.project.rate_hz, self.project.samples)

    def _write(self, blocks: Iterator[Frames]) -> Audio:
        return self.store.write(self.audio.rate_hz, self.audio.channels, blocks)


def silence(store: ClipStore, audio: Audio, span: Span, made: Made) -> Part:
    """Where a stem falls silent in a span, in the form of another's `audio`, because that was `made`.

    Raises:
        OutputError: The store cannot be written.
    """
    story = Made("extract", "", made.seed, made.quality)
    return Part(span.start, (Take(store.silence(audio.rate_hz, audio.channels, span.samples), story),))


def _is_in(one: float, other: float, shared: float) -> bool:
    """Whether one sound is in another, by the powers of both and what they share."""
    return one > FAINT * other and shared > SHARED * one > 0


def _sounding(parts: Iterable[Part], lost_to: str = "") -> list[Span]:
    """Where parts sound, in one piece where they follow one another, but for those that lost to a lane.

    Later ones hide earlier ones.
    """
    spans: list[Span] = []
    for part in parts:
        spans = without(spans, part.span)
        if part.take.made.repeatable and lost_to not in part.take.made.lost_to:
            spans.append(part.span)
    return joined(spans)


def _common(spans: Iterable[Span], span: Span) -> list[Span]:
    """Where spans meet another."""
    return [each.within(span) for each in spans if each.meets(span)]
