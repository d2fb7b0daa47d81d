"""The command ``course``: what is better done in a terminal than in a notebook."""
