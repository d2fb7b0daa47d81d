"""What went wrong, as one line that says what to do."""

from course.command.lines import printable
from course.files.trouble import advice_for, reason_of


def explain(error: Exception) -> str:
    """One line for an error, with advice that fits its cause."""
    text = " ".join(str(error).split())
    if isinstance(error, OSError):
        text = reason_of(error)
        if error.filename is not None:  # without one, it is a message of ours that says all
            text = f"{str(error.filename)!r}: {text}: {advice_for(error)}"
    elif isinstance(error, MemoryError):
        own_words = text or reason_of(error)
        text = own_words if ":" in own_words else f"{own_words}: {advice_for(error)}"
    elif isinstance(error, ImportError) and "failed to map" in text:  # a library, into memory
        text = f"{text}: {advice_for(MemoryError())}"
    elif isinstance(error, ImportError):
        text = f"{text}: python -m course doctor says what is missing"
    elif isinstance(error, RuntimeError) and "memory" in text:
        text = f"{text:.300}: choose a smaller --batch-size, or close other programs"
    return printable(text)
