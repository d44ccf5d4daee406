import sys

from mgeldm_app.core.events import Event


def test_everyone_connected_is_called_in_order_until_they_leave():
    event, heard = Event(), []
    leave = event.connect(lambda x: heard.append(("a", x)))
    event.connect(lambda x: heard.append(("b", x)))
    event.emit(1)
    leave()
    leave()
    event.emit(2)
    assert heard == [("a", 1), ("b", 1), ("b", 2)]


def test_one_that_fails_stops_neither_the_others_nor_the_caller(monkeypatch):
    event, heard, failures = Event(), [], []
    monkeypatch.setattr(sys, "excepthook", lambda kind, error, trace: failures.append(error))
    event.connect(lambda: 1 / 0)
    event.connect(lambda: heard.append("b"))
    event.emit()
    assert heard == ["b"]
    assert isinstance(failures[0], ZeroDivisionError)
