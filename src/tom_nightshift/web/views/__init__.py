"""One file a page: each finds, asks permission, calls one verb, answers."""
