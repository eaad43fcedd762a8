"""How many cores a process may use."""

import os


def usable_cores() -> int:
    """Count the cores that this process may use; a scheduler may have given it a few of many.

    OMP_NUM_THREADS, which schedulers set where they cannot hold processes to cores, may say fewer.
    """
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1  # not told elsewhere than on Linux
    told = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return min(cores, int(told)) if told.isdecimal() and int(told) else cores
