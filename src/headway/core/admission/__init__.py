"""Who may go at all, and what is kept free for whom."""
