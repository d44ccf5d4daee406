"""What must come one after the other does, whatever becomes of it."""

from mgeldm_app.core.delivery import Delivery
from tests.fakes.world import FakeWorkers


def delivery(*, holding=False):
    workers, log = FakeWorkers(), []
    workers.holding = holding
    return Delivery(workers), workers, log


def in_turn(made, log, name, begin=None):
    def ready():
        log.append(f"begin {name}")
        return lambda: log.append(f"run {name}")

    made.run_in_turn(begin or ready, lambda _: log.append(f"done {name}"), lambda error: log.append(f"{error} {name}"))


def test_each_begins_once_the_one_before_it_is_delivered():
    made, workers, log = delivery(holding=True)
    for name in "ab":
        in_turn(made, log, name)
    assert log == ["begin a"]
    workers.release()
    assert log == [f"{what} {name}" for name in "ab" for what in ("begin", "run", "done")]


def test_what_cannot_begin_fails_and_holds_up_nothing():
    def broken():
        raise ValueError("no plan")

    made, _, log = delivery()
    in_turn(made, log, "a", broken)
    in_turn(made, log, "b")
    assert log == ["no plan a", "begin b", "run b", "done b"]


def test_all_in_turn_is_waited_for():
    made, _, log = delivery(holding=True)
    for name in "abc":
        in_turn(made, log, name)
    made.finish()
    assert log[-1] == "done c" and log.count("begin c") == 1
    made.finish()  # there is nothing to wait for
