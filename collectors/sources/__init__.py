"""What upstream catalogs send, and how it becomes rows: OpenRouter, genai-prices, model servers."""
