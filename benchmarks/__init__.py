"""What Tollkeeper costs and how fast it is, measured beside nginx and LiteLLM in one run."""
