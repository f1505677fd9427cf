"""Which process a number names."""

from pathlib import Path


def started_at(pid: int) -> int | None:
    """When a process was started, in ticks since boot: with the pid it names one process for ever."""
    fields = _fields(pid)
    return None if fields is None else int(fields[19])


def is_zombie(pid: int) -> bool:
    """Whether a process has ended and only waits for its parent to notice."""
    fields = _fields(pid)
    return fields is None or fields[0] == "Z"


def _fields(pid: int) -> list[str] | None:
    """What the kernel says of it behind its name (proc(5), `stat`), or None when it is not there."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except OSError:
        return None
    return text.rpartition(")")[2].split()
