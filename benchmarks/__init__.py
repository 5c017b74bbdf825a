"""This project beside its peers: same work, same machine, one run."""
