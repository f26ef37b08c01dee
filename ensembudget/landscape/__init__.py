"""The shape of loss landscapes: models of it, and what trained networks show of it."""
