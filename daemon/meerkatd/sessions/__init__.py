"""Sessions and their turns: the one-turn rule, interrupts, events, and what is written when."""
