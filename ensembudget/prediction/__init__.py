"""From a plane of few small members to what is not trained yet: the plane, its law, the choice of a split."""
