"""The code behind the notebooks: one small module for each chapter.

Import what you need from its module, for example ``from course.data import ClothingDataset``.
Importing ``course`` itself is cheap: it loads neither torchvision nor matplotlib. On Linux it lets
the process keep 256 MB of freed memory. To get that from the system anew, page by page, can take a
training step as long as its convolutions (https://man7.org/linux/man-pages/man3/mallopt.3.html).
"""

import ctypes
import sys

if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
    # M_MMAP_THRESHOLD, then M_TRIM_THRESHOLD if that was accepted, which glibc does since 2.35
    all(libc.mallopt(parameter, 2**28) for parameter in (-3, -1))
