"""Who may do what on the controller's pages and API: people, their roles by site, and what they did."""
