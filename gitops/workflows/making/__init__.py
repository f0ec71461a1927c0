"""A plan is carried out so that one box's trouble is that box's."""
