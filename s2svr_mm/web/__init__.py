"""A page on this machine that restores videos; ``s2svr web`` serves it."""
