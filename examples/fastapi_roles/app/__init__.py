"""A project tracker: users with roles, projects, tasks, labels and comments."""
