"""The command line: one file per command, the same verbs as the Python API."""
