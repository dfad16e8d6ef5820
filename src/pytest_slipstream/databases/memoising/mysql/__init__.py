"""Dropping and making tables and databases of MariaDB and MySQL, by putting the drop off."""
