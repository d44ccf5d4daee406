import struct

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from mgeldm.data.bank import midi_file
from mgeldm.data.midi import main, parse, read_scores, score_licence
from mgeldm.errors import InputError

SONG = midi_file(
    [
        (0.0, bytes([0xC0, 33])),
        (0.0, bytes([0x90, 40, 127])),
        (0.5, bytes([0x80, 40, 0])),
        (0.5, bytes([0x90, 43, 64])),
        (0.75, bytes([0x90, 43, 0])),  # a note of velocity 0 ends it
        (0.0, bytes([0x99, 36, 100])),
        (1.0, bytes([0x99, 38, 100])),
        (1.25, bytes([0xC1, 30])),
        (1.25, bytes([0x91, 60, 90])),  # never released: ends with the song
        (2.0, bytes([0x80, 99, 0])),
    ]
)


def test_notes_are_read_with_their_times_and_programs():
    score = parse("song", SONG)
    drums, guitar, bass = score.parts
    assert [part.label for part in score.parts] == ["drums", "electric guitar", "bass"]
    assert np.allclose(bass.notes, [[0, 0.5, 40, 1], [0.5, 0.25, 43, 64 / 127]], atol=1e-3)
    assert drums.notes[:, 2].tolist() == [36, 38]
    assert np.allclose(guitar.notes[0], [1.25, 0.75, 60, 90 / 127], atol=1e-3)
    assert score.duration_s == pytest.approx(2.0, abs=1e-3)


def one_track(track):
    """A MIDI file of a track's bytes; 96 ticks are half a second."""
    return b"MThd" + struct.pack(">IHHH", 6, 1, 1, 96) + b"MTrk" + struct.pack(">I", len(track)) + track


@pytest.mark.parametrize("between", [b"\xff\x01\x02hi", b"\xf0\x03abc"])
def test_running_status_goes_on_after_meta_and_exclusive_events(between):
    """The note's end was lost, which made it as short as notes can be."""
    track = b"\x00\x90\x3c\x40" + b"\x30" + between + b"\x30\x3c\x00" + b"\x60\x90\x40\x40\x60\x40\x00"
    (part,) = parse("song", one_track(track)).parts
    assert np.allclose(part.notes[:, :3], [[0, 0.5, 60], [1.0, 0.5, 64]])


def test_the_pedal_holds_notes_until_it_is_lifted():
    track = b"\x00\xb0\x40\x7f" + b"\x00\x91\x30\x40"  # down on the first channel alone
    track += b"\x00\x90\x3c\x40" + b"\x60\x80\x3c\x00"  # released at 0.5 s, and held
    track += b"\x00\x81\x30\x00"
    track += b"\x60\x90\x40\x40" + b"\x60\x90\x3c\x40"  # at 1.5 s the held key is struck again
    track += b"\x60\xb0\x40\x3f"  # at 2 s the pedal is up; the keys are still down
    track += b"\x60\x80\x40\x00" + b"\x00\x80\x3c\x00"
    (part,) = parse("song", one_track(track)).parts
    assert np.allclose(part.notes[:, :3], [[0, 0.5, 48], [0, 1.5, 60], [1.0, 1.5, 64], [1.5, 1.0, 60]])


def test_the_pedal_ends_what_it_alone_holds_and_the_song_ends_the_rest():
    track = b"\x00\xb0\x40\x7f" + b"\x00\x90\x3c\x40" + b"\x30\x80\x3c\x00" + b"\x30\xb0\x40\x00"
    track += b"\x00\x90\x3e\x40" + b"\x00\xb0\x40\x40" + b"\x30\x80\x3e\x00" + b"\x30\x90\x63\x00"
    (part,) = parse("song", one_track(track)).parts
    assert np.allclose(part.notes[:, :3], [[0, 0.5, 60], [0.5, 0.5, 62]])


def test_controllers_that_reset_a_channel_lift_its_pedal():
    for number, lasts_s in ((120, 0.5), (121, 1.0), (123, 0.5)):  # 121 leaves the keys as they are
        track = b"\x00\xb0\x40\x7f" + b"\x00\x90\x3c\x40" + b"\x00\x90\x3e\x40" + b"\x30\x80\x3c\x00"
        track += b"\x30\xb0" + bytes([number, 0]) + b"\x60\x80\x3e\x00"
        track += b"\x00\x90\x40\x40" + b"\x30\x80\x40\x00" + b"\x60\x90\x63\x00"
        (part,) = parse("song", one_track(track)).parts
        assert np.allclose(part.notes[:, :3], [[0, 0.5, 60], [0, lasts_s, 62], [1.0, 0.25, 64]])


def test_tempo_changes_and_running_status():
    track = b"\x00\xff\x51\x03" + (500_000).to_bytes(3, "big")  # 120 BPM
    track += b"\x00\x90\x3c\x40\x60\x3c\x00"  # a beat of 96 ticks, in running status
    track += b"\x00\xff\x51\x03" + (1_000_000).to_bytes(3, "big")  # 60 BPM
    track += b"\x00\xf0\x03abc" + b"\x00\x90\x3e\x40\x60\x3e\x00\x00\xff\x2f\x00"
    (part,) = parse("song", one_track(track)).parts
    assert np.allclose(part.notes[:, :3], [[0, 0.5, 60], [0.5, 1.0, 62]])


@settings(max_examples=40)
@given(st.floats(0, 1.2), st.floats(0.5, 2.0), st.integers(-12, 12))
def test_an_excerpt_moves_all_but_the_drums(start_s, speed, semitones):
    score = parse("song", SONG)
    for part in score.excerpt(start_s, 0.5, speed, semitones).parts:
        whole = next(p for p in score.parts if p.program == part.program)
        assert (part.notes[:, 0] >= 0).all()
        assert (part.notes[:, 0] < 0.5).all()
        moved = 0 if part.program is None else semitones
        assert set(part.notes[:, 2] - moved) <= set(whole.notes[:, 2])
        assert np.allclose(part.notes[:, 0] * speed + start_s, [
            time for time in whole.notes[:, 0] if 0 <= (time - start_s) / speed < 0.5
        ])


def wad(lumps):
    """A Doom WAD of (name, content)."""
    body, entries = b"", b""
    for name, lump in lumps:
        entries += struct.pack("<ii8s", 12 + len(body), len(lump), name)
        body += lump
    return b"IWAD" + struct.pack("<ii", len(lumps), 12 + len(body)) + body + entries


def test_songs_come_from_folders_and_wads_once_each(tmp_path):
    (tmp_path / "songs").mkdir()
    (tmp_path / "songs" / "a.mid").write_bytes(SONG)
    (tmp_path / "songs" / "broken.mid").write_bytes(SONG[:40])
    (tmp_path / "songs" / "notes.txt").write_text("MThd")
    assert [score.name for score in read_scores(tmp_path / "songs")] == ["a"]
    lumps = [(b"E1M1", b"a map"), (b"D_E1M1", SONG), (b"D_E1M2", SONG)]
    (tmp_path / "freedoom9.wad").write_bytes(wad(lumps))
    assert [score.name for score in read_scores(tmp_path / "freedoom9.wad")] == ["freedoom9-D_E1M1"]
    assert score_licence(tmp_path / "freedoom9.wad") == "BSD-3-Clause"
    assert score_licence(tmp_path / "songs") == ""
    main([str(tmp_path / "freedoom9.wad"), "--out", str(tmp_path / "out")])
    assert [score.name for score in read_scores(tmp_path / "out")] == ["freedoom9-D_E1M1"]
    assert score_licence(tmp_path / "out") == "BSD-3-Clause"
    with pytest.raises(InputError, match="several licences"):
        main([str(tmp_path / "freedoom9.wad"), str(tmp_path / "songs"), "--out", str(tmp_path / "both")])


def test_what_is_no_music_is_said(tmp_path):
    (tmp_path / "a.mid").write_bytes(b"RIFF....")
    for path in (tmp_path / "a.mid", tmp_path / "nowhere"):
        with pytest.raises(InputError, match="holds no MIDI song"):
            read_scores(path)


@pytest.mark.parametrize("length", [5, 100, -1])
def test_a_wad_that_is_cut_off_is_said(tmp_path, length):
    (tmp_path / "freedoom9.wad").write_bytes(wad([(b"D_E1M1", SONG)])[:length])
    with pytest.raises(InputError, match=r"freedoom9\.wad is cut off; fetch it again"):
        read_scores(tmp_path / "freedoom9.wad")


@settings(max_examples=60)
@given(st.binary(max_size=60), st.integers(0, 120))
@example(b"\x80\x80\x00\xc0", 72)  # a track that ends within a message
def test_damaged_bytes_are_an_input_error_at_most(tail, cut):
    try:
        parse("damaged", SONG[:cut] + tail)
    except InputError as error:
        assert "damaged" in str(error)
