"""The code behind the notebooks: one small module for each chapter.

Import what you need from its module, for example ``from course.data import ClothingDataset``.
Importing ``course`` itself is cheap: it loads neither torchvision nor matplotlib.
"""
