"""Where files are, and how they are read, fetched and written without harm."""
