"""From a plane of few small members to splits that are not trained: their CNLL, and what to train next."""
