"""What a report draws, one figure a file; `_base.py` holds the contract."""
