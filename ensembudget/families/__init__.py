"""Architectures whose width is free, one a file; `_base.py` holds the contract."""
