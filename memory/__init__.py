"""What papers teach and what we learned, embedded and searchable."""
