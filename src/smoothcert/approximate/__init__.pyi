from .candidate import SPECS as SPECS
from .candidate import Candidate as Candidate
from .candidate import make_candidate as make_candidate
from .identity import same_function as same_function
