"""One package or module for each database product, all behind `protocol.Engine`."""
