import errno
import runpy
import sys

import pytest
from mgeldm.data.files import run, whole
from mgeldm.errors import OutputError


def test_a_file_is_there_whole_or_as_it_was(tmp_path):
    path = tmp_path / "a.bin"
    with whole(path) as file:
        file.write(b"one")
        assert not path.exists()
    for error, raised in [
        (OSError(errno.ENOSPC, "No space left on device"), OutputError),
        (RuntimeError("a library's own"), OutputError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ]:
        with pytest.raises(raised), whole(path) as file:
            file.write(b"another")
            raise error
        assert path.read_bytes() == b"one"
        assert list(tmp_path.iterdir()) == [path]


def test_what_a_library_makes_of_a_full_disk_is_said_as_one(tmp_path):
    with pytest.raises(OutputError, match=r"No room for a\.bin"), whole(tmp_path / "a.bin"):
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        except OSError:
            raise RuntimeError("unexpected pos 704 vs 598")  # noqa: B904 - as torch does


def test_a_folder_that_is_none_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="not a folder"), whole(tmp_path / "file" / "a.bin"):
        pass


@pytest.mark.filterwarnings("ignore:.*found in sys.modules")
@pytest.mark.parametrize(
    ("module", "arguments", "said"),
    [
        ("data.bank", ("--only", "recorded", "--packages", "nowhere", "--out", "."), "kits.npz is missing, damaged"),
        ("data.midi", ("nofile", "--out", "songs"), "nofile holds no MIDI song"),
        ("data.mma", ("--out", "kits.npz"), "kits.npz cannot be made"),
        ("training.encode", ("--out", "shards", "--bank", "nofile"), "There is no nofile"),
        ("evaluation.open_unmix", ("--out", "a.pt", "--minutes", "0", "--bank", "kits.npz"), "kits.npz is missing"),
    ],
)
def test_commands_end_with_what_their_error_says(tmp_path, monkeypatch, module, arguments, said):
    (tmp_path / "kits.npz").write_bytes(b"junk")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [module, *arguments])
    with pytest.raises(SystemExit, match=said):
        runpy.run_module(f"mgeldm.{module}", run_name="__main__")


def test_a_command_that_is_interrupted_says_how_to_go_on():
    def stopped():
        raise KeyboardInterrupt

    with pytest.raises(SystemExit, match="the same command goes on from there"):
        run(stopped)
