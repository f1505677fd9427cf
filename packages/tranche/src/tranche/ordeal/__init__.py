"""The real controller on virtual time, with faults at every step: one seed in, one trace out.

`trial.py` runs a rollout. `scene.py` is what it is about, `world.py` and `faulty.py` what it runs in, `people.py` who
asks for what; `law.py` names what must hold after every step, `court.py` judges it by what happened and by `ledger.py`,
a reading of the log that is not the engine's. `tally.py` tells what many trials have come to.
"""
