"""A child that speaks the engine's language without a model; what it does is said in its jobs' titles.

"wait" lasts until it is cancelled, "deaf" for good, "die" ends the process, anything else is done at once.
"""

import os
import queue
import sys
import threading
import time

from mgeldm_app.core.jobs import CancelledJob, EngineStatus, Finished, Started
from mgeldm_app.services.engine_process import Cancel, Measure, Unpacker, pack


def listen(inbox, cancelled):
    unpacker = Unpacker()
    while data := os.read(0, 65536):
        for message in unpacker.feed(data):
            if isinstance(message, Cancel):
                cancelled.put(message.job_id)
            else:
                inbox.put(message)
    if "stays" not in sys.argv:
        os._exit(0)


def main():
    out, inbox, cancelled = os.fdopen(1, "wb", 0), queue.SimpleQueue(), queue.SimpleQueue()
    threading.Thread(target=listen, args=(inbox, cancelled), daemon=True).start()
    config = inbox.get()
    if config.model == "none":
        print("the fake does not start", file=sys.stderr, flush=True)
        os._exit(7)
    out.write(pack(EngineStatus("ready", "cpu", model=config.model)))
    jobs = []
    while True:
        job = inbox.get()
        if isinstance(job, Measure):
            continue
        out.write(pack(Started(job.id)))
        if job.title == "die":
            print("the fake dies", file=sys.stderr, flush=True)
            os._exit(9)
        while job.title == "deaf":
            time.sleep(1)
        if job.title == "wait":
            jobs.append(job)
            threading.Thread(target=lambda: out.write(pack(CancelledJob(cancelled.get()))), daemon=True).start()
        else:
            out.write(pack(Finished(job.id, 0.0, 1.0)))


if __name__ == "__main__":
    main()
