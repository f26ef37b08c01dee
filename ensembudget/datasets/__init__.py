"""Labelled images to train and test on, one dataset a file; `_base.py` holds the contract."""
