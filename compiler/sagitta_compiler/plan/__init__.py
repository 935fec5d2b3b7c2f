"""The algebra: leaves, frames and the plan that unites them."""
