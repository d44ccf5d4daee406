"""Jobs that outlive the program: what is kept of one under way, and the work that it becomes the next time."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace

from mgeldm.language import later

from .asks import Unfinished, taken_up
from .clips import ClipStore
from .jobs import Job, Layer
from .landing import Group, Work, song_of
from .project import Project

NOT_FINISHED = later(
    "It was not finished when the project was closed. What was done is kept; try again to have it whole."
)
LOST_ITS_LANE = later(
    "It was not finished when the project was closed, and the lane that it listened to is gone or silent there now. "
    "What was done is kept; ask for the rest anew."
)
NOTHING_DONE = later("Nothing of it was finished when the project was closed; try again to have it.")
NOTHING_DONE_LOST = later(
    "Nothing of it was finished when the project was closed, and the lane that it listened to is gone or silent there "
    "now; ask for it anew."
)


def kept(work: Work) -> Unfinished | None:
    """What to keep of a job; nothing of a draft, since its better version is kept."""
    if work.gives_way is not None:
        return None
    places = range(len(work.ask.targets) if work.replaces else 0)
    return Unfinished(
        work.ask.title,
        work.group.title,
        work.ask.span,
        work.ask.targets,
        tuple(path.name for path in work.job.outputs) if work.filled else (),
        work.filled,
        tuple(tuple(sorted(work.replaces.get(place, ()), key=lambda audio: audio.id)) for place in places),
        work.refines,
        work.undoable,
    )


def resumed(project: Project, store: ClipStore, jobs: Sequence[Unfinished]) -> list[Work]:
    """Work that waits to be tried again; takes of one part belong together again.

    Args:
        project: As it was opened.
        store: Its clips.
        jobs: What was kept; those whose result would replace what is not there any more are left out.
    """
    groups: dict[tuple[str, ...], Group] = {}
    there, found = project.audios(), []
    for job in jobs:
        replaces = {place: set(old) for place, old in enumerate(job.replaces) if old}
        if replaces and not there & set().union(*replaces.values()):
            continue
        ask, lanes = taken_up(project, job, store), {target.lane.id: target.lane for target in job.targets if target}
        group = groups.setdefault((*lanes, job.step), Group(lanes, job.step))
        group.landed = any(project.has_lane(lane_id) for lane_id in lanes)
        paths = tuple(store.folder / name for name in job.files)
        whole = all(store.unfinished(path) and path.parent == store.folder and path.is_file() for path in paths)
        filled = job.filled if whole else 0
        left = paths if whole else ()
        again = Job(uuid.uuid4().hex, ask.title, ask.request, ask.heard, left, ask.span.start, example=ask.example)
        song = song_of(project)
        kind = replaces, None, job.refines, job.undoable
        found.append(Work(again, ask, store, group, *kind, filled, failed=True, song=song))
    return found


def moved(work: Work, store: ClipStore) -> Work:
    """A job that waits to be tried again, in a copy of its project; what it had done stays with the first.

    Args:
        work: As it waits.
        store: The clips of the copy, all that the first has.
    """

    def there(layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
        return tuple(replace(layer, path=store.folder / layer.path.name) for layer in layers)

    ask = replace(work.ask, heard=there(work.ask.heard), example=there(work.ask.example))
    job = replace(work.job, outputs=())
    return replace(work, job=job, ask=ask, store=store, filled=0, keeping=False)
