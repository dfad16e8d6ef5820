"""A shop's back office: catalogue, stock, orders, and the people who may see or change them."""
