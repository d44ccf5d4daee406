import threading
import time

import pytest
import torch
from mgeldm.pipeline import compute as compute_module
from mgeldm.pipeline.compute import Compute
from mgeldm.threads import one_thread
from torch import nn


@pytest.fixture
def compute(monkeypatch):
    """A small network on a processor of three cores."""
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    made = Compute(nn.ModuleDict({"small": nn.Linear(4, 4)}), torch.device("cpu"))
    monkeypatch.undo()
    return made


def test_each_thread_has_a_batch_and_shares_no_operation(compute):
    before, seen, together = torch.get_num_threads(), [], threading.Barrier(3, timeout=30)

    def work(x, y):
        together.wait()  # breaks if they came one after the other
        seen.append((threading.get_ident(), torch.get_num_threads(), len(x)))
        return compute.modules["small"](x) + y

    x, y = torch.randn(9, 4), torch.randn(9, 1)
    found = compute.map(work, x, y)
    assert torch.allclose(found, compute.modules["small"](x) + y, atol=1e-6)
    assert not found.requires_grad
    assert len({thread for thread, _, _ in seen}) == 3
    assert {(threads, size) for _, threads, size in seen} == {(1, 3)}
    assert torch.get_num_threads() == before


def test_what_is_alone_stays_on_its_thread_and_spreads_what_it_evaluates(compute):
    seen = []

    def network(x):
        seen.append((threading.get_ident(), len(x)))
        time.sleep(0.05)
        return x * 2

    def sample(x):
        seen.append((threading.get_ident(), len(x)))
        return compute.spread(network)(torch.cat([x, x + 1, x + 2])).sum(0, keepdim=True)

    assert compute.map(sample, torch.ones(1, 4)).tolist() == [[12.0] * 4]
    (alone, size), *others = seen
    assert (alone, size) == (threading.get_ident(), 1)
    assert len({thread for thread, _ in others} - {alone}) == 3


def test_a_thread_of_the_pool_never_waits_for_the_pool(compute):
    def sample(x):
        return compute.spread(lambda y: y + 1)(torch.cat([x] * 5))[: len(x)]

    assert compute.map(sample, torch.zeros(12, 2)).tolist() == [[1.0, 1.0]] * 12


def test_a_failure_ends_all_batches_before_it_is_told(compute):
    at_work = []

    def work(x):
        if float(x[0, 0]) == 0:
            raise ValueError("no")
        at_work.append(1)
        time.sleep(0.1)
        at_work.pop()
        return x

    with pytest.raises(ValueError, match="no"):
        compute.map(work, torch.arange(6.0)[:, None])
    assert not at_work
    assert compute.map(lambda x: x, torch.ones(6, 1)).sum() == 6


def test_large_networks_and_graphics_cards_share_operations(monkeypatch):
    network, here = nn.ModuleDict({"network": nn.Linear(4, 4)}), torch.device("cpu")
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    assert Compute(network, here).threads == 3
    monkeypatch.setattr(compute_module, "SMALL_PARAMETERS", 20)  # as many as it has
    assert Compute(network, here).threads == 1
    monkeypatch.setattr(compute_module, "SMALL_PARAMETERS", 21)
    assert Compute(network.to("meta"), torch.device("meta")).threads == 1


def test_one_thread_is_for_a_while():
    before = torch.get_num_threads()
    with pytest.raises(ValueError), one_thread():
        assert torch.get_num_threads() == 1
        raise ValueError
    assert torch.get_num_threads() == before
