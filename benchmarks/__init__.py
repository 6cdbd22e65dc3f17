"""What Nightshift costs, measured beside others in the same run. ``make bench`` runs it all; each part also
runs alone: ``python -m benchmarks.drain --database sqlite --runs 3``. Linux only: it reads ``/proc``.
"""
