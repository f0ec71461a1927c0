"""Who else has what the update server serves: a site's server, folders, registries; nothing of them is believed."""
