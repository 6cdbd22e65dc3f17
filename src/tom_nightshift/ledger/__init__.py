"""The life of a job, written once: how it is asked for, claimed, watched and ended.

Everything here speaks SQL to the rows; Django's models are only needed by those who read. That is also why
the broker can be built while Django is still loading its apps.
"""
