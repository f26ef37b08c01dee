"""Ways to step a pack of members, their timing, and the choice among them."""
