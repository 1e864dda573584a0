"""A model's candidates: reduced precision, int8, pruning, user functions and files.

Torch is imported where it is used, so that ``import smoothcert`` stays fast.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
