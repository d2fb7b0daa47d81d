"""The code behind the notebooks: one module for each chapter, and four wings.

Import what you need from its module, for example ``from course.data import ClothingDataset``.
What a chapter teaches stands at the top. `course.files` protects it, `course.stand_ins` replaces
what cannot be downloaded, and `course.command` is the program ``course``.

Docstrings give the shape and dtype of a tensor like this: ``(N, C, H, W) float32``. The letters:

    N  samples of a batch or a data set: pictures, sequences, rows of features
    C  channels: 1 for grey, 3 for red, green and blue, more inside a network
    H  height in pixels
    W  width in pixels
    T  time steps of a sequence
    F  features: the numbers that describe one sample or one time step
    K  classes

A number in place of a letter means that it has to be this number. ``(...)`` is any shape.

Importing ``course`` is cheap: it loads neither torch nor torchvision nor matplotlib. It sets how
two libraries below torch behave:

- libgomp, which runs torch's threads on Linux, lets a waiting thread spin. `course.waiting` watches
  that it does not spin while others want the processor.
- glibc gives freed memory back to the system and asks for it anew, page by page, which can take a
  training step as long as its convolutions (https://man7.org/linux/man-pages/man3/mallopt.3.html).
"""

import ctypes
import sys

from course.waiting import start_watching

start_watching()

if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
    M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
    # The second only if the first was accepted, which glibc does since 2.35.
    if libc.mallopt(M_MMAP_THRESHOLD, 2**28):
        libc.mallopt(M_TRIM_THRESHOLD, 2**28)
