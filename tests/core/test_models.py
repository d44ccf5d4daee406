import errno
import hashlib
import http.client
import http.server
import ssl
import threading
import time
import urllib.error
import urllib.request
from dataclasses import replace
from types import SimpleNamespace

import pytest
from mgeldm.errors import Cancelled, CheckpointError, OutputError
from mgeldm.progress import Reporter

from mgeldm_app.core import models
from mgeldm_app.core.models import EMBEDDED, Known, Models, Remote, fetch
from mgeldm_app.core.underway import Underway

CONTENT = bytes(range(256)) * 40_000  # 10 MB
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Server(http.server.BaseHTTPRequestHandler):
    """Serves CONTENT, whole or from a byte on; `cut` ends the first replies early; keeps the ranges asked for.

    "/slow" takes minutes.
    """

    cut = 0
    ranges: list = []  # noqa: RUF012 - one server at a time, emptied by the fixture
    knows_ranges = True

    def do_GET(self):
        asked = self.headers.get("Range") if self.knows_ranges else None
        self.ranges.append(asked)
        start = int(asked.split("=")[1].rstrip("-")) if asked else 0
        if self.path == "/missing":
            self.send_error(404)
            return
        if start == len(CONTENT):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{start}")
            self.end_headers()
            return
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        stop = type(self).cut or len(CONTENT)
        type(self).cut = 0
        if self.path == "/slow":
            self.drip()
        else:
            self.wfile.write(CONTENT[start:stop])

    def drip(self):
        for start in range(0, len(CONTENT), 1000):
            try:
                self.wfile.write(CONTENT[start : start + 1000])
            except OSError:  # stopped
                return
            time.sleep(0.02)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    Server.cut, Server.ranges, Server.knows_ranges = 0, [], True
    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    running.handle_error = lambda *_: None  # of those who hang up
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{running.server_port}"
    running.shutdown()
    running.server_close()


def test_a_download_arrives_whole_and_is_checked(server, tmp_path):
    seen = []
    path = fetch(Remote("model.pt", f"{server}/model", DIGEST), tmp_path, Reporter(seen.append))
    assert path.read_bytes() == CONTENT
    assert seen[-1].done == seen[-1].total == len(CONTENT)
    assert [each.name for each in tmp_path.iterdir()] == ["model.pt"]


def test_a_broken_download_goes_on_where_it_stopped(server, tmp_path):
    Server.cut = 4_000_000
    with pytest.raises(CheckpointError, match="again"):
        fetch(Remote("model.pt", f"{server}/model", DIGEST), tmp_path, Reporter())
    have = (tmp_path / "model.pt.part").stat().st_size
    assert 0 < have <= 4_000_000
    assert fetch(Remote("model.pt", f"{server}/model", DIGEST), tmp_path, Reporter()).read_bytes() == CONTENT
    assert Server.ranges == [None, f"bytes={have}-"]


def test_a_server_without_ranges_sends_it_all_again(server, tmp_path):
    Server.knows_ranges = False
    (tmp_path / "model.pt.part").write_bytes(CONTENT[:1000])
    assert fetch(Remote("model.pt", f"{server}/model", DIGEST), tmp_path, Reporter()).read_bytes() == CONTENT


def test_a_cancelled_download_keeps_what_came(server, tmp_path):
    done = []
    with pytest.raises(Cancelled):
        fetch(Remote("model.pt", f"{server}/model", DIGEST), tmp_path, Reporter(done.append, lambda: len(done) > 2))
    assert (tmp_path / "model.pt.part").stat().st_size > 0
    assert not (tmp_path / "model.pt").exists()


def test_wrong_content_is_not_installed(server, tmp_path):
    with pytest.raises(CheckpointError, match="damaged"):
        fetch(Remote("model.pt", f"{server}/model", "0" * 64), tmp_path, Reporter())
    assert not list(tmp_path.iterdir())


def test_what_is_not_there_says_so(server, tmp_path):
    with pytest.raises(CheckpointError, match="404"):
        fetch(Remote("model.pt", f"{server}/missing", DIGEST), tmp_path, Reporter())
    with pytest.raises(CheckpointError, match="check the connection"):
        fetch(Remote("model.pt", "http://127.0.0.1:9/model", DIGEST), tmp_path, Reporter())


FAULTS = (
    ssl.SSLError(1, "[SSL: DECRYPTION_FAILED_OR_BAD_RECORD_MAC]"),
    OSError(errno.EHOSTUNREACH, "No route to host"),
    OSError(errno.ENETDOWN, "Network is down"),
    TimeoutError("The read operation timed out"),
    http.client.IncompleteRead(b"", 5),
)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
def test_a_net_that_goes_away_is_not_taken_for_a_full_disk(tmp_path, monkeypatch, fault):
    class Reply:
        status, headers = 200, {"Content-Length": "100"}

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def read1(self, size):
            raise fault

    monkeypatch.setattr(models, "_opened", lambda remote, have: Reply())
    with pytest.raises(CheckpointError, match="check the connection"):
        fetch(Remote("model.pt", "http://127.0.0.1:9/model"), tmp_path, Reporter())


def test_a_system_without_certificates_is_no_obstacle(tmp_path, monkeypatch):
    """As in a bundle on another distribution than its builder's, whose certificates lie elsewhere."""
    asked = []

    def urlopen(request, timeout, context):
        asked.append(context)
        raise urllib.error.URLError("not in a test")

    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "nowhere"))
    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    with pytest.raises(CheckpointError, match="not in a test"):
        fetch(models.KNOWN[0].files[0], tmp_path, Reporter())
    (context,) = asked
    assert context.cert_store_stats()["x509_ca"] > 50
    assert context.verify_mode == ssl.CERT_REQUIRED and context.check_hostname


def test_a_server_that_cannot_prove_who_it_is_is_not_taken_for_the_connection(tmp_path, monkeypatch):
    error = ssl.SSLCertVerificationError(1, "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: (_ssl.c:1006)")
    error.verify_message = "unable to get local issuer certificate"

    def refused(*_):
        raise urllib.error.URLError(error)

    monkeypatch.setattr(models, "_opened", refused)
    says = r"\(unable to get local issuer certificate\).*date.*SSL_CERT_FILE"
    with pytest.raises(CheckpointError, match=says) as told:
        fetch(Remote("model.pt", "https://127.0.0.1:9/model"), tmp_path, Reporter())
    assert "connection" not in str(told.value)


def test_a_disk_that_cannot_be_written_is_not_taken_for_the_net(server, tmp_path):
    (tmp_path / "model.pt.part").mkdir()
    with pytest.raises(OutputError, match="could not be written"):
        fetch(Remote("model.pt", f"{server}/model", DIGEST), tmp_path, Reporter())


def test_a_disk_without_room_is_told_before_the_download(server, tmp_path, monkeypatch):
    free = (64 << 20) + 1000
    monkeypatch.setattr(models.shutil, "disk_usage", lambda folder: SimpleNamespace(free=free))
    with pytest.raises(OutputError, match="no room"):
        fetch(Remote("model.pt", f"{server}/model", DIGEST), tmp_path, Reporter())
    assert not list(tmp_path.iterdir())
    (tmp_path / "model.pt.part").write_bytes(CONTENT[:-1000])  # there is room for the rest
    assert fetch(Remote("model.pt", f"{server}/model", DIGEST), tmp_path, Reporter()).read_bytes() == CONTENT


def test_a_download_that_was_stopped_in_its_check_is_not_fetched_again(server, tmp_path):
    (tmp_path / "model.pt.part").write_bytes(CONTENT)
    stopped = iter([False, True])
    with pytest.raises(Cancelled):
        fetch(Remote("model.pt", f"{server}/model", DIGEST), tmp_path, Reporter(cancelled=lambda: next(stopped)))
    assert fetch(Remote("model.pt", f"{server}/model", DIGEST), tmp_path, Reporter()).read_bytes() == CONTENT
    assert Server.ranges == [f"bytes={len(CONTENT)}-"] * 2


def test_a_slow_download_stops_as_soon_as_the_program_ends(server, tmp_path):
    mine, ended = Models(tmp_path), []
    coming = mine.coming["clap"] = Underway()

    def work():
        with pytest.raises(Cancelled):
            fetch(Remote("model.pt", f"{server}/slow"), tmp_path, coming.reporter())
        ended.append(True)

    worker = threading.Thread(target=work)
    worker.start()
    until_s = time.monotonic() + 10
    while coming.progress is None and time.monotonic() < until_s:
        time.sleep(0.01)
    mine.stop()
    worker.join(2)
    assert ended
    assert (tmp_path / "model.pt.part").stat().st_size > 0


def test_what_is_coming_is_stopped_before_workers_are_waited_for(world, monkeypatch):
    coming, waited = world.c.models.coming.setdefault("clap", Underway()), []
    monkeypatch.setattr(world.porters, "close", lambda: waited.append(coming.cancelled))
    world.c.close()
    assert waited and all(waited)
    with pytest.raises(Cancelled):
        coming.reporter().check()


def test_half_a_download_is_not_taken_for_clap(world):
    c, folder = world.c, world.c.models.folder / "clap"
    folder.mkdir(parents=True)
    first, *others = [folder / remote.name for remote in models.KNOWN[0].files]
    for half in (first.with_name(first.name + ".part"), first):
        half.touch()
        c.configure_engine()
        assert (c.models.clap, world.engine.config.clap) == (None, "")
    for path in others:
        path.touch()
    c.configure_engine()
    assert (c.models.clap, world.engine.config.clap) == (folder, str(folder))
    c.settings = replace(c.settings, clap="/mine")
    c.configure_engine()
    assert world.engine.config.clap == "/mine"


def test_a_known_model_is_downloaded_listed_and_removed(server, tmp_path, monkeypatch):
    files = (Remote("a.pt", f"{server}/a", DIGEST), Remote("vocab.json", f"{server}/b"))
    monkeypatch.setattr(models, "KNOWN", (Known("clap", "CLAP", "", files),))
    mine = Models(tmp_path)
    assert [known.id for known in mine.available()] == ["clap"]
    mine.download("clap")
    assert mine.available() == []
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "clap.pt").touch()  # somebody's, of that name: what is known can still be had
    assert Models(tmp_path / "elsewhere").available() == list(models.KNOWN)
    clap = mine.installed()[-1]
    assert (clap.can_use, clap.size_bytes) == (False, 2 * len(CONTENT))
    mine.download("clap")
    assert len(Server.ranges) == 2  # nothing is fetched twice
    mine.remove(clap.id)
    assert [model.id for model in mine.installed()] == [EMBEDDED]


def test_files_are_imported_with_their_hash_and_removed(tmp_path):
    mine = Models(tmp_path / "models")
    taken = mine.take_in(models.EMBEDDED_PATH)
    assert taken.sha256 == models.sha256_of(models.EMBEDDED_PATH)
    assert taken in mine.installed()
    mine.remove(taken.id)
    mine.remove(EMBEDDED)
    assert [model.id for model in mine.installed()] == [EMBEDDED]
    assert models.EMBEDDED_PATH.is_file()
    assert not list(mine.folder.iterdir())


def model_file(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes((2).to_bytes(8, "little") + b"{}" + content)
    return path


def test_files_of_one_name_are_all_kept_and_the_same_one_once(tmp_path):
    mine = Models(tmp_path / "models")
    paths = [model_file(tmp_path / str(number) / "last.safetensors", bytes([number])) for number in range(3)]
    taken = [mine.take_in(path) for path in paths]
    assert [model.name for model in taken] == ["last", "last 2", "last 3"]
    assert [model.path.read_bytes() for model in taken] == [path.read_bytes() for path in paths]
    assert mine.take_in(paths[1]) == taken[1]
    assert mine.installed()[1:] == sorted(taken, key=lambda model: model.path)
    assert len(list(mine.folder.iterdir())) == 6  # with their hashes


def test_what_was_put_there_by_hand_is_not_kept_twice(tmp_path):
    mine = Models(tmp_path / "models")
    there, other = (model_file(mine.folder / f"{name}.safetensors", name) for name in (b"1", b"2"))
    given = model_file(tmp_path / "b'1'.safetensors", b"1")
    taken = mine.take_in(given)
    assert taken.path == there and taken.sha256 == models.sha256_of(given)
    assert sorted(mine.folder.iterdir()) == [there, other]


def test_an_import_that_is_stopped_leaves_nothing(tmp_path):
    mine = Models(tmp_path / "models")
    with pytest.raises(Cancelled):
        mine.take_in(models.EMBEDDED_PATH, Reporter(cancelled=lambda: True))
    assert not list(mine.folder.iterdir())


def test_what_is_no_model_is_refused(tmp_path):
    song = tmp_path / "song.safetensors"
    song.write_bytes(b"RIFF not a model")
    with pytest.raises(CheckpointError, match="not a model"):
        Models(tmp_path / "models").take_in(song)
