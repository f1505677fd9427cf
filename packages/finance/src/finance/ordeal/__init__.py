"""The real books under random histories, held to an independent model: one seed in, one trace out.

`model.py` is the model, `house.py` and `trade.py` what may be asked of it, `deed.py` how. `chance.py` is what somebody
may ask for, `desk.py` how the books are asked for it, `world.py` and `postgres.py` where they are kept. `law.py` is
what must hold after every step, `trial.py` one history.

Beside them, knowing nothing of them, `plain.py` with `levied.py` is a second and small model for whoever audits the
books, and `audit.py` holds the service to it.
"""
