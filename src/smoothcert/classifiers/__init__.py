"""One interface to anything that labels a batch: torch modules, ONNX files, estimators and plain functions.

Torch, ONNX Runtime and OpenVINO are imported where they are used, so that ``import smoothcert`` stays fast.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
