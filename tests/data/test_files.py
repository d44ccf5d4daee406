import errno

import pytest
from mgeldm.data.files import whole
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
