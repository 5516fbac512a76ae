"""Resources of target aws, one noun per file. Imported for that target only: other targets never load the provider."""
