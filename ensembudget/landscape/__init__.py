"""The loss around and between trained members; the wedge model."""
