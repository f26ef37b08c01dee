"""What can be measured of the loss at trained members, one probe a file; `_base.py` holds the contract."""
