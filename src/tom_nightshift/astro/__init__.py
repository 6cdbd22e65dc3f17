"""Ready-made tasks for astronomers: a second, opt-in part; the science in it knows neither Django nor TOM."""
