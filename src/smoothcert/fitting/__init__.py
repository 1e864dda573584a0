"""One loop for all that is learned by gradient steps: training a classifier, fitting a surrogate."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
