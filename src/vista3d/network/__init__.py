"""The promptable network of the paper's Fig. 1b, one file per box, and its checkpoints."""
