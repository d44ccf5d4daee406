"""Models on this computer: what is installed, getting more from the net or from a file, and checking what came.

Downloads go on where they stopped, and nothing is installed whose SHA-256 differs from the one known.
"""

from __future__ import annotations

import functools
import hashlib
import json
import shutil
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mgeldm.audio import safe_name
from mgeldm.bundled import EMBEDDED_PATH
from mgeldm.errors import CheckpointError, OutputError
from mgeldm.language import say
from mgeldm.naming import PART, aside_of, give_name
from mgeldm.outputs import sweep_old_parts
from mgeldm.progress import Progress, Reporter

from .files import numbered
from .settings import home
from .underway import Underway

if TYPE_CHECKING:
    import ssl

EMBEDDED = "embedded"
SUFFIXES = (".safetensors", ".ckpt", ".pt")
_BLOCK = 1 << 20
_NET_BLOCK = 1 << 16
_TIMEOUT_S = 30.0
_HUB = "https://huggingface.co"


@dataclass(frozen=True)
class Remote:
    """A file on the net; `sha256` "" where its publisher names none, then its content is checked when it is loaded."""

    name: str
    url: str
    sha256: str = ""


@dataclass(frozen=True)
class Known:
    """Something worth having.

    Attributes:
        id: Its name in settings and folders.
        name: For people.
        about: What it is, under which licence, what to do where it cannot be downloaded.
        files: What a download brings; empty where its authors offer no direct download.
    """

    id: str
    name: str
    about: str
    files: tuple[Remote, ...] = ()


KNOWN = (
    Known(
        "clap",
        "CLAP (LAION, music)",
        "Understands text for published MGE-LDM weights. CC0; about 2.4 GB.",
        (
            Remote(
                "music_audioset_epoch_15_esc_90.14.pt",
                f"{_HUB}/lukewys/laion_clap/resolve/main/music_audioset_epoch_15_esc_90.14.pt",
                "fae3e9c087f2909c28a09dc31c8dfcdacbc42ba44c70e972b58c1bd1caf6dedd",
            ),
            Remote("vocab.json", f"{_HUB}/FacebookAI/roberta-base/resolve/main/vocab.json"),
            Remote("merges.txt", f"{_HUB}/FacebookAI/roberta-base/resolve/main/merges.txt"),
        ),
    ),
    Known(
        "mge-ldm",
        "MGE-LDM (published)",
        "The authors' weights, 16 kHz, about 4.7 GB. They are shared by hand: see github.com/yoongi43/MGE-LDM, then "
        "import the file.",
    ),
)


@dataclass(frozen=True)
class Installed:
    """A model at hand.

    Attributes:
        id: "embedded", or the path of its file or (CLAP) folder, as settings hold it.
        name: For people.
        path: Its file or folder.
        size_bytes: Of all its files.
        sha256: Of its file; "" until it has been computed, and for folders.
        can_use: Whether it can work by itself.
    """

    id: str
    name: str
    path: Path
    size_bytes: int
    sha256: str = ""
    can_use: bool = True


def models_home() -> Path:
    """The folder of models."""
    import platformdirs

    return (home() or platformdirs.user_data_path("mgeldm-desktop", appauthor=False)) / "models"


class Models:
    """The models of this computer.

    Args:
        folder: Where they lie; None takes `models_home`.

    Attributes:
        coming: What is on its way in: by the id of what is known, by the path of what is imported.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or models_home()
        self.coming: dict[str, Underway] = {}

    def stop(self) -> None:
        """Stop all that is coming: the program ends. Downloads go on from there the next time."""
        for each in list(self.coming.values()):
            each.cancelled = True

    def installed(self) -> list[Installed]:
        """The embedded model first, then the others by name."""
        found = [Installed(EMBEDDED, say("Embedded"), EMBEDDED_PATH, _size(EMBEDDED_PATH), _known_hash(EMBEDDED_PATH))]
        for path in sorted(self.folder.glob("*")) if self.folder.is_dir() else []:
            if path.suffix in SUFFIXES and path.is_file():
                found.append(Installed(str(path), path.stem, path, _size(path), _known_hash(path)))
        if (clap := self.clap) is not None:
            found.append(Installed(str(clap), say(_known("clap").name), clap, _size(clap), can_use=False))
        return found

    @property
    def clap(self) -> Path | None:
        """The folder of CLAP's weights; None until all of them are downloaded."""
        clap = _known("clap")
        return self.folder / clap.id if self._has(clap) else None

    def _has(self, known: Known) -> bool:
        """Whether all its files are downloaded."""
        return all((self.folder / known.id / remote.name).is_file() for remote in known.files)

    def available(self) -> list[Known]:
        """Known ones that are not installed."""
        names = {model.path.name.split(".")[0] for model in self.installed()}  # tell what came by hand
        return [known for known in KNOWN if not (self._has(known) if known.files else known.id in names)]

    def take_in(self, source: Path, reporter: Reporter | None = None) -> Installed:
        """Copy a model file into the folder, under its own name or, where another has that, a numbered one.

        The source stays where it is; what is here already is not kept twice.

        Raises:
            CheckpointError: It is no model file.
            OutputError: There is no room.
            Cancelled: The reporter said so.
        """
        check_kind(source)
        size, wanted = source.stat().st_size, self.folder / safe_name(source.stem, source.suffix)
        part, digest = aside_of(wanted), hashlib.sha256()
        _make_room(self.folder, size)
        sweep_old_parts(self.folder)
        try:
            with source.open("rb") as given, part.open("wb") as taken:

                def write(block: bytes) -> None:
                    taken.write(block)
                    digest.update(block)

                _copy(given.read, write, source.name, size, 0, reporter or Reporter())
            found = digest.hexdigest()
            for model in self.installed():
                may_be = model.id != EMBEDDED and model.path.is_file() and model.size_bytes == size
                if may_be and (model.sha256 or sha256_of(model.path, reporter)) == found:  # what came by hand has none
                    return replace(model, sha256=found)
            target = next(path for path in numbered(wanted, source.suffix) if not path.exists())
            give_name(part, target)
            _keep_hash(target, found)
        except OSError as error:
            raise OutputError(
                "{file} could not be copied to {folder} ({why}).",
                file=source.name,
                folder=self.folder,
                why=error.strerror,
            ) from error
        finally:
            part.unlink(missing_ok=True)
        return Installed(str(target), target.stem, target, _size(target), found)

    def download(self, model_id: str, reporter: Reporter | None = None) -> Path:
        """Fetch a known model; what an earlier try left is not fetched again.

        Returns:
            Its folder.

        Raises:
            CheckpointError: The net failed, or what came is not what was promised.
            OutputError: There is no room.
            Cancelled: The reporter said so; what came so far is kept for the next try.
        """
        known, folder = _known(model_id), self.folder / model_id
        for remote in known.files:
            if not (folder / remote.name).is_file():
                fetch(remote, folder, reporter or Reporter())
        return folder

    def remove(self, model_id: str) -> None:
        """Delete an installed model other than the embedded one.

        Raises:
            OutputError: It cannot be deleted.
        """
        path = next((m.path for m in self.installed() if m.id == model_id and m.id != EMBEDDED), None)
        if path is None:
            return
        try:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
            _hash_file(path).unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(
                "{file} could not be deleted ({why}); close what uses it.", file=path.name, why=error.strerror
            ) from error


def _make_room(folder: Path, size_bytes: int) -> None:
    """Make a folder and see that there is room in it.

    Raises:
        OutputError: There is none, or the folder cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise OutputError(
            "{folder} cannot be made ({why}); check its rights.", folder=folder, why=error.strerror
        ) from error
    if free < size_bytes + (64 << 20):
        raise OutputError(
            "There is no room in {folder}: {needed:.1f} GB are needed; free some disk.",
            folder=folder,
            needed=size_bytes / 1e9,
        )


def check_kind(path: Path) -> None:
    """Raise `CheckpointError` unless a file begins like a model; its tensors are checked when it is loaded."""
    try:
        with path.open("rb") as file:
            head = file.read(9)
    except OSError as error:
        raise CheckpointError(
            "{file} cannot be opened ({why}); check its rights.", file=path.name, why=error.strerror
        ) from error
    length = int.from_bytes(head[:8], "little")
    safetensors = path.suffix == ".safetensors" and head[8:9] == b"{" and length < path.stat().st_size
    if not safetensors and not (path.suffix in (".ckpt", ".pt") and zipfile.is_zipfile(path)):
        raise CheckpointError(
            "{file} is not a model; choose a .safetensors, .ckpt or .pt file of MGE-LDM.", file=path.name
        )


def fetch(remote: Remote, folder: Path, reporter: Reporter) -> Path:
    """Download one file, going on where an earlier try stopped; it appears under its name once its hash is right.

    Raises:
        CheckpointError: The net failed, or the content is wrong.
        OutputError: It cannot be written.
        Cancelled: The reporter said so.
    """
    target, part = folder / remote.name, folder / (remote.name + PART)
    try:
        _bring(remote, part, reporter)
        if remote.sha256 and (found := sha256_of(part, reporter)) != remote.sha256:
            part.unlink()
            raise CheckpointError(
                "{file} is damaged: its SHA-256 is {found}…, not {wanted}…; download it again.",
                file=remote.name,
                found=found[:12],
                wanted=remote.sha256[:12],
            )
        give_name(part, target)
    except OSError as error:
        raise OutputError(
            "{file} could not be written to {folder} ({why}).", file=remote.name, folder=folder, why=error.strerror
        ) from error
    return target


def _bring(remote: Remote, part: Path, reporter: Reporter) -> None:
    """Download what is lacking of a file."""
    reporter.check()  # it may have waited long for its turn
    have = _size(part)
    with _net(remote):
        reply = _opened(remote, have)
    if reply is None:
        return
    with reply:
        if reply.status != 206:
            have = 0  # the server sends it all again
        lacking = int(reply.headers.get("Content-Length") or 0)
        _make_room(part.parent, lacking)

        def read(_: int) -> bytes:
            with _net(remote):
                return bytes(reply.read1(_NET_BLOCK))  # whatever has come: one that is slow is stopped soon, too

        with part.open("ab" if have else "wb") as out:
            _copy(read, out.write, remote.name, have + lacking, have, reporter)
    if have + lacking > _size(part):
        raise CheckpointError("The connection ended early; download {file} again, it goes on there.", file=remote.name)


@contextmanager
def _net(remote: Remote) -> Iterator[None]:
    """Turns all that can go wrong with the net, and nothing of the disk, into an error that says what to do."""
    import http.client  # late: nobody who only starts the program waits for what a download needs
    import ssl
    import urllib.error

    try:
        yield
    except urllib.error.HTTPError as error:
        raise CheckpointError(
            "{url} answers {code} ({why}); try later.", url=remote.url, code=error.code, why=error.reason
        ) from error
    except (OSError, http.client.HTTPException) as error:
        why = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
        if isinstance(why, ssl.SSLCertVerificationError):
            raise CheckpointError(
                "{url} could not prove who it is ({why}), so nothing was taken from it; check this computer's date. "
                "Where a company or a virus scanner reads along, set SSL_CERT_FILE to the file of its certificates.",
                url=remote.url,
                why=why.verify_message,
            ) from error
        raise CheckpointError(
            "{file} could not be downloaded ({why}); check the connection and try again, it goes on there.",
            file=remote.name,
            why=why,
        ) from error


def _opened(remote: Remote, have: int) -> Any:
    """The server's reply, from a byte on or from the start; None where there is nothing after that byte."""
    import urllib.error
    import urllib.request

    headers, trust = {"User-Agent": "mgeldm-desktop"} | ({"Range": f"bytes={have}-"} if have else {}), _trust()
    request = urllib.request.Request(remote.url, headers=headers)
    try:
        return urllib.request.urlopen(request, timeout=_TIMEOUT_S, context=trust)
    except urllib.error.HTTPError as error:
        if error.code != 416 or not have:  # 416: there is nothing after what is here, or the file has changed
            raise
        if error.headers.get("Content-Range") == f"bytes */{have}":  # it was stopped while its hash was computed
            return None
        request = urllib.request.Request(remote.url, headers={"User-Agent": "mgeldm-desktop"})
        return urllib.request.urlopen(request, timeout=_TIMEOUT_S, context=trust)


def _trust() -> ssl.SSLContext:
    """Whom to believe who they are: whom the system does, and whom Mozilla does.

    The second, since a bundle looks for the system's certificates where its builder's system had them, Python on macOS
    comes with none, and Windows fetches one when a program of its own asks for it.
    """
    import ssl

    import certifi

    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


def _copy(
    read: Callable[[int], bytes], write: Callable[[bytes], object], name: str, total: int, done: int, reporter: Reporter
) -> None:
    """Copy to the end, telling how far it is."""
    began_s, first = time.monotonic(), done
    while block := read(_BLOCK):
        reporter.check()
        write(block)
        done += len(block)
        speed = (done - first) / max(time.monotonic() - began_s, 1e-3)
        if reporter.on_progress is not None:
            reporter.on_progress(Progress(name, done, total, (total - done) / speed if total else None))


def sha256_of(path: Path, reporter: Reporter | None = None) -> str:
    """SHA-256 of a file; the reporter may stop it."""
    digest, reporter = hashlib.sha256(), reporter or Reporter()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            reporter.check()
            digest.update(block)
    return digest.hexdigest()


def _keep_hash(path: Path, found: str) -> None:
    """Keep a file's SHA-256 beside it, so that listing models need not read gigabytes."""
    stamp = {"sha256": found, "size": _size(path), "changed": path.stat().st_mtime}
    _hash_file(path).write_text(json.dumps(stamp), encoding="utf-8")


def _known_hash(path: Path) -> str:
    """The kept hash of a file that has not changed since; of the small embedded model, one of this run; else ""."""
    if path == EMBEDDED_PATH:
        return _embedded_hash()
    try:
        stamp = json.loads(_hash_file(path).read_text(encoding="utf-8"))
        same = stamp["size"] == _size(path) and stamp["changed"] == path.stat().st_mtime
        return str(stamp["sha256"]) if same else ""
    except (OSError, ValueError, KeyError, TypeError):
        return ""


@functools.cache
def _embedded_hash() -> str:
    return sha256_of(EMBEDDED_PATH)


def _hash_file(path: Path) -> Path:
    return path.with_name(f".{path.name}.sha256")


def _known(model_id: str) -> Known:
    return next(known for known in KNOWN if known.id == model_id)


def _size(path: Path) -> int:
    if path.is_dir():
        return sum(file.stat().st_size for file in path.iterdir() if file.is_file())
    return path.stat().st_size if path.is_file() else 0
