"""The site under test: a Django site with Nightshift, or with ``settings_tom`` a TOM."""
