"""What the user has set, and what the program remembers from one run to the next. One small JSON file.

`MGELDM_HOME` names a folder that holds everything of the program's own instead of the system's places: for a portable
copy, and for tests.
"""

from __future__ import annotations

import contextlib
import json
import os
import types
from dataclasses import MISSING, dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import msgspec
from mgeldm.errors import OutputError
from mgeldm.naming import give_name
from mgeldm.requests import Quality

from .files import whole_path, write_whole
from .project import Task
from .timeline import Unit

MOST_RECENT, MOST_PROMPTS = 10, 200


@dataclass(frozen=True)
class ExportSettings:
    """What the export dialog was left at.

    Attributes:
        format: Key of `export.formats`.
        region_only: The region alone, not the whole song.
        as_mix: One file of all lanes, not one each.
        faders: Gains and pans go into the files of single lanes too.
        pattern: Names of the files.
        folder: Where they went last; "" before the first time.
    """

    format: str = "wav24"
    region_only: bool = False
    as_mix: bool = False
    faders: bool = False
    pattern: str = "{song} - {lane}"
    folder: str = ""


@dataclass(frozen=True)
class Speed:
    """How fast this computer was: seconds of music a second of work."""

    task: Task
    quality: Quality
    device: str
    times_real_time: Annotated[float, msgspec.Meta(gt=0)]


@dataclass(frozen=True)
class Settings:
    """All of it. Every field has a default, so that any file, and none, gives settings.

    Attributes:
        device: Sound card; "" takes the system's default.
        latency: "safe" takes larger buffers.
        quality: Of new requests.
        compute: Where the model runs: "auto", "cpu", "cuda", "mps".
        model: "embedded", or the path of a checkpoint.
        clap: Folder of CLAP's weights; "" where there are none.
        theme: "system" follows the system's.
        projects: Folder of projects; "" takes `storage.projects_home`.
        recent: Folders of projects, the last opened first.
        prompts: What was asked for, the last first.
        geometry: Of the window, as Qt writes it in base64.
        snap: What a region snaps to.
        speeds: Measured on this computer.
        export: What the export dialog was left at.
    """

    device: str = ""
    latency: Literal["low", "safe"] = "safe"
    quality: Quality = "standard"
    compute: str = "auto"
    model: str = "embedded"
    clap: str = ""
    theme: Literal["system", "dark", "light"] = "system"
    projects: str = ""
    recent: tuple[str, ...] = ()
    prompts: tuple[str, ...] = ()
    geometry: str = ""
    snap: Unit = "bar"
    speeds: tuple[Speed, ...] = ()
    export: ExportSettings = field(default_factory=ExportSettings)

    def opened(self, folder: Path) -> Settings:
        """With a project at the top of the recent ones; Linux has folders whose names no file of settings can hold."""
        name = str(folder)
        if not _is_text(name):
            return self
        return replace(self, recent=(name, *(other for other in self.recent if other != name))[:MOST_RECENT])

    def removed(self, folder: Path) -> Settings:
        """Without a project that is gone."""
        return replace(self, recent=tuple(other for other in self.recent if other != str(folder)))

    def asked_for(self, prompt: str) -> Settings:
        """With a prompt at the top of the history, each once whatever its case."""
        text = " ".join(prompt.split())
        if not text:
            return self
        others = (other for other in self.prompts if other.casefold() != text.casefold())
        return replace(self, prompts=(text, *others)[:MOST_PROMPTS])

    def speed(self, task: Task, quality: Quality, device: str) -> float | None:
        """Times real time, if it was measured."""
        for speed in self.speeds:
            if (speed.task, speed.quality, speed.device) == (task, quality, device):
                return speed.times_real_time
        return None

    def measured(self, new: Speed) -> Settings:
        """With a new measurement in place of the last one of its kind."""
        kind = (new.task, new.quality, new.device)
        others = (old for old in self.speeds if (old.task, old.quality, old.device) != kind)
        return replace(self, speeds=(*others, new))


def home() -> Path | None:
    """The folder that `MGELDM_HOME` names, if it does."""
    name = os.environ.get("MGELDM_HOME", "")
    return whole_path(name) if name else None


def settings_path() -> Path:
    """Where the settings lie."""
    import platformdirs

    return (home() or platformdirs.user_config_path("mgeldm-desktop", appauthor=False)) / "settings.json"


def load_settings(path: Path | None = None, otherwise: Settings | None = None) -> Settings:
    """The settings of a file; what is missing or makes no sense in it is at its default, the rest is kept.

    Args:
        path: The file; None for the user's own.
        otherwise: Settings where there is no file, or one that cannot be read; None for the defaults.
    """
    document = _document(path or settings_path())
    return (otherwise or Settings()) if document is None else _fitting(Settings, document)


def is_damaged(path: Path | None = None) -> bool:
    """Whether there is a file of settings that cannot be read as one; all are at their defaults then."""
    try:
        return not isinstance(msgspec.json.decode((path or settings_path()).read_bytes()), dict)
    except OSError:
        return False
    except ValueError:
        return True


def damaged_copy(path: Path | None = None) -> Path:
    """Where a damaged file goes before settings are written anew."""
    return (path or settings_path()).with_name("settings.damaged.json")


def latest(settings: Settings) -> Settings:
    """Settings with what any window of the program has remembered by now."""
    kept = load_settings(otherwise=settings)
    return replace(settings, recent=kept.recent, prompts=kept.prompts, speeds=kept.speeds)


def with_changes(settings: Settings, changed: Settings, before: Settings) -> Settings:
    """Settings with what differs from `before` in `changed`; what else has become of them meanwhile stays."""
    names = (each.name for each in fields(Settings))
    differing = {name: new for name in names if (new := getattr(changed, name)) != getattr(before, name)}
    return replace(settings, **differing)


def save_changes(settings: Settings, before: Settings) -> None:
    """Write what differs from `before` into the user's settings; what else another window has set there stays.

    Raises:
        OutputError: The file cannot be written.
    """
    save_settings(with_changes(load_settings(otherwise=before), settings, before))


def save_settings(settings: Settings, path: Path | None = None) -> None:
    """Write the settings to their file, whole or not at all.

    Raises:
        OutputError: The file cannot be written.
    """
    path = path or settings_path()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            "Settings cannot be kept in {folder} ({why}); check its rights.", folder=path.parent, why=error.strerror
        ) from error
    if is_damaged(path):  # by a slip of whoever edits it by hand: they want it back
        with contextlib.suppress(OSError):
            give_name(path, damaged_copy(path))
    # half a character, as paths on Linux and what is typed may have, is no reason to lose all the rest
    data = json.dumps(_over(_document(path), settings), ensure_ascii=False, indent=1).encode(errors="replace")
    write_whole(path, data, flush=False)  # the window waits


def _document(path: Path) -> object:
    """What a file says; None where there is none or it is damaged."""
    try:
        return msgspec.json.decode(path.read_bytes())
    except (OSError, ValueError):
        return None


def _over(document: object, settings: Any) -> dict[str, Any]:
    """Settings as plain values, over what a file says.

    What a newer program has set there, and this one does not understand, stays until it is set here.
    """
    values = dict(document) if isinstance(document, dict) else {}
    read = _fitting(type(settings), values)
    for each in fields(settings):
        value = getattr(settings, each.name)
        if isinstance(value, ExportSettings):
            values[each.name] = _over(values.get(each.name), value)
        elif each.name not in values or value != getattr(read, each.name):
            values[each.name] = msgspec.to_builtins(value)
    return values


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _fitting(kind: Any, document: object) -> Any:
    """A settings class from plain values, field by field; rows lose only the entries that do not fit."""
    values: dict[str, Any] = {}
    given = document if isinstance(document, dict) else {}
    types_of = get_type_hints(kind)
    for each in fields(kind):
        value = given.get(each.name, MISSING)
        if value is MISSING:
            continue
        wanted = types_of[each.name]
        try:
            if isinstance(wanted, types.GenericAlias) and isinstance(value, list):
                values[each.name] = tuple(_those_that_fit(value, wanted.__args__[0]))
            elif wanted is ExportSettings:
                values[each.name] = _fitting(wanted, value)
            else:
                values[each.name] = msgspec.convert(value, wanted)
        except msgspec.ValidationError:
            continue
    return kind(**values)


def _those_that_fit(values: list[Any], kind: Any) -> list[Any]:
    fitting = []
    for value in values:
        try:
            fitting.append(msgspec.convert(value, kind))
        except msgspec.ValidationError:
            continue
    return fitting
