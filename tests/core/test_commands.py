import pytest

from mgeldm_app.core.commands import found_tempo, set_tempo
from mgeldm_app.core.project import Audio, Project, SongFile, Tempo
from mgeldm_app.core.timeline import Grid

SONG = SongFile(Audio("a", 48_000, 2, 90 * 48_000), "Song")


@pytest.mark.parametrize("bpm", [70.0, 128.5, 280.0])
@pytest.mark.parametrize("downbeat_s", [0.0, 0.8, 1.7155, 12 / 7 + 0.8, 24 / 7 + 0.8])
def test_a_found_first_bar_stays_where_it_is_when_the_tempo_is_corrected(bpm, downbeat_s):
    found = Tempo(140.0, downbeat_s, source="found")  # a bar is 12/7 s
    project = found_tempo(found)(Project(SONG))
    first_s = Grid.of(project).first_bar / 48_000
    for again in (bpm, 90.0):  # also where that tempo was wrong, too
        project = set_tempo(Tempo(again, downbeat_s, source="found"), found).apply(project)
        assert (project.tempo.bpm, project.tempo.source) == (again, "given")
        first_s %= 240 / again  # of the faster bars, one more may begin before
        assert abs(Grid.of(project).first_bar / 48_000 - first_s) < 1e-4
        found, downbeat_s = project.tempo, project.tempo.downbeat_s


def test_a_bar_that_the_user_has_placed_stays_there_when_the_tempo_is_corrected():
    project = Project(SONG, tempo=Tempo(140.0, 33.3, source="given"))
    project = set_tempo(Tempo(139.0, 33.3, source="given"), project.tempo).apply(project)
    assert project.tempo.downbeat_s == 33.3
