"""The only way out: names become addresses, vetted addresses become connections, letters leave."""
