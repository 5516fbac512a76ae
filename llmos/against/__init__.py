"""Comparing two revisions of the project: what a change does to objects, cost, hardware and policy findings."""
