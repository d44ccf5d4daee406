import numpy as np
import pytest
import soundfile
from mgeldm.data.bank import bank_licence, load_bank
from mgeldm.errors import InputError


@pytest.mark.parametrize("read", [load_bank, bank_licence])
def test_what_is_no_note_bank_is_said(tmp_path, read):
    soundfile.write(tmp_path / "sound.wav", np.zeros(100), 44100)
    np.savez(tmp_path / "shard.npz", labels=np.array(["bass"]))
    np.save(tmp_path / "array.npy", np.zeros(3))
    (tmp_path / "empty.npz").write_bytes(b"")
    (tmp_path / "cut.npz").write_bytes((tmp_path / "shard.npz").read_bytes()[:100])
    for name in ("sound.wav", "shard.npz", "array.npy", "empty.npz", "cut.npz", "nothing.npz", "."):
        with pytest.raises(InputError, match="is missing, damaged or no note bank"):
            read(tmp_path / name)
