import pytest

from mgeldm_app.core.project import Project, Span, Tempo
from mgeldm_app.core.timeline import span_text


@pytest.mark.parametrize(
    ("samples", "known", "text"),
    [
        (2 * 88200, True, "2 bars"), (88200, True, "1 bar"), (2 * 88200, False, "4.0 s"), (54000, True, "1.2 s"),
        (11025, True, "250 ms"), (441, False, "10 ms"), (22, False, "0 ms"),
    ],
)  # fmt: skip
def test_spans_are_told_in_bars_seconds_or_what_is_left_of_one(samples, known, text):
    tempo = Tempo(120.0, source="given" if known else "none")
    assert span_text(Project(tempo=tempo), Span(500, 500 + samples)) == text
