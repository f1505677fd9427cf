"""The real books under random histories, held to an independent model: one seed in, one trace out.

`model.py` and `deed.py` are the model, `chance.py` what somebody may ask for, `desk.py` how the books are asked,
`world.py` what they run in, `law.py` what must hold after every step, `trial.py` one history.
"""
