"""What real servers have reported, and what people saw of it."""
