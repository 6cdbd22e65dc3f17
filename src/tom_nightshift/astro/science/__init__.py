"""Arrays in, tables out: pure functions that can be tried in a notebook.

Floors, lowest first; each imports only what stands before it::

    headers         what a header says: gain, zero point, saturation, WCS
    images          a FITS file becomes images, one at a time
    detection       background and detection
    photometry      what is measured of each source
    completeness    artificial stars: what would have been missed
    columns         the catalogue's columns, with units and definitions
    remarks         sentences on how far to trust it
    catalogue       tables: made, joined, written
    sources         one image becomes one catalogue: the story
    version         which code, with which libraries, makes it
    picture         the image with its sources marked
"""
