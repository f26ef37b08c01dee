"""How scale-invariant networks train: regimes on the sphere, periods with weight decay, their norm."""
