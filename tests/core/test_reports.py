import sys

import pytest
from mgeldm.errors import AudioError

from mgeldm_app.core import reports
from mgeldm_app.core.session import Session


@pytest.fixture
def told(tmp_path, monkeypatch):
    monkeypatch.setenv("MGELDM_HOME", str(tmp_path))
    monkeypatch.setattr(sys, "excepthook", lambda *_: None)
    told = []
    end = reports.install(lambda text, details: told.append((text, details)))
    yield told
    end()


def fail():
    try:
        raise RuntimeError("nobody foresaw this")
    except RuntimeError:
        sys.excepthook(*sys.exc_info())


def test_the_unforeseen_is_told_and_kept(told):
    fail()
    text, details = told[0]
    assert "saved" in text
    assert "nobody foresaw this" in details and "test_reports.py" in details
    assert "nobody foresaw this" in reports.log_path().read_text()


def test_the_log_does_not_grow_for_ever(told, monkeypatch):
    monkeypatch.setattr(reports, "MOST_BYTES", 1000)
    for _ in range(20):
        fail()
    assert reports.log_path().stat().st_size < 3000


def test_leaving_on_purpose_is_no_report(told):
    sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert not told


def test_an_error_says_itself_and_one_that_nobody_foresaw_has_a_report(told):
    assert reports.explained(AudioError("No sound in {name}.", name="a.wav")) == ("No sound in a.wav.", "")
    assert reports.explained(OSError(28, "Full")) == ("That did not work: Full; check the disk and its rights.", "")
    why, details = reports.explained(AssertionError())
    assert not why and "AssertionError" in details
    assert details in reports.log_path().read_text(encoding="utf-8")


def test_no_notice_of_an_error_is_empty(told):
    session, seen = Session(), []
    session.notice.connect(lambda *notice: seen.append(notice[:3]))
    session.tell_error(AudioError("No sound."), "A stem was lost.")
    session.tell_error(AssertionError(), "A stem was lost.")
    session.tell_error(AssertionError())
    assert seen[0] == ("A stem was lost. No sound.", True, "")
    assert [text for text, *_ in seen[1:]] == ["A stem was lost.", reports.UNFORESEEN]
    assert all("AssertionError" in details for *_, details in seen[1:])
