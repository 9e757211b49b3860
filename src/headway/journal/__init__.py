"""What must survive a crash: a log per role, its snapshots, how far its streams came, and the archive of
finished work."""
