"""Tables, plots and the published log format.

The plots import matplotlib where they are drawn, so that a table needs nothing but the core dependencies.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
