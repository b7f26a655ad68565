def is_installed(onnxruntime): return True
