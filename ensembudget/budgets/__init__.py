"""Kinds of memory and compute a budget can cap, one a file; `_base.py` holds the contract."""
