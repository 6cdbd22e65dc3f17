"""Ready-made tasks: each fetches, calls pure functions of ``astro/science/``, and saves what came of it."""
