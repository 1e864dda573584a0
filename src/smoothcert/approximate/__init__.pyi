from .candidate import SPECS as SPECS
from .candidate import Candidate as Candidate
from .candidate import make_candidate as make_candidate
