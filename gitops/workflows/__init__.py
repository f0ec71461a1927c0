"""Each module wires several stages for one purpose; a stage knows its own work only."""
