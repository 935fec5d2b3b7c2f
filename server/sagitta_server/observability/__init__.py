"""What an operator watches: metrics, and whether the engine lives and is ready."""
