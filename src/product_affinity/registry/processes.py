"""Which process wrote something, and whether it still runs."""

from __future__ import annotations

import os
import socket
from pathlib import Path


def this_process() -> str:
    """Return `host:pid:start`; the start tells a process from a later one that was given its number."""
    return f"{socket.gethostname()}:{os.getpid()}:{_started(os.getpid())}"


def is_gone(process: str) -> bool | None:
    """Whether a process named by `this_process` has ended; None where that cannot be seen from here.

    >>> is_gone(this_process()), is_gone("elsewhere:1:0")
    (False, None)
    """
    host, _, rest = process.rpartition(":")[0].rpartition(":")
    pid, started = rest, process.rpartition(":")[2]
    if host != socket.gethostname() or not pid.isdecimal():
        return None
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return None
    return bool(started) and _started(int(pid)) != started


def _started(pid: int) -> str:
    """Start in clock ticks since boot (proc(5), field 22), empty where the system does not say."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    # the name in field 2 may hold blanks and parentheses
    return text.rpartition(")")[2].split()[19]
