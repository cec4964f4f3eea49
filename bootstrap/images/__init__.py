"""Baked images of workers: made of a ready worker, so that others join without packages to install."""
