"""What certificates are worth against the labels: accuracies, radii, speedups, distributions.

Labels enter smoothcert here and nowhere earlier, and every denominator is all inputs.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
