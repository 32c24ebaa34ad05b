"""What people and programs read: one report as a tree, as JSON, as one paragraph."""
