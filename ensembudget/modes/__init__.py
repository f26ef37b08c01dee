"""What an update step means, one mode a file; `_base.py` holds the contract."""
