"""An order system that works by events: a queue, workers, a database, a slow bank."""
