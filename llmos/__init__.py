"""The command line of LLMAgentOS: ``python3 -m llmos``."""
