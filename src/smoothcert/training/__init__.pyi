from .accuracy import noisy_accuracy as noisy_accuracy
from .gaussian import TrainingResult as TrainingResult
from .gaussian import train as train
from .objective import EpochRecord as EpochRecord
from .recipe import TrainingRecipe as TrainingRecipe
from .recipe import default_recipe as default_recipe
