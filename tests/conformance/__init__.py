"""Prototxts that others published, against the trainer; none of them is part of this project."""
