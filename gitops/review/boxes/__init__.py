"""What a plan does to boxes, beside their content."""
