"""How fast each part of the suite is, beside plain code, the limit and other libraries."""
