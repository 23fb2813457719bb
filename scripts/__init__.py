"""What made the small files that ship with hilum."""
