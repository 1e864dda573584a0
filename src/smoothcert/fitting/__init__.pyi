from .augment import random_crop_and_flip as random_crop_and_flip
from .loop import optimize as optimize
from .optimization import EpochProgress as EpochProgress
from .optimization import Optimization as Optimization
from .start import check_start as check_start
from .start import fresh_model as fresh_model
