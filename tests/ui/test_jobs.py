import gc
from dataclasses import replace

import pytest
from PySide6.QtCore import QCoreApplication, QEvent, Qt
from PySide6.QtGui import QGuiApplication

from mgeldm_app.ui import a11y
from mgeldm_app.ui.jobs import JobRow, JobsBar, ProgressLine, _RowWidget
from mgeldm_app.ui.theme import DARK

RUNNING = JobRow("a", "Adding a warm Rhodes", "running", 0.62, "window 2 of 3 · 3 s left")
QUEUED = JobRow("b", "Extracting the drums", "queued")
FAILED = JobRow("c", "Extracting the bass", "failed", message="It ran out of memory.", details="Traceback")


@pytest.fixture
def bar(shown):
    made = JobsBar()
    made.heard = []
    for name in ("cancel_clicked", "retry_clicked", "dismiss_clicked"):
        getattr(made, name).connect(lambda job, name=name: made.heard.append((name, job)))
    made.set_theme(DARK)
    return shown(made, 1280, 32)


def test_nothing_to_do(bar):
    bar.set_idle_text("Ready")
    assert bar.text.text() == "Ready"
    assert not any(each.isVisible() for each in (bar.progress, bar.cancel, bar.more))


def test_what_runs_is_shown_and_cancelled(bar):
    bar.set_rows((RUNNING, QUEUED))
    assert bar.text.text() == "Adding a warm Rhodes · window 2 of 3 · 3 s left"
    assert bar.more.text() == "1 more queued" and bar.progress.isVisible()
    bar.cancel.click()
    assert bar.heard == [("cancel_clicked", "a")]


def test_before_it_runs_it_waits(bar):
    bar.set_rows((QUEUED,))
    assert bar.text.text() == "Extracting the drums · waiting"
    bar.cancel.click()
    assert bar.heard == [("cancel_clicked", "b")]


def test_a_failure_says_why_and_can_be_dismissed(bar):
    bar.set_rows((FAILED,))
    assert bar.text.text() == "Extracting the bass: It ran out of memory." and bar.text.property("role") == "bad"
    assert bar.more.text() == "1 job failed" and not bar.progress.isVisible()
    bar.cancel.click()
    assert bar.heard == [("dismiss_clicked", "c")]
    bar.retry.click()
    assert bar.heard[1:] == [("retry_clicked", "c")]
    bar.set_rows((RUNNING, QUEUED, FAILED))
    assert bar.text.property("role") == "second" and not bar.retry.isVisible()
    assert (bar.more.text(), bar.more.property("role")) == ("1 job failed", "danger")


def test_what_was_stopped_says_so_and_can_be_had_at_once(bar):
    stopped = JobRow("d", "Extracting the organ", "stopped", message="It was not finished.")
    bar.set_rows((stopped,))
    assert bar.text.text() == "Extracting the organ: It was not finished." and bar.text.property("role") == "second"
    bar.retry.click()
    bar.cancel.click()
    assert bar.heard == [("retry_clicked", "d"), ("dismiss_clicked", "d")]
    bar.open_panel()
    row = bar.panel._widgets["d"]
    assert row.state.text() == "not finished" and row.message.isVisible() and row.retry.isVisible()


def test_the_panel_cancels_retries_copies_and_dismisses(bar, qtbot):
    bar.set_rows((RUNNING, QUEUED, FAILED))
    bar.more.click()
    panel = bar.panel
    assert panel.isVisible()
    running, queued, failed = (panel._widgets[job] for job in "abc")
    queued.cancel.click()
    failed.retry.click()
    failed.dismiss.click()
    failed.copy.click()
    assert bar.heard == [("cancel_clicked", "b"), ("retry_clicked", "c"), ("dismiss_clicked", "c")]
    assert QGuiApplication.clipboard().text() == "Extracting the bass\nIt ran out of memory.\nTraceback"
    assert running.progress.isVisible() and not running.retry.isVisible() and failed.message.isVisible()
    qtbot.keyClick(panel, Qt.Key.Key_Escape)
    assert not panel.isVisible()


def test_a_job_keeps_its_widget_through_its_life_and_order_follows(bar):
    bar.set_rows((RUNNING, QUEUED))
    bar.open_panel()
    kept = bar.panel._widgets["a"]
    bar.set_rows((QUEUED, JobRow("a", "Adding a warm Rhodes", "done")))
    assert bar.panel._widgets["a"] is kept and kept.state.text() == "done"
    order = [bar.panel._list.itemAt(place).widget() for place in (1, 2)]
    assert order == [bar.panel._widgets["b"], kept]
    bar.set_rows(())
    assert bar.panel._widgets == {} and bar.panel._empty.isVisible()


@pytest.mark.parametrize("rows", [(), (RUNNING,), (RUNNING, QUEUED, FAILED), (QUEUED, FAILED)])
def test_the_panel_stands_on_the_line_as_high_as_it_needs(bar, qtbot, rows):
    bar.set_rows(rows)
    bar.open_panel()
    qtbot.waitExposed(bar.panel)
    top = bar.mapToGlobal(bar.rect().topLeft()).y()
    assert bar.panel.geometry().bottom() < top
    assert 60 < bar.panel.height() < 100 + 130 * len(rows)
    bar.set_rows((*rows, JobRow("z", "Generating", "failed", message="It failed. " * 20)))
    assert bar.panel.geometry().bottom() < top


def test_jobs_that_went_leave_nothing_behind(bar, qtbot):
    def living():
        gc.collect()
        return sum(type(each) is _RowWidget for each in gc.get_objects())

    before = living()
    for number in range(30):
        bar.set_rows([replace(FAILED, id=f"{number}.{place}") for place in range(3)])
    bar.set_rows(())
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    assert living() == before and bar.panel.findChildren(_RowWidget) == []


def test_what_cannot_be_tried_again_offers_no_button(bar):
    bar.set_rows((JobRow("c", "Extracting", "failed", message="No.", can_retry=False),))
    bar.open_panel()
    assert not bar.panel._widgets["c"].retry.isVisible()


def filled(line):
    image = line.grab().toImage()
    return sum(image.pixelColor(x, 2).name() == DARK.accent.lower() for x in range(image.width())) / image.width()


def test_the_bar_fills(qtbot):
    line = ProgressLine(200)
    qtbot.addWidget(line)
    line.set_theme(DARK)
    for share in (0.0, 0.25, 1.0):
        line.show_share(share)
        assert filled(line) == pytest.approx(share, abs=0.02)


def test_an_unknown_share_wanders_only_while_it_is_seen(qtbot):
    line = ProgressLine(200)
    qtbot.addWidget(line)
    line.show_share(None)
    assert not line._timer.isActive()
    line.show()
    assert line._timer.isActive() and 0.2 < filled(line) < 0.4
    line.show_share(0.5)
    assert not line._timer.isActive()


def test_the_end_of_a_job_is_said_to_those_who_do_not_see_it(bar, monkeypatch):
    said = []
    monkeypatch.setattr(a11y, "announce", lambda widget, text, urgent=False: said.append((text, urgent)))
    bar.set_rows((RUNNING, QUEUED, FAILED))
    bar.set_rows((replace(RUNNING, share=0.9), QUEUED, FAILED))
    assert said == []
    second = replace(RUNNING, id="second", state="queued")
    bar.set_rows((RUNNING, second, QUEUED, FAILED))
    bar.set_rows((second, QUEUED))  # the first take is there, and a failure was dismissed
    assert said == []
    bar.set_rows((QUEUED,))
    assert said == [("Adding a warm Rhodes: ended", False)]
    bar.set_rows((replace(FAILED, id="b"),))
    bar.set_rows((replace(FAILED, id="b"),))
    assert said[1:] == [("Extracting the bass: It ran out of memory.", True)]
