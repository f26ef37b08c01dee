"""How good an ensemble's prediction is, one metric a file; `_base.py` holds the contract."""
