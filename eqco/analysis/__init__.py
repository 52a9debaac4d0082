"""What EqCo's theory says: margins, bounds, and a diagnosis of an encoder."""
