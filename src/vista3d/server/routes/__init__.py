"""The routes of `/api/v1`, one file per noun. They translate; the service does the work."""
