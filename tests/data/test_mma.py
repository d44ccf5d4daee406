import shutil
import subprocess

import numpy as np
import pytest
from mgeldm.data import events, mma
from mgeldm.data.bank import midi_file, render_midi
from mgeldm.data.midi import parse, read_scores, score_licence
from mgeldm.errors import InputError


def plan(scale, degrees, key=0, sevenths=False):
    return events.Plan(key, scale, 120.4, len(degrees), degrees, sevenths, 0.0, 0.0)


def test_chords_are_named_by_the_tones_of_their_scale():
    sheet = mma.chord_sheet(plan(events.MODES["major"], [0, 1, 4, 6], key=2), "Rock")
    assert sheet.splitlines() == ["Tempo 120", "Groove Rock", "1 D", "2 Em", "3 A", "4 Dbdim"]
    sheet = mma.chord_sheet(plan(events.MODES["major"], [0, 1, 4], sevenths=True), "Rock")
    assert sheet.splitlines()[2:] == ["1 CM7", "2 Dm7", "3 G7"]
    sheet = mma.chord_sheet(plan(events.MODES["harmonic"], [0, 2, 4]), "Rock")
    assert sheet.splitlines()[2:] == ["1 Cm", "2 Ebaug", "3 G"]


def test_grooves_are_those_that_carry_a_song(tmp_path):
    (tmp_path / "rock.mma").write_text("DefGroove Rock  plain\n DefGroove RockSus strings\nDefGroove RockEnd end\n")
    (tmp_path / "waltz.mma").write_text("defgroove Waltz\nDefGroove WaltzIntro\n// DefGroove Old\n")
    assert mma.grooves(tmp_path) == ["Rock", "RockSus", "Waltz"]
    with pytest.raises(InputError, match="no grooves"):
        mma.grooves(tmp_path / "nowhere")


def test_without_the_program_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(InputError, match="apt install mma"):
        mma.arrange(np.random.default_rng(0), ["Rock"], 8.0)


def test_a_groove_that_takes_too_long_is_said(monkeypatch):
    def forever(command, timeout, **how):
        raise subprocess.TimeoutExpired(command, timeout)

    monkeypatch.setattr(shutil, "which", lambda name: name)
    monkeypatch.setattr(subprocess, "run", forever)
    with pytest.raises(InputError, match="more than 60 s for Rock; ask for fewer --seconds"):
        mma.arrange(np.random.default_rng(0), ["Rock"], 8.0)


def test_without_a_player_it_is_said_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="apt install fluidsynth"):
        render_midi(tmp_path / "some.sf2", midi_file([]))


def test_a_player_that_fails_is_said(monkeypatch, tmp_path):
    def broken(command, **how):
        raise subprocess.CalledProcessError(1, command)

    monkeypatch.setattr(subprocess, "run", broken)
    with pytest.raises(InputError, match=r"cannot play a song with .*some\.sf2"):
        render_midi(tmp_path / "some.sf2", midi_file([]))


@pytest.mark.skipif(shutil.which("mma") is None, reason="mma is not installed")
@pytest.mark.parametrize(("groove", "beats"), [("PopBallad", 4), ("Waltz", 3)])
def test_a_melody_over_the_chords_is_one_part_more(monkeypatch, groove, beats):
    def parts():
        content = mma.arrange(np.random.default_rng(1), [groove], 12.0)[1]
        return {part.program: part.notes for part in parse(groove, content).parts}

    found = parts()
    monkeypatch.setattr(mma, "_with_melody", lambda content, *more: content)
    without = parts()
    (program,) = set(found) - set(without)
    assert program in mma.MELODIC
    assert all(np.allclose(found[other], notes) for other, notes in without.items())
    rng = np.random.default_rng(1)
    rng.integers(1)  # the groove
    plan, notes = events.random_plan(rng, 12.0), found[program]
    beat_s = 60 / round(plan.tempo_bpm)
    assert {int(pitch - plan.key) % 12 for pitch in notes[:, 2]} <= set(plan.scale)
    assert len(notes) >= plan.bars and notes[0, 0] >= 0
    assert (notes[:, 0] + notes[:, 1]).max() <= plan.bars * beats * beat_s + 1e-3
    assert np.all(notes[1:, 0] + 1e-6 >= notes[:-1, 0] + notes[:-1, 1])  # one voice
    sixteenths = notes[:, 0] / beat_s * 4
    assert np.allclose(sixteenths, np.round(sixteenths), atol=0.02)


@pytest.mark.skipif(shutil.which("mma") is None, reason="mma is not installed")
def test_arrangements_are_scores(tmp_path, capsys):
    groove, content = mma.arrange(np.random.default_rng(0), ["PopBallad"], 12.0)
    parts = parse(groove, content).parts
    again = parse(groove, mma.arrange(np.random.default_rng(0), ["PopBallad"], 12.0)[1]).parts
    assert all(np.array_equal(a.notes, b.notes) for a, b in zip(parts, again, strict=True))
    assert {"drums", "bass"} <= {part.label for part in parts}
    with pytest.raises(InputError, match="MMA cannot play NoSuchGroove"):
        mma.arrange(np.random.default_rng(0), ["NoSuchGroove"], 8.0)
    for _ in range(2):
        mma.main(["--out", str(tmp_path), "--songs", "2", "--seconds", "8"])
    assert "0 new arrangements" in capsys.readouterr().out
    assert len(read_scores(tmp_path)) == 2
    assert score_licence(tmp_path) == "GPL-2"
