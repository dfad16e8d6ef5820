"""Where connections of the application meet their slot."""
