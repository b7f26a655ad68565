"""A fake of Immich's machine-learning service.

It speaks the service's HTTP interface and computes with the ONNX Runtime it finds, on small models
of its own making. It recognises nothing in a photo.
"""
