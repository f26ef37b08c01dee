"""How a pack of members is stepped: the ways there are, their timing, and the choice among them."""
