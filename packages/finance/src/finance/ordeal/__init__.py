"""The real books under random histories, held to two independent models: one seed in, one trace out.

`model.py` is the large model, `house.py`, `trade.py` and `treasury.py` what may be asked of it, `deed.py` how.
`chance.py`, with `teller.py` and `dice.py`, is what somebody may ask for, `desk.py` how the books are asked for it,
`world.py` and `postgres.py` where they are kept. `law.py` is what must hold after every step, `trial.py` one history.

Beside them, knowing nothing of them, `plain.py` with `levied.py` is a second and small model for whoever audits the
books; `audit.py` and, for what banks tell, `bank.py` hold the service to it.
"""
