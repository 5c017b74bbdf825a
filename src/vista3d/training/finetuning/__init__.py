"""From a handful of annotated scans to an automatic model for their structures (paper section 6).

targets   what the labels mean: known classes, or new ones with rows of the class table
scans     which scans take part, and what was measured of them
plan      grid, patch, intensities: adapted to the scans, kept in RUN/plan.json
nearest   where a new row of the class table starts from
export    the model file
finetune  all of it, around the training loop of `training.stage_run`
"""

from vista3d.training.finetuning.api import finetune

__all__ = ["finetune"]
