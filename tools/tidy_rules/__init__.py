"""The rules of tools/tidy.py, one file for each kind."""
