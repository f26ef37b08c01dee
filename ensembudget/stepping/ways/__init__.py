"""Ways for samples to go through a packed network in training, one a file; `_base.py` holds the contract."""
