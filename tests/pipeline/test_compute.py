import threading
import time
import weakref

import pytest
import torch
from mgeldm.checkpoint import lacks_memory
from mgeldm.errors import MgeldmError
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
    seen, together = [], threading.Barrier(3, timeout=30)

    def network(x):
        together.wait()  # breaks if they came one after the other
        seen.append((threading.get_ident(), len(x)))
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


NO_ROOM = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 36.00 MiB")
NO_HANDLE = RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`")


class Visitor(nn.Linear):
    """A small network that says it moves; where there is no room, it does not."""

    def __init__(self, crowded=()):
        super().__init__(2, 2)
        self.crowded, self.seen = list(crowded), []

    def to(self, device):
        self.seen.append(torch.device(device).type)
        if self.seen[-1] in self.crowded:
            raise NO_ROOM
        return self


@pytest.fixture
def card(monkeypatch):
    """A computation on a device that is no CPU, of which everybody can have one: meta."""
    emptied, notices = [], []
    monkeypatch.setattr(compute_module, "_empty_cache", lambda device: emptied.append(device.type))
    made = Compute(Visitor(), torch.device("meta"), notices.append)
    made.emptied, made.notices, made.tried = emptied, notices, []
    return made


def failing(card, error, room=0):
    """A function that the device has memory for if no more than `room` items come at once."""

    def function(x):
        card.tried.append((x.device.type, len(x)))
        if x.device.type != "cpu" and len(x) > room:
            raise error
        return torch.ones(len(x), 2)

    return function


@pytest.mark.parametrize(
    "words",
    [
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
        "cuFFT error: CUFFT_ALLOC_FAILED",
        "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
        "MPS backend out of memory (MPS allocated: 1 GB)",
    ],
)
def test_libraries_beside_torch_lack_memory_in_words_of_their_own(words):
    assert lacks_memory(RuntimeError(words))
    assert not lacks_memory(RuntimeError("CUDNN_STATUS_EXECUTION_FAILED"))


def test_what_failed_is_halved_and_not_what_might_have_been(card):
    assert card.map(failing(card, NO_ROOM, 2), torch.zeros(5, 2)).shape == (5, 2)
    assert card.tried == [("meta", 5), ("meta", 3), ("meta", 2), ("meta", 2), ("meta", 1)]
    assert (card.batch, card.device.type, card.emptied) == (2, "meta", ["meta"] * 2)
    assert [notice.split()[-4] for notice in card.notices] == ["3", "2"]


def test_one_item_that_does_not_fit_goes_to_the_cpu_at_once(card):
    card.map(failing(card, NO_ROOM), torch.zeros(1, 2))
    assert card.tried == [("meta", 1), ("cpu", 1)]
    assert card.notices == ["The graphics card ran out of memory; going on with the CPU."]
    assert card.emptied[-1] == "meta"


def test_what_libraries_lack_is_looked_for_once_in_torchs_cache(card):
    card.map(failing(card, NO_HANDLE), torch.zeros(1, 2))
    assert card.tried == [("meta", 1), ("meta", 1), ("cpu", 1)]
    assert len(card.notices) == 1


def test_the_next_request_begins_where_memory_ran_out(card):
    card.map(failing(card, NO_ROOM), torch.zeros(3, 2))
    assert (card.device.type, card.batch) == ("cpu", compute_module.CPU_BATCH)
    card.begin()
    assert (card.device.type, card.batch) == ("meta", compute_module.GPU_BATCH)
    card.batch = 3  # somebody's own choice stays
    card.begin()
    assert card.batch == 3


def test_where_the_model_finds_no_room_any_more_it_stays_on_the_cpu(card):
    card.map(failing(card, NO_ROOM), torch.zeros(1, 2))
    card.modules.crowded = ["meta"]
    for _ in range(2):
        card.begin()
    assert (card.device.type, card.batch) == ("cpu", compute_module.CPU_BATCH)
    assert card.modules.seen == ["meta", "cpu", "meta", "cpu"]  # and is not moved with each request
    assert len(card.notices) == 2


def test_a_model_that_does_not_fit_the_card_is_loaded_on_the_cpu():
    notices = []
    made = Compute(Visitor(["cuda"]), torch.device("cuda"), notices.append)
    assert (made.device.type, made.batch) == ("cpu", compute_module.CPU_BATCH)
    assert notices == ["The graphics card ran out of memory; going on with the CPU."]
    with pytest.raises(MgeldmError, match="ran out of memory"):
        Compute(Visitor(["cuda", "cpu"]), torch.device("cuda"))


def test_a_job_that_moves_the_model_under_another_does_not_end_it(card):
    def function(x):
        if not card.tried:
            card.map(failing(card, NO_ROOM), torch.zeros(1, 2))  # an urgent one, at a step of this one
            raise RuntimeError("Expected all tensors to be on the same device")
        return torch.ones(len(x), 2)

    assert card.map(function, torch.zeros(2, 2)).shape == (2, 2)


def test_what_did_not_fit_is_let_go_before_the_cache_is_emptied(card, monkeypatch):
    held, is_gone = [], []

    def function(x):
        large = torch.zeros(3)
        held.append(weakref.ref(large))
        raise NO_HANDLE if x.device.type != "cpu" else ValueError("enough")

    monkeypatch.setattr(compute_module, "_empty_cache", lambda device: is_gone.append(held[-1]() is None))
    with pytest.raises(ValueError, match="enough"):
        card.map(function, torch.zeros(1, 2))
    assert is_gone[0]
