"""Where runs are trained, one way a file; `_base.py` holds the contract. The runs are the same."""
