"""How loss falls with members, width and budget, one law a file; `_base.py` holds the contract."""
