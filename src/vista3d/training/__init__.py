"""From partially labelled scans to a model: data, patches, prompts, losses, the loop."""
