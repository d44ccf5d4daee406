import threading

from shiboken6 import delete

from mgeldm_app.ui.bridge import Bridge


def in_a_thread(function):
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()


def test_functions_run_on_the_bridges_thread_in_order(qtbot):
    bridge, seen = Bridge(), []

    def from_afar():
        for number in range(500):
            bridge.post(lambda number=number: seen.append((number, threading.get_ident())))

    in_a_thread(from_afar)
    assert seen == []  # the GUI thread is in here, so nothing of it can have run
    qtbot.waitUntil(lambda: len(seen) == 500)
    assert seen == [(number, threading.get_ident()) for number in range(500)]


def test_a_post_from_the_same_thread_waits_its_turn(qtbot):
    bridge, seen = Bridge(), []
    bridge.post(lambda: seen.append("later"))
    seen.append("now")
    qtbot.waitUntil(lambda: len(seen) == 2)
    assert seen == ["now", "later"]


def test_nothing_happens_once_the_bridge_is_gone(qtbot):
    bridge, seen = Bridge(), []
    bridge.post(lambda: seen.append("posted before"))
    delete(bridge)
    in_a_thread(lambda: bridge.post(lambda: seen.append("posted after")))
    other = Bridge()
    other.post(lambda: seen.append("other"))
    qtbot.waitUntil(lambda: "other" in seen)
    assert seen == ["other"]
