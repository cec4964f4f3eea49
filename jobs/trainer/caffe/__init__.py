"""Caffe: prototxts, data layers, and everything that touches pycaffe."""
