"""Where files are, and how they are read, fetched and written without harm.

Places and trouble: `paths` says where things are, `trouble` what the system means when it refuses.

Pictures: `folders` finds the classes and photos in a folder that somebody has made, with `names`
for those that look alike and `left_out` for what is no photo. `pictures` reads one, with `contents`
(what a file really holds), `orientation` (how the camera was held) and `depth` (more than 8 bits).

What torch saves: `archives` looks into a file before anything in it is loaded, with `pickles` (the
program in it) and `strangers` (files of others). `savable` writes one, with `remedies` for what
could not be loaded again. `formats` knows the versions of a checkpoint, `cards` the page that
belongs to a finished model.

From afar and for later: `sources` says what the course fetches, `downloads` does it. `fashion`
unpacks the shipped archives, `kept` holds the features of photos, and `writing` makes files and
folders appear whole or not at all.
"""
