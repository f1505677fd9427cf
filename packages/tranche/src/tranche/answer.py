"""What every command answers: exit 0 done, 1 refused, 2 usage, 3 fault - decided here and nowhere else."""

import json
import sys
from collections.abc import Callable, Mapping
from typing import Any, Final

from tranche.ports import Fault
from tranche.progress import Progress
from tranche.refusal import Refused
from tranche.settings import UnknownSetting
from tranche.shape import FileRefused

DONE: Final = 0
REFUSED: Final = 1
USAGE: Final = 2
FAULT: Final = 3
INTERRUPTED: Final = "interrupted; traffic stays as it is"


def code_of(command: Callable[[], object]) -> int:
    """Do it; its exit code. Errors are one line on standard error."""
    try:
        code = command()
    except (FileRefused, UnknownSetting) as refusal:
        return say(str(refusal), USAGE)
    except Refused as refusal:
        return say(f"refused ({refusal.code}): {refusal}", REFUSED)
    except Fault as fault:
        return say(f"fault: {fault}", FAULT)
    except KeyboardInterrupt:
        return say(INTERRUPTED, REFUSED)
    except BrokenPipeError:
        return DONE
    return code if isinstance(code, int) else DONE


def say(text: str, code: int) -> int:
    """One line on standard error, and the code."""
    sys.stderr.write(f"tranche: {text}\n")
    sys.stderr.flush()
    return code


def show(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def show_json(document: object) -> None:
    show(json.dumps(document, indent=1))


def report(progress: Progress | Mapping[str, Any], *, as_json: bool) -> None:
    """Where the rollout is after what was asked of it, or that users were taken back without the log."""
    if not isinstance(progress, Progress):
        from tranche.page import text_of_abort

        if as_json:
            show_json(progress)
        else:
            show(text_of_abort(progress))
        return
    if as_json:
        from tranche.page import report as document

        show_json(document(progress))
        return
    show(f"{progress.rollout}: {progress.state.value.replace('_', ' ')}, {progress.stay.name}")
