"""Real faults in real processes. What each job did stands in a diary outside the database; at the end the
rows must agree with it.
"""
