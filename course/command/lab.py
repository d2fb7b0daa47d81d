"""``course lab``: the notebooks, in JupyterLab."""

from course.files import paths


def start(options: list[str]) -> int:
    """Become JupyterLab, with the first notebook open unless `options` name another one."""
    from jupyterlab.labapp import main

    notebook = str(paths.PROJECT / "notebooks" / "00_start_here.ipynb")
    named = any(option.endswith(".ipynb") for option in options)
    main(options if named else [*options, notebook])
    return 0
