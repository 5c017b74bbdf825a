"""What stands on training and evaluation together: data sets as training reads them, evaluated."""

from vista3d.studies.cases import evaluation_cases
from vista3d.studies.evaluation import evaluate

__all__ = ["evaluate", "evaluation_cases"]
