"""What the documents say, held against the thing itself."""
