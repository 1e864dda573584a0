"""A surrogate for the votes: fitted to some, calibrated on others, used to certify with few samples or none.

Torch is imported when a surrogate is fitted or loaded.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
