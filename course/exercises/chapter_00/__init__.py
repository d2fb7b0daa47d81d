"""Tasks of notebook 00, about notebooks and Python."""
