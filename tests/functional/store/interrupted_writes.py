"""``python interrupted_writes.py STORE``: writes while Ctrl-C comes again and again, and says ``whole`` if all is stored that had begun.

A process of its own, so that a signal that comes late hits nothing else.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import threading

from store_records import run_record, trial

from ctxbench.store import Store
from ctxbench.store.interrupts import interrupts_wait

MOMENTS = 60


def main(path: str) -> None:
    """Interrupt, and count."""
    draw, begun, moments = random.Random(0), 0, 0
    with Store.open(path) as store:
        store.start_run(run_record())
        while moments < MOMENTS or begun <= MOMENTS:  # a slow machine begins few writes between two of them
            moments += 1
            timer = threading.Timer(draw.uniform(0.001, 0.1), os.kill, (os.getpid(), signal.SIGINT))
            try:
                timer.start()
                while True:
                    batch = [trial(begun * 5 + i) for i in range(5)]
                    with interrupts_wait():  # so that what is counted here is what the store was given
                        begun += 1
                        store.append("r1", batch)
                    store.stored([batch[0].trial_id])
            except KeyboardInterrupt:
                timer.join()
        sql = "SELECT count(*), (SELECT count(*) FROM scores), (SELECT count(*) FROM pages) FROM trials"
        found = store.query(sql).rows
    print("whole" if found == [(begun * 5,) * 3] else f"{begun * 5} trials had begun, and stored are {found}")


if __name__ == "__main__":
    main(sys.argv[1])
