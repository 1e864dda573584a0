"""Certify classifiers by randomized smoothing, and recertify changed ones from cached votes.

Names are imported on first use, so that ``import smoothcert`` and ``smoothcert --help`` load neither torch nor
SciPy.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
