"""``manage.py nightshift doctor``: examinations of a live site, each a function that gives findings."""
