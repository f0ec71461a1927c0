"""What is inside of the fleet, and what is wrong with it: kept in the store, for people and for monitors."""
