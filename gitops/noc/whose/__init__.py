"""Whose content a site keeps, as Git says it of its boxes: by what is signed, so that a commit moves them."""
