"""Stands in for Immich's machine-learning service in demos.

It speaks the service's HTTP interface and computes with the ONNX Runtime it finds, on small models
of its own making. It recognises nothing in a photo.
"""
