"""What other programs ask over HTTP. For now: is it alive, is it ready, how is it doing."""
