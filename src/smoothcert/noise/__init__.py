"""Addressable noise streams: noise as a pure function of (seed, input key, purpose, sample index)."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
