"""Names that somebody has given, such as those of class folders, made fit for a figure.

Nothing in a name may change how the figure is drawn: not a dollar sign, not a line break, not a
length of 200 letters.
"""

import textwrap

from matplotlib.font_manager import get_font_names

# For letters that matplotlib's own font lacks, mostly those of Asia and emoji.
OTHER_FONTS = [
    "Noto Sans CJK JP", "Noto Sans Thai", "Noto Sans Devanagari", "Noto Emoji",  # Linux
    "Microsoft YaHei", "Malgun Gothic", "Leelawadee UI", "Nirmala UI", "Segoe UI Emoji",  # Windows
    "Hiragino Sans", "Arial Unicode MS",  # macOS
]  # fmt: skip
JOINERS = "\u200c\u200d"  # they print nothing, but shape the letters around them


def other_fonts() -> list[str]:
    """Return those of `OTHER_FONTS` that this machine has."""
    here = set(get_font_names())
    return [name for name in OTHER_FONTS if name in here]


def printable(words: str) -> str:
    """Replace what prints nothing, such as control characters, by spaces; line breaks stay."""
    return "".join(c if c.isprintable() or c in JOINERS + "\n" else " " for c in words)


def one_line(words: str) -> str:
    """Join all lines and spaces to one line of words."""
    return " ".join(printable(words).split())


def as_text(words: str) -> str:
    """Mark dollar signs as such: what stands between two, matplotlib would set as a formula."""
    return printable(words).replace("$", r"\$")


def short_name(name: str, length: int = 24) -> str:
    """Fit a name on an axis: on one line, and with its middle left out if it is long."""
    name = one_line(name)
    if len(name) > length:
        name = f"{name[: length // 2]}…{name[-(length // 2 - 1) :]}"
    return as_text(name)


def wrap_title(title: str, inches: float) -> str:
    """Fit a title over a picture of that width: long lines are broken, at most into three."""
    letters = round(9 * inches)  # of 14 pt
    lines = [
        textwrap.wrap(line, letters, max_lines=3, placeholder="…") for line in title.split("\n")
    ]
    return as_text("\n".join("\n".join(line) for line in lines))
