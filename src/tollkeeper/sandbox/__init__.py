"""The provider inside the product: answers all three dialects with realistic usage."""
