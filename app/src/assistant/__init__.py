"""The sample LLM application: presets, keys, limits and a cache in front of any OpenAI-compatible model server."""
