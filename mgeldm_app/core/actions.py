"""Everything that has a name, a shortcut and a place in the menu. Menus, the palette and the shortcut sheet read it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from mgeldm.audio import FADE_S
from mgeldm.language import later, say

from . import commands
from .controller import Controller
from .project import MOST_TAKES, Lane, Part, Span, Task
from .timeline import Grid, Unit

TASK_TITLES: dict[Task, str] = {
    "extract": "Extract",
    "impute": "Add a part",
    "accompany": "Accompany this",
    "inpaint": "Regenerate region",
    "generate": "Generate",
}
MENUS = ("File", "Edit", "Play", "Region", "Prompt", "Takes", "View", "Help")
SNAPS: dict[Unit, str] = {"bar": later("bars"), "beat": later("beats"), "none": later("nothing")}
OTHER_WORDS: dict[str, str] = {
    "open": later("load import file"),
    "save_as": later("copy duplicate project"),
    "export": later("render bounce mixdown wav mp3 DAW"),
    "close": later("new empty"),
    "settings": later("preferences options audio device sound card latency"),
    "models": later("weights download checkpoint"),
    "quit": later("exit end"),
    "undo": later("take back"),
    "remove": later("delete"),
    "mute": later("silence switch off"),
    "solo": later("alone only"),
    "play": later("start stop"),
    "to_start": later("rewind beginning"),
    "loop": later("repeat cycle"),
    "listen": later("compare bypass A/B song stems"),
    "click": later("metronome"),
    "tap": later("bpm speed"),
    "downbeat": later("grid one first beat"),
    "metre": later("time signature beats bar"),
    "key": later("scale tonality major minor"),
    "half_tempo": later("bpm speed"),
    "double_tempo": later("bpm speed"),
    "clear_region": later("deselect selection nothing"),
    "select_all": later("selection everything"),
    "snap": later("grid quantise"),
    "focus_prompt": later("type ask text"),
    "submit": later("extract make start"),
    "cancel_jobs": later("stop abort"),
    "again": later("redo regenerate"),
    "vary": later("another version new seed"),
    "keep_take": later("choose final"),
    "jobs": later("progress queue errors"),
    "spectrogram": later("frequencies picture"),
    "fit": later("zoom all"),
    "zoom_region": later("zoom selection"),
    "taller": later("height zoom tracks"),
    "lower": later("height zoom tracks"),
    "theme": later("theme colours appearance night"),
    "palette": later("search commands find"),
    "shortcuts": later("keys keyboard help"),
    "about": later("version licence"),
}
"""What people call an action who look for it in the palette, by its id."""
GROUPS = frozenset((
    "save", "export", "close", "settings", "quit", "remove", "mute", "listen", "tap", "select_all", "snap",
    "task_extract", "submit", "next_take", "keep_take", "zoom_in", "taller", "theme",
))  # fmt: skip
"""Ids of actions that a line in the menu sets apart from those before."""


def _always(_: Controller) -> bool:
    return True


def _has_song(c: Controller) -> bool:
    return c.session.project.song is not None


def _has_tempo(c: Controller) -> bool:
    return _has_song(c) and c.session.project.tempo.source != "none"


def _has_region(c: Controller) -> bool:
    return c.session.project.region is not None


def _has_project(c: Controller) -> bool:
    return c.session.folder is not None


def _has_selection(c: Controller) -> bool:
    return bool(c.selected_lanes())


def _has_one_lane(c: Controller) -> bool:
    return len(c.selected_lanes()) == 1


def _can_submit(c: Controller) -> bool:
    return not c.blocked(c.session.project.prompt)


def _undone(c: Controller) -> str:
    return c.session.history.undo_title


def _redone(c: Controller) -> str:
    return c.session.history.redo_title


def _can_undo(c: Controller) -> bool:
    return bool(_undone(c))


def _can_redo(c: Controller) -> bool:
    return bool(_redone(c))


def _snapped(c: Controller) -> str:
    return say(SNAPS[c.snap])


@dataclass(frozen=True)
class Action:
    """One thing to do.

    Attributes:
        id: Its name in code.
        menu: One of `MENUS`.
        title: For people; "&" is not used.
        run: Does it.
        shortcut: As Qt writes it ("Ctrl+K"); "" for none.
        enabled: Whether it can be done now.
        checked: For switches: whether it is on.
        now: Said behind the title: what undo would take back, which of several ways is the one that holds.
        dialog: It asks something of the user first.
        repeats: It is a step of many, taken again and again while its key is held; all else is done once a press.
    """

    id: str
    menu: str
    title: str
    run: Callable[[Controller], None]
    shortcut: str = ""
    enabled: Callable[[Controller], bool] = _always
    checked: Callable[[Controller], bool] | None = None
    now: Callable[[Controller], str] | None = None
    dialog: bool = False
    repeats: bool = False


def _wants(word: str) -> Callable[[Controller], None]:
    return lambda c: c.wants.emit(word)


def _stems(c: Controller) -> list[Lane]:
    return [lane for lane in c.selected_lanes() if lane.kind in ("extracted", "added")]


def _has_stems(c: Controller) -> bool:
    return bool(_stems(c)) or any(lane_id in c.session.coming for lane_id in c.session.selected)


def _has_one_stem(c: Controller) -> bool:
    return len(_stems(c)) == 1


def _move(steps: int) -> Callable[[Controller], None]:
    return lambda c: c.session.do(commands.move_lane(_stems(c)[0].id, steps))


def _to_region(c: Controller) -> None:
    if c.session.project.region is not None:
        c.player.seek(c.session.project.region.start)


def _other_side(c: Controller) -> None:
    c.listen_to("stems" if c.listening == "song" else "song")


def _part_of(c: Controller, lane: Lane) -> tuple[Lane, int] | None:
    """A lane and its part under the playhead, or its last one."""
    if not lane.parts:
        return None
    at = c.player.position + round(FADE_S * c.session.project.rate_hz)  # a part begins with its fade, before the bar
    here = [i for i, part in enumerate(lane.parts) if part.span.start <= at < part.span.stop]
    return lane, here[-1] if here else len(lane.parts) - 1


def _added(c: Controller, takes: int) -> list[Lane]:
    """The lanes that were added and have a part of so many takes."""
    return [x for x in c.session.project.of_kind("added") if any(len(part.takes) >= takes for part in x.parts)]


def _meant(c: Controller, takes: int = 1) -> tuple[Lane, int] | None:
    """The part, of so many takes, that is meant: of the one selected stem, else of the last part that was added."""
    lanes = _stems(c) or _added(c, takes)[-1:]
    found = _part_of(c, lanes[0]) if len(lanes) == 1 else None
    return found if found is not None and len(found[0].parts[found[1]].takes) >= takes else None


def _has_part(c: Controller) -> bool:
    return c.session.editable and _meant(c) is not None


def _taken(c: Controller) -> tuple[Lane, int] | None:
    """The part whose takes are compared."""
    return _meant(c, takes=2)


def _has_take(number: int) -> Callable[[Controller], bool]:
    def enabled(c: Controller) -> bool:
        found = _taken(c)
        return found is not None and number < len(found[0].parts[found[1]].takes)

    return enabled


def _has_takes(c: Controller) -> bool:
    return _taken(c) is not None


def _on_taken(act: Callable[[Controller, Lane, int], None]) -> Callable[[Controller], None]:
    """Do something with the part whose takes are compared; where it might be another one's, say once whose they are."""

    def run(c: Controller) -> None:
        found = _taken(c)
        if found is None:
            return
        lane = found[0]
        if _stems(c):
            c.session.compared = ""
        elif len(_added(c, takes=2)) > 1 and c.session.compared != lane.id:
            c.session.compared = lane.id
            said = say("Those are the takes of {lane}; select another lane to compare its takes.", lane=lane.name)
            c.session.tell(said)
        act(c, *found)

    return run


def _choose(which: Callable[[Part], int]) -> Callable[[Controller], None]:
    return _on_taken(lambda c, x, index: c.session.do(commands.choose_take(x.id, index, which(x.parts[index]))))


def _step(by: int) -> Callable[[Controller], None]:
    return _choose(lambda part: (part.chosen + by) % len(part.takes))


def _keep_alone(c: Controller, lane: Lane, index: int) -> None:
    c.making.keep_alone(lane.id, index)


def _drop(c: Controller, lane: Lane, index: int) -> None:
    part = lane.parts[index]
    kept = tuple(number for number in range(len(part.takes)) if number != part.chosen)
    c.session.do(commands.keep_takes(lane.id, index, kept))


def _take_actions() -> Iterator[Action]:
    for number in range(MOST_TAKES):
        run = _choose(lambda _, number=number: number)  # type: ignore[misc]
        yield Action(f"take_{number + 1}", "Takes", f"Hear take {number + 1}", run, str(number + 1), _has_take(number))


def _again(vary: bool) -> Callable[[Controller], None]:
    def run(c: Controller) -> None:
        found = _meant(c)
        if found is not None:
            with c.told():
                c.making.make_again(found[0].id, found[1], vary)

    return run


def _flip(field: str) -> Callable[[Controller], None]:
    """Turn a switch of the selected lanes on, or off if it is on everywhere."""

    def run(c: Controller) -> None:
        lanes = c.selected_lanes()
        c.session.do(commands.set_lanes(lanes, field, not all(getattr(lane, field) for lane in lanes)))

    return run


def _flip_view(c: Controller) -> None:
    lanes = c.selected_lanes() or list(c.session.project.lanes)
    to_spectrogram = any(lane.view == "waveform" for lane in lanes)
    c.session.do(commands.set_lanes(lanes, "view", "spectrogram" if to_spectrogram else "waveform"))


def _task(task: Task) -> Callable[[Controller], None]:
    return lambda c: c.set_prompt(replace(c.session.project.prompt, task=task))


def _task_actions() -> Iterator[Action]:
    for number, (task, title) in enumerate(TASK_TITLES.items(), 1):
        yield Action(f"task_{task}", "Prompt", title, _task(task), f"Ctrl+{number}", checked=_is_task(task))


def _is_task(task: Task) -> Callable[[Controller], bool]:
    return lambda c: c.session.project.prompt.task == task


def _grow_region(c: Controller) -> None:
    project = c.session.project
    grid = Grid.of(project)
    if project.region is None:
        c.set_region(grid.bar_around(c.player.position), looped=True)
    else:
        c.set_region(Span(project.region.start, grid.snap(project.region.start + 2 * project.region.samples, "none")))


def _select_all(c: Controller) -> None:
    c.set_region(Span(0, c.session.project.samples))


def _next_snap(c: Controller) -> None:
    order = {"bar": "beat", "beat": "none", "none": "bar"}
    c.set_settings(replace(c.settings, snap=order[c.snap]))  # type: ignore[arg-type]


def _times_tempo(factor: float) -> Callable[[Controller], None]:
    return lambda c: c.set_tempo(replace(c.session.project.tempo, bpm=c.session.project.tempo.bpm * factor))


def _busy(c: Controller) -> bool:
    return c.session.busy or c.documents.opening is not None or bool(c.taking.errands)


def _cancel(c: Controller) -> None:
    c.making.cancel_all()
    c.documents.cancel_opening()
    c.taking.cancel_all()


def _save(c: Controller) -> None:
    """For whoever does not know that every change is saved when it is made."""
    folder = c.session.folder
    if folder is None:
        return
    if folder.read_only:
        c.session.tell(say("This project can only be read here; File > Save as makes a copy that is yours."))
        return
    c.documents.save_now()
    if not c.documents.unsaved:
        told = say("Saved in {folder}, as every change is when it is made.", folder=folder.folder.name)
        c.session.tell(told, folder=folder.folder)


ACTIONS: tuple[Action, ...] = (
    Action("open", "File", "Open", _wants("open"), "Ctrl+O", dialog=True),
    Action("demo", "File", "Open the demo song", _wants("demo")),
    Action("save", "File", "Save", _save, "Ctrl+S", _has_project),
    Action("save_as", "File", "Save as", _wants("save_as"), "Ctrl+Shift+S", _has_project, dialog=True),
    Action("show_folder", "File", "Show the project's folder", _wants("show_folder"), "", _has_project),
    Action("export", "File", "Export", _wants("export"), "Ctrl+E", _has_song, dialog=True),
    Action("copy_files", "File", "Copy the selected lanes as files", _wants("copy_files"), "Ctrl+C", _has_selection),
    Action(
        "copy_region",
        "File",
        "Copy the region of the selected lanes as files",
        _wants("copy_region"),
        "Ctrl+Shift+C",
        lambda c: _has_selection(c) and _has_region(c),
    ),
    Action("close", "File", "Close the project", lambda c: c.documents.close(), "Ctrl+W", _has_project),
    Action("settings", "File", "Settings", _wants("settings"), "Ctrl+,", dialog=True),
    Action("models", "File", "Models", _wants("models"), "", dialog=True),
    Action("quit", "File", "Quit", _wants("quit"), "Ctrl+Q", dialog=True),
    Action("undo", "Edit", "Undo", lambda c: c.session.undo(), "Ctrl+Z", _can_undo, now=_undone, repeats=True),
    Action("redo", "Edit", "Redo", lambda c: c.session.redo(), "Ctrl+Shift+Z", _can_redo, now=_redone, repeats=True),
    Action("remove", "Edit", "Remove the selected lanes", lambda c: c.remove_selected(), "Delete", _has_stems),
    Action("rename", "Edit", "Rename the selected lane", _wants("rename"), "F2", _has_one_lane),
    Action("lane_up", "Edit", "Move the lane up", _move(-1), "Ctrl+Up", _has_one_stem, repeats=True),
    Action("lane_down", "Edit", "Move the lane down", _move(1), "Ctrl+Down", _has_one_stem, repeats=True),
    Action("mute", "Edit", "Mute the selected lanes", _flip("muted"), "M", _has_selection),
    Action("solo", "Edit", "Solo the selected lanes", _flip("soloed"), "S", _has_selection),
    Action("play", "Play", "Play or pause", lambda c: c.toggle_play(), "Space", _has_song, lambda c: c.player.playing),
    Action("to_start", "Play", "To the start", lambda c: c.player.seek(0), "Home", _has_song),
    Action("to_region", "Play", "To the region", _to_region, "Shift+Home", _has_region),
    Action(
        "loop",
        "Play",
        "Loop the region",
        lambda c: c.set_looping(not c.session.project.looping),
        "L",
        _has_song,
        lambda c: c.session.project.looping,
    ),
    Action("listen", "Play", "Hear the original", _other_side, "B", _has_song, lambda c: c.listening == "song"),
    Action(
        "click", "Play", "Click on the beats", lambda c: c.set_click(not c.click), "K", _has_song, lambda c: c.click
    ),
    Action("tap", "Play", "Tap the tempo", lambda c: c.tap(), "T", _has_song),
    Action("downbeat", "Play", "A bar begins here", lambda c: c.downbeat_here(), "Shift+T", _has_song),
    Action("metre", "Play", "Metre", _wants("metre"), "", _has_song, dialog=True),
    Action("key", "Play", "Key", _wants("key"), "", _has_song, dialog=True),
    Action("half_tempo", "Play", "Half the tempo", _times_tempo(0.5), "", _has_tempo),
    Action("double_tempo", "Play", "Double the tempo", _times_tempo(2.0), "", _has_tempo),
    Action("left", "Region", "Move left", lambda c: c.nudge(-1), "Left", _has_song, repeats=True),
    Action("right", "Region", "Move right", lambda c: c.nudge(1), "Right", _has_song, repeats=True),
    Action(
        "shorter", "Region", "Shorter", lambda c: c.nudge(-1, end_only=True), "Shift+Left", _has_region, repeats=True
    ),
    Action("longer", "Region", "Longer", lambda c: c.nudge(1, end_only=True), "Shift+Right", _has_region, repeats=True),
    Action("twice", "Region", "Twice as long", _grow_region, "Shift+D", _has_song),
    Action("select_all", "Region", "Whole song", _select_all, "Ctrl+A", _has_song),
    Action("clear_region", "Region", "Clear the region", lambda c: c.set_region(None), "Ctrl+D", _has_region),
    Action("snap", "Region", "Snap to bars, beats or nothing", _next_snap, "N", _has_song, now=_snapped),
    Action("focus_prompt", "Prompt", "Write a prompt", _wants("focus_prompt"), "Ctrl+P"),
    *_task_actions(),
    Action("submit", "Prompt", "Do it", lambda c: c.submit(c.session.project.prompt), "Ctrl+Return", _can_submit),
    Action("cancel_jobs", "Prompt", "Cancel all jobs", _cancel, "Ctrl+.", _busy),
    Action("again", "Takes", "Make the part again", _again(False), "", _has_part),
    Action("vary", "Takes", "Make a variation of the part", _again(True), "V", _has_part),
    Action("next_take", "Takes", "Next take", _step(1), "]", _has_takes, repeats=True),
    Action("previous_take", "Takes", "Previous take", _step(-1), "[", _has_takes, repeats=True),
    *_take_actions(),
    Action("keep_take", "Takes", "Keep this take alone", _on_taken(_keep_alone), "Shift+K", _has_takes),
    Action("drop_take", "Takes", "Remove this take", _on_taken(_drop), "Shift+Delete", _has_takes),
    Action("jobs", "View", "Jobs", _wants("jobs"), "J"),
    Action("spectrogram", "View", "Waveform or spectrogram", _flip_view, "W", _has_song),
    Action("zoom_in", "View", "Zoom in", _wants("zoom_in"), "Ctrl+=", _has_song, repeats=True),
    Action("zoom_out", "View", "Zoom out", _wants("zoom_out"), "Ctrl+-", _has_song, repeats=True),
    Action("fit", "View", "Whole song in view", _wants("fit"), "F", _has_song),
    Action("zoom_region", "View", "Region in view", _wants("zoom_region"), "Z", _has_region),
    Action("taller", "View", "Taller lanes", _wants("taller"), "Ctrl+Shift+Up", _has_song, repeats=True),
    Action("lower", "View", "Shorter lanes", _wants("lower"), "Ctrl+Shift+Down", _has_song, repeats=True),
    Action("theme", "View", "Dark or light", _wants("theme"), ""),
    Action("palette", "View", "Command palette", _wants("palette"), "Ctrl+K", dialog=True),
    Action("shortcuts", "Help", "Shortcuts", _wants("shortcuts"), "F1", dialog=True),
    Action("about", "Help", "About", _wants("about"), "", dialog=True),
)

BY_ID: dict[str, Action] = {action.id: action for action in ACTIONS}
