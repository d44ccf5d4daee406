import hashlib
import http.server
import threading

import pytest
from mgeldm.errors import Cancelled, CheckpointError
from mgeldm.progress import Reporter

from mgeldm_app.core import models
from mgeldm_app.core.models import EMBEDDED, Known, Models, Remote, fetch

CONTENT = bytes(range(256)) * 40_000  # 10 MB
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Server(http.server.BaseHTTPRequestHandler):
    """Serves CONTENT, whole or from a byte on; `cut` ends the first replies early; keeps the ranges asked for."""

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
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        stop = type(self).cut or len(CONTENT)
        type(self).cut = 0
        self.wfile.write(CONTENT[start:stop])

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    Server.cut, Server.ranges, Server.knows_ranges = 0, [], True
    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
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


def test_a_known_model_is_downloaded_listed_and_removed(server, tmp_path, monkeypatch):
    files = (Remote("a.pt", f"{server}/a", DIGEST), Remote("vocab.json", f"{server}/b"))
    monkeypatch.setattr(models, "KNOWN", (Known("clap", "CLAP", "", files),))
    mine = Models(tmp_path)
    assert [known.id for known in mine.available()] == ["clap"]
    mine.download("clap")
    assert mine.available() == []
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


def test_what_is_no_model_is_refused(tmp_path):
    song = tmp_path / "song.safetensors"
    song.write_bytes(b"RIFF not a model")
    with pytest.raises(CheckpointError, match="not a model"):
        Models(tmp_path / "models").take_in(song)
