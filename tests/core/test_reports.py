import sys

import pytest

from mgeldm_app.core import reports


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
