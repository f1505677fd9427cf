"""Becomes another program, having given up what it must not keep. Run as a file, before anything is imported.

    python -S child.py PARENT_PID DEATH_SIGNAL UID PROGRAM [ARGUMENT ...]

Drops to UID (when not -1), asks the kernel for DEATH_SIGNAL when the parent dies, and execs PROGRAM. So even a
parent that is killed leaves nothing behind. Changing the user clears the request, hence the order.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, death_signal, uid, *command = sys.argv[1:]
    if uid != "-1":
        os.setgroups([])
        os.setgid(int(uid))
        os.setuid(int(uid))
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
    if os.getppid() != int(parent):  # it died before the request was made
        sys.exit(3)
    os.execvp(command[0], command)  # noqa: S606 - becoming another program is its purpose


if __name__ == "__main__":
    main()
