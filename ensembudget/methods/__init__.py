"""How one training run gives a unit of predictors, one method a file; `_base.py` holds the contract."""
