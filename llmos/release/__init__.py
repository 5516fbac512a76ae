"""Promotion: what one stack was seen to run becomes the release of another, by digest and with its evidence."""
