"""How good a model is: simulated users, metrics, protocols."""
