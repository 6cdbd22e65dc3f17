"""Ready-made tasks: each fetches, calls the pure functions of ``astro/science/``, and saves what came of it."""
