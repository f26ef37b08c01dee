"""How trained weights are stored, one dtype a file; `_base.py` holds the contract."""
