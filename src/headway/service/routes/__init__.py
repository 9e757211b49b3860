"""The routes of `/v1`, one file per resource. Each reads its input, asks a port, and returns the view."""
