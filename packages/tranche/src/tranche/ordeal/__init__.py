"""The real controller on virtual time, with faults at every step: one seed in, one trace out.

`trial.py` runs a rollout, `world.py` is what it runs in, `law.py` what must hold after every step.
"""
