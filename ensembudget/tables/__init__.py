"""What rows and columns each table has, one table a file; `_base.py` holds the contract."""
