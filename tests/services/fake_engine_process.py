"""A child that speaks the engine's language without a model; what it does is said in its jobs' titles.

"wait" lasts until it is cancelled, "stubborn" for good, both with other jobs on top; "deaf" lasts for good and lets
nothing else begin; "die" ends the process; anything else is done at once.
"""

import os
import queue
import sys
import threading
import time
from collections import defaultdict

from mgeldm_app.core.jobs import CancelledJob, EngineStatus, Finished, Started
from mgeldm_app.services.engine_process import Cancel, Forget, Measure, Unpacker, pack


def listen(inbox, cancelled):
    unpacker = Unpacker()
    while data := os.read(0, 65536):
        for message in unpacker.feed(data):
            if isinstance(message, Cancel):
                cancelled[message.job_id].set()
            else:
                inbox.put(message)
    if "stays" not in sys.argv:
        os._exit(0)


def wait(job, cancelled, out):
    cancelled[job.id].wait()
    out.write(pack(CancelledJob(job.id)))


def main():
    out, inbox, cancelled = os.fdopen(1, "wb", 0), queue.SimpleQueue(), defaultdict(threading.Event)
    threading.Thread(target=listen, args=(inbox, cancelled), daemon=True).start()
    config = inbox.get()
    if config.model == "none":
        print("the fake does not start", file=sys.stderr, flush=True)
        os._exit(7)
    out.write(pack(EngineStatus("ready", "cpu", model=config.model)))
    while True:
        job = inbox.get()
        if isinstance(job, Measure | Forget):
            continue
        out.write(pack(Started(job.id)))
        if job.title == "die":
            print("the fake dies", file=sys.stderr, flush=True)
            os._exit(9)
        while job.title == "deaf":
            time.sleep(1)
        if job.title == "wait":
            threading.Thread(target=wait, args=(job, cancelled, out), daemon=True).start()
        elif job.title != "stubborn":
            out.write(pack(Finished(job.id, 0.0, 1.0)))


if __name__ == "__main__":
    main()
