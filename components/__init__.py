"""The resources, one noun per file. ``stack`` is the only wiring."""
