"""Projects on disk: a folder that opens again exactly as it was, whatever ended the program.

    Name.mgeldm/
      project.json     the state, with a schema number; written aside, flushed, renamed
      project.1.json   the states saved before it, newest first
      jobs.json        what was under way, if anything was
      audio/           clips by content, see `clips`
      exports/         files handed to a DAW; never changed or removed by the program
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import filelock
import msgspec
from mgeldm.audio import cleaned, safe_name, shortened
from mgeldm.errors import AudioError, InputError, OutputError
from mgeldm.language import Sentence, later, say
from mgeldm.naming import aside_of, give_name
from mgeldm.outputs import discard, sweep_old_parts
from mgeldm.progress import Reporter

from .asks import Unfinished
from .clips import ClipStore
from .errors import StorageError
from .files import can_write, is_aside, is_of_file, link_or_copy, numbered, sweep_parts, write_whole
from .project import REST_ID, SCHEMA, SONG_ID, Audio, Project
from .settings import home

SUFFIX = ".mgeldm"
PROGRAM = "MGE-LDM Desktop"
KEPT = 3  # states before the last one
SPARED_S = 7 * 86400  # a clip that nothing names stays so long: another computer's newest state may be on its way

Document = dict[str, Any]
MIGRATIONS: dict[int, Callable[[Document], Document]] = {}
"""From a project of the schema named by the key, as plain values, to one of the next schema."""

_NAME_CHARACTERS = 60  # of a project that is named after its song
_STATE, _JOBS, _LOCK = "project.json", "jobs.json", ".lock"
_CLIP = re.compile(rb"\b[0-9a-f]{64}\b")  # what a clip is called, see `ClipStore.adopt`

_OPEN_ELSEWHERE = later("{project} is open in another window; changes are not saved. Use Save as to go on with a copy.")
_NOT_WRITABLE = later("{project} cannot be written to; changes are not saved. Use Save as to go on with a copy.")
_NOT_TO_LOCK = later(
    "The folder of {project} cannot be locked ({why}), so another program could change it at the same time; changes "
    "are not saved. Use Save as to go on with a copy."
)
_OWNED = later(
    "This project is open elsewhere and cannot be changed here; close it there and open it here again, or save it "
    "under a new name."
)
_HELD = later("This project's folder cannot be written to, so it cannot be changed here; save it under a new name.")
_SHARED = later(
    "This project's folder cannot be locked ({why}), so another program could change it at the same time, and it "
    "cannot be changed here; save it under a new name."
)
_CLOSED = later(
    "This project was closed, so it cannot be changed here; open it where it lies now, or save it under a new name."
)


class ProjectFolder:
    """An open project. Made by `create`, `open` or `copy_to`; `close` it.

    `save` may be called from any thread, one call at a time taking effect.

    Attributes:
        folder: Where it lies.
        store: Its audio.
        project: The state as it was loaded; `save` does not change it.
        read_only: Another instance has it open, or the folder cannot be written to or locked: `save` does nothing.
        notice: What the user should know about how it was opened, or "".
        is_new: It was made by `create`.
        unfinished: Jobs that were under way, as they were found when it was opened or last kept.
    """

    def __init__(
        self, folder: Path, project: Project, lock: filelock.BaseFileLock | None, denied: Exception | None = None
    ) -> None:
        try:
            self.store = ClipStore(folder / "audio")
        except OSError as error:
            raise StorageError(
                "{folder} has no folder for audio ({why}); check its rights.", folder=folder, why=error.strerror
            ) from error
        self.folder, self.project, self.notice, self.is_new = folder, project, "", False
        self._place = os.stat(folder)
        self._lock, self._denied, self._saving = lock, denied, threading.Lock()
        self._saved = b""
        self.unfinished: tuple[Unfinished, ...] = ()

    @property
    def read_only(self) -> bool:
        """Whether `save` does nothing."""
        return self._lock is None

    def check_writable(self) -> None:
        """See that what is asked for can be kept here.

        Raises:
            InputError: It cannot, and why.
        """
        if self.read_only:
            raise InputError(self._why_read_only[1], why=_reason(self._denied))

    def is_at(self, folder: Path) -> bool:
        """Whether this is the project in that folder, moved there while it is open or not."""
        try:
            return os.path.samestat(self._place, os.stat(_root(folder)))
        except OSError:
            return False

    @property
    def moved(self) -> bool:
        """Whether it does not lie any more where it was opened, and its audio is looked for."""
        return not self.is_at(self.store.folder.parent)

    def follow(self, folder: Path) -> None:
        """Save where the folder was moved to. Its audio is found there once it is opened there."""
        with self._saving:
            self.folder = _root(folder)
            self.unfinished = _unfinished(self.folder)  # what was to be kept since then is nowhere

    @functools.cached_property
    def _why_read_only(self) -> tuple[str, str]:
        """What to say where it is opened, and where it is to be changed. Looked at once: menus ask often."""
        if self._denied is None:  # for it was to be opened anew where it was moved to, and that failed
            return _CLOSED, _CLOSED
        if isinstance(self._denied, filelock.Timeout):
            return _OPEN_ELSEWHERE, _OWNED
        return (_NOT_TO_LOCK, _SHARED) if can_write(self.folder) else (_NOT_WRITABLE, _HELD)

    @property
    def exports(self) -> Path:
        """The folder for files handed to a DAW; made if it is not there and can be."""
        path = self.folder / "exports"
        with contextlib.suppress(OSError):  # a read-only place: whoever writes there will say so
            path.mkdir(exist_ok=True)
        return path

    @staticmethod
    def create(folder: Path) -> ProjectFolder:
        """Make a new, empty project in a folder that does not exist yet.

        Raises:
            StorageError: There is something already, or the folder cannot be made.
        """
        if os.path.exists(folder):  # which forgives a disk that cannot be looked at; it is said below
            raise StorageError("There already is something at {folder}; choose another name.", folder=folder)
        try:
            folder.mkdir(parents=True)
        except OSError as error:
            raise StorageError(
                "{folder} cannot be made ({why}); choose another place.", folder=folder, why=error.strerror
            ) from error
        try:
            lock = _locked(folder)
        except (OSError, RuntimeError) as error:  # a disk that knows no locks, or too many open files
            shutil.rmtree(folder, ignore_errors=True)
            raise StorageError(
                "{folder} cannot be locked, so another program could change it while it is open; choose a local disk.",
                folder=folder,
            ) from error
        made = ProjectFolder(folder, Project(), lock)
        made._saved, made.is_new = _encode(made.project), True
        try:
            write_whole(folder / _STATE, made._saved)
        except OutputError as error:
            made.remove()
            raise StorageError("No project could be begun, so nothing was opened. {why}", why=error) from error
        return made

    @staticmethod
    def open(folder: Path) -> ProjectFolder:
        """Open a project; where its state is damaged, the newest one saved before it.

        Raises:
            StorageError: There is none, it is damaged beyond use, or was saved by a newer version of the program.
        """
        folder = _root(folder)
        try:
            is_folder, is_project = folder.is_dir(), any(path.is_file() for path in _states(folder))
        except OSError as error:
            raise StorageError(
                "{folder} cannot be looked at ({why}); check its rights, and that its disk is connected.",
                folder=folder,
                why=error.strerror,
            ) from error
        if not is_folder:
            raise StorageError(
                "{folder} is not there any more; find where it was moved to and open it from there.", folder=folder
            )
        if not is_project:
            raise StorageError(
                "{project} is not a project of {program}; choose a folder that ends in {suffix}.",
                project=folder.name,
                program=PROGRAM,
                suffix=SUFFIX,
            )
        lock: filelock.BaseFileLock | None = None
        denied: Exception | None = None
        try:
            lock = _locked(folder)
        except (OSError, RuntimeError) as error:
            denied = error
        try:
            project, damage = _load(folder)
            opened = ProjectFolder(folder, project, lock, denied)
            opened.unfinished = _unfinished(folder)
            if not damage:  # then what is opened lies there: to save it again would push out an earlier state
                opened._saved = _encode(project)
            opened._set_in_order(damage)
        except BaseException:
            if lock:
                lock.release()
            raise
        return opened

    def _set_in_order(self, damage: str) -> None:
        """Clear away after a run that was ended, put a damaged state aside, and say what the user should know."""
        notices: list[str] = []
        if self.read_only:
            notices.append(say(self._why_read_only[0], project=self.folder.name, why=_reason(self._denied)))
        else:
            self.store.sweep({name for job in self.unfinished for name in job.files})
            for folder in (self.folder, self.folder / "exports"):
                sweep_parts(folder)
        if damage:
            opened = say("The last saved state was damaged ({why}), so the one before it was opened.", why=damage)
            notices.append(opened)
            self._put_damage_aside()
        notices += self._missing()
        self.notice = " ".join(notices)

    def _put_damage_aside(self) -> None:
        """Keep a damaged state under a name of its own, out of the row of those that can be read."""
        if self.read_only:
            return
        try:
            if (self.folder / _STATE).exists():
                give_name(self.folder / _STATE, _free(self.folder, "damaged", ".json"))
            self.save(self.project)
        except (OSError, StorageError):
            return  # the earlier state is whole and open; the next save will say what is wrong with the disk

    def _missing(self) -> list[str]:
        """Clips whose files are gone sound as silence, and stay in the project in case they come back."""
        lost = {audio.id for audio in self.project.audios() if not self._found(audio)}
        if not lost:
            return []
        names = [
            lane.name
            for lane in self.project.lanes
            if any(take.audio.id in lost for part in lane.parts for take in part.takes)
        ]
        if self.project.song and self.project.song.audio.id in lost:
            names.insert(0, say("the song {song}", song=self.project.song.name))
        missing = say(
            "Audio is missing or damaged and silent here: {names}. Bring the files back to {folder} from a backup and "
            "open the project again, or make these parts anew.",
            names=", ".join(names),
            folder=self.store.folder,
        )
        return [missing]

    def _found(self, audio: Audio) -> bool:
        song = self.project.song
        try:
            self.store.view(audio)
        except AudioError as error:
            if not is_of_file(error):
                raise StorageError(
                    "{project} cannot be opened now ({why}); close other programs and open it again.",
                    project=self.folder.name,
                    why=error.__cause__,
                ) from error
            if song and song.audio == audio and not self.read_only and self._taken_in_again(audio, song.source):
                return True
            self.store.stand_in(audio)
            return False
        return True

    def _taken_in_again(self, audio: Audio, source: str) -> bool:
        """Whether the song could be read again from the file it once came from."""
        try:
            return os.path.isfile(source) and self.store.take_in(Path(source)) == audio
        except (AudioError, OutputError):
            return False

    def save(self, project: Project) -> None:
        """Save a state; the one before it is kept. Does nothing if it is saved already or the project is read-only.

        Raises:
            StorageError: It cannot be saved, and what is on the disk stays as it was.
        """
        with self._saving:
            if self.read_only:
                return
            data = _encode(project)
            if data == self._saved:
                return
            try:
                write_whole(self.folder / _STATE, data, before=self._keep_previous)  # a full disk loses no older one
            except OutputError as error:
                raise StorageError(
                    "The project was not saved. {why} Until then your last changes are only in this window.", why=error
                ) from error
            self._saved = data

    def save_unfinished(self, jobs: tuple[Unfinished, ...]) -> None:
        """Keep what is under way for the next time. A disk that is full does not hold up anything for that."""
        with self._saving:
            if self.read_only or jobs == self.unfinished:
                return
            self.unfinished = jobs
            with contextlib.suppress(OutputError, OSError):
                if jobs:
                    data = _json({"schema": SCHEMA, "jobs": jobs})
                    write_whole(self.folder / _JOBS, data, flush=False)  # nor is the audio that goes with it
                else:
                    (self.folder / _JOBS).unlink(missing_ok=True)

    def _keep_previous(self) -> None:
        """Give the state on the disk a second name; it is never away from its first one."""
        current, *previous = _states(self.folder)
        if not current.exists():
            return
        aside = aside_of(current)
        try:
            link_or_copy(current, aside)  # on disks without links a copy, for which there may be no room
            for older, newer in zip(reversed(previous), reversed(previous[:-1]), strict=False):
                if newer.exists():
                    give_name(newer, older)
            give_name(aside, previous[0])
        except OSError as error:
            raise OutputError(
                "{folder} cannot be written to ({why}); free some disk.", folder=self.folder, why=error.strerror
            ) from error
        finally:
            aside.unlink(missing_ok=True)

    def copy_to(self, new_folder: Path, project: Project, reporter: Reporter | None = None) -> ProjectFolder:
        """Open a copy with all audio (but not the files handed to a DAW) that holds `project`; this one stays open.

        Nothing that is saved is needed: this folder may have been moved or removed.

        Raises:
            StorageError: There is something already, or no room.
            Cancelled: The reporter said so between two clips.
        """
        reporter = reporter or Reporter()
        if os.path.exists(new_folder):
            raise StorageError("There already is something at {folder}; choose another name.", folder=new_folder)
        sweep_old_parts(new_folder.parent)
        aside, state = aside_of(new_folder), _encode(project)
        try:
            (aside / "audio").mkdir(parents=True)
            (aside / _STATE).write_bytes(state)
            for path in self.store.folder.glob("*.wav"):
                reporter.check()
                if not self.store.unfinished(path):
                    link_or_copy(path, aside / "audio" / path.name)
            self.store.hand_on(project.audios(), aside / "audio")
            give_name(aside, new_folder)
        except BaseException as error:
            shutil.rmtree(aside, ignore_errors=True)
            if not isinstance(error, OSError | OutputError):
                raise
            raise StorageError(
                "The project could not be copied to {folder} ({why}); choose another place.",
                folder=new_folder,
                why=error.strerror if isinstance(error, OSError) else error,
            ) from error
        return ProjectFolder.open(new_folder)

    def tidy(self) -> None:
        """Remove clips that were made a while ago and that nothing in the folder names: no state, no job, no copy.

        Call it while nothing is shown yet: what undo might bring back must be gone for good. Where a file cannot be
        read that may name clips, or the project is read-only, nothing is removed.
        """
        if self.read_only:
            return
        try:
            documents = [path.read_bytes() for path in self.folder.rglob("*.json")]
            for data in documents:
                msgspec.json.decode(data)
            named = {name.decode() for data in documents for name in _CLIP.findall(data)}
            clips = [path for path in self.store.folder.glob("*.wav") if _CLIP.fullmatch(path.stem.encode())]
            old = [path for path in clips if _came_s(path) < time.time() - SPARED_S]
            discard(*(path for path in old if path.stem not in named))
        except (OSError, ValueError):  # msgspec's errors are ValueErrors
            return

    def close(self) -> None:
        """Let others open the project for writing, once a save under way is done."""
        with self._saving:
            if self._lock:
                self._lock.release()
                self._lock = None

    def remove(self) -> None:
        """Close it, and remove it with all that lies in it: nobody wanted it in the end."""
        self.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def projects_home() -> Path:
    """The folder for projects where the user names none: in their documents, if there is such a folder."""
    import platformdirs

    base = home() or platformdirs.user_documents_path()
    if not base.is_dir():
        base = home() or platformdirs.user_data_path("mgeldm-desktop", appauthor=False)
    return base / "MGE-LDM Projects"


def free_name(folder: Path, song_name: str) -> Path:
    """A project folder in `folder`, named after a song, that does not exist yet, or not any more: see `clear_shell`.

    Of a long name the beginning is taken: on Windows the paths of clips, 75 characters longer, end at 260.
    """
    name = cleaned(song_name)
    name = safe_name(shortened(name, len(name[:_NAME_CHARACTERS].encode())), SUFFIX)
    return next(path for path in numbered(folder / name, SUFFIX) if not os.path.exists(path) or clear_shell(path))


def _free(folder: Path, name: str, suffix: str) -> Path:
    return next(path for path in numbered(folder / safe_name(name, suffix), suffix) if not os.path.exists(path))


def clear_shell(folder: Path) -> bool:
    """Remove a project that never came to hold anything: its music was not made, or its song not decoded to the end.

    Whether it is gone. One that is open anywhere stays.
    """
    try:
        if not _is_shell(folder):
            return False
        lock = _locked(folder)
        try:
            if not _is_shell(folder):  # somebody had it until now
                return False
            discard(*_begun(folder / "audio"))
            for part in filter(Path.exists, (folder / "audio", folder / "exports")):
                part.rmdir()
            discard(*_states(folder), *_begun(folder))
        finally:
            lock.release()
        discard(folder / _LOCK)  # Windows has let go of it now
        folder.rmdir()
    except (OSError, RuntimeError):  # it cannot be locked, or something came into it just now
        return False
    return True


def _is_shell(folder: Path) -> bool:
    """Whether there is nothing in a project but a prompt, and what was being written aside when a run was ended.

    Raises:
        OSError: It cannot be looked at.
    """
    states, audio, exports = [path for path in _states(folder) if path.is_file()], folder / "audio", folder / "exports"
    others = {*_listed(folder), *_listed(audio), *_listed(exports)}
    others -= {audio, exports, folder / _LOCK, *states, *_begun(folder), *_begun(audio)}
    if not states or others:
        return False
    try:
        projects = [_decode(path.read_bytes()) for path in states]
    except (ValueError, StorageError):  # msgspec's errors are ValueErrors
        return False
    return all(project == Project(prompt=project.prompt) for project in projects)


def _listed(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.exists() else []


def _begun(folder: Path) -> list[Path]:
    """What was being written in a project, or in its `audio`, when a run was ended."""
    is_audio = folder.name == "audio"
    return [path for path in _listed(folder) if is_aside(path) or (is_audio and ClipStore.unfinished(path))]


def _locked(folder: Path) -> filelock.BaseFileLock:
    """A lock that the operating system lets go of when the process ends, however it ends.

    Raises:
        filelock.Timeout: Another has it.
        OSError, RuntimeError: Nobody can be told to have it: its file is another account's, or the disk knows no locks.
    """
    lock = filelock.FileLock(folder / _LOCK, timeout=0, thread_local=False)
    lock.acquire()
    return lock


def _reason(error: Exception | None) -> object:
    """Why something failed, in the system's words where it has some."""
    return (isinstance(error, OSError) and error.strerror) or error


def _came_s(path: Path) -> float:
    """When a file came to this computer: programs that copy and synchronise keep the time at which it was changed."""
    stat = path.stat()
    return max(stat.st_mtime, stat.st_ctime)


def _root(path: Path) -> Path:
    """The folder of a project, which may be opened by its state."""
    return path.parent if path.name == _STATE else path


def _states(folder: Path) -> list[Path]:
    """Where the state and those before it are, newest first."""
    return [folder / _STATE, *(folder / f"project.{number}.json" for number in range(1, KEPT + 1))]


def _unfinished(folder: Path) -> tuple[Unfinished, ...]:
    """Jobs that were under way; none where they cannot be read: they can be asked for again."""
    try:
        document = msgspec.json.decode((folder / _JOBS).read_bytes())
        jobs = document["jobs"] if document["schema"] == SCHEMA else ()
        found = msgspec.convert(jobs, tuple[Unfinished, ...])
    except (OSError, ValueError, TypeError, KeyError):  # msgspec's errors are ValueErrors
        return ()
    return tuple(job for job in found if any(job.targets))


def _load(folder: Path) -> tuple[Project, str]:
    """The newest state that can be read, and why it is not the last one."""
    damage = ""
    for path in _states(folder):
        if not path.is_file():
            damage = damage or say("{file} is missing", file=path.name)
            continue
        try:
            return _decode(path.read_bytes()), damage
        except (ValueError, OSError) as error:  # msgspec's errors are ValueErrors
            damage = damage or f"{path.name}: {error}"
    raise StorageError(
        "{project} cannot be read ({why}), and no earlier state can either; bring project.json back from a backup. The "
        "audio in {audio} is untouched.",
        project=folder.name,
        why=damage,
        audio=folder / "audio",
    )


def _json(document: Document) -> bytes:
    """Plain JSON; of a sentence the text in the language it was said in."""

    def text(value: object) -> str:
        if isinstance(value, Sentence):
            return value[:]
        raise TypeError(f"{type(value).__name__} is nothing to be stored")

    return msgspec.json.encode(document, enc_hook=text)


def _encode(project: Project) -> bytes:
    data = _json({"schema": SCHEMA, "program": PROGRAM, "project": project})
    try:
        _decode(data)  # what could not be read again is never written over what can
    except ValueError as error:
        raise StorageError(
            "The project was not saved, since it holds an impossible value ({why}).", why=error
        ) from error
    return msgspec.json.format(data, indent=1)


def _decode(data: bytes) -> Project:
    """The project of a state.

    Raises:
        ValueError: It is damaged.
        StorageError: It was saved by another version.
    """
    document = msgspec.json.decode(data)
    if not isinstance(document, dict) or not isinstance(document.get("schema"), int):
        raise ValueError(say("it is not a state of a project"))
    schema, state = document["schema"], document.get("project")
    if schema > SCHEMA:
        raise StorageError(
            "This project was saved by a newer version of {program} (schema {schema}, this one knows {known}); update "
            "the program to open it.",
            program=PROGRAM,
            schema=schema,
            known=SCHEMA,
        )
    while schema < SCHEMA:
        if schema not in MIGRATIONS or not isinstance(state, dict):
            raise StorageError(
                "This project was saved in a form (schema {schema}) that {program} cannot read.",
                schema=schema,
                program=PROGRAM,
            )
        state, schema = MIGRATIONS[schema](state), schema + 1
    project = msgspec.convert(state, Project)
    for fault in _faults(project):
        raise ValueError(fault)
    return project


def _faults(project: Project) -> Iterator[str]:
    """What the types alone do not rule out, and the program relies on."""
    ids = [lane.id for lane in project.lanes]
    if len(set(ids)) < len(ids):
        yield say("two lanes of one id")
    if not ids or (ids[0], ids[-1]) != (SONG_ID, REST_ID):
        yield say("lanes that do not go from the song to the rest")
    if not all(0 <= part.chosen < len(part.takes) for lane in project.lanes for part in lane.parts):
        yield say("a part without its chosen take")
    if not (project.tempo.bpm > 0 and project.tempo.beats_per_bar > 0 and project.tempo.beat_unit > 0):
        yield say("an impossible tempo")
    for audio in project.audios():
        if not audio.id.isalnum() or min(audio.rate_hz, audio.channels) <= 0 or audio.samples < 0:
            yield say("an impossible clip")
