"""What is written from the settings models: the schema that editors read, and the reference that people read."""
