"""A rollback by hand waits for nothing that it does not need."""

import subprocess
import sys

NEEDED = "import tranche.cli, tranche.wiring, tranche.adapters.envoy, tranche.adapters.process, sys"


def test_taking_users_back_loads_no_judge_and_no_large_library() -> None:
    shown = subprocess.run(
        [sys.executable, "-c", f"{NEEDED}; print(*sys.modules)"], check=True, capture_output=True, text=True
    ).stdout.split()

    assert "tranche.desk" in shown, "what takes them back"
    heavy = {
        "numpy",
        "urllib3",
        "asyncio",
        "aiohttp",
        "rich",
        "cryptography",
        "tranche.judge",
        "tranche.controller",
    }
    assert not heavy & set(shown)
