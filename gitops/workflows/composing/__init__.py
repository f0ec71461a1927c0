"""What Docker compose itself says of a fleet's apps, before a commit deploys."""
